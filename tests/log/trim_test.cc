// Trimming: what the policy keeps, and that no crash between MANIFEST and the removals leaves a folder that
// does not start.
#include <catch2/catch.hpp>

#include "log/trim.h"
#include "log_support.h"

using namespace hf;
using namespace hf::log;
using namespace hf::test;

namespace {

SnapshotNote note(uint64_t offset, WallMs wall_ms = 0, std::string tag = "") {
  return {.offset = {offset}, .epoch = {1}, .wall_ms = wall_ms, .reason = "save", .tag = std::move(tag)};
}

std::vector<uint64_t> values(const std::vector<LogOffset>& offsets) {
  std::vector<uint64_t> out;
  for (const LogOffset offset : offsets) out.push_back(offset.value);
  return out;
}

/// A log of small segments, all written and synced.
struct SmallSegments {
  MemoryFiles disk;
  Writer writer{{.segment_bytes = 600, .salt_seed = 5}, fresh_start(cluster)};
  std::vector<Writer::CutPoint> cuts;  ///< behind each command
  explicit SmallSegments(uint64_t commands) {
    writer.begin_reign({{1}, reign_id(1), {0}}, 1700000000000);
    for (uint64_t i = 0; i < commands; ++i) {
      append(writer, command_text(i, 100));
      cuts.push_back(writer.cut_point());
      drain(disk, writer, true);
    }
  }
};

/// Recovers as from a snapshot taken at `cut`.
RecoveryRun recover_from(Files& files, const Writer::CutPoint& cut) {
  RecoveryRun run;
  Recovery recovery(files, {});
  recovery.open();
  if (recovery.phase() == Recovery::Phase::LoadSnapshot)
    recovery.snapshot_loaded({.offset = cut.offset,
                              .previous_sum = cut.previous_sum,
                              .visible_offset = cut.visible_offset,
                              .wall_ms = cut.wall_ms,
                              .cluster_id = cluster,
                              .history = [] {
                                History h;
                                h.add({{1}, reign_id(1), {0}});
                                return h;
                              }()});
  while (recovery.phase() == Recovery::Phase::Replay) recovery.step(1 << 20, run.seen);
  run.outcome = std::move(recovery.outcome());
  run.notes = recovery.notes();
  return run;
}

}  // namespace

TEST_CASE("a log that no snapshot would ever trim takes one whenever it has grown by what it keeps") {
  CHECK(log_growth_max(0, false, 1000, 64) == 1000);
  CHECK(log_growth_max(0, false, 0, 64) == 4 * 64);
  CHECK(log_growth_max(500, false, 1000, 64) == 500);
  CHECK(log_growth_max(500, true, 1000, 64) == 500);
  CHECK(log_growth_max(0, true, 1000, 64) == 0);
}

TEST_CASE("without a snapshot the whole log is kept") {
  const Keep keep = decide_keep({}, {}, {0}, {1000}, 0);
  CHECK(keep.log_from == LogOffset{0});
  CHECK(keep.forget.empty());
}

TEST_CASE("with nothing asked of the past, the newest snapshots and the log behind them are kept") {
  const Keep keep = decide_keep({note(10), note(20), note(30), note(40)}, {.snapshots = 2}, {0}, {100}, 0);
  CHECK(keep.log_from == LogOffset{30});
  CHECK(values(keep.forget) == std::vector<uint64_t>{10, 20});
}

TEST_CASE("a tagged snapshot stays, needs no log and does not count") {
  const Keep keep = decide_keep({note(10, 0, "v1"), note(20), note(30, 0, "v2"), note(40)}, {.snapshots = 1},
                                {0}, {100}, 0);
  CHECK(keep.log_from == LogOffset{40});
  CHECK(values(keep.forget) == std::vector<uint64_t>{20});
}

TEST_CASE("a pin keeps the log from there on") {
  CHECK(decide_keep({note(30)}, {.snapshots = 1}, {0}, {100}, 0, {{50}, {7}}).log_from == LogOffset{7});
  CHECK(decide_keep({note(30)}, {.snapshots = 1}, {0}, {100}, 0, {{50}}).log_from == LogOffset{30});
}

TEST_CASE("the window of bytes begins at the snapshot before it") {
  const KeepPolicy policy{.snapshots = 1, .log_bytes = 100};
  const std::vector<SnapshotNote> notes = {note(300), note(390), note(410), note(500)};
  const Keep keep = decide_keep(notes, policy, {200}, {500}, 0);
  CHECK(keep.log_from == LogOffset{390});
  CHECK(values(keep.forget) == std::vector<uint64_t>{300});
}

TEST_CASE("the window of time begins at the snapshot before it") {
  const KeepPolicy policy{.snapshots = 1, .log_ms = 800};
  const Keep keep =
      decide_keep({note(10, 1000), note(20, 2000), note(30, 2500), note(40, 3000)}, policy, {5}, {40}, 3100);
  CHECK(keep.log_from == LogOffset{20});
  CHECK(values(keep.forget) == std::vector<uint64_t>{10});
}

TEST_CASE("while the log reaches back to the beginning, the window may begin there") {
  const Keep keep =
      decide_keep({note(10), note(20), note(30)}, {.snapshots = 2, .log_bytes = 1000}, {0}, {40}, 0);
  CHECK(keep.log_from == LogOffset{0});
  CHECK(values(keep.forget) == std::vector<uint64_t>{10});
}

TEST_CASE("however often snapshots are taken, few are kept and the window never shrinks below its size") {
  const KeepPolicy policy{.snapshots = 2, .log_bytes = 80'000, .log_ms = 50'000};
  std::vector<SnapshotNote> notes;
  Prng prng(3);
  LogOffset begin;
  uint64_t end = 0;
  WallMs now = 0;
  size_t most = 0;
  for (int i = 0; i < 3000; ++i) {
    end += prng.below(3000);
    now += static_cast<WallMs>(prng.below(900));
    notes.push_back(note(++end, now));
    const Keep keep = decide_keep(notes, policy, begin, {end}, now);
    std::erase_if(notes, [&](const SnapshotNote& n) {
      return std::find(keep.forget.begin(), keep.forget.end(), n.offset) != keep.forget.end();
    });
    REQUIRE(keep.log_from >= begin);
    begin = keep.log_from;
    most = std::max(most, notes.size());
    if (begin == LogOffset{0}) continue;
    REQUIRE(notes.front().offset == begin);
    REQUIRE(end - begin.value >= policy.log_bytes);
    REQUIRE(now - notes.front().wall_ms >= policy.log_ms);
    // Bounded: both windows at most an eighth and a few steps longer than the binding one.
    REQUIRE((end - begin.value < policy.log_bytes * 5 / 4 ||
             now - notes.front().wall_ms < policy.log_ms * 5 / 4));
  }
  CHECK(begin > LogOffset{0});
  CHECK(most <= 14);
}

TEST_CASE("trimming unlists first and removes later, and the rest is a log that starts from a snapshot") {
  SmallSegments log(40);
  const Writer::CutPoint cut = log.cuts[25];
  log.disk.content(snapshot_name(cut.offset)) = "x";
  const size_t before = log.writer.manifest().segments.size();
  REQUIRE(before > 6);
  log.writer.trim_to(cut.offset);
  CHECK(log.writer.take_dropped().empty());  // MANIFEST still lists them
  drain(log.disk, log.writer, true);
  const std::vector<std::string> dropped = log.writer.take_dropped();
  CHECK(dropped.size() == before - log.writer.manifest().segments.size());
  CHECK(log.writer.begin() > LogOffset{0});
  CHECK(log.writer.begin() <= cut.offset);
  CHECK(log.writer.take_dropped().empty());
  for (const std::string& name : dropped) {
    CHECK(log.disk.exists(name));
    log.disk.remove(name);
  }
  const RecoveryRun run = recover_from(log.disk, cut);
  REQUIRE(run.refusal() == "");
  CHECK(run.seen.groups.size() == 14);
  CHECK(run.result().resume.end == log.writer.end());

  SECTION("and without that snapshot it is refused") {
    log.disk.remove(snapshot_name(cut.offset));
    CHECK(recover(log.disk).refusal().find("the log no longer reaches back") != std::string::npos);
  }
}

TEST_CASE("a crash anywhere in a trim leaves a folder that starts, and leftovers that go") {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Prng prng(seed);
    SmallSegments log(30);
    const Writer::CutPoint cut = log.cuts[20];
    log.disk.run({.steps = {{.kind = FileStep::Kind::Write, .name = snapshot_name(cut.offset), .bytes = "x"},
                            {.kind = FileStep::Kind::Sync, .name = snapshot_name(cut.offset)},
                            {.kind = FileStep::Kind::SyncDir}}});
    log.writer.trim_to(cut.offset);
    const auto job = log.writer.next_job(true);
    REQUIRE(job);
    const size_t steps = prng.below(job->steps.size() + 1);
    log.disk.run_part(*job, steps, prng.below(100));
    if (steps == job->steps.size()) {
      log.writer.job_done({.id = job->id});
      FileJob removals{.lane = Lane::Snapshot};
      for (const std::string& name : log.writer.take_dropped())
        removals.steps.push_back({.kind = FileStep::Kind::Remove, .name = name});
      REQUIRE_FALSE(removals.steps.empty());
      log.disk.run_part(removals, prng.below(removals.steps.size() + 1), 0);
    }
    log.disk.crash(prng);
    RecoveryRun run = recover_from(log.disk, cut);
    INFO(seed << ": " << run.refusal());
    REQUIRE(run.recovered());
    CHECK(run.result().resume.end == log.writer.end());
    repair(log.disk, run.result());
    size_t segments = 0;
    const std::vector<std::string> names = *log.disk.list();
    for (const std::string& name : names) segments += parse_segment_name(name).has_value();
    CHECK(segments == run.result().resume.manifest.segments.size());
  }
}

TEST_CASE("a failed MANIFEST keeps the files, and they go once it could be written") {
  SmallSegments log(20);
  log.writer.trim_to(log.writer.end());
  auto job = log.writer.next_job(true);
  REQUIRE(job);
  log.writer.job_done(log.disk.run(*job, {.fail_step = 0}));
  CHECK(log.writer.take_dropped().empty());
  log.writer.retry();
  drain(log.disk, log.writer, true);
  log.writer.retry();
  drain(log.disk, log.writer, true);
  CHECK_FALSE(log.writer.take_dropped().empty());
}

TEST_CASE("rolled, the log begins at the cut as soon as something is appended") {
  MemoryFiles disk;
  Writer writer({.salt_seed = 5}, fresh_start(cluster));
  for (uint64_t i = 0; i < 5; ++i) append(writer, command_text(i));
  drain(disk, writer, true);
  const LogOffset cut = writer.end();
  writer.roll();
  writer.trim_to(cut);
  drain(disk, writer, true);
  CHECK(writer.begin() == LogOffset{0});
  append(writer, command_text(6));
  drain(disk, writer, true);
  CHECK(writer.begin() == cut);
  CHECK(writer.take_dropped() == std::vector<std::string>{segment_name({0})});
}
