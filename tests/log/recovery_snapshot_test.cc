// Recovery with snapshots: which one is taken, how the log joins it, and what happens when it is damaged.
#include <catch2/catch.hpp>

#include "log_support.h"

using namespace hf;
using namespace hf::log;
using namespace hf::test;

namespace {

/// A log in which cuts were taken; the snapshot files themselves are only names here.
struct CutLog {
  MemoryFiles disk;
  std::string text;
  std::vector<SnapshotPoint> cuts;
  LogOffset end;
};

std::unique_ptr<CutLog> cut_log(size_t segment_bytes) {
  auto log = std::make_unique<CutLog>();
  Writer writer({.segment_bytes = segment_bytes, .salt_seed = 5}, fresh_start(cluster));
  const Reign reign{{1}, reign_id(1), {0}};
  writer.begin_reign(reign, 1700000000000);
  log->text = epoch_command(reign);
  for (uint64_t i = 0; i < 20; ++i) {
    append(writer, command_text(i, 50));
    log->text += command_text(i, 50);
    drain(log->disk, writer, true);
    if (i == 6 || i == 13) {
      const Writer::CutPoint cut = writer.cut_point();
      log->cuts.push_back(
          {cut.offset, cut.previous_sum, cut.visible_offset, cut.wall_ms, cluster, writer.history()});
      log->disk.content(snapshot_name(cut.offset)) = "a snapshot";
    }
  }
  log->end = writer.end();
  return log;
}

/// Recovers; snapshots at or above `damaged_from` are reported damaged.
RecoveryRun recover_from(CutLog& log, LogOffset damaged_from, std::vector<SnapshotPoint> points) {
  RecoveryRun run;
  Recovery recovery(log.disk, {});
  recovery.open();
  while (recovery.phase() == Recovery::Phase::LoadSnapshot) {
    const LogOffset wanted = recovery.snapshot().offset;
    if (wanted >= damaged_from) {
      recovery.snapshot_damaged("block 3, byte 100: checksum mismatch");
      continue;
    }
    for (const SnapshotPoint& point : points)
      if (point.offset == wanted) recovery.snapshot_loaded(point);
  }
  while (recovery.phase() == Recovery::Phase::Replay) recovery.step(100, run.seen);
  run.outcome = std::move(recovery.outcome());
  run.notes = recovery.notes();
  return run;
}

}  // namespace

TEST_CASE("the newest snapshot is taken and only what came after it is replayed") {
  for (const size_t segment_bytes : {300u, 1000u, 1u << 20}) {
    const auto log = cut_log(segment_bytes);
    const RecoveryRun run = recover_from(*log, {UINT64_MAX}, log->cuts);
    REQUIRE(run.refusal() == "");
    CHECK(run.seen.text == log->text.substr(log->cuts[1].offset.value));
    CHECK(run.result().resume.end == log->end);
    CHECK(run.result().resume.manifest.history == log->cuts[1].history);
  }
}

TEST_CASE("a damaged newest snapshot is named, and the one before takes its place with more log") {
  const auto log = cut_log(1000);
  RecoveryRun run = recover_from(*log, log->cuts[1].offset, log->cuts);
  REQUIRE(run.refusal() == "");
  CHECK(run.seen.text == log->text.substr(log->cuts[0].offset.value));
  REQUIRE(run.notes.size() == 1);
  CHECK(run.notes[0].find("block 3, byte 100") != std::string::npos);
  run = recover_from(*log, {0}, log->cuts);
  REQUIRE(run.refusal() == "");
  CHECK(run.seen.text == log->text);
}

TEST_CASE("when every snapshot is damaged and the log does not reach back, the folder is refused") {
  const auto log = cut_log(300);
  Manifest manifest = *decode_manifest(log->disk.content("MANIFEST"));
  while (manifest.segments.size() > 1 && manifest.segments[1].first <= log->cuts[1].offset)
    manifest.segments.erase(manifest.segments.begin());
  log->disk.content("MANIFEST") = encode_manifest(manifest);
  CHECK(recover_from(*log, {UINT64_MAX}, log->cuts).refusal() == "");
  CHECK(recover_from(*log, log->cuts[1].offset, log->cuts).refusal().find("no longer reaches back") !=
        std::string::npos);
  CHECK(recover_from(*log, {0}, log->cuts).refusal().find("does not reach back") != std::string::npos);
}

TEST_CASE("a snapshot of another history or another cluster is not joined to this log") {
  const auto log = cut_log(1000);
  auto points = log->cuts;
  points[1].previous_sum ^= 1;
  CHECK(recover_from(*log, {UINT64_MAX}, points).refusal().find("another history") != std::string::npos);
  points = log->cuts;
  points[1].cluster_id = std::string(40, '9');
  const RecoveryRun run = recover_from(*log, {UINT64_MAX}, points);
  REQUIRE(run.refusal() == "");
  CHECK(run.seen.text == log->text.substr(log->cuts[0].offset.value));
}

TEST_CASE("a cut inside a frame is refused") {
  const auto log = cut_log(1 << 20);
  SnapshotPoint point = log->cuts[1];
  point.offset = point.offset + 3;
  log->disk.content(snapshot_name(point.offset)) = "a snapshot";
  CHECK(recover_from(*log, {UINT64_MAX}, {point}).refusal().find("inside a frame") != std::string::npos);
}

TEST_CASE(
    "a log that ends below its snapshot is damage: the snapshot was only named when the log was synced") {
  const auto log = cut_log(1 << 20);
  const std::string name = "log-00000000000000000000.aof";
  log->disk.content(name).resize(log->disk.content(name).size() / 3);
  CHECK(recover_from(*log, {UINT64_MAX}, log->cuts).refusal().find("damage") != std::string::npos);
}

TEST_CASE("a snapshot without any log starts a new log at its cut") {
  const auto log = cut_log(1 << 20);
  log->disk.remove("MANIFEST");
  log->disk.remove("log-00000000000000000000.aof");
  RecoveryRun run = recover_from(*log, {UINT64_MAX}, log->cuts);
  REQUIRE(run.refusal() == "");
  ResumePoint resume = run.result().resume;
  CHECK(resume.end == log->cuts[1].offset);
  Writer writer({}, resume);
  const Reign reign{{resume.epoch_max.value + 1}, reign_id(2), writer.end()};
  writer.begin_reign(reign, 0);
  drain(log->disk, writer, true);
  run = recover_from(*log, {UINT64_MAX}, log->cuts);
  REQUIRE(run.refusal() == "");
  CHECK(run.seen.text == epoch_command(reign));
  CHECK(run.result().resume.manifest.history == writer.history());
  // The older snapshot has no log behind it any more.
  CHECK(recover_from(*log, log->cuts[1].offset, log->cuts).refusal() != "");
}

TEST_CASE("a snapshot taken without a log supersedes the older log, whatever of it is still there") {
  const std::string segment0 = "log-00000000000000000000.aof";
  for (const int left : {0, 1, 2, 3}) {  // everything; no MANIFEST; no segment; nothing
    const auto log = cut_log(1 << 20);
    for (const SnapshotPoint& cut : log->cuts) log->disk.remove(snapshot_name(cut.offset));
    if (left & 1) log->disk.remove("MANIFEST");
    if (left & 2) log->disk.remove(segment0);
    const SnapshotPoint point{.offset = log->end + 50, .wall_ms = 1, .cluster_id = cluster, .epoch = {7}};
    log->disk.content(snapshot_name(point.offset)) = "a snapshot";
    log->disk.content(snapshot_name({1}) + ".tmp") = "half a snapshot";
    RecoveryRun run = recover_from(*log, {UINT64_MAX}, {point});
    INFO(left << ": " << run.refusal());
    REQUIRE(run.refusal() == "");
    CHECK(run.seen.text == "");
    repair(log->disk, run.result());
    CHECK_FALSE(log->disk.exists(segment0));
    CHECK_FALSE(log->disk.exists(snapshot_name({1}) + ".tmp"));
    CHECK(log->disk.exists("rescue/0-" + segment0 + "-from-0") == !(left & 2));

    Writer writer({}, run.result().resume);
    const Reign reign{{run.result().resume.epoch_max.value + 1}, reign_id(8), writer.end()};
    CHECK(reign.epoch == Epoch{8});
    writer.begin_reign(reign, 0);
    drain(log->disk, writer, true);
    run = recover_from(*log, {UINT64_MAX}, {point});
    INFO(run.refusal());
    REQUIRE(run.refusal() == "");
    CHECK(run.seen.text == epoch_command(reign));
    CHECK(run.result().repair.empty());
  }
}
