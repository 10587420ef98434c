// Everything is moved by rename within the folder, so that a kill at any moment leaves a checkpoint in
// exactly one place.
#include "cli/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/number.h"
#include "cli/json.h"
#include "cli/pack.h"
#include "cli/sha256.h"
#include "cli/tree.h"

namespace hf::cli {

namespace fs = std::filesystem;

namespace {

Error failure(const std::string& what, const std::string& path, int code = errno) {
  return Error{"cannot " + what + " " + path + ": " + std::strerror(code), code};
}

Result<std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return failure("read", path);
  std::ostringstream out;
  out << in.rdbuf();
  if (in.bad()) return failure("read", path);
  return std::move(out).str();
}

/// Written beside it, synced, renamed: either the old content or the new one, whole.
Status write_file(const std::string& path, Bytes content, mode_t mode = 0600) {
  const std::string fresh = path + ".new";
  const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return failure("create", fresh);
  bool good = true;
  while (good && !content.empty()) {
    const ssize_t n = ::write(fd, content.data(), content.size());
    if (n > 0) content.remove_prefix(static_cast<size_t>(n));
    else good = n < 0 && errno == EINTR;
  }
  good = good && ::fchmod(fd, mode) == 0 && ::fsync(fd) == 0;
  const int code = errno;
  ::close(fd);
  if (!good) return failure("write", fresh, code);
  if (::rename(fresh.c_str(), path.c_str()) != 0) return failure("rename", fresh);
  return sync_folder(fs::path(path).parent_path());
}

/// Size and SHA-256 of a file, or of the archive that packing a folder gives.
Status measure(const std::string& path, bool folder, uint64_t& size, std::string& sha256) {
  Sha256 sum;
  size = 0;
  const Sink sink = [&](Bytes piece) {
    sum.update(piece);
    size += piece.size();
    return ok();
  };
  if (folder) {
    if (const Status s = pack_folder(path, sink); !s) return s;
  } else {
    std::ifstream in(path, std::ios::binary);
    if (!in) return failure("read", path);
    std::vector<char> buf(1 << 20);
    while (in.read(buf.data(), static_cast<std::streamsize>(buf.size())) || in.gcount() > 0)
      if (const Status s = sink({buf.data(), static_cast<size_t>(in.gcount())}); !s) return s;
    if (in.bad()) return failure("read", path);
  }
  sha256 = sum.hex();
  return ok();
}

std::string file_uri(const std::string& path) {
  std::string out = "file://";
  for (const char c : path) {
    const auto u = static_cast<unsigned char>(c);
    const bool plain = (u >= '0' && u <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') ||
                       (u != 0 && std::strchr("/-_.~#:+,=@", c) != nullptr && c != '#');
    char hex[4];
    std::snprintf(hex, sizeof hex, "%%%02X", u);
    out += plain ? std::string(1, c) : std::string(hex);
  }
  return out;
}

std::optional<std::string> path_of_uri(Bytes uri) {
  if (!uri.starts_with("file:///")) return std::nullopt;
  std::string out;
  for (size_t i = 7; i < uri.size(); ++i) {
    unsigned code = 0;
    if (uri[i] == '%' && i + 2 < uri.size() &&
        std::sscanf(std::string(uri.substr(i + 1, 2)).c_str(), "%2x", &code) == 1) {
      out += static_cast<char>(code);
      i += 2;
    } else {
      out += uri[i];
    }
  }
  return out;
}

}  // namespace

std::string path_part(Bytes name) {
  std::string out;
  for (size_t i = 0; i < name.size(); ++i) {
    const auto c = static_cast<unsigned char>(name[i]);
    if (c == '/' || c == '%' || c < 0x20 || c == 0x7f || (c == '.' && i == 0)) {
      char hex[4];
      std::snprintf(hex, sizeof hex, "%%%02X", c);
      out += hex;
    } else {
      out += name[i];
    }
  }
  // A file's name ends at 255 bytes; what is longer keeps its head.
  return out.size() > 200 ? out.substr(0, 200) + "%" + to_text(static_cast<int64_t>(name.size())) : out;
}

RunFolder::~RunFolder() {
  if (lock_fd_ >= 0) ::close(lock_fd_);
}

Status RunFolder::create() {
  for (const char* name : {"tmp", "out", "sending"})
    if (const Status s = make_private_folders(in(name)); !s)
      return Error{s.error().message + "; choose another folder with --dir", s.error().code};
  return ok();
}

Result<bool> RunFolder::try_lock(int& holder) {
  holder = 0;
  if (lock_fd_ < 0) lock_fd_ = ::open(in("lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_fd_ < 0) return failure("open", in("lock"));
  char text[32] = {};
  if (::flock(lock_fd_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return failure("lock", in("lock"));
    if (::pread(lock_fd_, text, sizeof text - 1, 0) > 0) holder = std::atoi(text);
    return false;
  }
  const int n = std::snprintf(text, sizeof text, "%d\n", static_cast<int>(::getpid()));
  if (::ftruncate(lock_fd_, 0) != 0 || ::pwrite(lock_fd_, text, static_cast<size_t>(n), 0) != n)
    return failure("write", in("lock"));
  return true;
}

Result<std::optional<int>> RunFolder::adopt(const std::string& run) {
  const auto before = read_file(in("run"));
  if (!before || *before != run + "\n") {
    for (const char* name : {"ended", "out", "sending", "tmp", "checkpoint", "deltas"}) remove_tree(in(name));
    if (const Status s = create(); !s) return s.error();
    if (const Status s = write_file(in("run"), run + "\n"); !s) return s.error();
    return std::optional<int>();
  }
  const auto ended = read_file(in("ended"));
  if (!ended || !ended->starts_with(run + " ")) return std::optional<int>();
  return std::optional<int>(std::atoi(ended->c_str() + run.size() + 1));
}

Status RunFolder::before_attempt() {
  for (const char* name : {"tmp", "finished", "progress", "ended"}) remove_tree(in(name));
  return create();
}

Status RunFolder::remember_end(const std::string& run, int code) {
  return write_file(in("ended"), run + " " + to_text(static_cast<int64_t>(code)) + "\n");
}

void RunFolder::clear() {
  for (const char* name :
       {"run", "ended", "out", "sending", "tmp", "checkpoint", "deltas", "finished", "progress"})
    remove_tree(in(name));
}

bool RunFolder::finished_marked() const { return ::access(in("finished").c_str(), F_OK) == 0; }

Progress RunFolder::progress() const {
  Progress p;
  std::ifstream file(in("progress"));
  std::string line;
  if (!std::getline(file, line)) return p;
  std::istringstream words(line);
  words >> p.n >> p.total;
  if (!words && !words.eof()) return Progress{};
  words.clear();
  std::getline(words >> std::ws, p.note);
  p.note = p.note.substr(0, 256);
  if (p.n < 0 || p.total < 0) return Progress{};
  return p;
}

std::vector<RunFolder::Item> RunFolder::items(const std::string& folder) const {
  std::vector<Item> out;
  std::error_code ec;
  for (fs::directory_iterator it(in(folder), ec), end; !ec && it != end; it.increment(ec)) {
    const std::string name = it->path().filename();
    const bool delta = name.starts_with("delta-");
    if (!delta && !name.starts_with("step-")) continue;
    const auto step = parse_int(Bytes(name).substr(delta ? 6 : 5));
    if (step && *step >= 0) out.push_back({name, *step, delta});
  }
  // A full one and a delta of one step: the full one first, the delta then stands on it.
  std::sort(out.begin(), out.end(), [](const Item& a, const Item& b) {
    return a.step != b.step ? a.step < b.step : a.delta < b.delta;
  });
  return out;
}

void RunFolder::coalesce() {
  const std::vector<Item> all = items("out");
  for (size_t i = 0; i + 1 < all.size(); ++i)
    if (!all[i].delta && !all[i + 1].delta) remove_tree(in("out/" + all[i].name));
}

size_t RunFolder::waiting() const { return items("out").size() + items("sending").size(); }

void RunFolder::settle(const std::string& name) {
  // Moved aside first: a large folder takes a while to delete, and must not be found half-deleted after a
  // kill.
  const std::string aside = in("tmp/.gone-" + name);
  remove_tree(aside);
  if (::rename(in("sending/" + name).c_str(), aside.c_str()) != 0) remove_tree(in("sending/" + name));
  remove_tree(aside);
}

Result<std::optional<Prepared>> RunFolder::collect(const std::string& run, uint64_t version,
                                                   int64_t newer_than, std::string& failed) {
  for (const Item& item : items("sending"))
    if (item.step <= newer_than) settle(item.name);
  coalesce();
  std::vector<Item> sending = items("sending");
  if (sending.empty()) {
    for (const Item& item : items("out")) {
      if (item.step <= newer_than) {
        remove_tree(in("out/" + item.name));
        continue;
      }
      const std::string from = in("out/" + item.name), to = in("sending/" + item.name);
      if (::rename(from.c_str(), to.c_str()) != 0) return failed = item.name, failure("move", from);
      sending.push_back(item);
      break;
    }
  }
  if (sending.empty()) return std::optional<Prepared>();
  failed = sending[0].name;
  auto prepared = prepare(sending[0], run, version);
  if (!prepared) return prepared.error();
  return std::optional<Prepared>(std::move(*prepared));
}

std::string RunFolder::version_folder(const std::string& run, uint64_t version) const {
  const size_t hash = run.rfind('#');
  return store_ + "/" + path_part(Bytes(run).substr(0, hash)) + "/" + run.substr(hash + 1) + "/version-" +
         std::to_string(version);
}

Result<Prepared> RunFolder::prepare(const Item& item, const std::string& run, uint64_t version) {
  const std::string source = in("sending/" + item.name);
  Prepared p{item.name, item.step, item.delta, "", "", 0, ""};
  std::error_code ec;
  const fs::file_status status = fs::symlink_status(source, ec);
  const bool folder = status.type() == fs::file_type::directory;
  if (!folder && status.type() != fs::file_type::regular)
    return Error{source +
                 (status.type() == fs::file_type::symlink ? " is a link; " : " is something else; ") +
                 "a checkpoint is a file or a folder"};
  char mode[8];
  std::snprintf(mode, sizeof mode, "%03o", static_cast<unsigned>(status.permissions()) & 0777u);
  const std::string kind =
      std::string("{\"kind\":\"") + (folder ? "folder" : "file") + "\",\"mode\":\"" + mode + "\"";
  bool small = true;
  if (folder) {
    const Status s = pack_folder(source, [&](Bytes piece) {
      p.size += piece.size();
      if (p.size <= payload_bytes_max_) p.payload.append(piece);
      else small = false;
      return small ? ok() : Status(Error{"too large"});
    });
    if (!s && small) return s.error();
  } else {
    p.size = fs::file_size(source, ec);
    small = p.size <= payload_bytes_max_;
    if (small) {
      auto content = read_file(source);
      if (!content) return content.error();
      p.payload = std::move(*content);
    }
  }
  if (small) {
    p.meta = kind + "}";
    return p;
  }
  p.payload = std::string();
  const std::string home = version_folder(run, version);
  p.stored_at = home + "/data";
  remove_tree(home);  // an earlier try that was never acknowledged
  fs::create_directories(home, ec);
  if (ec) return Error{"cannot create " + home + ": " + ec.message() + "; check --store", ec.value()};
  if (const Status s = to_store(source, p.stored_at); !s) return s.error();
  std::string sha256;
  if (const Status s = measure(p.stored_at, folder, p.size, sha256); !s) return s.error();
  p.meta = kind + ",\"uri\":" + json_string(file_uri(p.stored_at)) + ",\"size\":" + std::to_string(p.size) +
           ",\"sha256\":\"" + sha256 + "\"}";
  return p;
}

Status RunFolder::to_store(const std::string& source, const std::string& target) {
  // Hard links where the store is on the same disk: nothing is copied, and what is in sending/ is deleted
  // later.
  if (const Status s = copy_tree(source, target, true); !s) return s;
  if (const Status s = sync_tree(target); !s) return s;
  for (fs::path up = fs::path(target).parent_path(); up.string().size() >= store_.size();
       up = up.parent_path()) {
    if (const Status s = sync_folder(up); !s) return s;
    if (up == up.parent_path()) break;
  }
  return ok();
}

Status RunFolder::put_in_place(const Restorable& v, const std::string& target) {
  const auto meta = json_object(v.meta);
  const auto get = [&](const char* name) {
    if (!meta) return std::string();
    const auto it = meta->find(name);
    return it == meta->end() ? std::string() : it->second;
  };
  const bool folder = get("kind") == "folder";
  const std::string uri = get("uri"), which = "checkpoint version " + std::to_string(v.version);
  const std::string fresh = in("tmp/.restoring");
  remove_tree(fresh);
  if (uri.empty()) {
    const Status s = folder ? unpack_folder(v.payload, fresh) : write_file(fresh, v.payload);
    if (!s) return Error{which + ": " + s.error().message, s.error().code};
  } else {
    const auto source = path_of_uri(uri);
    if (!source) return Error{which + " lies at " + uri + ", which this client cannot read"};
    uint64_t size = 0;
    std::string sha256;
    if (const Status s = measure(*source, folder, size, sha256); !s)
      return Error{which + ": " + s.error().message, s.error().code};
    if (std::to_string(size) != get("size") || sha256 != get("sha256"))
      return Error{which + ": " + *source + " is not what was saved (" + std::to_string(size) +
                   " bytes, sha256 " + sha256 + "; expected " + get("size") + ", " + get("sha256") + ")"};
    // A copy: the program may change what it is given.
    if (const Status s = copy_tree(*source, fresh, false); !s) return s;
  }
  // Before it is in place: nobody may see it with looser rights than it was saved with.
  if (const std::string mode = get("mode");
      mode.size() == 3 && mode.find_first_not_of("01234567") == Bytes::npos)
    if (::chmod(fresh.c_str(), static_cast<mode_t>(std::stoul(mode, nullptr, 8))) != 0)
      return failure("set the mode of", fresh);
  remove_tree(target);
  if (::rename(fresh.c_str(), target.c_str()) != 0) return failure("rename", fresh);
  return ok();
}

Status RunFolder::restore(const std::vector<Restorable>& chain) {
  remove_tree(in("deltas"));
  if (chain.empty()) {
    remove_tree(in("checkpoint"));
    return ok();
  }
  if (const Status s = put_in_place(chain[0], in("checkpoint")); !s) return s;
  if (chain.size() > 1 && ::mkdir(in("deltas").c_str(), 0700) != 0) return failure("create", in("deltas"));
  for (size_t i = 1; i < chain.size(); ++i)
    if (const Status s = put_in_place(chain[i], in("deltas/step-" + to_text(chain[i].step))); !s) return s;
  return ok();
}

void RunFolder::prune_store(const std::string& run, const std::vector<uint64_t>& keep) {
  std::error_code ec;
  const fs::path home = fs::path(version_folder(run, 0)).parent_path();
  std::vector<fs::path> gone;
  for (fs::directory_iterator it(home, ec), end; !ec && it != end; it.increment(ec)) {
    const std::string name = it->path().filename();
    const auto version = name.starts_with("version-") ? parse_uint(Bytes(name).substr(8)) : std::nullopt;
    // One that is newer than all the server knows is being written this very moment.
    if (!version || (!keep.empty() && *version > *std::max_element(keep.begin(), keep.end()))) continue;
    if (std::find(keep.begin(), keep.end(), *version) == keep.end()) gone.push_back(it->path());
  }
  for (const fs::path& path : gone) remove_tree(path);
}

}  // namespace hf::cli
