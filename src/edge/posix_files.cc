// POSIX reads of the data folder.
#include "edge/posix_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace hf::edge {
namespace {

Error system_error(const std::string& what) {
  const int code = errno;
  return Error{what + ": " + std::strerror(code), code};
}

/// A file that was removed and written again under its old name is another one.
bool still_names(int fd, const std::string& path) {
  struct stat open, named;
  return ::fstat(fd, &open) == 0 && ::stat(path.c_str(), &named) == 0 && open.st_ino == named.st_ino &&
         open.st_dev == named.st_dev;
}

Result<std::vector<std::string>> names_in(const std::string& path) {
  DIR* dir = ::opendir(path.c_str());
  if (dir == nullptr) return system_error(path);
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(dir)) {
    struct stat status;
    if (::fstatat(::dirfd(dir), entry->d_name, &status, 0) == 0 && S_ISREG(status.st_mode))
      names.push_back(entry->d_name);
    errno = 0;
  }
  const int code = errno;
  ::closedir(dir);
  errno = code;
  if (code != 0) return system_error(path);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

PosixFiles::~PosixFiles() {
  if (open_fd_ >= 0) ::close(open_fd_);
}

Result<std::vector<std::string>> PosixFiles::list() { return names_in(folder_); }

Result<std::vector<std::string>> PosixFiles::list_in(const std::string& folder) {
  if (!exists(folder)) return std::vector<std::string>();
  auto names = names_in(path(folder));
  if (names)
    for (std::string& name : *names) name = folder + "/" + name;
  return names;
}

Result<uint64_t> PosixFiles::size(const std::string& name) {
  struct stat status;
  if (::stat(path(name).c_str(), &status) != 0) return system_error(path(name));
  return static_cast<uint64_t>(status.st_size);
}

bool PosixFiles::exists(const std::string& name) { return ::access(path(name).c_str(), F_OK) == 0; }

Result<int> PosixFiles::descriptor(const std::string& name) {
  if (open_fd_ >= 0 && open_name_ == name && (held_ || still_names(open_fd_, path(name)))) return open_fd_;
  const int fd = ::open(path(name).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return system_error(path(name));
  if (open_fd_ >= 0) ::close(open_fd_);
  open_fd_ = fd;
  open_name_ = name;
  ::posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  return fd;
}

void PosixFiles::hold(bool held) {
  held_ = held;
  if (open_fd_ >= 0) ::close(open_fd_);
  open_fd_ = -1;
}

Result<std::string> PosixFiles::read(const std::string& name, uint64_t offset, size_t n) {
  const Result<int> fd = descriptor(name);
  if (!fd) return fd.error();
  std::string bytes(n, '\0');
  size_t have = 0;
  while (have < n) {
    const ssize_t got = ::pread(*fd, bytes.data() + have, n - have, static_cast<off_t>(offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(path(name));
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  bytes.resize(have);
  return bytes;
}

}  // namespace hf::edge
