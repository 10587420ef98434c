// A short immutable text in eight bytes: empty, or a pointer to a counted copy. A run holds a dozen of them,
// most empty or shared (queue, worker), and stays small. Counts are not atomic: texts live and die on the
// loop's thread.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"

namespace hf::task {

class Text {
 public:
  Text() = default;
  explicit Text(Bytes bytes) {
    if (bytes.empty()) return;
    head_ = static_cast<Head*>(std::malloc(sizeof(Head) + bytes.size()));
    HF_CHECK(head_ != nullptr && bytes.size() <= UINT32_MAX);
    head_->references = 1;
    head_->size = static_cast<uint32_t>(bytes.size());
    std::memcpy(head_ + 1, bytes.data(), bytes.size());
  }
  Text(const Text& other) : head_(other.head_) {
    if (head_ != nullptr) ++head_->references;
  }
  Text(Text&& other) noexcept : head_(std::exchange(other.head_, nullptr)) {}
  Text& operator=(Text other) noexcept {
    std::swap(head_, other.head_);
    return *this;
  }
  ~Text() {
    if (head_ != nullptr && --head_->references == 0) std::free(head_);
  }

  /// Dies with the last text that shares it.
  Bytes view() const {
    return head_ == nullptr ? Bytes() : Bytes(reinterpret_cast<const char*>(head_ + 1), head_->size);
  }
  bool empty() const { return head_ == nullptr; }
  /// Heap held, shared or not.
  size_t memory_bytes() const { return head_ == nullptr ? 0 : sizeof(Head) + head_->size; }

 private:
  struct Head {
    uint32_t references, size;
  };
  Head* head_ = nullptr;
};

}  // namespace hf::task
