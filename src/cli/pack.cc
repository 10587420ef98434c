// Header of 512 bytes (offsets: name 0, mode 100, uid 108, gid 116, size 124, mtime 136, sum 148, type 156,
// link name 157, magic 257), then the content filled up to 512; two empty blocks end the archive. A name of
// more than 100 bytes stands as content in an entry of type 'L' before its own, a link's target in one of
// 'K'.
#include "cli/pack.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <set>
#include <utility>
#include <vector>

namespace hf::cli {

namespace fs = std::filesystem;

namespace {

constexpr size_t kBlock = 512;
constexpr mode_t kModeBits = 0777;

struct Entry {
  std::string name;
  char type;  ///< '0' file, '5' folder, '2' link
  uint64_t size = 0;
  mode_t mode = 0644;
  std::string link = {};
};

Error system_error(const std::string& what, const std::string& path) {
  return Error{"cannot " + what + " " + path + ": " + std::strerror(errno), errno};
}

void octal(char* at, size_t width, uint64_t value) {
  for (size_t i = width - 1; i-- > 0; value >>= 3) at[i] = static_cast<char>('0' + (value & 7));
}

std::string header(const Entry& e) {
  std::string h(kBlock, '\0');
  std::memcpy(h.data(), e.name.data(), std::min<size_t>(e.name.size(), 100));
  octal(h.data() + 100, 8, e.mode);
  octal(h.data() + 108, 8, 0);
  octal(h.data() + 116, 8, 0);
  if (e.size < (1ull << 33)) {
    octal(h.data() + 124, 12, e.size);
  } else {  // GNU's binary form for more than 8 GiB
    h[124] = '\x80';
    for (size_t i = 0; i < 8; ++i) h[128 + i] = static_cast<char>(e.size >> (56 - 8 * i) & 0xff);
  }
  octal(h.data() + 136, 12, 0);
  std::memset(h.data() + 148, ' ', 8);
  h[156] = e.type;
  std::memcpy(h.data() + 157, e.link.data(), std::min<size_t>(e.link.size(), 100));
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

Status put_long(const std::string& text, char type, const Sink& sink) {
  if (text.size() <= 100) return ok();
  std::string body = text + '\0';
  if (const Status s = sink(header({"././@LongLink", type, body.size()})); !s) return s;
  body.resize((body.size() + kBlock - 1) / kBlock * kBlock);
  return sink(body);
}

Status put_header(const Entry& e, const Sink& sink) {
  if (const Status s = put_long(e.link, 'K', sink); !s) return s;
  if (const Status s = put_long(e.name, 'L', sink); !s) return s;
  return sink(header(e));
}

/// Whether a link called `name` that leads to `target` stays in the folder, whatever other such links there
/// are. Going up is only counted right from the link's own place: behind another link ".." leads elsewhere.
bool stays_inside(Bytes name, Bytes target) {
  if (target.empty() || target[0] == '/' || target.find('\0') != Bytes::npos) return false;
  auto depth = std::count(name.begin(), name.end(), '/');
  bool down = false;
  while (!target.empty()) {
    const size_t slash = target.find('/');
    const Bytes part = target.substr(0, slash);
    target = slash == Bytes::npos ? Bytes() : target.substr(slash + 1);
    if (part.empty() || part == ".") continue;
    if (part != "..") down = true;
    else if (down || --depth < 0) return false;
  }
  return true;
}

Status put_link(const fs::path& path, const std::string& name, const Sink& sink) {
  std::error_code ec;
  const std::string target = fs::read_symlink(path, ec);
  if (ec) return Error{"cannot read the link " + path.string() + ": " + ec.message(), ec.value()};
  if (!stays_inside(name, target))
    return Error{"the link " + path.string() + " -> " + target +
                 " leads out of the checkpoint; save the file itself, or a relative link to one beside it"};
  return put_header({name, '2', 0, kModeBits, target}, sink);
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
  Status status = put_header({name, '0', left, st.st_mode & kModeBits}, sink);
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
    const fs::file_status status = fs::symlink_status(entry, ec);
    const auto type = status.type();
    Status s = ok();
    if (type == fs::file_type::directory) {
      s = put_header({name + "/", '5', 0, static_cast<mode_t>(status.permissions()) & kModeBits}, sink);
      if (s) s = put_folder(entry, name + "/", sink);
    } else if (type == fs::file_type::regular) {
      s = put_file(entry.string(), name, sink);
    } else if (type == fs::file_type::symlink) {
      s = put_link(entry, name, sink);
    } else {
      s = Error{entry.string() + " is neither a file, a folder nor a link; a checkpoint holds nothing else"};
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

Status write_file(const std::string& path, Bytes content, mode_t mode) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return system_error("create", path);
  bool good = true;
  while (good && !content.empty()) {
    const ssize_t n = ::write(fd, content.data(), content.size());
    if (n > 0) content.remove_prefix(static_cast<size_t>(n));
    else good = n < 0 && errno == EINTR;
  }
  good = good && ::fchmod(fd, mode) == 0;
  const Status status = good ? ok() : Status(system_error("write", path));
  ::close(fd);
  return status;
}

Error damaged(size_t at, const std::string& why) {
  return Error{"archive of the checkpoint, byte " + std::to_string(at) + ": " + why};
}

/// Takes an archive apart. Only what it has made itself is written into: no name goes through a link.
class Unpacker {
 public:
  Unpacker(Bytes archive, const std::string& path) : archive_(archive), path_(path) {}

  Status run() {
    if (::mkdir(path_.c_str(), 0700) != 0) return system_error("create", path_);
    for (;;) {
      if (archive_.size() - at_ < kBlock) return damaged(at_, "ends without its two empty blocks");
      if (archive_.substr(at_, kBlock).find_first_not_of('\0') == Bytes::npos) break;
      if (const Status s = entry(); !s) return s;
    }
    // Last, the deepest first: a folder that nobody may write to is filled before.
    for (auto it = modes_.rbegin(); it != modes_.rend(); ++it)
      if (::chmod(it->first.c_str(), it->second) != 0) return system_error("set the mode of", it->first);
    return ok();
  }

 private:
  Status entry() {
    const size_t start = at_;
    const Bytes h = archive_.substr(at_, kBlock);
    uint64_t sum = 0, size = 0, mode = 0, expected = 0;
    for (size_t i = 0; i < kBlock; ++i) sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(h[i]);
    if (!number(h.substr(148, 8), expected) || expected != sum)
      return damaged(start, "header sum does not match");
    if (!number(h.substr(124, 12), size) || !number(h.substr(100, 8), mode))
      return damaged(start, "not a number where one must be");
    const char type = h[156] == '\0' ? '0' : h[156];
    at_ += kBlock;
    if (size > archive_.size() - at_) return damaged(at_, "content is cut off");
    const Bytes content = archive_.substr(at_, size);
    at_ += std::min<size_t>((size + kBlock - 1) / kBlock * kBlock, archive_.size() - at_);
    if (type == 'L' || type == 'K') {
      (type == 'L' ? long_name_ : long_link_) = content.substr(0, content.find('\0'));
      return ok();
    }
    std::string name = text_of(h.substr(0, 100), long_name_), link = text_of(h.substr(157, 100), long_link_);
    if (type == '5' && name.ends_with('/')) name.pop_back();
    return place(start, name, type, content, link, static_cast<mode_t>(mode) & kModeBits);
  }

  static std::string text_of(Bytes field, std::string& long_form) {
    if (!long_form.empty()) return std::exchange(long_form, std::string());
    return std::string(field.substr(0, field.find('\0')));
  }

  Status place(size_t start, const std::string& name, char type, Bytes content, const std::string& link,
               mode_t mode) {
    if (!safe_name(name)) return damaged(start, "unsafe name " + hf::quoted(name));
    const size_t slash = name.rfind('/');
    if (slash != std::string::npos && !folders_.contains(name.substr(0, slash)))
      return damaged(start, hf::quoted(name) + " does not lie in a folder of the archive");
    const std::string target = path_ + "/" + name;
    if (type == '5') {
      if (::mkdir(target.c_str(), 0700) != 0) return system_error("create", target);
      folders_.insert(name);
      modes_.emplace_back(target, mode);
      return ok();
    }
    if (type == '0') return write_file(target, content, mode);
    if (type != '2') return damaged(start, "neither a file, a folder nor a link");
    if (!stays_inside(name, link))
      return damaged(start, "the link " + hf::quoted(name) + " leads out, to " + hf::quoted(link));
    return ::symlink(link.c_str(), target.c_str()) == 0 ? ok() : Status(system_error("create", target));
  }

  Bytes archive_;
  std::string path_;
  size_t at_ = 0;
  std::string long_name_, long_link_;
  std::set<std::string> folders_;
  std::vector<std::pair<std::string, mode_t>> modes_;
};

}  // namespace

Status unpack_folder(Bytes archive, const std::string& path) { return Unpacker(archive, path).run(); }

}  // namespace hf::cli
