// A small hash as one run of bytes: count (2 bytes), then field and value, each with its length in front.
// Searched from the front: up to a few dozen fields that beats any table, and costs two bytes a field.
#pragma once
#include <cstdint>
#include <cstring>

#include "base/bytes.h"
#include "base/check.h"
#include "store/varint.h"

namespace hf::store {

constexpr size_t packed_header_bytes = 2;
/// More fields make a table, whatever the options say.
constexpr size_t packed_fields_max = UINT16_MAX;

inline size_t packed_count(Bytes packed) {
  uint16_t n;
  HF_CHECK(packed.size() >= sizeof n);
  std::memcpy(&n, packed.data(), sizeof n);
  return n;
}
inline void set_packed_count(char* packed, size_t count) {
  HF_CHECK(count <= packed_fields_max);
  const auto n = static_cast<uint16_t>(count);
  std::memcpy(packed, &n, sizeof n);
}

/// Goes through a packed hash from the front. The bytes are our own: CHECKs, no errors.
class PackedReader {
 public:
  explicit PackedReader(Bytes packed) : begin_(packed.data()), rest_(packed) {
    rest_.remove_prefix(packed_header_bytes);
  }
  bool next() {
    if (rest_.empty()) return false;
    at_ = position();
    HF_CHECK(take_counted(rest_, field_) && take_counted(rest_, value_));
    return true;
  }
  /// Stops at `field`; false when it is not there.
  bool find(Bytes field) {
    while (next())
      if (field_ == field) return true;
    return false;
  }
  Bytes field() const { return field_; }
  Bytes value() const { return value_; }
  size_t begin() const { return at_; }       ///< where the pair starts in the packed bytes
  size_t end() const { return position(); }  ///< and where the next one does

 private:
  size_t position() const { return static_cast<size_t>(rest_.data() - begin_); }
  const char* begin_;
  Bytes rest_, field_, value_;
  size_t at_ = 0;
};

inline size_t packed_pair_size(Bytes field, Bytes value) {
  return varint_size(field.size()) + field.size() + varint_size(value.size()) + value.size();
}
inline char* write_counted(char* out, Bytes item) {
  return write_bytes(write_varint(out, item.size()), item);
}

}  // namespace hf::store
