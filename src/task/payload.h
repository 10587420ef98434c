// A run's payload or result: bytes given once, shared by restarts and never changed, in eight bytes of the
// run.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "task/checkpoint.h"

namespace hf::task {

/// Nothing, or bytes (maybe none). Small ones lie behind their count; large ones are a Blob, for walks to
/// share. Counts are not atomic: payloads live and die on the loop's thread.
class Payload {
 public:
  /// Blobs from this size on go into saved parts by reference; smaller ones cost less as a copy.
  static constexpr size_t blob_bytes_min = 4096;

  Payload() = default;
  explicit Payload(Bytes bytes) {
    const bool large = bytes.size() >= blob_bytes_min;
    void* p = std::malloc(large ? sizeof(Large) : sizeof(Head) + bytes.size());
    HF_CHECK(p != nullptr);
    if (large) {
      head_ = &(new (p) Large{{1, is_large}, std::make_shared<const std::string>(bytes)})->head;
      return;
    }
    head_ = new (p) Head{1, static_cast<uint32_t>(bytes.size())};
    if (!bytes.empty()) std::memcpy(head_ + 1, bytes.data(), bytes.size());
  }
  Payload(const Payload& other) : head_(other.head_) {
    if (head_ != nullptr) ++head_->references;
  }
  Payload(Payload&& other) noexcept : head_(std::exchange(other.head_, nullptr)) {}
  Payload& operator=(Payload other) noexcept {
    std::swap(head_, other.head_);
    return *this;
  }
  ~Payload() {
    if (head_ == nullptr || --head_->references > 0) return;
    if (blob() != nullptr) large()->~Large();
    std::free(head_);
  }

  explicit operator bool() const { return head_ != nullptr; }
  /// Dies with the last one that shares it. CHECK: there is one.
  Bytes view() const {
    HF_CHECK(head_ != nullptr);
    if (blob() != nullptr) return **blob();
    return {reinterpret_cast<const char*>(head_ + 1), head_->size};
  }
  /// Null when small.
  const Blob* blob() const { return head_ != nullptr && head_->size == is_large ? &large()->blob : nullptr; }
  /// Equal for those that share their bytes.
  const void* identity() const { return head_; }
  /// Heap held, shared or not.
  size_t memory_bytes() const {
    if (head_ == nullptr) return 0;
    if (blob() == nullptr) return sizeof(Head) + head_->size;
    return sizeof(Large) + sizeof(std::string) + (*blob())->capacity();
  }

 private:
  static constexpr uint32_t is_large = UINT32_MAX;
  struct Head {
    uint32_t references, size;
  };
  struct Large {
    Head head;
    Blob blob;
  };
  Large* large() const { return reinterpret_cast<Large*>(head_); }

  Head* head_ = nullptr;
};

}  // namespace hf::task
