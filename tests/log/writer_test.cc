// The writer against a disk in memory: batches, rolling, group commit, failures - and whatever happens, what
// it called synced is there afterwards.
#include <catch2/catch.hpp>

#include "log_support.h"

using namespace hf;
using namespace hf::log;
using namespace hf::test;

namespace {

std::string kinds(const FileJob& job) {
  std::string text;
  for (const FileStep& step : job.steps) text += "WASDTRXM"[static_cast<int>(step.kind)];
  return text;
}

}  // namespace

TEST_CASE("what is written comes back, in order and whole, from an empty folder on") {
  MemoryFiles disk;
  REQUIRE(recover(disk).fresh());
  Writer writer({.salt_seed = 1}, fresh_start(cluster));
  writer.begin_reign({{1}, reign_id(1), {0}}, 1700000000000);
  std::string text = epoch_command({{1}, reign_id(1), {0}});
  for (uint64_t i = 0; i < 50; ++i) {
    const std::string content = command_text(i, i * 300);
    text += content;
    REQUIRE(append(writer, content).value == text.size());
    if (i % 3 == 0) drain(disk, writer, i % 2 == 0);
  }
  drain(disk, writer, true);
  CHECK(writer.synced() == writer.end());
  CHECK(writer.written() == writer.end());
  CHECK(writer.idle());
  CHECK(writer.unwritten_bytes() == 0);

  RecoveryRun run = recover(disk, 1000, 1000);
  REQUIRE(run.refusal() == "");
  REQUIRE(run.recovered());
  CHECK(run.seen.text == text);
  const ResumePoint& resume = run.result().resume;
  CHECK(resume.end == writer.end());
  CHECK(resume.visible_end == writer.visible_end());
  CHECK(resume.last_sum == writer.cut_point().previous_sum);
  CHECK(resume.manifest.history == writer.history());
  CHECK(resume.epoch_max == Epoch{1});
  CHECK_FALSE(run.result().torn);
  CHECK(run.result().repair.empty());
}

TEST_CASE("one batch is in flight and the next one gathers") {
  MemoryFiles disk;
  Writer writer({}, fresh_start(cluster));
  append(writer, command_text(1));
  auto first = writer.next_job(true);
  REQUIRE(first);
  append(writer, command_text(2));
  append(writer, command_text(3));
  CHECK_FALSE(writer.next_job(true));
  CHECK(writer.synced() == LogOffset{0});
  const LogOffset end_of_first{command_text(1).size()};
  CHECK(writer.job_done(disk.run(*first)) == WriterEvent::Advanced);
  CHECK(writer.synced() == end_of_first);
  auto second = writer.next_job(true);
  REQUIRE(second);
  CHECK(kinds(*second) == "WS");
  writer.job_done(disk.run(*second));
  CHECK(writer.synced() == writer.end());
  CHECK_FALSE(writer.next_job(true));
}

TEST_CASE("a segment is made and listed before its first frame is written") {
  Writer writer({}, fresh_start(cluster));
  append(writer, command_text(1));
  const auto job = writer.next_job(false);
  REQUIRE(job);
  CHECK(kinds(*job) == "WSDXWSRDW");  // header, sync, folder; MANIFEST aside, sync, rename, folder; frames
}

TEST_CASE("a full segment is synced and closed, and the log goes on in the next") {
  MemoryFiles disk;
  Writer writer({.segment_bytes = 1000, .salt_seed = 3}, fresh_start(cluster));
  std::string text;
  for (uint64_t i = 0; i < 40; ++i) {
    text += command_text(i, 100);
    append(writer, command_text(i, 100));
    if (i % 4 == 0) drain(disk, writer, false);
  }
  drain(disk, writer, false);
  const Manifest& manifest = writer.manifest();
  REQUIRE(manifest.segments.size() > 4);
  CHECK(writer.synced() == manifest.segments.back().first);
  RecoveryRun run = recover(disk);
  REQUIRE(run.refusal() == "");
  CHECK(run.seen.text == text);
  CHECK(run.result().resume.manifest.segments == manifest.segments);
}

TEST_CASE("a sync covers what was written before it was asked for, and no batch in flight") {
  MemoryFiles disk;
  Writer writer({}, fresh_start(cluster));
  append(writer, command_text(1));
  drain(disk, writer, false);
  const LogOffset before = writer.written();
  const auto sync = writer.sync_job();
  REQUIRE(sync);
  CHECK(sync->lane == Lane::Sync);
  CHECK_FALSE(writer.sync_job());
  append(writer, command_text(2));
  drain(disk, writer, false);
  writer.job_done(disk.run(*sync));
  CHECK(writer.synced() == before);
  CHECK(writer.written() > before);
}

TEST_CASE("a sync that comes back after the segment was closed claims nothing more") {
  MemoryFiles disk;
  Writer writer({.segment_bytes = 200}, fresh_start(cluster));
  append(writer, command_text(1, 200));
  drain(disk, writer, false);
  const auto sync = writer.sync_job();
  REQUIRE(sync);
  append(writer, command_text(2, 200));
  drain(disk, writer, false);
  const LogOffset closed = writer.synced();
  CHECK(closed == writer.manifest().segments.back().first);
  CHECK(writer.job_done(disk.run(*sync)) == WriterEvent::Advanced);
  CHECK(writer.synced() == closed);
}

TEST_CASE("wanting a sync with nothing new to write gives a sync alone") {
  MemoryFiles disk;
  Writer writer({}, fresh_start(cluster));
  append(writer, command_text(1));
  drain(disk, writer, false);
  const auto job = writer.next_job(true);
  REQUIRE(job);
  CHECK(kinds(*job) == "S");
  writer.job_done(disk.run(*job));
  CHECK(writer.synced() == writer.end());
}

TEST_CASE("a full disk: the torn batch is cut at once, kept, and written when there is room") {
  MemoryFiles disk;
  Writer writer({}, fresh_start(cluster));
  append(writer, command_text(1));
  drain(disk, writer, true);
  const LogOffset good = writer.written();
  append(writer, command_text(2, 500));
  auto job = writer.next_job(true);
  REQUIRE(job);
  CHECK(writer.job_done(disk.run(*job, {.fail_step = 0, .short_bytes = 100})) == WriterEvent::Failed);
  CHECK(writer.health() == Health::Failing);
  CHECK(writer.reason().find("No space left on device") != std::string::npos);
  CHECK(writer.written() == good);
  append(writer, command_text(3));

  job = writer.next_job(true);
  REQUIRE(job);
  CHECK(kinds(*job) == "TS");
  CHECK(writer.job_done(disk.run(*job)) == WriterEvent::Repaired);
  CHECK_FALSE(writer.next_job(true));  // not before the node says so
  CHECK(recover(disk).seen.text == command_text(1));

  writer.retry();
  job = writer.next_job(true);
  REQUIRE(job);
  CHECK(writer.job_done(disk.run(*job, {.fail_step = 0})) == WriterEvent::Failed);
  drain(disk, writer, true);  // the cut
  writer.retry();
  job = writer.next_job(true);
  REQUIRE(job);
  CHECK(writer.job_done(disk.run(*job)) == WriterEvent::Recovered);
  CHECK(writer.health() == Health::Good);
  drain(disk, writer, true);
  CHECK(recover(disk).seen.text == command_text(1) + command_text(2, 500) + command_text(3));
}

TEST_CASE("a disk that fills up at any step of closing a segment leaves a log that goes on") {
  for (size_t step = 0; step < 10; ++step) {
    for (const bool dies : {false, true}) {
      MemoryFiles disk;
      Writer writer({.segment_bytes = 200}, fresh_start(cluster));
      append(writer, command_text(1, 200));
      drain(disk, writer, false);
      append(writer, command_text(2, 200));
      const auto job = writer.next_job(false);
      REQUIRE(job);
      REQUIRE(kinds(*job) == "SWSDXWSRDW");
      const bool sync = kinds(*job)[step] == 'S' || kinds(*job)[step] == 'D';
      writer.job_done(disk.run(*job, {.fail_step = step, .code = dies ? EIO : ENOSPC, .short_bytes = 30}));
      CHECK(writer.health() == (sync ? Health::Dead : Health::Failing));
      if (!sync) {
        drain(disk, writer, false);
        REQUIRE(recover(disk).seen.text == command_text(1, 200));
        writer.retry();
        drain(disk, writer, false);
        CHECK(writer.health() == Health::Good);
        const RecoveryRun run = recover(disk);
        REQUIRE(run.refusal() == "");
        CHECK(run.seen.text == command_text(1, 200) + command_text(2, 200));
      } else {
        writer.retry();
        CHECK_FALSE(writer.next_job(true));
        CHECK_FALSE(writer.sync_job());
        const RecoveryRun run = recover(disk);
        REQUIRE(run.refusal() == "");
        CHECK(run.seen.text == command_text(1, 200));
      }
    }
  }
}

TEST_CASE("a failed sync is never retried and nothing is claimed after it") {
  MemoryFiles disk;
  Writer writer({}, fresh_start(cluster));
  append(writer, command_text(1));
  drain(disk, writer, false);
  const auto sync = writer.sync_job();
  append(writer, command_text(2));
  const auto batch = writer.next_job(true);
  CHECK(writer.job_done(disk.run(*sync, {.fail_step = 0, .code = EIO})) == WriterEvent::Died);
  CHECK(writer.job_done(disk.run(*batch)) == WriterEvent::Died);
  CHECK(writer.synced() == LogOffset{0});
  CHECK(writer.reason().find("Input/output error") != std::string::npos);
  append(writer, command_text(3));
  CHECK_FALSE(writer.next_job(true));
}

TEST_CASE("a clean shutdown is written down, and the next start knows") {
  MemoryFiles disk;
  Writer writer({}, fresh_start(cluster));
  append(writer, command_text(1));
  drain(disk, writer, false);
  CHECK(writer.job_done(disk.run(writer.shutdown_job())) == WriterEvent::ShutDown);
  CHECK(decode_manifest(disk.content("MANIFEST"))->clean_end == writer.end());
  // Now even a byte missing at the end is damage.
  std::string& segment = disk.content("log-00000000000000000000.aof");
  segment.pop_back();
  CHECK(recover(disk).refusal().find("clean shutdown") != std::string::npos);
}

TEST_CASE("contents over the limit of a frame become a group, applied whole or not at all") {
  MemoryFiles disk;
  const std::string big = command_text(1, limits::frame_content_bytes_max * 2 + 1000);
  Writer writer({.segment_bytes = 1 << 30, .compress = false}, fresh_start(cluster));
  append(writer, command_text(0));
  append(writer, big);
  append(writer, command_text(2));
  drain(disk, writer, false);
  RecoveryRun run = recover(disk);
  REQUIRE(run.refusal() == "");
  REQUIRE(run.seen.groups.size() == 3);
  CHECK(run.seen.groups[1].content == big);
  CHECK(run.seen.groups[1].begin.value == command_text(0).size());

  // The last frame of the group is torn away: none of it counts.
  std::string& segment = disk.content("log-00000000000000000000.aof");
  segment.resize(segment.size() - 600);
  run = recover(disk);
  REQUIRE(run.refusal() == "");
  CHECK(run.seen.text == command_text(0));
  REQUIRE(run.result().torn);
  CHECK(run.result().torn->offset.value == command_text(0).size());
}

TEST_CASE("compressible contents are stored smaller, incompressible ones as they are") {
  MemoryFiles disk;
  Writer writer({}, fresh_start(cluster));
  append(writer, command_text(1, 100000));
  const uint64_t small = writer.bytes_sealed();
  CHECK(small < 20000);
  Prng prng(1);
  std::string noise(100000, 0);
  for (char& c : noise) c = static_cast<char>(prng.next());
  for (int i = 0; i < 10; ++i) append(writer, noise);
  CHECK(writer.bytes_sealed() - small > 1000000);
  append(writer, command_text(2, 4000));
  drain(disk, writer, false);
  CHECK(recover(disk).seen.text.size() == writer.end().value);
}

namespace {

/// One life after another on one disk: random appends, jobs answered late, failures, crashes in the middle of
/// a job.
void live_and_crash(uint64_t seed) {
  Prng prng(seed);
  MemoryFiles disk;
  std::string synced, must, appended;  // survives a power cut; must be there at the next start; may be there
  uint64_t number = 0;
  for (int life = 0; life < 6; ++life) {
    RecoveryRun run = recover(disk, 1 + prng.below(5000), 64 + prng.below(5000));
    INFO("seed " << seed << " life " << life << ": " << run.refusal());
    REQUIRE(run.refusal() == "");
    ResumePoint resume = fresh_start(cluster);
    if (run.recovered()) {
      repair(disk, run.result());
      resume = run.result().resume;
    }
    REQUIRE(run.seen.text.size() >= must.size());
    REQUIRE(appended.compare(0, run.seen.text.size(), run.seen.text) == 0);
    appended = run.seen.text;

    Writer writer({.segment_bytes = 300 + prng.below(3000), .salt_seed = prng.next()}, std::move(resume));
    REQUIRE(writer.end().value == appended.size());
    const Reign reign{
        {writer.history().empty() ? 1 : writer.history().last().epoch.value + 1 + prng.below(2)},
        reign_id(seed * 100 + static_cast<uint64_t>(life)),
        writer.end()};
    writer.begin_reign(reign, 1700000000000);
    appended += epoch_command(reign);
    const bool always = prng.chance(1, 2);
    std::optional<FileJob> job, sync;
    bool crashed = false;
    for (int turn = 0; turn < 120 && !crashed && writer.health() != Health::Dead; ++turn) {
      if (prng.chance(1, 2)) {
        std::string content;
        for (uint64_t n = 1 + prng.below(3); n-- > 0;)
          content += command_text(++number, prng.chance(1, 20) ? 6000 : prng.below(200));
        append(writer, content);
        appended += content;
      }
      if (prng.chance(1, 30)) writer.set_snapshots({{writer.synced(), {1}, 1, 2, 3, "save", ""}});
      if (!job && prng.chance(2, 3)) job = writer.next_job(always || prng.chance(1, 5));
      if (!sync && prng.chance(1, 4)) sync = writer.sync_job();
      if (prng.chance(1, 5)) writer.retry();
      if (job && prng.chance(1, 40)) {
        disk.run_part(*job, prng.below(job->steps.size() + 1), prng.below(2000));
        crashed = true;
        break;
      }
      if (job && prng.chance(2, 3)) {
        DiskFault fault;
        if (prng.chance(1, 12)) {
          fault = {.fail_step = prng.below(job->steps.size()), .short_bytes = prng.below(400)};
          const auto kind = job->steps[fault.fail_step].kind;
          if ((kind == FileStep::Kind::Sync || kind == FileStep::Kind::SyncDir) && !prng.chance(1, 6))
            fault = {};
        }
        writer.job_done(disk.run(*job, fault));
        job.reset();
      }
      if (sync && prng.chance(1, 3)) {
        writer.job_done(disk.run(*sync));
        sync.reset();
      }
      if (writer.synced().value > synced.size()) synced = appended.substr(0, writer.synced().value);
    }
    if (prng.chance(1, 8) && !crashed && !job && !sync && writer.health() == Health::Good) {
      drain(disk, writer, false);
      if (writer.idle()) writer.job_done(disk.run(writer.shutdown_job()));
      synced = appended;
    }
    must = synced;
    if (prng.chance(1, 5)) {
      must = appended.substr(0, std::max<size_t>(synced.size(), writer.written().value));
      disk.kill();
    } else {
      disk.crash(prng);
    }
  }
}

}  // namespace

TEST_CASE("whatever fails and whenever the power goes, a prefix with everything synced comes back") {
  for (uint64_t seed = 1; seed <= 400; ++seed) live_and_crash(seed);
}
