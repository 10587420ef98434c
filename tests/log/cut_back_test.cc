// A replica's log cut back where two histories parted, or replaced by a received snapshot. Crashes come after
// every step, and what goes away is kept aside first.
#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <optional>

#include "log/check.h"
#include "log/list.h"
#include "log_support.h"
#include "primary.h"

using namespace hf;
using namespace hf::log;
using namespace hf::test;

namespace {

/// The commands of one file, as holdfast-check lists them.
std::string listed(MemoryFiles& disk, const std::string& name) {
  std::string all;
  REQUIRE(list_file(disk, name, {}, [&](const std::string& line) { all += line + "\n"; }).ok());
  return all;
}

/// Every way in which a crash can break `job` off: behind each of its steps, the next one's write cut short;
/// by kill -9 (`killed`), then by power cuts that keep different parts of what was not synced. `then` gets
/// the disk as it is left.
void for_each_crash(const std::map<std::string, std::string>& base, const FileJob& job, uint64_t seed,
                    const std::function<void(MemoryFiles& disk, bool killed)>& then) {
  MemoryFiles disk;
  Prng prng(seed);
  for (size_t steps = 0; steps <= job.steps.size(); ++steps) {
    for (int round = 0; round < 6; ++round) {
      INFO("crash behind step " << steps << " of " << job.steps.size() << ", round " << round);
      disk.restore(base);
      disk.run_part(job, steps, prng.below(40));
      if (round > 0) disk.crash(prng);
      then(disk, round == 0);
    }
  }
}

struct Loaded {
  Recovered recovered;
  std::vector<std::string> rescued;
};

/// Recovers a folder whose whole state is in a snapshot; `point` is what the snapshot says of itself.
Loaded load(MemoryFiles& disk, const SnapshotPoint& point) {
  Recovery recovery(disk, {.wall_ms = 1700000000000});
  Collected sink;
  recovery.open();
  REQUIRE(recovery.phase() == Recovery::Phase::LoadSnapshot);
  CHECK(recovery.snapshot().offset == point.offset);
  CHECK(disk.content(recovery.snapshot().name) == "the snapshot's bytes");
  recovery.snapshot_loaded(point);
  while (recovery.phase() == Recovery::Phase::Replay) recovery.step(1 << 20, sink);
  CHECK(sink.groups.empty());
  REQUIRE(std::holds_alternative<Recovered>(recovery.outcome()));
  return {std::get<Recovered>(std::move(recovery.outcome())), recovery.rescued()};
}

/// A primary's data set that is to take this folder's place, in a file received up to `at`.
struct Received {
  LogOffset at{5000};
  Manifest manifest;
  SnapshotPoint point;

  explicit Received(MemoryFiles& disk, std::optional<LogOffset> keeps = {}) {
    manifest.cluster_id = std::string(40, 'b');
    manifest.history.add({{4}, reign_id(4), {4000}});
    manifest.adopt = at;
    manifest.adopt_keeps = keeps;
    disk.content(received_name(at)) = "the snapshot's bytes";
    disk.content(manifest_name) = encode_manifest(manifest);
    point = {.offset = at,
             .previous_sum = 11,
             .visible_offset = 4900,
             .wall_ms = 1700000000000,
             .cluster_id = manifest.cluster_id,
             .history = manifest.history,
             .epoch = {4}};
  }
};

}  // namespace

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

  const FileJob job = [&] {
    MemoryFiles disk;
    disk.restore(base);
    const RecoveryRun plan = recover(disk);
    REQUIRE(plan.recovered());
    return FileJob{.id = 1, .steps = plan.result().repair};
  }();
  REQUIRE(job.steps.size() > 5);
  // A crash in the middle of cutting leaves a torn tail, which is kept as the bytes it is.
  const auto whole = [](const std::string& name) {
    return name.ends_with(".aof") || name.ends_with("-from-0");
  };
  for_each_crash(base, job, 3, [&](MemoryFiles& disk, bool killed) {
    if (killed) CHECK(check_folder(disk, {}).soundness == Soundness::Sound);
    RecoveryRun run = recover(disk);
    REQUIRE(run.refusal() == "");
    repair(disk, run.result());
    CHECK(run.result().resume.end == cut);
    CHECK(run.seen.text.find(command_text(4, 150)) != std::string::npos);
    CHECK(run.seen.text.find(command_text(5, 150)) == std::string::npos);
    // The writer takes the announcement away with its first job, and what follows joins on.
    Writer writer(small_segments, std::get<Recovered>(run.outcome).resume);
    writer.begin_reign({{2}, reign_id(2), writer.end()}, 1700000000002);
    drain(disk, writer, true);
    CHECK_FALSE(decode_manifest(disk.content(manifest_name))->cut);
    const RecoveryRun again = recover(disk);
    REQUIRE(again.refusal() == "");
    CHECK(again.result().resume.end == writer.end());
    std::string kept;
    for (const std::string& name : names_under(disk, "rescue/")) {
      if (!whole(name)) continue;
      kept += listed(disk, name);
      CHECK(check_file(disk, name).soundness == Soundness::Sound);
    }
    for (size_t i = 5; i < 12; ++i) CHECK(kept.find("key:" + std::to_string(i) + " ") != std::string::npos);
    CHECK(kept.find("key:4 ") == std::string::npos);
    CHECK(check_folder(disk, {}).soundness == Soundness::Sound);
  });
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
  const Loaded loaded = load(
      primary.disk, {.offset = cut, .cluster_id = cluster, .history = manifest.history, .epoch = {1}});
  repair(primary.disk, loaded.recovered);
  CHECK(loaded.recovered.resume.end == cut);
  CHECK_FALSE(primary.disk.exists(names[0]));
}

TEST_CASE("a received snapshot takes the place of everything, whatever step a crash comes after") {
  Primary primary;
  const Received received(primary.disk);
  const LogOffset at = received.at;
  primary.disk.content(received_name({4500})) = "an older transfer";
  primary.disk.content(snapshot_name({300})) = "an old snapshot";
  const auto base = primary.disk.snapshot();
  const FileJob job{.id = 1, .steps = load(primary.disk, received.point).recovered.repair};
  for_each_crash(base, job, 5, [&](MemoryFiles& disk, bool killed) {
    if (killed) {  // what holdfast-check says meanwhile
      const std::string name = disk.exists(received_name(at)) ? received_name(at) : snapshot_name(at);
      const VerifiedSnapshot verified{{.name = name, .kind = "snapshot", .first = at, .end = at},
                                      received.point};
      CHECK(check_folder(disk, {verified}).soundness == Soundness::Sound);
    }
    const Recovered recovered = load(disk, received.point).recovered;
    repair(disk, recovered);
    CHECK(recovered.resume.end == at);
    CHECK(recovered.resume.last_sum == 11);
    CHECK(names_under(disk, "full-").empty());
    CHECK(names_under(disk, "snapshot-") == std::vector<std::string>{snapshot_name(at)});
    CHECK(names_under(disk, "log-").empty());
  });
}

TEST_CASE(
    "what a full sync throws away behind the shared end is saved first, whatever step a crash comes after") {
  Primary primary;
  const Received received(primary.disk, primary.ends[5]);
  const auto base = primary.disk.snapshot();
  const Loaded loaded = load(primary.disk, received.point);
  REQUIRE(loaded.rescued.size() >= 2);
  for_each_crash(base, {.id = 1, .steps = loaded.recovered.repair}, 5, [&](MemoryFiles& disk, bool) {
    repair(disk, load(disk, received.point).recovered);
    CHECK(names_under(disk, "log-").empty());
    std::string kept;
    for (const std::string& name : names_under(disk, "rescue/")) {
      kept += listed(disk, name);
      CHECK(check_file(disk, name).soundness == Soundness::Sound);
    }
    for (size_t i = 5; i < 12; ++i) CHECK(kept.find("key:" + std::to_string(i) + " ") != std::string::npos);
    CHECK(kept.find("key:0 ") == std::string::npos);
  });
}

TEST_CASE("transfers that were broken off are removed at the next start") {
  Primary primary(2);
  primary.disk.content(received_name({4500})) = "half a file";
  RecoveryRun run = recover(primary.disk);
  REQUIRE(run.recovered());
  repair(primary.disk, run.result());
  CHECK_FALSE(primary.disk.exists(received_name({4500})));
}
