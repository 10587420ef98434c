// The three ways in which Redis packs a small value into one string: zipmap (2.4), ziplist (to 6.2) and
// listpack (from 7.0). Read item by item, with nothing in the bytes believed; listpacks are written, too.
#pragma once
#include <cstdint>
#include <string>

#include "base/bytes.h"

namespace hf::rdb {

enum class Packing : uint8_t { Zipmap, Ziplist, Listpack };

/// Goes through the items of a packed value. In a zipmap fields and values come in turn, too.
class PackedItems {
 public:
  /// `blob` must outlive the reader.
  PackedItems(Packing packing, Bytes blob);
  /// False: the end, or damage: then `problem()` is not null.
  bool next(Bytes& item);  ///< `item` dies with the next call
  const char* problem() const { return problem_; }
  size_t at() const { return at_; }  ///< the byte that reading has come to
  uint64_t items() const { return seen_; }

 private:
  bool fail(const char* problem) {
    problem_ = problem;
    return false;
  }
  bool take(size_t size, Bytes& bytes);
  bool take_number(size_t size, Bytes& item);
  void give_number(int64_t value, Bytes& item);
  bool end();
  bool next_in_zipmap(Bytes& item);
  bool next_in_ziplist(Bytes& item);
  bool next_in_listpack(Bytes& item);
  bool zipmap_size(uint64_t& size);

  Packing packing_;
  Bytes blob_;
  size_t at_ = 0;
  size_t previous_size_ = 0;  ///< of the entry before, in a ziplist
  uint64_t claimed_ = 0, seen_ = 0;
  bool counted_ = true;  ///< `claimed_` says how many items there are
  bool ended_ = false;
  const char* problem_ = nullptr;
  char digits_[24];
};

class ListpackWriter {
 public:
  /// Text that is a canonical integer is stored as one.
  void add(Bytes item);
  /// The finished listpack; good until `clear`.
  Bytes finish();
  void clear();

 private:
  static constexpr size_t header_bytes = 6;
  std::string bytes_ = std::string(header_bytes, '\0');
  uint64_t count_ = 0;
};

}  // namespace hf::rdb
