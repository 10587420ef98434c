// Marks of one turn share one need, so a pipeline of a hundred writes leaves a single mark.
#include "node/outbox.h"

#include "base/check.h"

namespace hf::node {

void Outbox::hold(Need need) {
  const uint64_t end = taken_ + buffer_.size();
  if (first_ < marks_.size()) {
    Mark& last = marks_.back();
    const bool stricter = last.need.copies != need.copies ? last.need.copies > need.copies
                                                          : last.need.synced || !need.synced;
    const bool covered = need.offset <= last.need.offset && stricter;
    if (covered) {
      last.end = end;
      return;
    }
  }
  marks_.push_back({end, need});
}

size_t Outbox::releasable(const Safe& safe) {
  // A mark covers the bytes between the previous mark's end and its own; behind the last mark nothing is
  // held. Bytes in front of an unmet mark that were appended without a need of their own still may not pass
  // it, since a mark's stretch begins where the previous one ended; they are few, and waiting is always
  // right.
  while (first_ < marks_.size() && marks_[first_].need.met(safe)) ++first_;
  if (first_ == marks_.size()) {
    marks_.clear();
    first_ = 0;
    return buffer_.size();
  }
  if (first_ > 0) released_ = std::max(released_, marks_[first_ - 1].end);
  if (first_ > 64) {
    marks_.erase(marks_.begin(), marks_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
  return static_cast<size_t>(released_ - taken_);
}

Buffer Outbox::take(size_t n) {
  HF_CHECK(n <= buffer_.size());
  taken_ += n;
  released_ = std::max(released_, taken_);
  if (n == buffer_.size()) {
    Buffer all = std::move(buffer_);
    buffer_ = Buffer();
    return all;
  }
  Buffer part;
  part.append(buffer_.view().substr(0, n));
  buffer_.consume(n);
  return part;
}

void Outbox::reuse(Buffer spare) {
  if (buffer_.empty() && buffer_.capacity() < spare.capacity() && spare.capacity() <= 64 * 1024) {
    spare.clear();
    buffer_ = std::move(spare);
  }
}

}  // namespace hf::node
