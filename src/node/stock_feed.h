// What one stock Redis replica is sent of the log, and what its acknowledgements mean: the Redis-visible part
// of frames, and the way from a Redis-visible offset back to the log's own. No I/O.
#pragma once
#include <deque>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "base/types.h"
#include "log/frame.h"

namespace hf::node {

class StockFeed {
 public:
  /// The frames to come follow a place of Redis-visible offset `visible`. What the replica has of them
  /// already, up to `wanted`, is left out; it must have come from `reign` or an older one.
  StockFeed(LogOffset at, uint64_t visible, uint64_t wanted, Epoch reign);

  /// The log's next frame; appends to `out` what the replica is sent of it, a whole group at a time. Error:
  /// the frame does not hold what its header counts, and going on would let the two drift apart.
  Status take(const log::FrameHeader& header, Bytes stored, std::string& out);
  /// The replica's place was reached: what take() gives goes to it.
  bool found() const { return at_ >= wanted_ && !foreign_; }
  /// What the replica has at its end was written by a later reign than it says: another history.
  bool foreign() const { return foreign_; }
  uint64_t at() const { return at_; }
  /// Memory that it holds.
  size_t held_bytes() const { return group_.capacity() + marks_.size() * sizeof(Mark); }

  /// The place in the log up to which a replica has everything that acknowledged `visible`; empty: unknown.
  std::optional<LogOffset> place(uint64_t visible) const;
  /// No place below this one will be asked for.
  void forget_below(uint64_t visible);

 private:
  void note(LogOffset end);

  uint64_t at_, wanted_;
  Epoch reign_;
  bool foreign_ = false;
  std::string group_;  ///< content of frames with `more`, until the last one comes
  struct Mark {
    uint64_t visible;
    LogOffset end;
  };
  std::deque<Mark> marks_;  ///< ends of groups, ascending
};

}  // namespace hf::node
