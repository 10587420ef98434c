// How long turns of the loop take: nobody is served meanwhile, so the longest one is what a client can have
// to wait for on top of the work it asked for. The driver measures, since it has the clock.
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/types.h"

namespace hf::node {

/// Counts in classes, four to a doubling: a percentile is told from above, by a quarter at most.
class TurnTimes {
 public:
  void add(int64_t us, WallMs at) {
    const auto length = static_cast<uint64_t>(std::max<int64_t>(0, us));
    ++counts_[class_of(length)];
    ++turns_;
    if (length > limit_us) ++over_limit_;
    if (length < longest_us_) return;
    longest_us_ = length;
    longest_at_ = at;
  }
  uint64_t turns() const { return turns_; }
  uint64_t longest_us() const { return longest_us_; }
  WallMs longest_at() const { return longest_at_; }  ///< 0: no turn yet
  /// Turns longer than a millisecond, which is what we hold to be too long.
  uint64_t over_limit() const { return over_limit_; }
  /// What `thousandths` of the turns did not exceed.
  uint64_t at_most_us(uint64_t thousandths) const {
    const uint64_t wanted = (turns_ * thousandths + 999) / 1000;
    uint64_t seen = 0;
    for (size_t c = 0; c < counts_.size(); ++c) {
      seen += counts_[c];
      if (seen >= wanted && seen > 0) return std::min(upper_end(c), longest_us_);
    }
    return longest_us_;
  }
  void reset() { *this = TurnTimes(); }

 private:
  static constexpr uint64_t limit_us = 1000;
  static constexpr size_t classes = 128;  // 2^33 us and above share the last one
  static constexpr size_t class_of(uint64_t us) {
    if (us < 4) return us;
    const auto doubling = static_cast<size_t>(std::bit_width(us)) - 1;
    return std::min(classes - 1, 4 * (doubling - 1) + ((us >> (doubling - 2)) & 3));
  }
  static constexpr uint64_t upper_end(size_t c) {
    if (c < 4) return c;
    return c + 1 == classes ? UINT64_MAX : ((uint64_t{5} + c % 4) << (c / 4 - 1)) - 1;
  }
  std::array<uint64_t, classes> counts_ = {};
  uint64_t turns_ = 0, over_limit_ = 0, longest_us_ = 0;
  WallMs longest_at_ = 0;
};

}  // namespace hf::node
