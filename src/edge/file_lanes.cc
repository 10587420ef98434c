// Carries out file jobs with plain POSIX calls, step by step; the first step that fails ends its job.
#include "edge/file_lanes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

#include "base/check.h"
#include "edge/leftover.h"

namespace hf::edge {
namespace {

/// True for a path that stays below the data folder. Names come from the node, but one that was built from
/// outside data must still not reach /etc.
bool stays_inside(const std::string& name) {
  if (name.empty() || name[0] == '/' || name.find('\0') != std::string::npos) return false;
  size_t at = 0;
  while (at <= name.size()) {
    const size_t end = std::min(name.find('/', at), name.size());
    const std::string part = name.substr(at, end - at);
    if (part.empty() || part == "." || part == "..") return false;
    at = end + 1;
  }
  return true;
}

/// A kernel without preemption keeps the processor for as long as a call takes, whatever the priority of the
/// thread: a megabyte into fresh pages took 4.5 ms, which the loop, or whoever shares the core, had to wait
/// for.
constexpr size_t bytes_a_write = 32 * 1024;

bool write_all(int fd, Bytes bytes, off_t offset) {
  while (!bytes.empty()) {
    const ssize_t n = pwrite(fd, bytes.data(), std::min(bytes.size(), bytes_a_write), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    if (n == 0) return errno = ENOSPC, false;
    bytes.remove_prefix(static_cast<size_t>(n));
    offset += n;
  }
  return true;
}

bool append_all(int fd, Bytes bytes) {
  struct stat info {};
  return fstat(fd, &info) == 0 && write_all(fd, bytes, info.st_size);
}

bool read_all(int fd, std::string& bytes, uint64_t length, off_t offset) {
  bytes.resize(length);
  size_t have = 0;
  while (have < length) {
    const ssize_t n = pread(fd, bytes.data() + have, length - have, offset + static_cast<off_t>(have));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    if (n == 0) break;
    have += static_cast<size_t>(n);
  }
  bytes.resize(have);
  return true;
}

const char* verb(FileStep::Kind kind) {
  switch (kind) {
    case FileStep::Kind::Write:
    case FileStep::Kind::Append: return "writing";
    case FileStep::Kind::Sync: return "syncing";
    case FileStep::Kind::SyncDir: return "syncing the folder";
    case FileStep::Kind::Truncate: return "cutting";
    case FileStep::Kind::Rename: return "renaming";
    case FileStep::Kind::Remove: return "removing";
    case FileStep::Kind::MakeDir: return "making the folder";
    case FileStep::Kind::Read: return "reading";
  }
  return "";
}

/// What this thread has kept a processor busy.
int64_t cpu_us() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return time.tv_sec * 1'000'000 + time.tv_nsec / 1000;
}

/// True when it worked; false leaves errno.
bool perform_step(OpenFiles& files, Lane lane, FileStep& step) {
  using Kind = FileStep::Kind;
  const bool data_folder = step.kind == Kind::SyncDir && step.name.empty();
  if (!data_folder && !stays_inside(step.name)) return errno = EINVAL, false;
  switch (step.kind) {
    case Kind::Write: {
      const auto file = files.open(lane, step.name, true);
      return file && write_all(file->fd, step.bytes, static_cast<off_t>(step.offset));
    }
    case Kind::Append: {
      const std::string bytes = step.produce ? step.produce() : std::move(step.bytes);
      const auto file = files.open(lane, step.name, true);
      return file && append_all(file->fd, bytes);
    }
    case Kind::Sync: {
      const auto file = files.open(lane, step.name, false);
      return file && fdatasync(file->fd) == 0;
    }
    case Kind::SyncDir: {
      if (data_folder) return fsync(files.folder_fd()) == 0;
      const OpenFiles::Descriptor folder(
          openat(files.folder_fd(), step.name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      return folder.fd >= 0 && fsync(folder.fd) == 0;
    }
    case Kind::Truncate: {
      const auto file = files.open(lane, step.name, false);
      return file && ftruncate(file->fd, static_cast<off_t>(step.offset)) == 0;
    }
    case Kind::Rename: {
      if (!stays_inside(step.to)) return errno = EINVAL, false;
      if (renameat(files.folder_fd(), step.name.c_str(), files.folder_fd(), step.to.c_str()) != 0)
        return false;
      files.forget(step.name);
      files.forget(step.to);
      return true;
    }
    case Kind::Remove:
      files.forget(step.name);
      return unlinkat(files.folder_fd(), step.name.c_str(), 0) == 0 || errno == ENOENT;
    case Kind::MakeDir: return mkdirat(files.folder_fd(), step.name.c_str(), 0700) == 0 || errno == EEXIST;
    case Kind::Read: {
      const auto file = files.open(lane, step.name, false);
      return file && read_all(file->fd, step.bytes, step.length, static_cast<off_t>(step.offset));
    }
  }
  return errno = EINVAL, false;
}

}  // namespace

OpenFiles::Descriptor::~Descriptor() {
  if (fd >= 0) ::close(fd);
}

OpenFiles::OpenFiles(const std::string& folder)
    : folder_fd_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  HF_CHECK(folder_fd_ >= 0);
}

OpenFiles::~OpenFiles() { ::close(folder_fd_); }

OpenFiles::Handle OpenFiles::open(Lane lane, const std::string& name, bool create) {
  const std::lock_guard lock(mutex_);
  for (auto it = recent_.begin(); it != recent_.end(); ++it) {
    if (it->lane != lane || it->name != name) continue;
    recent_.splice(recent_.begin(), recent_, it);
    return it->handle;
  }
  const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT : 0);
  const int fd = openat(folder_fd_, name.c_str(), flags, 0600);
  if (fd < 0) return nullptr;
  recent_.push_front({lane, name, std::make_shared<Descriptor>(fd)});
  if (recent_.size() > open_max) recent_.pop_back();
  return recent_.front().handle;
}

void OpenFiles::forget(const std::string& name) {
  const std::lock_guard lock(mutex_);
  recent_.remove_if([&](const Open& open) { return open.name == name; });
}

FileLanes::FileLanes(const std::string& folder, std::function<void()> wake)
    : files_(folder), wake_(std::move(wake)) {
  for (const Lane lane : {Lane::Log, Lane::Sync, Lane::Snapshot, Lane::Transfer}) {
    LaneState& state = lanes_[static_cast<size_t>(lane)];
    state.thread = std::thread([this, lane, &state] { run(lane, state, false); });
  }
  LaneState& snapshots = lanes_[static_cast<size_t>(Lane::Snapshot)];
  snapshots.with_a_share = std::thread([this, &snapshots] { run(Lane::Snapshot, snapshots, true); });
}

FileLanes::~FileLanes() {
  for (LaneState& state : lanes_) {
    {
      const std::lock_guard lock(state.mutex);
      state.stop = true;
    }
    state.changed.notify_all();
  }
  for (LaneState& state : lanes_) {
    state.thread.join();
    if (state.with_a_share.joinable()) state.with_a_share.join();
  }
}

void FileLanes::submit(FileJob job) {
  LaneState& state = lanes_[static_cast<size_t>(job.lane)];
  {
    const std::lock_guard lock(state.mutex);
    state.queue.push_back(std::move(job));
  }
  state.changed.notify_all();
}

std::vector<FileJobDone> FileLanes::take_done() {
  const std::lock_guard lock(done_mutex_);
  return std::exchange(done_, {});
}

void FileLanes::drain() {
  for (LaneState& state : lanes_) {
    std::unique_lock lock(state.mutex);
    state.changed.wait(lock, [&] { return state.queue.empty() && !state.busy; });
  }
}

/// A snapshot must not take the processor or the disk from the log and the loop: its jobs take what is left
/// over. On a processor that never rests that is next to nothing, and what writers meanwhile have copied
/// aside would grow past its bound: then the lane's second thread takes the jobs, until there is room again.
void FileLanes::run(Lane lane, LaneState& state, bool share) {
  static constexpr const char* names[] = {"lane-log", "lane-sync", "lane-snapshot", "lane-transfer"};
  pthread_setname_np(pthread_self(), names[static_cast<size_t>(lane)]);
  const bool snapshots = lane == Lane::Snapshot;
  if (snapshots) share ? take_a_small_share() : take_only_leftovers();
  std::unique_lock lock(state.mutex);
  for (;;) {
    state.changed.wait(
        lock, [&] { return state.queue.empty() ? state.stop : !state.busy && state.share_needed == share; });
    if (state.queue.empty()) return;
    FileJob job = std::move(state.queue.front());
    state.queue.pop_front();
    state.busy = true;
    lock.unlock();
    const ProcessorTime before = snapshots ? processor_time() : ProcessorTime();
    const int64_t cpu_before = cpu_us();
    FileJobDone done = perform(job);
    done.cpu_us = cpu_us() - cpu_before;
    job = FileJob();  // its bytes are freed here, not on the loop
    const bool share_needed = snapshots && needs_a_share(share, processor_time() - before);
    {
      const std::lock_guard done_lock(done_mutex_);
      done_.push_back(std::move(done));
    }
    wake_();
    lock.lock();
    state.busy = false;
    state.share_needed = share_needed;
    if (state.queue.empty() || share_needed != share) state.changed.notify_all();
  }
}

FileJobDone FileLanes::perform(FileJob& job) {
  FileJobDone done;
  done.id = job.id;
  done.lane = job.lane;
  for (size_t i = 0; i < job.steps.size(); ++i) {
    FileStep& step = job.steps[i];
    if (perform_step(files_, job.lane, step)) {
      if (step.kind == FileStep::Kind::Read) done.bytes += step.bytes;
      continue;
    }
    done.ok = false;
    done.failed_step = i;
    done.failed_kind = step.kind;
    done.code = errno;
    done.message =
        std::string(verb(step.kind)) + (step.name.empty() ? "" : " " + step.name) + " failed: " +
        (done.code == ELOOP ? "it is a symbolic link, which is not followed" : strerror(done.code));
    break;
  }
  return done;
}

}  // namespace hf::edge
