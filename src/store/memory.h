// Where entries, tables and blocks get their bytes, in size classes: so the room behind a value is known
// (overwrites in place) and the bytes held are counted without asking the allocator. Small ones come from
// slabs in steps of eight bytes, the others from malloc in its own classes.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "base/check.h"
#include "base/checksum.h"
#include "store/slabs.h"

namespace hf::store {

class Memory {
 public:
  /// Steps of 8 as far as slabs go, then, as jemalloc has it, four to a doubling.
  static constexpr uint8_t class_of(size_t size) {
    if (size <= Slabs::item_bytes_max)
      return static_cast<uint8_t>(size == 0 ? 1 : (size + Slabs::step_bytes - 1) / Slabs::step_bytes);
    const unsigned doubling = 63 - static_cast<unsigned>(__builtin_clzll(size - 1));
    return static_cast<uint8_t>(small_classes + 1 + (doubling - 9) * 4 +
                                (((size - 1) >> (doubling - 2)) & 3));
  }
  /// For what grew and is likely to grow again: four steps to a doubling for small sizes, too.
  static constexpr uint8_t roomy_class_of(size_t size) {
    if (size <= 64 || size > Slabs::item_bytes_max)
      return class_of(size <= 64 ? (size + 15) / 16 * 16 : size);
    const unsigned doubling = 63 - static_cast<unsigned>(__builtin_clzll(size - 1));
    const size_t step = size_t{1} << (doubling - 2);
    return class_of((size + step - 1) / step * step);
  }
  static constexpr size_t bytes_of(uint8_t size_class) { return class_bytes[size_class]; }
  static constexpr size_t rounded(size_t size) { return bytes_of(class_of(size)); }

  void* take(size_t bytes) {
    held_ += bytes;
    if (bytes <= Slabs::item_bytes_max) return slabs_.take(bytes);
    void* p = std::malloc(bytes);
    HF_CHECK(p != nullptr);
    return p;
  }
  void* resize(void* p, size_t old_bytes, size_t new_bytes) {
    if (old_bytes <= Slabs::item_bytes_max || new_bytes <= Slabs::item_bytes_max) {
      void* fresh = take(new_bytes);
      std::memcpy(fresh, p, old_bytes < new_bytes ? old_bytes : new_bytes);
      give(p, old_bytes);
      return fresh;
    }
    p = std::realloc(p, new_bytes);
    HF_CHECK(p != nullptr);
    held_ += new_bytes - old_bytes;
    return p;
  }
  void give(void* p, size_t bytes) {
    held_ -= bytes;
    if (bytes <= Slabs::item_bytes_max) slabs_.give(p, bytes);
    else std::free(p);
  }
  /// On a cache-line boundary; `bytes` is a multiple of 64.
  void* take_lines(size_t bytes) {
    void* p = std::aligned_alloc(64, bytes);
    HF_CHECK(p != nullptr);
    held_ += bytes;
    return p;
  }
  void give_lines(void* p, size_t bytes) {
    held_ -= bytes;
    std::free(p);
  }
  /// What is held elsewhere (Objects) and counted here.
  void count(size_t more, size_t less) { held_ += more - less; }
  size_t held() const { return held_; }
  /// What lies ready for small pieces to come: held by the process, by no entry.
  size_t idle() const { return slabs_.idle_bytes(); }

 private:
  static constexpr size_t small_classes = Slabs::item_bytes_max / Slabs::step_bytes;
  static_assert(Slabs::item_bytes_max == 512);
  static constexpr std::array<size_t, 256> class_bytes = [] {
    std::array<size_t, 256> table{};
    for (size_t i = 0; i <= small_classes; ++i) table[i] = Slabs::step_bytes * i;
    for (size_t i = small_classes + 1; i < table.size(); ++i) {
      const size_t doubling = (i - small_classes - 1) / 4, step = (i - small_classes - 1) % 4;
      table[i] = (size_t{512} << doubling) + (step + 1) * (size_t{128} << doubling);
    }
    return table;
  }();
  Slabs slabs_;
  size_t held_ = 0;
};

/// What every table and entry of a store shares.
struct Context {
  Memory memory;
  const KeyHash& hash;
};

}  // namespace hf::store
