// The runs of a task, oldest first. Most tasks have one, and it costs no block of its own.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "base/check.h"

namespace hf::task {

struct Run;

/// Owns its runs; their addresses never change.
class RunList {
 public:
  RunList() = default;
  RunList(const RunList&) = delete;
  RunList& operator=(const RunList&) = delete;
  ~RunList();

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  Run* const* begin() const { return capacity_ == 0 ? &one_ : many_; }
  Run* const* end() const { return begin() + size_; }
  Run* operator[](size_t i) const { return begin()[i]; }
  Run* back() const { return begin()[size_ - 1]; }
  void push_back(std::unique_ptr<Run> run);
  /// Destroys the first `n`.
  void drop_front(size_t n);
  /// Heap held beside the runs.
  size_t memory_bytes() const { return capacity_ * sizeof(Run*); }

 private:
  union {
    Run* one_ = nullptr;  // while capacity_ is 0
    Run** many_;
  };
  uint32_t size_ = 0, capacity_ = 0;
};

}  // namespace hf::task
