// The byte level of the saved format (FORMAT.md): varints, zigzag for signed numbers, texts with their length
// first. Reading is bounds-checked; after the first failure everything reads as empty and ok() is false.
#pragma once
#include <cstdint>
#include <string>

#include "base/bytes.h"

namespace hf::task {

class Packer {
 public:
  explicit Packer(std::string& out) : out_(out) {}
  void byte(uint8_t b) { out_.push_back(static_cast<char>(b)); }
  void number(uint64_t v) {
    for (; v >= 0x80; v >>= 7) byte(static_cast<uint8_t>(v) | 0x80);
    byte(static_cast<uint8_t>(v));
  }
  void whole(int64_t v) { number((static_cast<uint64_t>(v) << 1) ^ static_cast<uint64_t>(v >> 63)); }
  void text(Bytes bytes) {
    number(bytes.size());
    out_.append(bytes);
  }

 private:
  std::string& out_;
};

class Unpacker {
 public:
  explicit Unpacker(Bytes in) : in_(in) {}
  bool ok() const { return ok_; }
  bool at_end() const { return in_.empty(); }
  size_t left() const { return in_.size(); }
  uint8_t byte() {
    if (in_.empty()) return static_cast<uint8_t>(fail());
    const auto b = static_cast<uint8_t>(in_[0]);
    in_.remove_prefix(1);
    return b;
  }
  uint64_t number() {
    uint64_t v = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const uint8_t b = byte();
      if (!ok_) return 0;
      if (shift == 63 && b > 1) return fail();  // more than 64 bits
      if (shift > 0 && b == 0) return fail();   // one number has one spelling: equal values, equal bytes
      v |= static_cast<uint64_t>(b & 0x7f) << shift;
      if (b < 0x80) return v;
    }
    return fail();
  }
  int64_t whole() {
    const uint64_t v = number();
    return static_cast<int64_t>((v >> 1) ^ (~(v & 1) + 1));
  }
  /// At most `max`.
  uint64_t number(uint64_t max) {
    const uint64_t v = number();
    return v <= max ? v : fail();
  }
  Bytes text(size_t max) {
    const uint64_t n = number();
    if (!ok_ || n > max || n > in_.size()) {
      fail();
      return {};
    }
    const Bytes bytes = in_.substr(0, n);
    in_.remove_prefix(n);
    return bytes;
  }
  uint64_t fail() {
    ok_ = false;
    in_ = {};
    return 0;
  }

 private:
  Bytes in_;
  bool ok_ = true;
};

}  // namespace hf::task
