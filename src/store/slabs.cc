// Slabs: an item that is free holds the address of the next free one; what was never used lies behind the
// last one that was, untouched, and costs no resident page.
#include "store/slabs.h"

#include <cstdlib>

#include "base/check.h"

#if defined(__SANITIZE_ADDRESS__)
#define HF_ITEMS_ON_THEIR_OWN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HF_ITEMS_ON_THEIR_OWN 1
#endif
#endif

namespace hf::store {

struct Slabs::Slab {
  Slab *before, *after;  ///< in its list; a full slab is in none
  Chunk* chunk;
  void* free;       ///< items given back
  uint32_t unused;  ///< offset of what was never taken
  uint32_t end;     ///< of the last item that fits
  uint32_t items;   ///< taken

  bool full() const { return free == nullptr && unused == end; }
  static Slab* of(void* item) {
    return reinterpret_cast<Slab*>(reinterpret_cast<uintptr_t>(item) & ~uintptr_t{slab_bytes - 1});
  }
};

struct Slabs::Chunk {
  Chunk *before, *after;  ///< in the list of those with room
  char* memory;
  Slab* free;       ///< slabs given back, by `after`
  uint32_t unused;  ///< offset of what was never a slab
  uint32_t slabs;   ///< in use

  bool full() const { return free == nullptr && unused == chunk_bytes; }
};

template <class T>
void Slabs::List<T>::link(T* t) {
  t->before = nullptr;
  t->after = first;
  if (first != nullptr) first->before = t;
  first = t;
}

template <class T>
void Slabs::List<T>::unlink(T* t) {
  (t->before != nullptr ? t->before->after : first) = t->after;
  if (t->after != nullptr) t->after->before = t->before;
}

#ifdef HF_ITEMS_ON_THEIR_OWN

Slabs::~Slabs() { HF_CHECK(in_items_ == 0); }

void* Slabs::take(size_t bytes) {
  void* item = std::malloc(bytes);
  HF_CHECK(item != nullptr);
  in_items_ += bytes;
  return item;
}

void Slabs::give(void* item, size_t bytes) {
  in_items_ -= bytes;
  std::free(item);
}

#else

Slabs::~Slabs() {
  HF_CHECK(in_items_ == 0);
  for (List<Slab>& list : slabs_)
    while (list.first != nullptr) {
      Slab* slab = list.first;
      list.unlink(slab);
      release(slab);
    }
  if (roomy_.first != nullptr) free_chunk(roomy_.first);  // the one that stays
  HF_CHECK(chunks_ == 0);
}

void* Slabs::take(size_t bytes) {
  HF_CHECK(bytes > 0 && bytes <= item_bytes_max && bytes % step_bytes == 0);
  List<Slab>& list = slabs_[bytes / step_bytes];
  Slab* slab = list.first;
  if (slab == nullptr) slab = add(list, bytes);
  void* item = slab->free;
  if (item != nullptr) {
    slab->free = *static_cast<void**>(item);
  } else {
    item = reinterpret_cast<char*>(slab) + slab->unused;
    slab->unused += static_cast<uint32_t>(bytes);
  }
  ++slab->items;
  in_items_ += bytes;
  if (slab->full()) list.unlink(slab);
  return item;
}

void Slabs::give(void* item, size_t bytes) {
  List<Slab>& list = slabs_[bytes / step_bytes];
  Slab* slab = Slab::of(item);
  // The fullest come first, so that the emptiest have the best chance to become empty.
  if (slab->full()) list.link(slab);
  *static_cast<void**>(item) = slab->free;
  slab->free = item;
  in_items_ -= bytes;
  // One slab stays, or an item that comes and goes would cost a slab each time.
  if (--slab->items > 0 || (slab == list.first && slab->after == nullptr)) return;
  list.unlink(slab);
  release(slab);
}

#endif

Slabs::Slab* Slabs::add(List<Slab>& list, size_t bytes) {
  Chunk* chunk = roomy_.first;
  if (chunk == nullptr) {
    chunk = new Chunk{};
    chunk->memory = static_cast<char*>(std::aligned_alloc(slab_bytes, chunk_bytes));
    HF_CHECK(chunk->memory != nullptr);
    ++chunks_;
    roomy_.link(chunk);
  }
  Slab* slab = chunk->free;
  if (slab != nullptr) {
    chunk->free = slab->after;
  } else {
    slab = reinterpret_cast<Slab*>(chunk->memory + chunk->unused);
    chunk->unused += slab_bytes;
  }
  ++chunk->slabs;
  if (chunk->full()) roomy_.unlink(chunk);
  constexpr size_t head = (sizeof(Slab) + step_bytes - 1) / step_bytes * step_bytes;
  *slab = {.before = nullptr,
           .after = nullptr,
           .chunk = chunk,
           .free = nullptr,
           .unused = head,
           .end = static_cast<uint32_t>(head + (slab_bytes - head) / bytes * bytes),
           .items = 0};
  list.link(slab);
  return slab;
}

void Slabs::release(Slab* slab) {
  Chunk* chunk = slab->chunk;
  if (chunk->full()) roomy_.link(chunk);
  slab->after = chunk->free;
  chunk->free = slab;
  if (--chunk->slabs == 0 && (chunk != roomy_.first || chunk->after != nullptr)) free_chunk(chunk);
}

void Slabs::free_chunk(Chunk* chunk) {
  roomy_.unlink(chunk);
  --chunks_;
  std::free(chunk->memory);
  delete chunk;
}

}  // namespace hf::store
