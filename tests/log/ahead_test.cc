// Zeros written ahead of the frames: never over one, never in a closed log, and no crash makes them look like
// anything but the clean end.
#include <catch2/catch.hpp>
#include <deque>

#include "log_support.h"

using namespace hf;
using namespace hf::log;
using namespace hf::test;

TEST_CASE("zeros are written ahead once, and again when half of them is used up") {
  MemoryFiles disk;
  Writer writer({.ahead_bytes = 4000, .salt_seed = 1}, fresh_start(cluster));
  CHECK_FALSE(writer.ahead_job());  // no file yet
  append(writer, command_text(1));
  drain(disk, writer, true);
  const uint64_t used = *disk.size(segment_name({0}));
  auto job = writer.ahead_job();
  REQUIRE(job);
  CHECK(job->lane == Lane::Sync);
  CHECK_FALSE(writer.ahead_job());
  CHECK(writer.job_done(disk.run(*job)) == WriterEvent::Advanced);
  CHECK(*disk.size(segment_name({0})) == used + 4000);
  CHECK_FALSE(writer.ahead_job());
  append(writer, command_text(2, 2500));
  drain(disk, writer, true);
  CHECK(*disk.size(segment_name({0})) == used + 4000);
  REQUIRE(writer.ahead_job());
}

TEST_CASE("no frame is written where zeros are on their way") {
  MemoryFiles disk;
  Writer writer({.ahead_bytes = 1000, .salt_seed = 1}, fresh_start(cluster));
  append(writer, command_text(1));
  drain(disk, writer, true);
  writer.job_done(disk.run(*writer.ahead_job()));
  append(writer, command_text(2, 600));
  drain(disk, writer, true);
  const auto ahead = writer.ahead_job();
  REQUIRE(ahead);
  append(writer, command_text(3));
  const auto inside = writer.next_job(true);  // still within the zeros that are there
  REQUIRE(inside);
  writer.job_done(disk.run(*inside));
  append(writer, command_text(4, 1500));
  CHECK_FALSE(writer.next_job(true));
  CHECK_FALSE(writer.idle());
  writer.job_done(disk.run(*ahead));
  drain(disk, writer, true);
  CHECK(writer.synced() == writer.end());
  CHECK_FALSE(writer.ahead_job());  // outrun: of no use in this segment any more
  CHECK(recover(disk).result().resume.end == writer.end());
}

TEST_CASE("a closed segment and a log at rest end with their last frame") {
  MemoryFiles disk;
  Writer writer({.segment_bytes = 3000, .ahead_bytes = 1000, .salt_seed = 1}, fresh_start(cluster));
  for (uint64_t i = 0; i < 60; ++i) {
    append(writer, command_text(i, 50));
    drain(disk, writer, true);
    if (auto job = writer.ahead_job()) writer.job_done(disk.run(*job));
  }
  REQUIRE(writer.idle());
  writer.job_done(disk.run(writer.shutdown_job()));
  REQUIRE(writer.manifest().segments.size() > 3);
  for (const SegmentRef& ref : writer.manifest().segments) {
    SegmentReader reader(disk, segment_name(ref.first));
    REQUIRE(reader.open().ok());
    ChainPoint chain{reader.header().first, reader.header().previous_sum, reader.header().epoch};
    SegmentReader::Frame frame;
    Verdict verdict = Verdict::Valid;
    while (verdict == Verdict::Valid) verdict = *reader.next(chain, frame);
    CHECK(verdict == Verdict::End);
  }
}

TEST_CASE("zeros at the end are no torn tail, and go without a word") {
  MemoryFiles disk;
  Writer writer({.ahead_bytes = 4000, .salt_seed = 1}, fresh_start(cluster));
  append(writer, command_text(1));
  drain(disk, writer, true);
  writer.job_done(disk.run(*writer.ahead_job()));
  const RecoveryRun run = recover(disk);
  REQUIRE(run.recovered());
  CHECK_FALSE(run.result().torn);
  CHECK(run.notes.empty());
  CHECK(run.result().resume.end == writer.end());
}

TEST_CASE("a torn tail before zeros is kept without them") {
  MemoryFiles disk;
  Writer writer({.ahead_bytes = 4000, .salt_seed = 1}, fresh_start(cluster));
  append(writer, command_text(1));
  drain(disk, writer, true);
  writer.job_done(disk.run(*writer.ahead_job()));
  const LogOffset sound = writer.end();
  append(writer, command_text(2, 500));
  const auto job = writer.next_job(false);
  disk.run_part(*job, 0, 200);
  RecoveryRun run = recover(disk);
  REQUIRE(run.recovered());
  REQUIRE(run.result().torn);
  CHECK(run.result().torn->bytes == 200);
  CHECK(run.result().resume.end == sound);
  repair(disk, run.result());
  CHECK(recover(disk).result().resume.end == sound);
}

TEST_CASE("a full disk for the zeros is none for the log; a failed sync of them is") {
  MemoryFiles disk;
  Writer writer({.ahead_bytes = 4000, .salt_seed = 1}, fresh_start(cluster));
  append(writer, command_text(1));
  drain(disk, writer, true);
  const auto job = writer.ahead_job();
  SECTION("write") {
    CHECK(writer.job_done(disk.run(*job, {.fail_step = 0})) == WriterEvent::Advanced);
    CHECK(writer.health() == Health::Good);
    CHECK_FALSE(writer.ahead_job());
  }
  SECTION("sync") {
    CHECK(writer.job_done(disk.run(*job, {.fail_step = 1, .code = EIO})) == WriterEvent::Died);
    CHECK(writer.health() == Health::Dead);
  }
}

TEST_CASE("with zeros ahead, whatever was synced survives any crash, in any order of the lanes") {
  for (uint64_t seed = 0; seed < 400; ++seed) {
    Prng prng(seed);
    MemoryFiles disk;
    Writer writer({.segment_bytes = 4000, .ahead_bytes = 600, .salt_seed = seed}, fresh_start(cluster));
    std::deque<FileJob> log_lane, sync_lane;
    const uint64_t turns = prng.below(120);
    for (uint64_t i = 0; i < turns; ++i) {
      if (prng.chance(1, 2)) append(writer, command_text(i, prng.below(400)));
      if (auto job = writer.next_job(prng.chance(2, 3))) log_lane.push_back(std::move(*job));
      if (auto job = writer.ahead_job()) sync_lane.push_back(std::move(*job));
      if (prng.chance(1, 4))
        if (auto job = writer.sync_job()) sync_lane.push_back(std::move(*job));
      for (auto* lane : {&log_lane, &sync_lane}) {
        if (lane->empty() || !prng.chance(1, 2)) continue;
        DiskFault fault;
        if (prng.chance(1, 12) && lane->front().steps[0].kind == FileStep::Kind::Write)
          fault = {.fail_step = 0, .short_bytes = prng.below(300)};
        writer.job_done(disk.run(lane->front(), fault));
        lane->pop_front();
        if (prng.chance(1, 2)) writer.retry();
      }
    }
    const LogOffset synced = writer.synced(), end = writer.end();
    disk.crash(prng);
    RecoveryRun run = recover(disk);
    INFO(seed << ": " << run.refusal());
    if (run.fresh()) {
      CHECK(synced == LogOffset{0});
      continue;
    }
    REQUIRE(run.recovered());
    CHECK(run.result().resume.end >= synced);
    CHECK(run.result().resume.end <= end);
    repair(disk, run.result());
    Writer next({.segment_bytes = 4000, .ahead_bytes = 600, .salt_seed = ~seed}, run.result().resume);
    append(next, command_text(9999));
    drain(disk, next, true);
    CHECK(recover(disk).result().resume.end == next.end());
  }
}
