// Lengths in packed hashes and in encoded entries: seven bits a byte, low bits first, the top bit says "more
// follows".
#pragma once
#include <cstdint>
#include <cstring>
#include <string>

#include "base/bytes.h"

namespace hf::store {

constexpr size_t varint_bytes_max = 10;

constexpr size_t varint_size(uint64_t value) {
  size_t n = 1;
  while (value >= 0x80) value >>= 7, ++n;
  return n;
}

/// Copies `item` to `out` and returns the end. (An empty view may have no address, which memcpy must not be
/// given.)
inline char* write_bytes(char* out, Bytes item) {
  if (!item.empty()) std::memcpy(out, item.data(), item.size());
  return out + item.size();
}

/// Writes `value` at `out` and returns the end.
inline char* write_varint(char* out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) *out++ = static_cast<char>(value | 0x80);
  *out++ = static_cast<char>(value);
  return out;
}

inline void put_varint(std::string& out, uint64_t value) {
  char buf[varint_bytes_max];
  out.append(buf, static_cast<size_t>(write_varint(buf, value) - buf));
}

/// Takes a varint off the front of `bytes`. False (with `bytes` unspecified) when it is cut, longer than it
/// need be, or above 64 bits.
inline bool take_varint(Bytes& bytes, uint64_t& value) {
  value = 0;
  for (unsigned shift = 0; shift < 70; shift += 7) {
    if (bytes.empty()) return false;
    const auto byte = static_cast<uint8_t>(bytes[0]);
    bytes.remove_prefix(1);
    if (shift == 63 && byte > 1) return false;
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return byte != 0 || shift == 0;
  }
  return false;
}

/// A length and that many bytes.
inline void put_counted(std::string& out, Bytes item) {
  put_varint(out, item.size());
  out.append(item);
}

/// Takes a length and that many bytes off the front.
inline bool take_counted(Bytes& bytes, Bytes& item) {
  uint64_t size = 0;
  if (!take_varint(bytes, size) || size > bytes.size()) return false;
  item = bytes.substr(0, size);
  bytes.remove_prefix(size);
  return true;
}

}  // namespace hf::store
