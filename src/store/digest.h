// The digest of the state at a walk's cut, for comparing replicas and snapshots while writes go on.
#pragma once
#include <array>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/checksum.h"
#include "store/store.h"

namespace hf::store {

/// Sums are kept by database and slice of its keys, so that two states that differ can be told apart: where.
constexpr size_t digest_slices = 256;
/// The slice a key belongs to: its XXH3-64, seed 0, modulo 256. The same on every node, whatever its table's
/// own hash.
inline uint32_t slice_of(Bytes key) { return static_cast<uint32_t>(sum64(key) % digest_slices); }
/// Databases without keys are left out.
using StateSums = std::map<DbIndex, std::array<Sum128, digest_slices>>;
/// All of it in one: equal to Store::digest() of the same state.
Sum128 total_of(const StateSums& sums);

/// When the walk is complete, `total` is what Store::digest() was at its cut.
class WalkDigest final : public WalkConsumer {
 public:
  void take(DbIndex db, const Entry& entry) override;
  void take_large(const LargeValue& value) override;
  void take_field(uint64_t hash, Bytes field, Bytes value) override;
  void take_large_field(uint64_t hash, Bytes field, uint64_t number, uint64_t size) override;
  void take_bytes(uint64_t number, Bytes piece) override;

  const StateSums& sums() const { return sums_; }
  Sum128 total() const { return total_of(sums_); }
  uint64_t keys() const { return keys_; }
  /// Rises with the time that taking took: for slices of equal length. About a nanosecond each.
  uint64_t work() const { return work_; }

 private:
  struct Partial {
    DbIndex db = 0;
    uint32_t slice = 0;
    uint64_t left = 0;                    ///< fields or bytes to come
    uint64_t hash = 0;                    ///< of a large field: its hash's number
    std::string head;                     ///< of a hash: what stands before the sum of its fields
    Sum128 fields;                        ///< of a hash: those seen
    std::unique_ptr<Sum128Stream> bytes;  ///< null for a hash
  };
  void add_entry(DbIndex db, uint32_t slice, Sum128 sum);
  void add_field(uint64_t hash, Sum128 sum);

  StateSums sums_;
  uint64_t keys_ = 0, work_ = 0;
  std::unordered_map<uint64_t, Partial> partial_;
  std::string scratch_;
};

}  // namespace hf::store
