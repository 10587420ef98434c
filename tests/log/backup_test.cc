// Backups: whole the first time, what is new from then on, at every moment a folder that starts.
#include <catch2/catch.hpp>

#include "log/backup.h"
#include "log/incomplete.h"
#include "log/repair.h"
#include "log_support.h"

using namespace hf;
using namespace hf::log;
using namespace hf::test;

namespace {

/// Carries out a plan, or only `actions_max` of it.
uint64_t carry_out(Files& source, MemoryFiles& target, const BackupPlan& plan,
                   size_t actions_max = SIZE_MAX) {
  uint64_t copied = 0;
  for (size_t i = 0; i < std::min(actions_max, plan.actions.size()); ++i) {
    const BackupAction& action = plan.actions[i];
    FileJob job;
    if (action.to > action.from)
      job.steps.push_back({.kind = FileStep::Kind::Write,
                           .name = action.as,
                           .offset = action.from,
                           .bytes = *source.read(action.name, action.from, action.to - action.from)});
    for (const FileStep& step : action.steps) job.steps.push_back(step);
    REQUIRE(target.run(job).ok);
    copied += action.to - action.from;
  }
  return copied;
}

struct Server {
  MemoryFiles disk;
  Writer writer{{.segment_bytes = 2000, .ahead_bytes = 500, .salt_seed = 5}, fresh_start(cluster)};
  uint64_t next = 0;
  Server() { writer.begin_reign({{1}, reign_id(1), {0}}, 1700000000000); }
  void write(uint64_t commands) {
    for (uint64_t i = 0; i < commands; ++i) {
      append(writer, command_text(next++, 120));
      drain(disk, writer, true);
      if (auto job = writer.ahead_job()) writer.job_done(disk.run(*job));
    }
  }
};

}  // namespace

TEST_CASE("a backup holds the same log, and the next one copies only what is new") {
  Server server;
  MemoryFiles copy;
  server.write(40);
  uint64_t all = 0;
  for (int round = 0; round < 5; ++round) {
    const auto plan = plan_backup(server.disk, copy);
    REQUIRE(plan);
    const uint64_t copied = carry_out(server.disk, copy, *plan);
    CHECK(copied == plan->bytes);
    CHECK(plan->end == server.writer.end());
    if (round == 0) all = copied;
    else CHECK(copied < all / 2);
    const RecoveryRun original = recover(server.disk), backup = recover(copy);
    REQUIRE(backup.refusal() == "");
    CHECK(backup.seen.text == original.seen.text);
    CHECK(backup.result().repair.empty());
    server.write(7);
  }
}

TEST_CASE("a backup that was interrupted anywhere still starts, and the next one completes it") {
  for (size_t stop = 1;; ++stop) {
    Server server;
    MemoryFiles copy;
    server.write(20);
    carry_out(server.disk, copy, *plan_backup(server.disk, copy));
    server.write(50);
    const auto plan = plan_backup(server.disk, copy);
    REQUIRE(plan);
    if (stop > plan->actions.size()) break;
    carry_out(server.disk, copy, *plan, stop);
    const RecoveryRun partly = recover(copy);
    REQUIRE(partly.refusal() == "");
    CHECK(recover(server.disk).seen.text.starts_with(partly.seen.text));
    carry_out(server.disk, copy, *plan_backup(server.disk, copy));
    CHECK(recover(copy).seen.text == recover(server.disk).seen.text);
  }
}

TEST_CASE("the backup keeps what the server has trimmed") {
  Server server;
  MemoryFiles copy;
  server.write(40);
  carry_out(server.disk, copy, *plan_backup(server.disk, copy));
  const std::string text = recover(server.disk).seen.text;
  server.writer.trim_to(server.writer.end());
  server.write(1);
  for (const std::string& name : server.writer.take_dropped()) server.disk.remove(name);
  REQUIRE(server.writer.begin() > LogOffset{0});
  const auto plan = plan_backup(server.disk, copy);
  REQUIRE(plan);
  CHECK(plan->begin == LogOffset{0});
  carry_out(server.disk, copy, *plan);
  CHECK(recover(copy).seen.text == text + command_text(40, 120));
}

TEST_CASE("the first backup, or one after a gap, does not start before it is whole") {
  for (const bool gap : {false, true}) {
    for (size_t stop = 1;; ++stop) {
      INFO("gap " << gap << ", stopped after action " << stop);
      Server server;
      MemoryFiles copy;
      server.write(40);
      if (gap) {
        carry_out(server.disk, copy, *plan_backup(server.disk, copy));
        server.write(80);
        server.writer.trim_to(server.writer.end());
        server.write(1);
        for (const std::string& name : server.writer.take_dropped()) server.disk.remove(name);
      }
      const auto plan = plan_backup(server.disk, copy);
      REQUIRE(plan);
      if (stop == plan->actions.size()) break;
      carry_out(server.disk, copy, *plan, stop);
      CHECK(recover(copy).refusal().find("a backup into this folder was not finished") != std::string::npos);
      const auto repair = plan_repair(copy, {}, 1);
      REQUIRE_FALSE(repair);
      CHECK(repair.error().message.find("was not finished") != std::string::npos);
      MemoryFiles elsewhere;
      CHECK_FALSE(plan_backup(copy, elsewhere));
      carry_out(server.disk, copy, *plan_backup(server.disk, copy));
      CHECK_FALSE(copy.exists(incomplete_name));
      if (!gap) CHECK(recover(copy).seen.text == recover(server.disk).seen.text);
    }
  }
}

TEST_CASE(
    "frames copied and not yet synced are a torn tail of the backup, whatever they tell of the server's "
    "syncs") {
  Server server;
  MemoryFiles copy;
  server.write(3);
  carry_out(server.disk, copy, *plan_backup(server.disk, copy));
  const std::string before = recover(copy).seen.text;
  const uint64_t had = *copy.size("log-00000000000000000000.aof");
  server.write(4);
  const auto plan = plan_backup(server.disk, copy);
  REQUIRE(plan);
  carry_out(server.disk, copy, *plan, plan->actions.size() - 1);
  for (uint64_t at = had; at < had + 50; ++at) copy.content("log-00000000000000000000.aof")[at] = 0;
  const RecoveryRun torn = recover(copy);
  REQUIRE(torn.refusal() == "");
  CHECK(torn.seen.text == before);
  CHECK(torn.result().torn);
  const auto repair = plan_repair(copy, {}, 1);
  REQUIRE(repair);
  CHECK(repair->steps.empty());
  carry_out(server.disk, copy, *plan_backup(server.disk, copy));
  CHECK(recover(copy).seen.text == recover(server.disk).seen.text);
  CHECK(copy.content(manifest_name).find("copying") == std::string::npos);
}

TEST_CASE("a backup does not go into an unfinished restore") {
  Server server;
  MemoryFiles copy;
  server.write(4);
  REQUIRE(copy.run({.steps = *begin_restore(copy)}).ok);
  const auto plan = plan_backup(server.disk, copy);
  REQUIRE_FALSE(plan);
  CHECK(plan.error().message.find("a restore into this folder was not finished") != std::string::npos);
}

TEST_CASE("another history, another cluster or a folder of someone else is left alone") {
  Server server;
  MemoryFiles copy;
  server.write(10);
  SECTION("someone else's folder") {
    copy.content("thesis.txt") = "x";
    const auto plan = plan_backup(server.disk, copy);
    REQUIRE_FALSE(plan);
    CHECK(plan.error().message.find("thesis.txt") != std::string::npos);
  }
  SECTION("another history") {
    Server other;
    other.writer.append({.epoch = {1}, .wall_ms = 1700000000001, .content = command_text(77)});
    other.write(30);
    carry_out(other.disk, copy, *plan_backup(other.disk, copy));
    const auto before = copy.snapshot();
    const auto plan = plan_backup(server.disk, copy);
    REQUIRE_FALSE(plan);
    CHECK(plan.error().message.find("another history") != std::string::npos);
    CHECK(copy.snapshot() == before);
  }
}
