// The clock of records against a system's clock that is set back or was ahead.
#include "node/record_clock.h"

#include <catch2/catch.hpp>

#include "node_support.h"

using hf::Now;
using hf::WallMs;
using hf::node::RecordClock;
using namespace hf::test;

namespace {

constexpr int64_t year_ms = 365ll * 24 * 3600 * 1000;

}  // namespace

TEST_CASE("the clock of records follows the system's") {
  RecordClock clock;
  CHECK(clock.read({1'000, 5}) == 1'000);
  CHECK(clock.read({1'500, 6}) == 1'500);  // a step forward
  CHECK(clock.read({1'500, 900'000}) == 1'500);
  CHECK(clock.behind_ms() == 0);
}

TEST_CASE("a clock that is set back does not stop time, each second an eighth longer until it is caught up") {
  RecordClock clock;
  clock.read({10'000, 1'000'000});
  CHECK(clock.read({2'000, 1'000'000}) == 10'000);
  CHECK(clock.behind_ms() == 8'000);
  WallMs last = 10'000;
  for (int64_t ms = 1; ms <= 9'000; ++ms) {
    const WallMs now = clock.read({2'000 + ms, 1'000'000 + ms * 1000});
    CHECK(now >= last);
    last = now;
  }
  CHECK(last == 18'000);
  CHECK(clock.behind_ms() == 7'000);
  CHECK(clock.read({90'000, 89'000'000}) == 90'000);
  CHECK(clock.behind_ms() == 0);
}

TEST_CASE("keys and leases end in a server whose log was begun by a clock that was a year ahead") {
  MemoryFiles disk;
  {
    NodeDriver driver(disk);
    const auto conn = driver.connect();
    driver.wall_ms += year_ms;
    driver.ask(conn, "SET early 1");
  }
  NodeDriver driver(disk);
  const auto conn = driver.connect();
  CHECK(driver.ask(conn, "SET brief 1 EX 10") == "+OK\r\n");
  driver.ask(conn, "TASK.SUBMIT job QUEUE q");
  driver.ask(conn, "TASK.CLAIM 1 q WORKER w LEASE 10000");
  for (int i = 0; i < 120; ++i) {
    driver.pass_ms(100);
    driver.settle();
  }
  CHECK(driver.ask(conn, "GET brief") == "$-1\r\n");
  CHECK(driver.ask(conn, "TASK.GET job").find("RUNNING") == std::string::npos);
  size_t said = 0;
  for (const std::string& line : driver.lines)
    said += line.find(" s behind the log's last record") != std::string::npos;
  CHECK(said == 1);
}
