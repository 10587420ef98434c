// Small pieces of memory in steps of eight bytes. The allocator's own classes are 16, 32 and 64 bytes apart;
// for records of a few hundred bytes that rounding was the largest waste there is.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

namespace hf::store {

/// Items of one size lie in slabs, slabs of any size in chunks, which come from the allocator and go back to
/// it once they are empty. (Slabs straight from the allocator were cut out of the buffers that connections
/// come and go with, and left pieces of these resident that fitted nothing.) Not thread-safe. Under
/// AddressSanitizer each item is an allocation of its own, so that it is watched.
class Slabs {
 public:
  static constexpr size_t step_bytes = 8, item_bytes_max = 512;

  Slabs() = default;
  /// CHECK: all items were given back.
  ~Slabs();
  Slabs(const Slabs&) = delete;
  Slabs& operator=(const Slabs&) = delete;

  /// `bytes`: a multiple of step_bytes, 8 to item_bytes_max.
  void* take(size_t bytes);
  /// `bytes` as they were taken.
  void give(void* item, size_t bytes);
  /// Bytes of chunks that no item is in.
  size_t idle_bytes() const { return chunks_ == 0 ? 0 : chunks_ * chunk_bytes - in_items_; }

 private:
  static constexpr size_t slab_bytes = 32 * 1024;
  static constexpr size_t chunk_bytes = 32 * slab_bytes;
  struct Slab;
  struct Chunk;
  /// Those with room, the one to take from first.
  template <class T>
  struct List {
    T* first = nullptr;
    void link(T* t);
    void unlink(T* t);
  };

  Slab* add(List<Slab>& list, size_t bytes);
  void release(Slab* slab);
  void free_chunk(Chunk* chunk);

  std::array<List<Slab>, item_bytes_max / step_bytes + 1> slabs_;
  List<Chunk> roomy_;
  size_t chunks_ = 0;
  size_t in_items_ = 0;
};

}  // namespace hf::store
