// A log as a replica keeps it: mirrored byte for byte, and going on from where its primary left it.
#include <catch2/catch.hpp>

#include "log/check.h"
#include "log_support.h"
#include "primary.h"

using namespace hf;
using namespace hf::log;
using namespace hf::test;

namespace {

std::string behind_header(MemoryFiles& disk, const std::string& name) {
  return disk.content(name).substr(segment_header_bytes);
}

}  // namespace

TEST_CASE("mirrored frames lie on the replica's disk as on the primary's, a new salt beginning a segment") {
  Primary primary;
  MemoryFiles disk;
  Writer replica({.segment_bytes = 1 << 20, .salt_seed = 99}, fresh_start(cluster));
  for (const std::string& turn : primary.turns) {
    REQUIRE(replica.mirror(frames_of(turn)).ok());
    drain(disk, replica, true);
  }
  CHECK(replica.end() == primary.writer.end());
  CHECK(replica.last_sum() == primary.writer.last_sum());
  CHECK(replica.history() == primary.writer.history());
  const auto names = names_under(primary.disk, "log-");
  REQUIRE(names.size() >= 3);
  CHECK(names == names_under(disk, "log-"));
  for (const std::string& name : names) CHECK(behind_header(disk, name) == behind_header(primary.disk, name));

  const RecoveryRun run = recover(disk);
  REQUIRE(run.recovered());
  CHECK(run.result().resume.mirrored);
  CHECK(run.result().resume.end == primary.writer.end());
  CHECK(run.seen.text.find(primary.text) != std::string::npos);
  CHECK(check_folder(disk, {}).soundness == Soundness::Sound);
}

TEST_CASE("a segment that is full here is closed though the primary's goes on, and both recover") {
  Primary primary;
  MemoryFiles disk;
  Writer replica({.segment_bytes = 300}, fresh_start(cluster));
  for (const std::string& turn : primary.turns) {
    REQUIRE(replica.mirror(frames_of(turn)).ok());
    drain(disk, replica, true);
  }
  CHECK(names_under(disk, "log-").size() > names_under(primary.disk, "log-").size());
  const RecoveryRun run = recover(disk);
  REQUIRE(run.recovered());
  CHECK(run.result().resume.end == primary.writer.end());
}

TEST_CASE("a reign of one's own behind mirrored frames begins a segment of its own") {
  Primary primary(3);
  MemoryFiles disk;
  for (const bool restarted : {false, true}) {
    MemoryFiles fresh;
    auto replica = std::make_unique<Writer>(small_segments, fresh_start(cluster));
    for (const std::string& turn : primary.turns) REQUIRE(replica->mirror(frames_of(turn)).ok());
    drain(fresh, *replica, true);
    if (restarted) {
      RecoveryRun run = recover(fresh);
      REQUIRE(run.recovered());
      replica = std::make_unique<Writer>(small_segments, std::get<Recovered>(run.outcome).resume);
    }
    const LogOffset parted = replica->end();
    replica->begin_reign({{2}, reign_id(2), parted}, 1700000000002);
    append(*replica, command_text(77));
    drain(fresh, *replica, true);
    CHECK(fresh.exists(segment_name(parted)));
    SegmentReader reader(fresh, segment_name(parted));
    REQUIRE(reader.open().ok());
    CHECK_FALSE(reader.header().mirrored);
    const RecoveryRun run = recover(fresh);
    REQUIRE(run.recovered());
    CHECK_FALSE(run.result().resume.mirrored);
    CHECK(run.seen.text.find(command_text(77)) != std::string::npos);
  }
}

TEST_CASE("frames that do not continue the log are refused, and nothing of them stays") {
  Primary primary(4);
  Writer replica(small_segments, fresh_start(cluster));
  CHECK_FALSE(replica.mirror(frames_of(primary.turns[1])).ok());  // a gap
  REQUIRE(replica.mirror(frames_of(primary.turns[0])).ok());
  REQUIRE(replica.mirror(frames_of(primary.turns[1])).ok());
  CHECK_FALSE(replica.mirror(frames_of(primary.turns[1])).ok());  // once more
  CHECK_FALSE(replica.mirror(frames_of(primary.turns[3])).ok());
  const LogOffset end = replica.end();
  const uint64_t sum = replica.last_sum();

  const auto made = [&](FrameType type, const std::string& content, uint64_t previous) {
    std::string bytes;
    encode_frame({.type = type,
                  .stored_bytes = static_cast<uint32_t>(content.size()),
                  .raw_bytes = static_cast<uint32_t>(content.size()),
                  .salt = 5,
                  .epoch = {1},
                  .offset = end,
                  .wall_ms = 1700000000009,
                  .previous_sum = previous},
                 content, bytes);
    return bytes;
  };
  CHECK_FALSE(replica.mirror(frames_of(made(FrameType::Data, command_text(1), sum + 1))).ok());
  const std::string same_epoch = made(FrameType::Epoch, epoch_command({{1}, reign_id(8), end}), sum);
  CHECK_FALSE(replica.mirror(frames_of(same_epoch)).ok());
  const std::string elsewhere = made(FrameType::Epoch, epoch_command({{3}, reign_id(8), end + 1}), sum);
  CHECK_FALSE(replica.mirror(frames_of(elsewhere)).ok());
  CHECK(replica.end() == end);
  CHECK(replica.last_sum() == sum);
  CHECK(replica.history() == primary.writer.history());
  CHECK(replica.mirror(frames_of(primary.turns[2])).ok());
}

TEST_CASE(
    "a log that begins behind an adopted snapshot reaches back to it before its first segment is listed") {
  ResumePoint adopted = fresh_start(cluster);
  adopted.end = {86};
  Writer writer({.salt_seed = 3}, adopted);
  CHECK(writer.begin() == LogOffset{86});
  writer.begin_reign({{2}, reign_id(2), {86}}, 1700000000000);
  CHECK(writer.end() > LogOffset{86});
  CHECK(writer.begin() == LogOffset{86});
  MemoryFiles disk;
  drain(disk, writer, true);
  CHECK(writer.begin() == LogOffset{86});
}
