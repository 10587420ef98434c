// The digest of the state at a walk's cut, for comparing replicas and snapshots while writes go on.
#pragma once
#include <memory>
#include <string>
#include <unordered_map>

#include "base/checksum.h"
#include "store/store.h"

namespace hf::store {

/// When the walk is complete, `total` is what Store::digest() was at its cut.
class WalkDigest final : public WalkConsumer {
 public:
  void take(DbIndex db, const Entry& entry) override;
  void take_large(const LargeValue& value) override;
  void take_field(uint64_t hash, Bytes field, Bytes value) override;
  void take_large_field(uint64_t hash, Bytes field, uint64_t number, uint64_t size) override;
  void take_bytes(uint64_t number, Bytes piece) override;

  const Sum128& total() const { return total_; }
  uint64_t keys() const { return keys_; }

 private:
  struct Partial {
    DbIndex db = 0;
    uint64_t left = 0;                    ///< fields or bytes to come
    uint64_t hash = 0;                    ///< of a large field: its hash's number
    std::string head;                     ///< of a hash: what stands before the sum of its fields
    Sum128 fields;                        ///< of a hash: those seen
    std::unique_ptr<Sum128Stream> bytes;  ///< null for a hash
  };
  void add_field(uint64_t hash, Sum128 sum);

  Sum128 total_;
  uint64_t keys_ = 0;
  std::unordered_map<uint64_t, Partial> partial_;
  std::string scratch_;
};

}  // namespace hf::store
