// The frames sealed last, in memory, for replicas that keep up: one copy for all of them. Who falls behind
// reads from disk.
#pragma once
#include <deque>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/types.h"

namespace hf::node {

class RecentFrames {
 public:
  /// A frame, or the frames of one group.
  struct Chunk {
    LogOffset begin, end;
    std::string bytes;
  };

  void add(LogOffset begin, LogOffset end, std::string bytes) {
    bytes_ += bytes.size();
    chunks_.push_back({begin, end, std::move(bytes)});
  }
  /// Drops the oldest of what is too much. What is not `written` yet can't be read from disk: it stays,
  /// whatever its size.
  void trim(LogOffset written);
  void clear() { chunks_.clear(), bytes_ = 0; }
  /// The chunk that holds `at`, a place between two frames; null: it is not here.
  const Chunk* holding(LogOffset at) const;
  /// What `chunk` has from there on.
  static Bytes from(const Chunk& chunk, LogOffset at);
  size_t bytes() const { return bytes_; }
  LogOffset begin() const { return chunks_.empty() ? LogOffset{} : chunks_.front().begin; }

 private:
  std::deque<Chunk> chunks_;
  size_t bytes_ = 0;
};

}  // namespace hf::node
