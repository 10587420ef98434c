// The lengths of turns: counts, percentiles, the longest.
#include "node/turn_times.h"

#include <catch2/catch.hpp>

using namespace hf;
using namespace hf::node;

TEST_CASE("no turn yet: all is zero") {
  const TurnTimes none;
  CHECK(none.turns() == 0);
  CHECK(none.longest_us() == 0);
  CHECK(none.at_most_us(999) == 0);
}

TEST_CASE("the longest turn stands until the statistics are reset") {
  TurnTimes times;
  times.add(40, 1000);
  times.add(1700, 2000);
  times.add(1000, 3000);
  times.add(-3, 4000);  // a clock that stepped: no turn takes less than nothing
  CHECK(times.turns() == 4);
  CHECK(times.longest_us() == 1700);
  CHECK(times.longest_at() == 2000);
  CHECK(times.over_limit() == 1);
  times.reset();
  CHECK(times.turns() == 0);
  CHECK(times.longest_us() == 0);
}

TEST_CASE("a percentile is told from above, by a quarter at most, and never above the longest") {
  for (const uint64_t us : {uint64_t{0}, uint64_t{1}, uint64_t{3}, uint64_t{4}, uint64_t{7}, uint64_t{8}, uint64_t{63},
                            uint64_t{64}, uint64_t{999}, uint64_t{1000}, uint64_t{123456}, uint64_t{1} << 40}) {
    TurnTimes times;
    for (int i = 0; i < 100; ++i) times.add(static_cast<int64_t>(us), 1);
    times.add(static_cast<int64_t>(us * 10 + 100), 2);
    CHECK(times.at_most_us(500) >= std::min<uint64_t>(us, uint64_t{1} << 33));
    if (us < uint64_t{1} << 33) CHECK(times.at_most_us(500) <= us + us / 4);
    CHECK(times.at_most_us(1000) == times.longest_us());
  }
}
