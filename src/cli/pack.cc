// Header of 512 bytes (offsets: name 0, mode 100, uid 108, gid 116, size 124, mtime 136, sum 148, type 156,
// magic 257), then the content filled up to 512; two empty blocks end the archive.
#include "cli/pack.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <vector>

namespace hf::cli {

namespace fs = std::filesystem;

namespace {

constexpr size_t kBlock = 512;

Error system_error(const std::string& what, const std::string& path) {
  return Error{"cannot " + what + " " + path + ": " + std::strerror(errno), errno};
}

void octal(char* at, size_t width, uint64_t value) {
  std::snprintf(at, width, "%0*llo", static_cast<int>(width - 1), static_cast<unsigned long long>(value));
}

std::string header(Bytes name, char type, uint64_t size, bool executable) {
  std::string h(kBlock, '\0');
  std::memcpy(h.data(), name.data(), std::min<size_t>(name.size(), 100));
  octal(h.data() + 100, 8, type == '5' || executable ? 0755 : 0644);
  octal(h.data() + 108, 8, 0);
  octal(h.data() + 116, 8, 0);
  if (size < (1ull << 33)) {
    octal(h.data() + 124, 12, size);
  } else {  // GNU's binary form for more than 8 GiB
    h[124] = '\x80';
    for (size_t i = 0; i < 8; ++i) h[128 + i] = static_cast<char>(size >> (56 - 8 * i) & 0xff);
  }
  octal(h.data() + 136, 12, 0);
  std::memset(h.data() + 148, ' ', 8);
  h[156] = type;
  std::memcpy(h.data() + 257,
              "ustar\0"
              "00",
              8);
  unsigned sum = 0;
  for (const char c : h) sum += static_cast<unsigned char>(c);
  std::snprintf(h.data() + 148, 8, "%06o", sum);
  h[155] = ' ';
  return h;
}

Status put_header(const std::string& name, char type, uint64_t size, bool executable, const Sink& sink) {
  if (name.size() > 100) {
    std::string body = name + '\0';
    if (const Status s = sink(header("././@LongLink", 'L', body.size(), false)); !s) return s;
    body.resize((body.size() + kBlock - 1) / kBlock * kBlock);
    if (const Status s = sink(body); !s) return s;
  }
  return sink(header(name, type, size, executable));
}

Status put_file(const std::string& path, const std::string& name, const Sink& sink) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  struct stat st {};
  if (fd < 0 || ::fstat(fd, &st) != 0) {
    const Error e = system_error("read", path);
    if (fd >= 0) ::close(fd);
    return e;
  }
  uint64_t left = static_cast<uint64_t>(st.st_size);
  Status status = put_header(name, '0', left, (st.st_mode & 0100) != 0, sink);
  std::vector<char> buf(256 * 1024);
  while (status && left > 0) {
    const ssize_t n = ::read(fd, buf.data(), std::min<uint64_t>(buf.size(), left));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0)
      status = n < 0 ? system_error("read", path)
                     : Error{path +
                             " became shorter while it was read; a checkpoint must be complete before it is "
                             "renamed to out/"};
    else status = sink({buf.data(), static_cast<size_t>(n)}), left -= static_cast<uint64_t>(n);
  }
  ::close(fd);
  const size_t rest = static_cast<size_t>(st.st_size) % kBlock;
  if (status && rest != 0) status = sink(std::string(kBlock - rest, '\0'));
  return status;
}

Status put_folder(const fs::path& path, const std::string& prefix, const Sink& sink) {
  std::error_code ec;
  std::vector<fs::path> entries;
  for (fs::directory_iterator it(path, ec), end; !ec && it != end; it.increment(ec))
    entries.push_back(it->path());
  if (ec) return Error{"cannot list " + path.string() + ": " + ec.message(), ec.value()};
  std::sort(entries.begin(), entries.end());
  for (const fs::path& entry : entries) {
    const std::string name = prefix + entry.filename().string();
    const auto type = fs::symlink_status(entry, ec).type();
    Status s = ok();
    if (type == fs::file_type::directory) {
      s = put_header(name + "/", '5', 0, false, sink);
      if (s) s = put_folder(entry, name + "/", sink);
    } else if (type == fs::file_type::regular) {
      s = put_file(entry.string(), name, sink);
    } else {
      s = Error{entry.string() + " is neither a file nor a folder; a checkpoint holds nothing else"};
    }
    if (!s) return s;
  }
  return ok();
}

}  // namespace

Status pack_folder(const std::string& path, const Sink& sink) {
  if (const Status s = put_folder(path, "", sink); !s) return s;
  return sink(std::string(2 * kBlock, '\0'));
}

namespace {

bool number(Bytes field, uint64_t& out) {
  out = 0;
  if (static_cast<unsigned char>(field[0]) == 0x80) {
    for (const char c : field.substr(4)) out = out << 8 | static_cast<unsigned char>(c);
    return true;
  }
  size_t i = 0;
  while (i < field.size() && field[i] == ' ') ++i;
  for (; i < field.size() && field[i] >= '0' && field[i] <= '7'; ++i)
    out = out * 8 + static_cast<uint64_t>(field[i] - '0');
  return i == field.size() || field[i] == '\0' || field[i] == ' ';
}

bool safe_name(Bytes name) {
  if (name.empty() || name[0] == '/' || name.find('\0') != Bytes::npos) return false;
  while (!name.empty()) {
    const size_t slash = name.find('/');
    const Bytes part = name.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    name = slash == Bytes::npos ? Bytes() : name.substr(slash + 1);
  }
  return true;
}

Status write_file(const std::string& path, Bytes content, bool executable) {
  const int fd =
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, executable ? 0755 : 0644);
  if (fd < 0) return system_error("create", path);
  while (!content.empty()) {
    const ssize_t n = ::write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const Error e = system_error("write", path);
      ::close(fd);
      return e;
    }
    content.remove_prefix(static_cast<size_t>(n));
  }
  ::close(fd);
  return ok();
}

Error damaged(size_t at, const std::string& why) {
  return Error{"archive of the checkpoint, byte " + std::to_string(at) + ": " + why};
}

}  // namespace

Status unpack_folder(Bytes archive, const std::string& path) {
  if (::mkdir(path.c_str(), 0755) != 0) return system_error("create", path);
  std::string long_name;
  for (size_t at = 0;;) {
    if (archive.size() - at < kBlock) return damaged(at, "ends without its two empty blocks");
    const Bytes h = archive.substr(at, kBlock);
    if (h.find_first_not_of('\0') == Bytes::npos) return ok();
    uint64_t sum = 0, size = 0, mode = 0, expected = 0;
    for (size_t i = 0; i < kBlock; ++i) sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(h[i]);
    if (!number(h.substr(148, 8), expected) || expected != sum)
      return damaged(at, "header sum does not match");
    if (!number(h.substr(124, 12), size) || !number(h.substr(100, 8), mode))
      return damaged(at, "not a number where one must be");
    const char type = h[156] == '\0' ? '0' : h[156];
    at += kBlock;
    if (size > archive.size() - at) return damaged(at, "content is cut off");
    const Bytes content = archive.substr(at, size);
    at += std::min<size_t>((size + kBlock - 1) / kBlock * kBlock, archive.size() - at);
    if (type == 'L') {
      long_name = content.substr(0, content.find('\0'));
      continue;
    }
    std::string name = long_name.empty()
                           ? std::string(h.substr(0, std::min<size_t>(h.substr(0, 100).find('\0'), 100)))
                           : long_name;
    long_name.clear();
    if (type == '5' && name.ends_with('/')) name.pop_back();
    if (!safe_name(name)) return damaged(at, "unsafe name " + hf::quoted(name));
    const std::string target = path + "/" + name;
    if (type == '5') {
      if (::mkdir(target.c_str(), 0755) != 0) return system_error("create", target);
    } else if (type == '0') {
      if (const Status s = write_file(target, content, (mode & 0100) != 0); !s) return s;
    } else {
      return damaged(at, "neither a file nor a folder");
    }
  }
}

}  // namespace hf::cli
