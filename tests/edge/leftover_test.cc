// When work that takes leftovers must get a share of the processor, and what the kernel says of a thread.
#include "edge/leftover.h"

#include <sched.h>

#include <catch2/catch.hpp>
#include <thread>

using namespace hf::edge;

namespace {
constexpr uint64_t ms = 1'000'000;
}

TEST_CASE("work that takes leftovers asks for a share only when it hardly ran in a long time") {
  CHECK_FALSE(needs_a_share(false, {.ran = 4 * ms, .waited = 0}));
  CHECK_FALSE(needs_a_share(false, {.ran = 4 * ms, .waited = 70 * ms}));  // little, but it goes on
  CHECK_FALSE(needs_a_share(false, {.ran = 1 * ms, .waited = 90 * ms}));  // not for long yet
  CHECK(needs_a_share(false, {.ran = 4 * ms, .waited = 1000 * ms}));
}

TEST_CASE("a share is kept while the processor is busy and given back once it is not") {
  CHECK(needs_a_share(true, {.ran = 4 * ms, .waited = 36 * ms}));
  CHECK(needs_a_share(true, {.ran = 4 * ms, .waited = 5 * ms}));
  CHECK_FALSE(needs_a_share(true, {.ran = 4 * ms, .waited = 1 * ms}));
  CHECK_FALSE(needs_a_share(true, {}));  // a system that does not tell
}

TEST_CASE("a thread that takes leftovers is idle to the scheduler, and its processor time is counted") {
  int policy = -1;
  ProcessorTime time;
  std::thread([&] {
    take_only_leftovers();
    policy = sched_getscheduler(0);
    volatile uint64_t sum = 0;
    for (uint64_t i = 0; i < 3'000'000; ++i) sum = sum + i;
    std::this_thread::yield();
    time = processor_time();
  }).join();
  CHECK((policy == SCHED_IDLE || policy == SCHED_OTHER));  // a container may refuse it
  CHECK(time.ran < 60'000 * ms);
}
