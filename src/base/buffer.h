// A growing byte queue: appended at the end, consumed at the front, never zeroed. Connections read into one
// and reply out of another.
#pragma once
#include <cstdlib>
#include <cstring>

#include "base/bytes.h"
#include "base/check.h"

namespace hf {

class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& o) noexcept : data_(o.data_), begin_(o.begin_), end_(o.end_), capacity_(o.capacity_) {
    o.forget();
  }
  Buffer& operator=(Buffer&& o) noexcept {
    if (this != &o) {
      std::free(data_);
      data_ = o.data_, begin_ = o.begin_, end_ = o.end_, capacity_ = o.capacity_;
      o.forget();
    }
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { std::free(data_); }

  size_t size() const { return end_ - begin_; }
  bool empty() const { return begin_ == end_; }
  size_t capacity() const { return capacity_; }
  /// Valid until the next call that may grow or move the buffer.
  Bytes view() const { return {data_ + begin_, size()}; }
  char* data() { return data_ + begin_; }

  /// At least `n` writable bytes behind the end; `commit` says how many were filled.
  char* reserve(size_t n) {
    if (capacity_ - end_ < n) make_room(n);
    return data_ + end_;
  }
  size_t room() const { return capacity_ - end_; }
  void commit(size_t n) {
    HF_CHECK(n <= capacity_ - end_);
    end_ += n;
  }

  void append(Bytes b) {
    if (b.empty()) return;  // memcpy may not see a null pointer, even for nothing
    std::memcpy(reserve(b.size()), b.data(), b.size());
    end_ += b.size();
  }
  void append(char c) {
    *reserve(1) = c;
    ++end_;
  }

  void consume(size_t n) {
    HF_CHECK(n <= size());
    begin_ += n;
    if (begin_ == end_) begin_ = end_ = 0;
  }
  /// Cuts the end back to `n` bytes.
  void truncate(size_t n) {
    HF_CHECK(n <= size());
    end_ = begin_ + n;
  }
  void clear() { begin_ = end_ = 0; }
  /// Gives memory back when the buffer is empty and has grown beyond `keep` bytes.
  void shrink(size_t keep) {
    if (!empty() || capacity_ <= keep) return;
    std::free(data_);
    forget();
  }

 private:
  void forget() {
    data_ = nullptr;
    begin_ = end_ = capacity_ = 0;
  }
  void make_room(size_t n) {
    const size_t used = size();
    if (begin_ > 0 && capacity_ - used >= n && begin_ >= used) {  // sliding costs less than what was consumed
      std::memmove(data_, data_ + begin_, used);
    } else {
      size_t grown = capacity_ < 256 ? 256 : capacity_ * 2;
      while (grown - used < n) grown *= 2;
      char* fresh = static_cast<char*>(std::malloc(grown));
      HF_CHECK(fresh != nullptr);
      if (used > 0) std::memcpy(fresh, data_ + begin_, used);
      std::free(data_);
      data_ = fresh;
      capacity_ = grown;
    }
    begin_ = 0;
    end_ = used;
  }
  char* data_ = nullptr;
  size_t begin_ = 0, end_ = 0, capacity_ = 0;
};

}  // namespace hf
