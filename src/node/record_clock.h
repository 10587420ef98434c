// The clock of records. It follows the system's clock, but never runs backwards: time in the log only
// rises. Where the system's clock is set back, or was ahead when the log's last record was made, it goes on
// from there with the monotonic clock. To stand still until the system's clock has caught up would keep every
// lease and every key with a deadline alive meanwhile: for a year, where a clock was a year ahead once. Each
// second then takes an eighth longer, so that a small step is soon made good and no lease ends early.
#pragma once
#include <algorithm>

#include "base/types.h"

namespace hf::node {

class RecordClock {
 public:
  /// Once a turn, with what the clocks show then.
  WallMs read(Now now) {
    if (now.wall_ms >= wall_ms_) {
      wall_ms_ = now.wall_ms;
      read_at_ = now.mono_us;
    } else {
      const int64_t passed_ms = (now.mono_us - read_at_) / slow_ms_us;
      wall_ms_ += passed_ms;
      read_at_ += passed_ms * slow_ms_us;
    }
    behind_ms_ = wall_ms_ - now.wall_ms;
    return wall_ms_;
  }
  /// A record of that time is there, of an earlier life or of another node.
  void raise(WallMs wall_ms) { wall_ms_ = std::max(wall_ms_, wall_ms); }

  WallMs wall_ms() const { return wall_ms_; }
  /// By so much the system's clock was behind when it was last read.
  int64_t behind_ms() const { return behind_ms_; }

 private:
  static constexpr int64_t slow_ms_us = 1125;
  WallMs wall_ms_ = 0;
  int64_t behind_ms_ = 0;
  MonoUs read_at_ = 0;
};

}  // namespace hf::node
