// holdfast-check --repair: whatever byte of a log is wrong, the repaired folder starts with all that came
// before.
#include <catch2/catch.hpp>

#include "log/repair.h"
#include "log_support.h"

using namespace hf;
using namespace hf::log;
using namespace hf::test;

namespace {

struct Sound {
  MemoryFiles disk;
  std::string text;
  std::vector<std::string> names;
  Sound() {
    Writer writer({.segment_bytes = 900, .salt_seed = 5}, fresh_start(cluster));
    writer.begin_reign({{1}, reign_id(1), {0}}, 1700000000000);
    text = epoch_command({{1}, reign_id(1), {0}});
    for (uint64_t i = 0; i < 25; ++i) {
      text += command_text(i, 60);
      append(writer, command_text(i, 60));
      drain(disk, writer, true);
    }
    writer.job_done(disk.run(writer.shutdown_job()));
    names = *disk.list();
    std::erase(names, manifest_name);
  }
};

}  // namespace

TEST_CASE("a sound log is not touched") {
  Sound log;
  const auto plan = plan_repair(log.disk, {}, 1);
  REQUIRE(plan);
  CHECK(plan->steps.empty());
  CHECK(plan->announcement.size() == 1);
}

TEST_CASE("whatever byte is wrong, a repair leaves a log that starts and keeps the originals") {
  Prng prng(1);
  for (int i = 0; i < 300; ++i) {
    Sound log;
    const std::string& name = log.names[prng.below(log.names.size())];
    std::string& bytes = log.disk.content(name);
    // Of a segment's header only damage in a later one can be mended: what came before is whole.
    const uint64_t from = name == log.names[0] ? segment_header_bytes : 0;
    bytes[from + prng.below(bytes.size() - from)] ^= static_cast<char>(1 + prng.below(255));
    const auto before = log.disk.snapshot();
    REQUIRE(recover(log.disk).refusal() != "");
    auto plan = plan_repair(log.disk, {}, 17);
    INFO(i << " " << name << " " << (plan ? "" : plan.error().message));
    REQUIRE(plan);
    REQUIRE_FALSE(plan->steps.empty());
    if (prng.chance(1, 2)) {  // stopped in between, then done again
      log.disk.run_part({.steps = plan->steps}, prng.below(plan->steps.size()), 0);
      plan = plan_repair(log.disk, {}, 18);
      REQUIRE(plan);
    }
    if (!plan->steps.empty()) REQUIRE(log.disk.run({.steps = plan->steps}).ok);
    const RecoveryRun run = recover(log.disk);
    REQUIRE(run.refusal() == "");
    CHECK(log.text.starts_with(run.seen.text));
    CHECK(run.result().repair.empty());
    for (const auto& [old, content] : before) {  // every original is somewhere, byte for byte
      bool kept = false;
      for (const auto& [now, there] : log.disk.snapshot()) kept = kept || there == content;
      CHECK(kept);
    }
  }
}

TEST_CASE("a missing segment ends the log there") {
  Sound log;
  log.disk.remove(log.names[2]);
  const auto plan = plan_repair(log.disk, {}, 17);
  REQUIRE(plan);
  CHECK(log.disk.run({.steps = plan->steps}).ok);
  const RecoveryRun run = recover(log.disk);
  REQUIRE(run.refusal() == "");
  CHECK(run.result().resume.end == plan->end);
}

TEST_CASE("damage before the newest whole snapshot is not cut at") {
  Sound log;
  log.disk.content(log.names[0])[200] ^= 1;
  const auto plan = plan_repair(log.disk, SnapshotPoint{.offset = {300}}, 17);
  REQUIRE_FALSE(plan);
  CHECK(plan.error().message.find("--restore-to 300") != std::string::npos);
}

TEST_CASE("a segment that the system will not let us read is not taken for damage") {
  Sound log;
  log.disk.content(log.names[1])[300] ^= 1;
  for (const std::string& name : log.names) {
    log.disk.unreadable = name;
    const auto plan = plan_repair(log.disk, {}, 17);
    if (name > log.names[1]) {
      REQUIRE(plan);  // it lies behind the damage, and is only moved
      continue;
    }
    REQUIRE_FALSE(plan);
    CHECK(plan.error().message.find("Input/output error") != std::string::npos);
  }
}
