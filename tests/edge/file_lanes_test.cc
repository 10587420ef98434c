// File jobs on real files: order, failures, and names that must not leave the folder.
#include "edge/file_lanes.h"

#include <sys/stat.h>

#include <atomic>
#include <catch2/catch.hpp>

#include "edge/posix_files.h"
#include "temp_folder.h"

using namespace hf;
using Kind = FileStep::Kind;

namespace {
FileStep step(Kind kind, std::string name, std::string bytes = "", uint64_t offset = 0, std::string to = "") {
  FileStep s{};
  s.kind = kind, s.name = std::move(name), s.bytes = std::move(bytes), s.offset = offset,
  s.to = std::move(to);
  return s;
}
FileJobDone run(edge::FileLanes& lanes, std::vector<FileStep> steps) {
  static uint64_t id = 0;
  lanes.submit({++id, Lane::Log, std::move(steps)});
  lanes.drain();
  const auto done = lanes.take_done();
  REQUIRE(done.size() == 1);
  CHECK(done[0].id == id);
  return done[0];
}
}  // namespace

TEST_CASE("steps of a job are carried out in order") {
  const TempFolder folder;
  edge::FileLanes lanes(folder.path(), [] {});
  FileStep append = step(Kind::Append, "a");
  append.produce = [] { return std::string("!?"); };
  CHECK(run(lanes, {step(Kind::Write, "a", "hello world", 0), step(Kind::Write, "a", "W", 6), append,
                    step(Kind::Sync, "a"), step(Kind::SyncDir, "")})
            .ok);
  CHECK(folder.read("a") == "hello World!?");
  struct stat info {};
  REQUIRE(stat((folder.path() + "/a").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  CHECK(run(lanes, {step(Kind::Truncate, "a", "", 5)}).ok);
  CHECK(folder.read("a") == "hello");
}

TEST_CASE("after a rename, writing under the old name makes a new file") {
  const TempFolder folder;
  edge::FileLanes lanes(folder.path(), [] {});
  for (const std::string text : {"one", "two"})
    CHECK(
        run(lanes, {step(Kind::Remove, "M.new"), step(Kind::Write, "M.new", text), step(Kind::Sync, "M.new"),
                    step(Kind::Rename, "M.new", "", 0, "M"), step(Kind::SyncDir, "")})
            .ok);
  CHECK(folder.read("M") == "two");
  CHECK(!folder.has("M.new"));
  CHECK(run(lanes, {step(Kind::Write, "M", "2", 0)}).ok);
  CHECK(folder.read("M") == "2wo");
}

TEST_CASE("folders are made and synced; making twice and removing what is gone are fine") {
  const TempFolder folder;
  edge::FileLanes lanes(folder.path(), [] {});
  CHECK(run(lanes,
            {step(Kind::MakeDir, "rescue"), step(Kind::MakeDir, "rescue"), step(Kind::Write, "rescue/x", "y"),
             step(Kind::SyncDir, "rescue"), step(Kind::Remove, "gone")})
            .ok);
  CHECK(folder.read("rescue/x") == "y");
}

TEST_CASE("the first failing step ends its job and is named") {
  const TempFolder folder;
  edge::FileLanes lanes(folder.path(), [] {});
  const FileJobDone done = run(lanes, {step(Kind::Write, "a", "x"), step(Kind::Truncate, "missing", "", 0),
                                       step(Kind::Write, "b", "never")});
  CHECK(!done.ok);
  CHECK(done.failed_step == 1);
  CHECK(done.failed_kind == Kind::Truncate);
  CHECK(done.code == ENOENT);
  CHECK(done.message == "cutting missing failed: No such file or directory");
  CHECK(!folder.has("b"));
}

TEST_CASE("a name that leaves the folder is refused") {
  const TempFolder folder;
  edge::FileLanes lanes(folder.path(), [] {});
  for (const char* name : {"/etc/x", "../x", "a/../../x", "", ".", "a//b"})
    CHECK(run(lanes, {step(Kind::Write, name, "x")}).code == EINVAL);
  CHECK(run(lanes, {step(Kind::Write, "a", "x"), step(Kind::Rename, "a", "", 0, "../b")}).code == EINVAL);
}

TEST_CASE("jobs of one lane end in order, and each end wakes the owner") {
  const TempFolder folder;
  std::atomic<int> wakes = 0;
  edge::FileLanes lanes(folder.path(), [&] { ++wakes; });
  for (uint64_t id = 1; id <= 200; ++id)
    for (const Lane lane : {Lane::Log, Lane::Sync, Lane::Snapshot})
      lanes.submit({id, lane, {step(Kind::Write, "f" + std::to_string(static_cast<int>(lane)), "z", id)}});
  lanes.drain();
  uint64_t last[3] = {};
  const auto all = lanes.take_done();
  CHECK(all.size() == 600);
  for (const FileJobDone& done : all) {
    CHECK(done.ok);
    CHECK(done.id == ++last[static_cast<size_t>(done.lane)]);
  }
  CHECK(wakes == 600);
}

TEST_CASE("a file that was removed and written again is read anew, not from the one that was open") {
  const TempFolder folder;
  edge::FileLanes lanes(folder.path(), [] {});
  edge::PosixFiles files(folder.path());
  CHECK(run(lanes, {step(Kind::Write, "a", "first")}).ok);
  CHECK(*files.read("a", 0, 100) == "first");
  CHECK(run(lanes, {step(Kind::Remove, "a"), step(Kind::Write, "a", "second")}).ok);
  CHECK(*files.read("a", 0, 100) == "second");
  CHECK(run(lanes, {step(Kind::Write, "b", "third"), step(Kind::Rename, "b", "", 0, "a")}).ok);
  CHECK(*files.read("a", 0, 100) == "third");
  CHECK(run(lanes, {step(Kind::Remove, "a")}).ok);
  CHECK(!files.read("a", 0, 100));
}
