// holdfast-check's decision: sound, damaged or unusable, and the file that is to blame.
#include <catch2/catch.hpp>

#include "log/check.h"
#include "log_support.h"

using namespace hf;
using namespace hf::log;
using namespace hf::test;

namespace {

const std::string segment0 = "log-00000000000000000000.aof";

void fill(MemoryFiles& disk, bool sync) {
  Writer writer({.segment_bytes = 600, .salt_seed = 5}, fresh_start(cluster));
  writer.begin_reign({{1}, reign_id(1), {0}}, 1700000000000);
  for (uint64_t i = 0; i < 12; ++i) {
    append(writer, command_text(i, 50));
    drain(disk, writer, sync);
  }
}

const FileReport& file(const FolderReport& report, const std::string& name) {
  for (const FileReport& f : report.files)
    if (f.name == name) return f;
  FAIL("no report on " << name);
  return report.files.front();
}

}  // namespace

TEST_CASE("a sound folder is sound, and its files are counted") {
  MemoryFiles disk;
  fill(disk, true);
  const auto before = disk.snapshot();
  const FolderReport report = check_folder(disk, {});
  CHECK(report.soundness == Soundness::Sound);
  CHECK(report.files.front().name == "MANIFEST");
  uint64_t frames = 0;
  for (const FileReport& f : report.files) frames += f.kind == "segment" ? f.items : 0;
  CHECK(frames == 13);
  CHECK(report.end == report.files.back().end);
  CHECK(report.verdict.find("would start at offset") != std::string::npos);
  CHECK(disk.snapshot() == before);
}

TEST_CASE("a torn tail is sound and said so") {
  MemoryFiles disk;
  fill(disk, false);
  const std::string last = disk.snapshot().rbegin()->first;
  disk.content(last).pop_back();
  const FolderReport report = check_folder(disk, {});
  CHECK(report.soundness == Soundness::Sound);
  CHECK(file(report, last).finding.find("torn tail of") != std::string::npos);
  CHECK(report.verdict.find("torn tail") != std::string::npos);
}

TEST_CASE("what lies under rescue is listed, and makes a folder neither better nor worse") {
  MemoryFiles disk;
  fill(disk, false);
  disk.content("rescue/2-0-9.aof") = disk.content(segment0);
  disk.content("rescue/1700000000000-" + std::string(segment0) + "-from-7") = "half a frame";
  const FolderReport report = check_folder(disk, {});
  CHECK(report.soundness == Soundness::Sound);
  const FileReport& cut = file(report, "rescue/2-0-9.aof");
  CHECK(cut.kind == "rescue");
  CHECK(cut.items > 0);
  CHECK(cut.finding == "kept aside, cut off the log; --list rescue/2-0-9.aof shows it");
  const FileReport& torn = file(report, "rescue/1700000000000-" + std::string(segment0) + "-from-7");
  CHECK(torn.kind == "rescue");
  CHECK(torn.bytes == 12);
  CHECK(torn.soundness == Soundness::Sound);
}

TEST_CASE("damage in any segment is found, with the byte, also below the snapshot in use") {
  MemoryFiles disk;
  fill(disk, true);
  const Manifest manifest = *decode_manifest(disk.content("MANIFEST"));
  REQUIRE(manifest.segments.size() > 2);
  disk.content(segment0)[segment_header_bytes + 100] ^= 1;
  const FolderReport report = check_folder(disk, {});
  CHECK(report.soundness == Soundness::Damaged);
  CHECK(file(report, segment0).finding.find("byte 96") == 0);
  CHECK(report.verdict.find("refuse to start") != std::string::npos);

  // A snapshot above the damage lets the server start; the folder is damaged all the same.
  const std::string second = segment_name(manifest.segments[1].first);
  const auto header = decode_segment_header(disk.content(second));
  const SnapshotPoint point{header->first, header->previous_sum, header->visible_offset, 0,
                            cluster,       manifest.history};
  VerifiedSnapshot snapshot{{.name = snapshot_name(header->first), .kind = "snapshot"}, point};
  disk.content(snapshot.report.name) = "a snapshot";
  const FolderReport again = check_folder(disk, {snapshot});
  CHECK(again.soundness == Soundness::Damaged);
  CHECK(again.verdict.find("would start at offset") != std::string::npos);
}

TEST_CASE("folders without data, of a newer version or unreadable are unusable") {
  MemoryFiles disk;
  CHECK(check_folder(disk, {}).soundness == Soundness::Unusable);
  disk.content("notes.txt") = "hello";
  CHECK(check_folder(disk, {}).soundness == Soundness::Unusable);
  disk.remove("notes.txt");
  fill(disk, true);
  disk.content(segment0)[8] = 2;
  CHECK(check_folder(disk, {}).soundness == Soundness::Unusable);
}

TEST_CASE("frames that hold no commands are damage even when every sum is right") {
  MemoryFiles disk;
  Writer writer({}, fresh_start(cluster));
  append(writer, "this is no command");
  drain(disk, writer, true);
  const FolderReport report = check_folder(disk, {});
  CHECK(report.soundness == Soundness::Damaged);
  CHECK(report.verdict.find("not a command") != std::string::npos);
}

TEST_CASE("a missing segment and a damaged snapshot are damage") {
  MemoryFiles disk;
  fill(disk, true);
  disk.content(snapshot_name({33})) = "broken";
  const VerifiedSnapshot broken{{.name = snapshot_name({33}),
                                 .kind = "snapshot",
                                 .soundness = Soundness::Damaged,
                                 .finding = "byte 0: broken"},
                                {}};
  FolderReport report = check_folder(disk, {broken});
  CHECK(report.soundness == Soundness::Damaged);
  CHECK(report.verdict.find("would start") != std::string::npos);
  disk.remove(disk.snapshot().rbegin()->first);
  disk.remove(segment0);
  report = check_folder(disk, {});
  CHECK(report.soundness == Soundness::Damaged);
}

TEST_CASE("whatever byte is flipped, the folder is called unsound exactly when the server would refuse it") {
  MemoryFiles disk;
  fill(disk, true);
  const auto folder = disk.snapshot();
  for (const auto& [name, good] : folder) {
    for (size_t i = 0; i < good.size(); ++i) {
      disk.restore(folder);
      disk.content(name)[i] = static_cast<char>(~good[i]);
      const bool refused = recover(disk).refusal() != "";
      INFO(name << " byte " << i);
      REQUIRE((check_folder(disk, {}).soundness != Soundness::Sound) == refused);
    }
  }
}
