// Nothing here follows a link: what a link leads to belongs to somebody else.
#include "cli/tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <vector>

namespace hf::cli {

namespace fs = std::filesystem;

namespace {

constexpr mode_t kModeBits = 0777;

Error failure(const std::string& what, const std::string& path, int code = errno) {
  return Error{"cannot " + what + " " + path + ": " + std::strerror(code), code};
}

Status sync_one(const std::string& path, bool folder) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | (folder ? O_DIRECTORY : 0));
  if (fd < 0) return failure("open", path);
  const int r = ::fsync(fd);
  const int code = errno;
  ::close(fd);
  return r == 0 ? ok() : Status(failure("sync", path, code));
}

Status copy_bytes(int from, int to, const std::string& source, const std::string& target) {
  std::vector<char> buf(1 << 18);
  for (;;) {
    const ssize_t n = ::read(from, buf.data(), buf.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failure("read", source);
    if (n == 0) return ok();
    for (ssize_t done = 0; done < n;) {
      const ssize_t w = ::write(to, buf.data() + done, static_cast<size_t>(n - done));
      if (w < 0 && errno != EINTR) return failure("write", target);
      if (w > 0) done += w;
    }
  }
}

Status copy_file(const std::string& source, const std::string& target, mode_t mode) {
  const int from = ::open(source.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (from < 0) return failure("read", source);
  const int to = ::open(target.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  Status status = to < 0 ? Status(failure("create", target)) : copy_bytes(from, to, source, target);
  if (status && ::fchmod(to, mode) != 0) status = failure("set the mode of", target);
  ::close(from);
  if (to >= 0 && ::close(to) != 0 && status) status = failure("write", target);
  return status;
}

Status copy_link(const std::string& source, const std::string& target) {
  std::error_code ec;
  const fs::path leads_to = fs::read_symlink(source, ec);
  if (ec) return Error{"cannot read the link " + source + ": " + ec.message(), ec.value()};
  return ::symlink(leads_to.c_str(), target.c_str()) == 0 ? ok() : Status(failure("create", target));
}

}  // namespace

Status make_private_folders(const std::string& path) {
  struct stat st {};
  if (::stat(path.c_str(), &st) == 0)
    return S_ISDIR(st.st_mode) ? ok() : Status(failure("create", path, ENOTDIR));
  const fs::path parent = fs::path(path).parent_path();
  if (!parent.empty() && parent != fs::path(path))
    if (Status s = make_private_folders(parent); !s) return s;
  // Somebody else may have made it in between.
  return ::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST ? ok() : Status(failure("create", path));
}

Status copy_tree(const std::string& source, const std::string& target, bool hard_links) {
  struct stat st {};
  if (::lstat(source.c_str(), &st) != 0) return failure("read", source);
  if (S_ISLNK(st.st_mode)) return copy_link(source, target);
  if (S_ISREG(st.st_mode)) {
    if (hard_links && ::link(source.c_str(), target.c_str()) == 0) return ok();
    return copy_file(source, target, st.st_mode & kModeBits);
  }
  if (!S_ISDIR(st.st_mode))
    return Error{source + " is neither a file, a folder nor a link; a checkpoint holds nothing else"};
  if (::mkdir(target.c_str(), 0700) != 0) return failure("create", target);
  std::error_code ec;
  for (fs::directory_iterator it(source, ec), end; !ec && it != end; it.increment(ec)) {
    const std::string name = it->path().filename();
    if (Status s = copy_tree(source + "/" + name, target + "/" + name, hard_links); !s) return s;
  }
  if (ec) return Error{"cannot list " + source + ": " + ec.message(), ec.value()};
  // Last of all: a folder that nobody may write to is filled first.
  return ::chmod(target.c_str(), st.st_mode & kModeBits) == 0 ? ok()
                                                              : Status(failure("set the mode of", target));
}

Status sync_tree(const std::string& path) {
  std::error_code ec;
  if (fs::symlink_status(path, ec).type() == fs::file_type::directory) {
    for (fs::recursive_directory_iterator it(path, ec), end; !ec && it != end; it.increment(ec)) {
      const auto type = it->symlink_status(ec).type();
      const bool folder = type == fs::file_type::directory;
      // A link has nothing of its own to sync; opening a pipe would wait for its other end.
      if (!folder && type != fs::file_type::regular) continue;
      if (Status s = sync_one(it->path(), folder); !s) return s;
    }
    if (ec) return Error{"cannot list " + path + ": " + ec.message(), ec.value()};
    if (Status s = sync_one(path, true); !s) return s;
  } else if (Status s = sync_one(path, false); !s) {
    return s;
  }
  return sync_folder(fs::path(path).parent_path());
}

Status sync_folder(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECTORY);
  if (fd < 0) return failure("open", path);
  const int r = ::fsync(fd);
  const int code = errno;
  ::close(fd);
  return r == 0 ? ok() : Status(failure("sync", path, code));
}

void remove_tree(const std::string& path) {
  std::error_code ec;
  fs::remove_all(path, ec);
  if (!ec) return;
  // From a folder without the owner's w nothing can be removed.
  ec.clear();
  if (fs::symlink_status(path, ec).type() != fs::file_type::directory) return;
  ::chmod(path.c_str(), 0700);
  for (fs::recursive_directory_iterator it(path, ec), end; !ec && it != end; it.increment(ec))
    if (it->symlink_status(ec).type() == fs::file_type::directory) ::chmod(it->path().c_str(), 0700);
  fs::remove_all(path, ec);
}

}  // namespace hf::cli
