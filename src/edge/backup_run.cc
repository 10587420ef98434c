// Reads on this thread, writes through the lanes: they open without following links and stay in the folder.
#include "edge/backup_run.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>

#include "edge/bar.h"
#include "edge/data_folder.h"
#include "edge/file_lanes.h"
#include "edge/posix_files.h"
#include "log/backup.h"

namespace hf::edge {
namespace {

constexpr uint64_t chunk_bytes = 4 << 20;
constexpr int plans_max = 5;

MonoUs mono_now() {
  timespec mono{};
  clock_gettime(CLOCK_MONOTONIC, &mono);
  return mono.tv_sec * 1'000'000 + mono.tv_nsec / 1000;
}

Status sync_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Error{path + ": " + std::strerror(errno), errno};
  const bool synced = fdatasync(fd) == 0;
  const int code = errno;
  ::close(fd);
  return synced ? ok() : Status(Error{"syncing " + path + ": " + std::strerror(code), code});
}

class Copier {
 public:
  Copier(const std::string& from, const std::string& into)
      : from_(from), source_(from), target_(into), lanes_(into, [] {}) {}

  Result<log::BackupPlan> run() {
    auto plan = log::plan_backup(source_, target_);
    if (!plan) return plan.error();
    if (Status synced = sync_file(from_ + "/" + plan->sync_first); !synced) return synced.error();
    uint64_t done = 0;
    for (log::BackupAction& action : plan->actions) {
      for (uint64_t at = action.from; at < action.to;) {
        auto bytes = source_.read(action.name, at, std::min(chunk_bytes, action.to - at));
        if (!bytes) return bytes.error();
        if (bytes->empty()) return Error{action.name + " became shorter while it was copied", ENOENT};
        const uint64_t here = at;
        at += bytes->size(), done += bytes->size();
        if (Status written = perform({{.kind = FileStep::Kind::Write,
                                       .name = action.as,
                                       .offset = here,
                                       .bytes = std::move(*bytes)}});
            !written)
          return written.error();
        bar_.show(done, plan->bytes, mono_now());
      }
      if (Status finished = perform(std::move(action.steps)); !finished) return finished.error();
    }
    bar_.clear();
    return plan;
  }

 private:
  Status perform(std::vector<FileStep> steps) {
    lanes_.submit({.id = ++last_id_, .lane = Lane::Log, .steps = std::move(steps)});
    lanes_.drain();
    for (const FileJobDone& done : lanes_.take_done())
      if (!done.ok) return Error{"in the backup folder, " + done.message};
    return ok();
  }

  std::string from_;
  PosixFiles source_, target_;
  FileLanes lanes_;
  Bar bar_;
  uint64_t last_id_ = 0;
};

int complain(const std::string& what) {
  std::fprintf(stderr, "holdfast-server: %s\n", what.c_str());
  return 1;
}

}  // namespace

int backup_to(const std::string& from, const std::string& into) {
  namespace fs = std::filesystem;
  std::error_code failed;
  if (!fs::is_directory(from, failed))
    return complain("there is no data folder " + from + " (--dir names it)");
  if (fs::equivalent(from, into, failed)) return complain("a folder can't be its own backup");
  auto folder = DataFolder::open(into);
  if (!folder) return complain(folder.error().message);
  for (int i = 1;; ++i) {
    const auto plan = Copier(from, folder->path()).run();
    if (!plan && plan.error().code == ENOENT && i < plans_max) continue;  // trimmed while we looked
    if (!plan) return complain("the backup failed: " + plan.error().message);
    std::printf("Copied %.1f MB: the backup in %s holds the log from offset %llu to %llu\n",
                static_cast<double>(plan->bytes) / 1e6, into.c_str(),
                static_cast<unsigned long long>(plan->begin.value),
                static_cast<unsigned long long>(plan->end.value));
    return 0;
  }
}

}  // namespace hf::edge
