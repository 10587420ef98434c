// Where entries, tables and blocks get their bytes: malloc in the allocator's size classes, so that the room
// behind a value is known (overwrites in place) and the bytes held are counted without asking the allocator.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "base/check.h"
#include "base/checksum.h"

namespace hf::store {

class Memory {
 public:
  /// jemalloc's classes: steps of 16 up to 128, then four to a doubling.
  static constexpr uint8_t class_of(size_t size) {
    if (size <= 128) return static_cast<uint8_t>(size == 0 ? 1 : (size + 15) / 16);
    const unsigned doubling = 63 - static_cast<unsigned>(__builtin_clzll(size - 1));
    return static_cast<uint8_t>(9 + (doubling - 7) * 4 + (((size - 1) >> (doubling - 2)) & 3));
  }
  static constexpr size_t bytes_of(uint8_t size_class) { return class_bytes[size_class]; }
  static constexpr size_t rounded(size_t size) { return bytes_of(class_of(size)); }

  void* take(size_t bytes) {
    void* p = std::malloc(bytes);
    HF_CHECK(p != nullptr);
    held_ += bytes;
    return p;
  }
  void* resize(void* p, size_t old_bytes, size_t new_bytes) {
    p = std::realloc(p, new_bytes);
    HF_CHECK(p != nullptr);
    held_ += new_bytes - old_bytes;
    return p;
  }
  void give(void* p, size_t bytes) {
    held_ -= bytes;
    std::free(p);
  }
  /// On a cache-line boundary; `bytes` is a multiple of 64.
  void* take_lines(size_t bytes) {
    void* p = std::aligned_alloc(64, bytes);
    HF_CHECK(p != nullptr);
    held_ += bytes;
    return p;
  }
  /// What is held elsewhere (Objects) and counted here.
  void count(size_t more, size_t less) { held_ += more - less; }
  size_t held() const { return held_; }

 private:
  static constexpr std::array<size_t, 192> class_bytes = [] {
    std::array<size_t, 192> table{};
    for (size_t i = 0; i < 9; ++i) table[i] = 16 * i;
    for (size_t i = 9; i < table.size(); ++i) {
      const size_t doubling = (i - 9) / 4, step = (i - 9) % 4;
      table[i] = (size_t{128} << doubling) + (step + 1) * (size_t{32} << doubling);
    }
    return table;
  }();
  size_t held_ = 0;
};

/// What every table and entry of a store shares.
struct Context {
  Memory memory;
  const KeyHash& hash;
};

}  // namespace hf::store
