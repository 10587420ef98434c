// Back in time: the state at an offset, at a time, of a tag, into a fresh folder that starts as any other;
// held against the digest that the live node had there.
#include <catch2/catch.hpp>

#include "log/incomplete.h"
#include "log/manifest.h"
#include "log/restore.h"
#include "node_support.h"

using namespace hf;
using namespace hf::test;

namespace {

/// Reads `from`, writes into `to`; what was said, and the exit code.
struct Restored {
  int exit = -1;
  std::string said, digest;
};
Restored restore(MemoryFiles& from, MemoryFiles& to, const std::string& point) {
  const auto parsed = log::parse_restore_point(point);
  REQUIRE(parsed);
  const auto before = from.snapshot();
  node::Setup setup{.seed = 77, .files = &from};
  setup.restore = *parsed;
  node::ServerNode node(std::move(setup));
  Restored result;
  node::Effects effects;
  MonoUs mono_us = 1;
  while (result.exit < 0) {
    effects.clear();
    node.turn({1'800'000'000'000, ++mono_us}, effects);
    REQUIRE(mono_us < 100'000);
    for (const FileJob& job : effects.jobs) node.job_done(to.run(job));
    for (const auto& line : effects.lines) result.said += line.text + "\n";
    if (effects.exit) result.exit = *effects.exit;
  }
  result.digest = node.digest();
  CHECK(from.snapshot() == before);
  return result;
}

struct Mark {
  LogOffset offset;
  int64_t wall_ms;
  std::string digest;
};

/// A life with snapshots, transactions and tasks; the digest is taken behind each turn's frame.
std::vector<Mark> live(MemoryFiles& disk, config::Options options, uint64_t seed) {
  Prng prng(seed);
  std::vector<Mark> marks;
  NodeDriver driver(disk, std::move(options), seed);
  const auto conn = driver.connect();
  for (int i = 0; i < 150; ++i) {
    driver.pass_ms(static_cast<int64_t>(prng.below(5000)) + 1);
    const std::string key = "k" + std::to_string(prng.below(30));
    switch (prng.below(7)) {
      case 0: driver.ask(conn, "MULTI\r\nINCR n\r\nHSET h " + key + " 1\r\nEXEC"); break;
      case 1: driver.ask(conn, "DEL " + key); break;
      case 2: driver.ask(conn, "SET " + key + " " + std::string(prng.below(900), 'x')); break;
      case 3: driver.ask(conn, "SET " + key + " v PX " + std::to_string(1'000'000 + i)); break;
      case 4: driver.ask(conn, "TASK.SUBMIT t" + std::to_string(i) + " QUEUE q"); break;
      case 5: driver.ask(conn, "APPEND " + key + " y"); break;
      default:
        if (i % 3 == 0) driver.ask(conn, "BGSAVE" + (i % 2 == 0 ? " TAG at" + std::to_string(i) : ""));
        break;
    }
    driver.settle();
    marks.push_back({driver.node().log_place().end, driver.wall_ms, driver.node().digest()});
  }
  return marks;
}

}  // namespace

TEST_CASE("each point of a life can be restored, by offset and by time, and is what it was") {
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    MemoryFiles disk;
    config::Options options;
    options.log_segment_bytes = 64 << 10;
    options.save.clear();
    const std::vector<Mark> marks = live(disk, options, seed);
    for (size_t i = seed; i < marks.size(); i += 9) {
      const Mark& mark = marks[i];
      INFO("seed " << seed << ", mark " << i << ", offset " << mark.offset.value);
      MemoryFiles by_offset, by_time;
      const Restored one = restore(disk, by_offset, std::to_string(mark.offset.value));
      INFO(one.said);
      REQUIRE(one.exit == 0);
      CHECK(one.digest == mark.digest);
      const Restored two = restore(disk, by_time, log::time_text(mark.wall_ms));
      INFO(two.said);
      REQUIRE(two.exit == 0);
      CHECK(two.digest == mark.digest);
      NodeDriver again(by_offset);
      REQUIRE(again.node().serving());
      CHECK(again.node().log_place().reign_begin == mark.offset);
      again.ask(again.connect(), "SET more life");
      const std::string digest = again.node().digest();
      NodeDriver once_more(by_offset);
      CHECK(once_more.node().digest() == digest);
    }
  }
}

TEST_CASE("an offset inside a frame means the state before it") {
  MemoryFiles disk, to;
  config::Options options;
  options.save.clear();
  const std::vector<Mark> marks = live(disk, options, 9);
  size_t i = 40;
  while (marks[i].offset == marks[i + 1].offset) ++i;
  const Restored result = restore(disk, to, std::to_string(marks[i + 1].offset.value - 1));
  REQUIRE(result.exit == 0);
  CHECK(result.digest == marks[i].digest);
}

TEST_CASE("a tag brings back its snapshot, also when the log before and behind it is gone") {
  MemoryFiles disk, to, none;
  config::Options options;
  options.save.clear();
  std::string digest;
  {
    NodeDriver driver(disk, options);
    const auto conn = driver.connect();
    driver.ask(conn, "SET a 1");
    driver.ask(conn, "BGSAVE TAG before");
    driver.settle();
    digest = driver.node().digest();
    driver.ask(conn, "SET a 2");
  }
  const std::vector<std::string> names = *disk.list();
  for (const std::string& name : names)
    if (name.starts_with("log-")) disk.content(name).resize(10);
  const Restored result = restore(disk, to, "tag:before");
  INFO(result.said);
  REQUIRE(result.exit == 0);
  CHECK(result.digest == digest);
  const Restored wrong = restore(disk, none, "tag:after");
  CHECK(wrong.exit == 1);
  CHECK(wrong.said.find("tag before") != std::string::npos);
  CHECK(none.list()->empty());
}

TEST_CASE("a point that is not kept is refused, and the error says what is") {
  MemoryFiles disk, to;
  config::Options options;
  options.save.clear();
  const std::vector<Mark> marks = live(disk, options, 5);
  const Restored behind = restore(disk, to, std::to_string(marks.back().offset.value + 1));
  CHECK(behind.exit == 1);
  CHECK(behind.said.find("lies behind the end of the log (offset " +
                         std::to_string(marks.back().offset.value)) != std::string::npos);
  const Restored before = restore(disk, to, "2001-01-01T00:00:00Z");
  CHECK(before.exit == 1);
  CHECK(before.said.find("snapshots: offset") != std::string::npos);
  CHECK(to.list()->empty());
  MemoryFiles empty;
  CHECK(restore(empty, to, "10").exit == 1);
}

TEST_CASE("the reign after a restore has a number that the life left behind never used") {
  MemoryFiles disk, to;
  config::Options options;
  options.save.clear();
  LogOffset first;
  for (int life = 0; life < 3; ++life) {
    NodeDriver driver(disk, options, static_cast<uint64_t>(life + 1));
    driver.ask(driver.connect(), "INCR n");
    if (life == 0) first = driver.node().log_place().end;
  }
  REQUIRE(restore(disk, to, std::to_string(first.value)).exit == 0);
  NodeDriver again(to, options, 9);
  REQUIRE(again.node().serving());
  CHECK(again.node().log_place().epoch == Epoch{4});
}

TEST_CASE("an unfinished restore does not start, and is begun anew; a finished or foreign folder is not") {
  MemoryFiles disk, to;
  config::Options options;
  options.save.clear();
  const std::vector<Mark> marks = live(disk, options, 3);
  auto begin = log::begin_restore(to);
  REQUIRE(begin);
  REQUIRE(to.run({.steps = *begin}).ok);
  to.content("snapshot-00000000000000000042.rdb.tmp") = "half";
  {
    NodeDriver refused(to);
    CHECK(refused.exit == 1);
    REQUIRE_FALSE(refused.lines.empty());
    CHECK(refused.lines.back().find("a restore into this folder was not finished") != std::string::npos);
    MemoryFiles elsewhere;
    CHECK(restore(to, elsewhere, "10").said.find("was not finished") != std::string::npos);
  }
  begin = log::begin_restore(to);
  REQUIRE(begin);
  REQUIRE(to.run({.steps = *begin}).ok);
  CHECK(*to.list() == std::vector<std::string>{log::incomplete_name});
  const Restored result = restore(disk, to, std::to_string(marks.back().offset.value));
  REQUIRE(result.exit == 0);
  CHECK_FALSE(to.exists(log::incomplete_name));
  CHECK_FALSE(log::begin_restore(to));
  MemoryFiles foreign;
  foreign.content("thesis.txt") = "x";
  REQUIRE_FALSE(log::begin_restore(foreign));
  CHECK(log::begin_restore(foreign).error().message.find("thesis.txt") != std::string::npos);
}

TEST_CASE("points in time are read strictly and printed back") {
  const auto ms = [](const char* text) { return log::parse_restore_point(text); };
  REQUIRE(ms("2026-11-22T05:00:00Z"));
  CHECK(ms("2026-11-22T05:00:00Z")->wall_ms == 1795323600000);
  CHECK(ms("1970-01-01T00:00:00.5Z")->wall_ms == 500);
  CHECK(log::time_text(1795323600000) == "2026-11-22T05:00:00.000Z");
  CHECK(log::time_text(951827696007) == "2000-02-29T12:34:56.007Z");
  CHECK(ms("2000-02-29T12:34:56.007Z")->wall_ms == 951827696007);
  CHECK(ms("123")->offset == LogOffset{123});
  CHECK(ms("tag:x y")->tag == "x y");
  for (const char* wrong : {"", "tag:", "-1", "2026-11-22", "2026-13-22T05:00:00Z", "2026-11-22T25:00:00Z",
                            "2026-11-22T05:00:00", "2026-02-30T05:00:00Z", "2026-11-22T05:00:00.1234Z", "1x"})
    CHECK_FALSE(ms(wrong));
}
