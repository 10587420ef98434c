// How much a turn of the loop does at most, counted and not timed: of keys that expire, leases that end, claims that
// were not delivered, however much of it is due at once.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>

#include "base/limits.h"
#include "node_support.h"

using namespace hf;
using test::MemoryFiles;
using test::NodeDriver;

namespace {

/// The number behind each `mark` in `text`, in order.
std::vector<int64_t> numbers(const std::string& text, const std::string& mark) {
  std::vector<int64_t> out;
  for (size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + 1))
    out.push_back(std::atoll(text.c_str() + at + mark.size()));
  return out;
}

/// Asks `question` at the beginning of each turn until the number behind `mark` is 0; the largest step from one turn
/// to the next.
int64_t largest_step(NodeDriver& driver, const std::string& question, const std::string& mark) {
  const node::ConnId conn = driver.connect();
  std::string text;
  std::vector<int64_t> left;
  for (int turn = 0; turn < 1000 && (left.empty() || left.back() != 0); ++turn) {
    driver.send(conn, question + "\r\n");
    driver.turn();
    driver.run_jobs();
    text += driver.take(conn);
    left = numbers(text, mark);
  }
  REQUIRE(!left.empty());
  REQUIRE(left.back() == 0);
  int64_t step = 0;
  for (size_t i = 1; i < left.size(); ++i) step = std::max(step, left[i - 1] - left[i]);
  return step;
}

/// `n` tasks under leases that were claimed on `worker`, of `lease_ms`; the replies are not taken.
void claim(NodeDriver& driver, node::ConnId worker, int n, int64_t lease_ms) {
  const node::ConnId conn = driver.connect();
  for (int i = 0; i < n; ++i) driver.send(conn, "TASK.SUBMIT job:" + std::to_string(i) + " QUEUE q RETRIES 5\r\n");
  driver.settle();
  REQUIRE(numbers(driver.take(conn), "-").empty());
  for (int i = 0; i < n; i += 500)
    driver.send(worker, "TASK.CLAIM 1 q WORKER w COUNT 500 LEASE " + std::to_string(lease_ms) + "\r\n");
  driver.settle();
}

}  // namespace

TEST_CASE("keys that all expire at once are deleted a bounded number a turn") {
  MemoryFiles files;
  NodeDriver driver(files);
  const node::ConnId conn = driver.connect();
  constexpr int n = 3000;
  for (int i = 0; i < n; ++i) driver.send(conn, "SET key:" + std::to_string(i) + " v PX 5000\r\n");
  driver.settle();
  driver.take(conn);
  REQUIRE(driver.ask(conn, "DBSIZE") == ":3000\r\n");
  driver.pass_ms(6000);
  const int64_t step = largest_step(driver, "DBSIZE", ":");
  CHECK(step > 0);
  CHECK(step <= static_cast<int64_t>(limits::expired_keys_a_turn));
}

TEST_CASE("leases that all end at once are ended a bounded number a turn") {
  MemoryFiles files;
  NodeDriver driver(files);
  const node::ConnId worker = driver.connect();
  claim(driver, worker, 2000, 60'000);
  driver.take(worker);
  driver.pass_ms(61'000);
  const int64_t step = largest_step(driver, "TASK.STATS", "running\r\n:");
  CHECK(step > 0);
  CHECK(step <= static_cast<int64_t>(limits::due_tasks_a_turn));
}

TEST_CASE("claims whose replies could not be delivered are given back a bounded number a turn") {
  MemoryFiles files;
  NodeDriver driver(files);
  const node::ConnId worker = driver.connect();
  claim(driver, worker, 2000, 60'000);
  driver.node().disconnected(worker);
  const int64_t step = largest_step(driver, "TASK.STATS", "running\r\n:");
  CHECK(step > 0);
  CHECK(step <= static_cast<int64_t>(limits::due_tasks_a_turn));
}
