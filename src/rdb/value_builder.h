// Makes the store's encoded entries (store/FORMAT.md) out of a value's items as the walker brings them. What
// is larger than a piece goes on in pieces, so that no more than one string of a value is ever at hand.
#pragma once
#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "base/types.h"
#include "rdb/format.h"
#include "rdb/packed.h"
#include "rdb/walker.h"
#include "store/object.h"

namespace hf::rdb {

/// Takes entries and pieces as Store::load_piece wants them; the bytes die with the call.
class PieceTaker {
 public:
  virtual ~PieceTaker() = default;
  virtual Status take_piece(Bytes encoded) = 0;
};

class ValueBuilder {
 public:
  ValueBuilder(PieceTaker& taker, uint64_t piece_bytes_max) : taker_(taker), piece_max_(piece_bytes_max) {}

  /// `key` must live until `end`.
  void begin(const Row& row, Bytes key, WallMs expire_at);
  /// The value's next item. The error says what is wrong with the value, or is the taker's.
  Status item(const Item& item);
  Status end();
  /// True after `end`: the value cannot be taken, because fields of it expire. (Pieces may have gone out.)
  bool refused() const { return timed_; }
  /// True after `end`: a hash without fields, which is no key here nor in Redis: nothing went out.
  bool was_empty() const { return empty_; }
  /// The last error was the taker's: the bytes may be sound.
  bool taker_failed() const { return taker_failed_; }

 private:
  Status hand(Bytes encoded);
  void put_head(store::Type type, std::string& out) const;
  Status string_item(const Item& item);
  Status whole(store::Type type, Bytes value);
  Status bytes(uint64_t number, Bytes value);
  Status pair_item(const Item& item);
  Status packed(Packing packing, Bytes blob);
  Status packed_pass(Packing packing, Bytes blob, bool count_only, uint64_t& fields);
  Status field(Bytes name, Bytes value);
  Status begin_large_hash();
  Status flush_fields();

  PieceTaker& taker_;
  const uint64_t piece_max_;
  const Row* row_ = nullptr;
  Bytes key_;
  WallMs expire_at_ = 0;
  uint64_t last_number_ = 0;  ///< of the large values so far
  uint64_t own_number_ = 0;   ///< of this one; 0: it is not large
  uint64_t fields_total_ = 0, fields_seen_ = 0;
  bool timed_ = false, empty_ = false, taker_failed_ = false;
  bool have_name_ = false;
  std::string name_;    ///< of the field whose value comes next
  std::string fields_;  ///< encoded, not handed on yet
  std::string out_;
};

}  // namespace hf::rdb
