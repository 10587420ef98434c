// Reads on this thread, writes through a lane: it opens without following links and stays in the folder.
#include "edge/backup_copy.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace hf::edge {
namespace {

constexpr uint64_t chunk_bytes = 4 << 20;
constexpr int plans_max = 5;

Status sync_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Error{path + ": " + std::strerror(errno), errno};
  const bool synced = fdatasync(fd) == 0;
  const int code = errno;
  ::close(fd);
  return synced ? ok() : Status(Error{"syncing " + path + ": " + std::strerror(code), code});
}

}  // namespace

BackupCopy::BackupCopy(const std::string& from, const std::string& into, Progress progress)
    : from_(from), source_(from), target_(into), lanes_(into, [] {}), progress_(std::move(progress)) {}

Result<log::BackupPlan> BackupCopy::run() {
  for (int i = 1;; ++i) {
    auto plan = run_once();
    if (plan || plan.error().code != ENOENT || i >= plans_max) return plan;  // else trimmed while we looked
  }
}

Result<log::BackupPlan> BackupCopy::run_once() {
  source_.hold(false);
  auto plan = log::plan_backup(source_, target_);
  if (!plan) return plan.error();
  if (Status synced = sync_file(from_ + "/" + plan->sync_first); !synced) return synced.error();
  const uint64_t total = done_ + plan->bytes;
  for (log::BackupAction& action : plan->actions) {
    source_.hold(true);
    for (uint64_t at = action.from; at < action.to;) {
      auto bytes = source_.read(action.name, at, std::min(chunk_bytes, action.to - at));
      if (!bytes) return bytes.error();
      if (bytes->empty()) return Error{action.name + " became shorter while it was copied", ENOENT};
      const uint64_t here = at;
      at += bytes->size(), done_ += bytes->size();
      if (Status written = perform({{.kind = FileStep::Kind::Write,
                                     .name = action.as,
                                     .offset = here,
                                     .bytes = std::move(*bytes)}});
          !written)
        return written.error();
      if (!progress_(done_, total)) return Error{"it was given up"};
    }
    // A snapshot is copied whole; one of the same offset may have taken its place since its size was looked
    // at.
    if (action.as != action.name) {
      const auto more = source_.read(action.name, action.to, 1);
      if (!more) return more.error();
      if (!more->empty()) return Error{action.name + " became another file while it was copied", ENOENT};
    }
    if (Status finished = perform(std::move(action.steps)); !finished) return finished.error();
  }
  return plan;
}

Status BackupCopy::leave(const log::BackupRecord& record) {
  std::vector<FileStep> steps;
  log::add_backup_record_steps(record, steps);
  return perform(std::move(steps));
}

/// On the lane of low priority: a backup takes neither processor nor disk from those who are served.
Status BackupCopy::perform(std::vector<FileStep> steps) {
  lanes_.submit({.id = ++last_id_, .lane = Lane::Snapshot, .steps = std::move(steps)});
  lanes_.drain();
  for (const FileJobDone& done : lanes_.take_done())
    if (!done.ok) return Error{"in the backup folder, " + done.message};
  return ok();
}

}  // namespace hf::edge
