// A log as a replica keeps it: mirrored byte for byte, cut back where two histories part, replaced by a
// received snapshot, read from any place for who is behind. Crashes come after every step.
#include <catch2/catch.hpp>

#include "base/little_endian.h"
#include "log/check.h"
#include "log/list.h"
#include "log/tail.h"
#include "log_support.h"

using namespace hf;
using namespace hf::log;
using namespace hf::test;

namespace {

constexpr WriterOptions small{.segment_bytes = 900, .salt_seed = 7};

/// A log over several segments, with the frames of each turn kept as they were sealed.
struct Primary {
  MemoryFiles disk;
  Writer writer{small, fresh_start(cluster)};
  std::string tee, text;
  std::vector<std::string> turns;
  std::vector<LogOffset> ends;

  explicit Primary(size_t appends = 12) {
    writer.set_tee(&tee);
    writer.begin_reign({{1}, reign_id(1), {0}}, 1700000000000);
    taken();
    for (size_t i = 0; i < appends; ++i) add(command_text(i, 150));
  }
  void add(const std::string& content) {
    append(writer, content);
    text += content;
    taken();
  }
  void taken() {
    drain(disk, writer, true);
    turns.push_back(std::exchange(tee, {}));
    ends.push_back(writer.end());
  }
};

std::vector<MirrorFrame> frames_of(Bytes bytes) {
  std::vector<MirrorFrame> group;
  while (!bytes.empty()) {
    DecodedFrame frame;
    REQUIRE(decode_frame(bytes, get_le<uint64_t>(bytes, 16), frame) == Verdict::Valid);
    const size_t size = frame.header.frame_bytes();
    group.push_back({frame.header, frame.sum, bytes.substr(0, size), frame.stored});
    bytes.remove_prefix(size);
  }
  return group;
}

std::string behind_header(MemoryFiles& disk, const std::string& name) {
  return disk.content(name).substr(segment_header_bytes);
}

std::vector<std::string> names_under(const MemoryFiles& disk, const std::string& start) {
  std::vector<std::string> names;
  for (const auto& [name, bytes] : disk.snapshot())
    if (name.starts_with(start)) names.push_back(name);
  return names;
}

/// The commands of one file, as holdfast-check lists them.
std::string listed(MemoryFiles& disk, const std::string& name) {
  std::string all;
  REQUIRE(list_file(disk, name, {}, [&](const std::string& line) { all += line + "\n"; }).ok());
  return all;
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
    auto replica = std::make_unique<Writer>(small, fresh_start(cluster));
    for (const std::string& turn : primary.turns) REQUIRE(replica->mirror(frames_of(turn)).ok());
    drain(fresh, *replica, true);
    if (restarted) {
      RecoveryRun run = recover(fresh);
      REQUIRE(run.recovered());
      replica = std::make_unique<Writer>(small, std::get<Recovered>(run.outcome).resume);
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
  Writer replica(small, fresh_start(cluster));
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

// ---- cut and adopt
// -------------------------------------------------------------------------------------------------

TEST_CASE(
    "a cut that a crash breaks off at any step is finished by the next start, and what was cut is kept") {
  Primary primary;
  const LogOffset cut = primary.ends[5];
  Manifest manifest = primary.writer.manifest();
  manifest.cut = cut;
  manifest.durable_upto = cut;
  FileJob announced;
  add_manifest_steps(manifest, announced.steps);
  REQUIRE(primary.disk.run(announced).ok);
  const auto base = primary.disk.snapshot();

  MemoryFiles disk;
  disk.restore(base);
  const RecoveryRun plan = recover(disk);
  REQUIRE(plan.recovered());
  const FileJob job{.id = 1, .steps = plan.result().repair};
  REQUIRE(job.steps.size() > 5);
  // A crash in the middle of cutting leaves a torn tail, which is kept as the bytes it is.
  const auto whole = [](const std::string& name) {
    return name.ends_with(".aof") || name.ends_with("-from-0");
  };
  const auto keys_kept = [&](MemoryFiles& d) {
    std::string all;
    for (const std::string& name : names_under(d, "rescue/"))
      if (whole(name)) all += listed(d, name);
    return all;
  };
  Prng prng(3);
  for (size_t steps = 0; steps <= job.steps.size(); ++steps) {
    for (int round = 0; round < 6; ++round) {
      disk.restore(base);
      disk.run_part(job, steps, prng.below(40));
      INFO("crash behind step " << steps << " of " << job.steps.size() << ", round " << round);
      if (round == 0) CHECK(check_folder(disk, {}).soundness == Soundness::Sound);  // kill -9
      else disk.crash(prng);
      RecoveryRun run = recover(disk);
      REQUIRE(run.refusal() == "");
      repair(disk, run.result());
      CHECK(run.result().resume.end == cut);
      CHECK(run.seen.text.find(command_text(4, 150)) != std::string::npos);
      CHECK(run.seen.text.find(command_text(5, 150)) == std::string::npos);
      // The writer takes the announcement away with its first job, and what follows joins on.
      Writer writer(small, std::get<Recovered>(run.outcome).resume);
      writer.begin_reign({{2}, reign_id(2), writer.end()}, 1700000000002);
      drain(disk, writer, true);
      CHECK_FALSE(decode_manifest(disk.content(manifest_name))->cut);
      const RecoveryRun again = recover(disk);
      REQUIRE(again.refusal() == "");
      CHECK(again.result().resume.end == writer.end());
      const std::string kept = keys_kept(disk);
      for (size_t i = 5; i < 12; ++i) CHECK(kept.find("key:" + std::to_string(i) + " ") != std::string::npos);
      CHECK(kept.find("key:4 ") == std::string::npos);
      for (const std::string& name : names_under(disk, "rescue/"))
        if (whole(name)) CHECK(check_file(disk, name).soundness == Soundness::Sound);
      CHECK(check_folder(disk, {}).soundness == Soundness::Sound);
    }
  }
}

TEST_CASE("a cut on the boundary of a segment, and one at the log's end, leave what lies before them") {
  Primary primary;
  const auto names = names_under(primary.disk, "log-");
  for (const LogOffset cut : {*parse_segment_name(names[1]), primary.writer.end()}) {
    MemoryFiles disk;
    disk.restore(primary.disk.snapshot());
    Manifest manifest = primary.writer.manifest();
    manifest.cut = cut;
    manifest.durable_upto = cut;
    disk.content(manifest_name) = encode_manifest(manifest);
    RecoveryRun run = recover(disk);
    REQUIRE(run.refusal() == "");
    repair(disk, run.result());
    CHECK(run.result().resume.end == cut);
    const RecoveryRun again = recover(disk);
    REQUIRE(again.refusal() == "");
    CHECK(again.result().resume.end == cut);
    CHECK(check_folder(disk, {}).soundness == Soundness::Sound);
  }
}

TEST_CASE("a cut where the log begins finds what was trimmed before it still there, and removes it") {
  Primary primary;
  const auto names = names_under(primary.disk, "log-");
  REQUIRE(names.size() >= 3);
  const LogOffset cut = *parse_segment_name(names[1]);
  Manifest manifest = primary.writer.manifest();
  manifest.segments.erase(manifest.segments.begin());  // trimmed; the file goes later
  manifest.cut = cut;
  manifest.durable_upto = cut;
  primary.disk.content(manifest_name) = encode_manifest(manifest);
  primary.disk.content(snapshot_name(cut)) = "the snapshot's bytes";
  Recovery recovery(primary.disk, {.wall_ms = 1700000000000});
  Collected sink;
  recovery.open();
  REQUIRE(recovery.phase() == Recovery::Phase::LoadSnapshot);
  recovery.snapshot_loaded({.offset = cut, .cluster_id = cluster, .history = manifest.history, .epoch = {1}});
  while (recovery.phase() == Recovery::Phase::Replay) recovery.step(1 << 20, sink);
  REQUIRE(std::holds_alternative<Recovered>(recovery.outcome()));
  repair(primary.disk, std::get<Recovered>(recovery.outcome()));
  CHECK(std::get<Recovered>(recovery.outcome()).resume.end == cut);
  CHECK_FALSE(primary.disk.exists(names[0]));
}

TEST_CASE("a received snapshot takes the place of everything, whatever step a crash comes after") {
  Primary primary;
  const LogOffset at{5000};
  Manifest manifest;
  manifest.cluster_id = std::string(40, 'b');
  manifest.history.add({{4}, reign_id(4), {4000}});
  manifest.adopt = at;
  primary.disk.content(received_name(at)) = "the snapshot's bytes";
  primary.disk.content(received_name({4500})) = "an older transfer";
  primary.disk.content(snapshot_name({300})) = "an old snapshot";
  primary.disk.content(manifest_name) = encode_manifest(manifest);
  const auto base = primary.disk.snapshot();
  const SnapshotPoint point{.offset = at,
                            .previous_sum = 11,
                            .visible_offset = 4900,
                            .wall_ms = 1700000000000,
                            .cluster_id = manifest.cluster_id,
                            .history = manifest.history,
                            .epoch = {4}};
  const auto load = [&](MemoryFiles& disk) {
    Recovery recovery(disk, {.wall_ms = 1700000000000});
    Collected sink;
    recovery.open();
    REQUIRE(recovery.phase() == Recovery::Phase::LoadSnapshot);
    CHECK(recovery.snapshot().offset == at);
    CHECK(disk.content(recovery.snapshot().name) == "the snapshot's bytes");
    recovery.snapshot_loaded(point);
    while (recovery.phase() == Recovery::Phase::Replay) recovery.step(1 << 20, sink);
    CHECK(sink.groups.empty());
    REQUIRE(std::holds_alternative<Recovered>(recovery.outcome()));
    return std::get<Recovered>(std::move(recovery.outcome()));
  };
  MemoryFiles disk;
  disk.restore(base);
  const FileJob job{.id = 1, .steps = load(disk).repair};
  Prng prng(5);
  for (size_t steps = 0; steps <= job.steps.size(); ++steps) {
    for (int round = 0; round < 6; ++round) {
      INFO("crash behind step " << steps << " of " << job.steps.size() << ", round " << round);
      disk.restore(base);
      disk.run_part(job, steps, 0);
      if (round > 0) disk.crash(prng);
      if (round == 0) {  // kill -9: what holdfast-check says meanwhile
        const bool waits = disk.exists(received_name(at));
        const std::string name = waits ? received_name(at) : snapshot_name(at);
        const VerifiedSnapshot verified{{.name = name, .kind = "snapshot", .first = at, .end = at}, point};
        CHECK(check_folder(disk, {verified}).soundness == Soundness::Sound);
      }
      const Recovered recovered = load(disk);
      repair(disk, recovered);
      CHECK(recovered.resume.end == at);
      CHECK(recovered.resume.last_sum == 11);
      CHECK(names_under(disk, "full-").empty());
      CHECK(names_under(disk, "snapshot-") == std::vector<std::string>{snapshot_name(at)});
      CHECK(names_under(disk, "log-").empty());
    }
  }
}

TEST_CASE(
    "what a full sync throws away behind the shared end is saved first, whatever step a crash comes after") {
  Primary primary;
  const LogOffset at{5000}, shared = primary.ends[5];
  Manifest manifest;
  manifest.cluster_id = std::string(40, 'b');
  manifest.history.add({{4}, reign_id(4), {4000}});
  manifest.adopt = at;
  manifest.adopt_keeps = shared;
  primary.disk.content(received_name(at)) = "the snapshot's bytes";
  primary.disk.content(manifest_name) = encode_manifest(manifest);
  const auto base = primary.disk.snapshot();
  std::vector<std::string> said;
  const auto load = [&](MemoryFiles& disk) {
    Recovery recovery(disk, {.wall_ms = 1700000000000});
    Collected sink;
    recovery.open();
    REQUIRE(recovery.phase() == Recovery::Phase::LoadSnapshot);
    recovery.snapshot_loaded({.offset = at,
                              .previous_sum = 11,
                              .visible_offset = 4900,
                              .wall_ms = 1700000000000,
                              .cluster_id = manifest.cluster_id,
                              .history = manifest.history,
                              .epoch = {4}});
    while (recovery.phase() == Recovery::Phase::Replay) recovery.step(1 << 20, sink);
    REQUIRE(std::holds_alternative<Recovered>(recovery.outcome()));
    said = recovery.rescued();
    return std::get<Recovered>(std::move(recovery.outcome()));
  };
  MemoryFiles disk;
  disk.restore(base);
  const FileJob job{.id = 1, .steps = load(disk).repair};
  REQUIRE(said.size() >= 2);
  Prng prng(5);
  for (size_t steps = 0; steps <= job.steps.size(); ++steps) {
    for (int round = 0; round < 6; ++round) {
      INFO("crash behind step " << steps << " of " << job.steps.size() << ", round " << round);
      disk.restore(base);
      disk.run_part(job, steps, 0);
      if (round > 0) disk.crash(prng);
      repair(disk, load(disk));
      CHECK(names_under(disk, "log-").empty());
      std::string kept;
      for (const std::string& name : names_under(disk, "rescue/")) {
        kept += listed(disk, name);
        CHECK(check_file(disk, name).soundness == Soundness::Sound);
      }
      for (size_t i = 5; i < 12; ++i) CHECK(kept.find("key:" + std::to_string(i) + " ") != std::string::npos);
      CHECK(kept.find("key:0 ") == std::string::npos);
    }
  }
}

TEST_CASE("transfers that were broken off are removed at the next start") {
  Primary primary(2);
  primary.disk.content(received_name({4500})) = "half a file";
  RecoveryRun run = recover(primary.disk);
  REQUIRE(run.recovered());
  repair(primary.disk, run.result());
  CHECK_FALSE(primary.disk.exists(received_name({4500})));
}

// ---- the tail
// ------------------------------------------------------------------------------------------------------

namespace {

/// Reads from `from` to the end, `piece` bytes a read at most; empty optional: an error, which is in `error`.
std::optional<std::string> read_tail(MemoryFiles& disk, const Writer& writer, LogOffset from, size_t piece,
                                     std::string& error) {
  Tail tail(from);
  std::string all;
  for (int reads = 0; reads < 10'000; ++reads) {
    const auto step = tail.next_read(writer.manifest().segments, writer.written());
    if (!step) return error = step.error().message, std::nullopt;
    if (!*step) return all;
    const auto bytes = disk.read((*step)->name, (*step)->offset, std::min((*step)->length, uint64_t{piece}));
    const Status taken = tail.take(*bytes, [&](const FrameHeader&, Bytes frame) { all += frame; });
    if (!taken) return error = taken.error().message, std::nullopt;
  }
  FAIL("it never comes to an end");
  return {};
}

}  // namespace

TEST_CASE("the tail gives every frame from any boundary on, across segments, however small the reads are") {
  Primary primary;
  std::string error;
  for (size_t i = 0; i < primary.ends.size(); ++i) {
    std::string expected;
    for (size_t j = i + 1; j < primary.turns.size(); ++j) expected += primary.turns[j];
    for (const size_t piece : {1u << 20, 700u, 100u, 1u})
      CHECK(read_tail(primary.disk, primary.writer, primary.ends[i], piece, error) == expected);
  }
}

TEST_CASE("the tail passes on the same bytes in pieces, of frames larger than a read too, from any byte on") {
  Primary primary;
  primary.add(command_text(90, 3000));
  primary.add(command_text(91, 50));
  const auto& manifest = primary.writer.manifest();
  for (size_t i = 0; i < primary.ends.size(); ++i) {
    std::string expected;
    for (size_t j = i + 1; j < primary.turns.size(); ++j) expected += primary.turns[j];
    for (const size_t length : {1u << 20, 700u, 100u, 1u})
      for (const size_t had : {size_t{0}, size_t{1}, size_t{90}, size_t{150}}) {
        Tail tail(primary.ends[i]);
        if (had >= expected.size() || had >= primary.turns[std::min(i + 1, primary.turns.size() - 1)].size())
          continue;
        if (had > 0) tail.skip_part(had);
        std::string all;
        size_t largest = 0, held = 0;
        for (;;) {
          const auto step = tail.next_read(manifest.segments, primary.writer.written(), length);
          REQUIRE(step.ok());
          if (!*step) break;
          const auto bytes = primary.disk.read((*step)->name, (*step)->offset, (*step)->length);
          REQUIRE(tail.pass(*bytes,
                            [&](Bytes piece) {
                              all += piece;
                              largest = std::max(largest, piece.size());
                            })
                      .ok());
          held = std::max(held, tail.held_bytes());
        }
        CHECK(all == expected.substr(had));
        CHECK(tail.given() == 0);
        if (length == 700) CHECK(held < 3000);
        if (length <= 700) CHECK(largest <= 2 * 700);
      }
  }
}

TEST_CASE("a large frame that is damaged is said to be, behind its last piece") {
  Primary primary(2);
  primary.add(command_text(90, 3000));
  std::string& file = primary.disk.content(names_under(primary.disk, "log-").back());
  file[file.size() - 20] ^= 1;
  Tail tail(primary.ends[primary.ends.size() - 2]);
  for (;;) {
    const auto step = tail.next_read(primary.writer.manifest().segments, primary.writer.written(), 256);
    REQUIRE(step.ok());
    REQUIRE(*step);
    const auto bytes = primary.disk.read((*step)->name, (*step)->offset, (*step)->length);
    const Status passed = tail.pass(*bytes, [](Bytes) {});
    if (passed.ok()) continue;
    CHECK(passed.error().message.find("checksum mismatch in a frame's content") != std::string::npos);
    break;
  }
}

TEST_CASE("the tail follows a log that grows, and takes zeros written ahead for its end") {
  Primary primary(1);
  Tail tail(primary.ends[0]);
  std::string all, expected = primary.turns[1];
  const auto go_on = [&] {
    for (;;) {
      const auto step = tail.next_read(primary.writer.manifest().segments, primary.writer.written());
      REQUIRE(step.ok());
      if (!*step) return;
      const auto bytes = primary.disk.read((*step)->name, (*step)->offset, (*step)->length);
      REQUIRE(tail.take(*bytes, [&](const FrameHeader&, Bytes f) { all += f; }).ok());
    }
  };
  go_on();
  CHECK(all == expected);
  for (size_t i = 0; i < 12; ++i) {
    primary.add(command_text(50 + i, 120));
    expected += primary.turns.back();
    std::string& file = primary.disk.content(names_under(primary.disk, "log-").back());
    const size_t size = file.size();
    file.resize(size + 300, '\0');
    go_on();
    CHECK(all == expected);
    file.resize(size);
  }
}

TEST_CASE("what is written between a read and its arrival does not make the read's zeros damage") {
  Primary primary(2);
  std::string& file = primary.disk.content(names_under(primary.disk, "log-").back());
  for (const bool in_part : {false, true}) {
    Tail tail(primary.ends[1]);
    std::string all;
    const auto each = [&](const FrameHeader&, Bytes frame) { all += frame; };
    const LogOffset before = primary.writer.written();
    const auto step = tail.next_read(primary.writer.manifest().segments, before);
    REQUIRE(step.ok());
    const auto bytes = primary.disk.read((*step)->name, (*step)->offset, (*step)->length);
    const size_t size = file.size();
    primary.add(command_text(60, 50));
    const std::string late = in_part ? file.substr(size, 20) + std::string(60, '\0') : std::string(300, '\0');
    const size_t turn = primary.turns.size() - 2;
    REQUIRE(tail.take(*bytes + late, each).ok());
    CHECK(tail.next() == before);
    const auto more = tail.next_read(primary.writer.manifest().segments, primary.writer.written());
    REQUIRE(more.ok());
    REQUIRE(*more);
    const auto rest = primary.disk.read((*more)->name, (*more)->offset, (*more)->length);
    REQUIRE(tail.take(*rest, each).ok());
    CHECK(tail.next() == primary.writer.written());
    CHECK(all.ends_with(primary.turns[turn] + primary.turns[turn + 1]));
  }
}

TEST_CASE("a log trimmed behind a place, damage, and a file that became shorter are errors that say where") {
  Primary primary;
  std::string error;
  const auto names = names_under(primary.disk, "log-");
  Tail early(primary.ends[0]);
  auto segments = primary.writer.manifest().segments;
  segments.erase(segments.begin(), segments.begin() + 2);
  const auto trimmed = early.next_read(segments, primary.writer.written());
  REQUIRE_FALSE(trimmed.ok());
  CHECK(trimmed.error().message.find("no longer reaches back to offset") != std::string::npos);

  const auto base = primary.disk.snapshot();
  for (size_t byte = segment_header_bytes; byte < base.at(names[1]).size(); byte += 37) {
    primary.disk.restore(base);
    primary.disk.content(names[1])[byte] ^= 0x20;
    CHECK_FALSE(read_tail(primary.disk, primary.writer, primary.ends[0], 1 << 20, error));
    CHECK(error.find(names[1]) != std::string::npos);
    CHECK(error.find("holdfast-check") != std::string::npos);
  }
  primary.disk.restore(base);
  primary.disk.content(names[1]).resize(segment_header_bytes + 50);
  CHECK_FALSE(read_tail(primary.disk, primary.writer, primary.ends[0], 1 << 20, error));
  CHECK(error.find("before what was written") != std::string::npos);
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
