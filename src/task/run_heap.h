// A heap of runs in which each run knows its own place, so that any of them can leave or change its key in
// O(log n). It grows by blocks: a million leases are never copied to a larger array in the middle of a turn,
// and what a heap held at its fullest goes back as it empties.
#pragma once
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/check.h"
#include "task/task_object.h"

namespace hf::task {

/// Runs with equal keys go by their order of submission. KeyAndOrder has it at hand, where most keys are
/// equal; KeyOnly looks it up in the run, where few are.
struct KeyAndOrder {
  int64_t key;
  uint64_t order;
  Run* run;
  KeyAndOrder() = default;
  KeyAndOrder(int64_t k, Run& r) : key(k), order(r.order), run(&r) {}
  bool before(const KeyAndOrder& other) const {
    return key != other.key ? key < other.key : order < other.order;
  }
};
struct KeyOnly {
  int64_t key;
  Run* run;
  KeyOnly() = default;
  KeyOnly(int64_t k, Run& r) : key(k), run(&r) {}
  bool before(const KeyOnly& other) const {
    return key != other.key ? key < other.key : run->order < other.run->order;
  }
};

/// `Place` is the member of Run that holds its place in this heap; a run is in one heap per such member at a
/// time.
template <uint32_t Run::*Place, class Item>
class RunHeap {
 public:
  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }
  const Item& top() const { return blocks_[0][0]; }
  template <class Each>
  void for_each(Each&& each) const {
    for (size_t i = 0; i < size_; ++i) each(std::as_const(at(i)));
  }

  void push(int64_t key, Run& run) {
    HF_CHECK(run.*Place == no_place && size_ < no_place);
    if (size_ == capacity_) grow();
    at(size_++) = Item(key, run);
    up(size_ - 1);
  }

  void erase(Run& run) {
    const size_t i = place(run);
    run.*Place = no_place;
    const Item last = at(--size_);
    if (i < size_) {
      at(i) = last;
      settle(i);
    }
    if (capacity_ - size_ >= 2 * block_items) {  // one block stays, or the next push would ask for it again
      blocks_.pop_back();
      capacity_ -= block_items;
    }
  }

  /// CHECK: the run is here, as in the next.
  int64_t key(const Run& run) const { return at(place(run)).key; }
  void rekey(const Run& run, int64_t key) {
    const size_t i = place(run);
    at(i).key = key;
    settle(i);
  }

  /// Gives every run the key that `key_of(run)` returns.
  template <class KeyOf>
  void rekey_all(KeyOf&& key_of) {
    for (size_t i = 0; i < size_; ++i) at(i).key = key_of(*at(i).run);
    for (size_t i = size_; i-- > 0;) down(i);
  }

 private:
  static constexpr size_t block_items = 512;
  // Four children lie in a cache line or two; with two, there were twice the levels, and as many runs to be
  // told their new place, each a cache miss.
  static constexpr size_t children = 4;
  static size_t parent(size_t i) { return (i - 1) / children; }
  using Block = std::unique_ptr<Item[]>;

  Item& at(size_t i) const { return blocks_[i / block_items][i % block_items]; }
  /// The first block begins small: there may be a queue for each task.
  void grow() {
    if (capacity_ >= block_items) {
      blocks_.push_back(std::make_unique_for_overwrite<Item[]>(block_items));
      capacity_ += block_items;
      return;
    }
    const size_t wanted = capacity_ == 0 ? 2 : capacity_ * 2;
    auto grown = std::make_unique_for_overwrite<Item[]>(wanted);
    for (size_t i = 0; i < size_; ++i) grown[i] = at(i);
    blocks_.clear();
    blocks_.push_back(std::move(grown));
    capacity_ = wanted;
  }
  size_t place(const Run& run) const {
    const size_t i = run.*Place;
    HF_CHECK(i < size_ && at(i).run == &run);
    return i;
  }
  void put(size_t i, const Item& item) {
    at(i) = item;
    item.run->*Place = static_cast<uint32_t>(i);
  }
  void settle(size_t i) {
    if (i > 0 && at(i).before(at(parent(i)))) up(i);
    else down(i);
  }
  void up(size_t i) {
    const Item item = at(i);
    for (; i > 0 && item.before(at(parent(i))); i = parent(i)) put(i, at(parent(i)));
    put(i, item);
  }
  void down(size_t i) {
    const Item item = at(i);
    for (size_t first; (first = children * i + 1) < size_;) {
      size_t least = first;
      for (size_t c = first + 1; c < first + children && c < size_; ++c)
        if (at(c).before(at(least))) least = c;
      if (!at(least).before(item)) break;
      put(i, at(least));
      i = least;
    }
    put(i, item);
  }

  std::vector<Block> blocks_;
  size_t size_ = 0, capacity_ = 0;
};

}  // namespace hf::task
