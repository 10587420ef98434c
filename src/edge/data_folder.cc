// Making, checking and locking the data folder.
#include "edge/data_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>
#include <utility>

namespace hf::edge {
namespace {

constexpr const char* lock_name = "/LOCK";

Error system_error(const std::string& what) { return Error{what + ": " + std::strerror(errno), errno}; }

/// A server that ran as root once leaves files that its next user may not touch.
Error not_ours(const std::string& path) {
  struct stat info {};
  Error error = system_error("can't open " + path);
  if (stat(path.c_str(), &info) == 0 && info.st_uid != geteuid())
    error.message += "; it belongs to user " + std::to_string(info.st_uid) + ", and this process runs as " +
                     std::to_string(geteuid()) + ": chown -R the folder, or run as that user";
  return error;
}

/// Who wrote the lock file; 0 when that can't be told.
long holder(int lock_fd) {
  char text[32] = {};
  const ssize_t n = pread(lock_fd, text, sizeof text - 1, 0);
  return n > 0 ? std::strtol(text, nullptr, 10) : 0;
}

/// A process that was killed keeps its lock until the kernel has given its memory back: with gigabytes, for a
/// while.
/// (/proc/PID/stat: state, and in the flags PF_EXITING.)
bool is_ending(long pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  if (!std::getline(stat, line)) return true;  // gone since
  const size_t behind_name = line.rfind(')');
  if (behind_name == std::string::npos) return false;
  std::istringstream fields(line.substr(behind_name + 1));
  std::string state, skipped;
  unsigned long flags = 0;
  fields >> state;
  for (int i = 0; i < 5; ++i) fields >> skipped;
  fields >> flags;
  constexpr unsigned long exiting = 0x4;
  return state == "Z" || state == "X" || (flags & exiting) != 0;
}

/// The lock, at once or as soon as a predecessor that is ending has ended.
bool take_lock(int fd) {
  constexpr int tries = 3000, pause_us = 10'000;
  for (int i = 0; i < tries; ++i) {
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) return true;
    if (errno != EWOULDBLOCK) return false;
    const long pid = holder(fd);
    if (pid > 0 && !is_ending(pid)) {
      errno = EWOULDBLOCK;
      return flock(fd, LOCK_EX | LOCK_NB) == 0;  // it may have ended in between
    }
    usleep(pause_us);
  }
  errno = EWOULDBLOCK;
  return false;
}

}  // namespace

Result<DataFolder> DataFolder::open(const std::string& path) {
  DataFolder folder;
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return system_error("can't make the data folder " + path);
  const std::unique_ptr<char, void (*)(void*)> real(realpath(path.c_str(), nullptr), std::free);
  if (!real) return system_error("can't open the data folder " + path);
  folder.path_ = real.get();
  struct stat info {};
  if (stat(folder.path_.c_str(), &info) != 0)
    return system_error("can't open the data folder " + folder.path_);
  if (!S_ISDIR(info.st_mode)) return Error{folder.path_ + " is not a folder; choose another with --dir"};
  if ((info.st_mode & 077) != 0)
    folder.warning_ = "the data folder " + folder.path_ + " can be read by others; chmod 700 keeps them out";

  const std::string lock_path = folder.path_ + lock_name;
  folder.lock_fd_ = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (folder.lock_fd_ < 0 && errno == EACCES) return not_ours(lock_path);
  if (folder.lock_fd_ < 0 && errno == ELOOP)
    return Error{lock_path + " is a symbolic link, which is not followed; remove it"};
  if (folder.lock_fd_ < 0) return system_error("can't open " + lock_path);
  if (!take_lock(folder.lock_fd_)) {
    if (errno != EWOULDBLOCK) return system_error("can't lock " + lock_path);
    const long pid = holder(folder.lock_fd_);
    return Error{"the data folder " + folder.path_ + " is in use by " +
                 (pid > 0 ? "process " + std::to_string(pid) : std::string("another process")) +
                 "; stop it, or choose another folder with --dir"};
  }
  const std::string pid = std::to_string(getpid()) + "\n";
  if (ftruncate(folder.lock_fd_, 0) != 0 ||
      pwrite(folder.lock_fd_, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    // Only the message to a second server suffers: a full disk must not keep the first one from starting.
    folder.warning_ = "can't write " + lock_path + ": " + std::strerror(errno);
  }
  return folder;
}

DataFolder::DataFolder(DataFolder&& other) noexcept
    : path_(std::move(other.path_)),
      warning_(std::move(other.warning_)),
      lock_fd_(std::exchange(other.lock_fd_, -1)) {}

DataFolder::~DataFolder() {
  // The file stays: removing it could pull it from under a server that has just opened it.
  if (lock_fd_ >= 0) ::close(lock_fd_);
}

}  // namespace hf::edge
