// When to try again: a random moment within a window that doubles with each failure up to a cap, so that many
// who lost the same node do not come back at the same instant. ("Full jitter".)
#pragma once
#include <algorithm>
#include <utility>

#include "base/prng.h"
#include "base/types.h"

namespace hf::replication {

class Backoff {
 public:
  explicit Backoff(int64_t cap_ms) : cap_ms_(cap_ms) {}
  /// Microseconds from now.
  MonoUs next(Prng& prng) {
    const int64_t window = std::min(cap_ms_, base_ms << std::min(failures_, 16));
    ++failures_;
    if (std::exchange(long_, false)) return 60'000'000;
    return static_cast<MonoUs>(prng.below(static_cast<uint64_t>(window) * 1000 + 1));
  }
  /// The next one waits a minute: what went wrong will not mend itself in a moment.
  void rest_long() { long_ = true; }
  void reset() { failures_ = 0; }
  int failures() const { return failures_; }

 private:
  static constexpr int64_t base_ms = 50;
  int64_t cap_ms_;
  int failures_ = 0;
  bool long_ = false;
};

}  // namespace hf::replication
