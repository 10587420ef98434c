// A heap of runs in which each run knows its own place, so that any of them can leave or change its key in
// O(log n).
#pragma once
#include <cstdint>
#include <utility>
#include <vector>

#include "base/check.h"
#include "task/task_object.h"

namespace hf::task {

/// `Place` is the member of Run that holds its place in this heap; a run is in one heap per such member at a
/// time.
template <uint32_t Run::*Place>
class RunHeap {
 public:
  struct Item {
    int64_t key;
    uint64_t tie;
    Run* run;
    bool before(const Item& other) const { return key != other.key ? key < other.key : tie < other.tie; }
  };

  bool empty() const { return items_.empty(); }
  size_t size() const { return items_.size(); }
  const Item& top() const { return items_.front(); }
  const std::vector<Item>& items() const { return items_; }

  void push(Item item) {
    HF_CHECK(item.run->*Place == no_place);
    items_.push_back(item);
    up(items_.size() - 1);
  }

  void erase(Run& run) {
    const size_t at = place(run);
    run.*Place = no_place;
    const Item last = items_.back();
    items_.pop_back();
    if (at == items_.size()) return;
    items_[at] = last;
    settle(at);
    if (items_.capacity() > 1024 && items_.size() < items_.capacity() / 4) items_.shrink_to_fit();
  }

  void rekey(const Run& run, int64_t key) {
    const size_t at = place(run);
    items_[at].key = key;
    settle(at);
  }

  /// Gives every run the key that `key_of(run)` returns.
  template <class KeyOf>
  void rekey_all(KeyOf&& key_of) {
    for (Item& item : items_) item.key = key_of(*item.run);
    for (size_t i = items_.size() / 2; i-- > 0;) down(i);
  }

 private:
  size_t place(const Run& run) const {
    const size_t at = run.*Place;
    HF_CHECK(at < items_.size() && items_[at].run == &run);
    return at;
  }
  void put(size_t at, const Item& item) {
    items_[at] = item;
    item.run->*Place = static_cast<uint32_t>(at);
  }
  void settle(size_t at) {
    if (at > 0 && items_[at].before(items_[(at - 1) / 2])) up(at);
    else down(at);
  }
  void up(size_t at) {
    const Item item = items_[at];
    for (; at > 0 && item.before(items_[(at - 1) / 2]); at = (at - 1) / 2) put(at, items_[(at - 1) / 2]);
    put(at, item);
  }
  void down(size_t at) {
    const Item item = items_[at];
    for (size_t child; (child = 2 * at + 1) < items_.size(); at = child) {
      if (child + 1 < items_.size() && items_[child + 1].before(items_[child])) ++child;
      if (!items_[child].before(item)) break;
      put(at, items_[child]);
    }
    put(at, item);
  }

  std::vector<Item> items_;
};

}  // namespace hf::task
