// The folder is made here and a token put into it, by which the server sees that its client may write there.
// Copying is the server's; comparing digests needs the memory of a second server and is a process of its own.
#include "cli/backup.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <thread>

#include "base/number.h"
#include "cli/client.h"
#include "cli/exit_codes.h"
#include "cli/json.h"
#include "cli/progress_bar.h"
#include "cli/tables.h"

extern char** environ;

namespace hf::cli {

using resp::Value;

namespace {

const char* const kBackupHelp =
    R"(holdfast-cli backup: copy a running server's data

  holdfast-cli [options] backup [--no-verify] [--json] [--quiet] DIR

DIR is on the server's machine and made when missing. The first time everything is copied: a
snapshot and the log behind it; from then on only what is new. The server goes on meanwhile. DIR
is a data folder: start a server on it, or go back to a point in it with --restore-to.

Then the state at the moment of the call is brought back from the copy, in a process of its own
(it needs as much memory as the server), and its digest compared with the one the server took
at that moment. --no-verify leaves that out; holdfast-server --verify-backup DIR does it later.

Options of the connection (-h, -p, -u ...) stand before `backup` or behind it.

Exit codes: 0 copied and verified (or --no-verify); 1 the backup failed, nothing is lost that was
in DIR; 65 copied, but what comes back is not what the server had; 69 no server, or it ended
meanwhile; 70 copied, but holdfast-server could not be run to verify it; 75 another backup is
running; 2 usage.
)";

constexpr int kExitNotVerified = 70;
constexpr auto poll_pause = std::chrono::milliseconds(100);
constexpr const char* token_name = "BACKUP-TOKEN";

struct BackupOptions {
  ConnectOptions connect;
  std::string folder;
  bool verify = true, json = false, quiet = false, help = false;
};

Result<BackupOptions> parse(const Options& base) {
  BackupOptions o;
  o.connect = base.connect;
  o.json = base.format == Format::Json;
  const std::vector<std::string>& words = base.words;
  for (size_t i = 1; i < words.size();) {
    const std::string& word = words[i];
    if (auto taken = take_connect_option(words, i, o.connect); !taken) return taken.error();
    else if (*taken) continue;
    if (word == "--help") o.help = true;
    else if (word == "--no-verify") o.verify = false;
    else if (word == "--json") o.json = true;
    else if (word == "--quiet") o.quiet = true;
    else if (word.starts_with("-") || !o.folder.empty() || word.empty())
      return Error{"backup: " + quoted(word) + " is not understood; see holdfast-cli backup --help"};
    else o.folder = word;
    ++i;
  }
  if (o.folder.empty() && !o.help) return Error{"backup: name the folder; see holdfast-cli backup --help"};
  return o;
}

std::string draw_token() {
  std::random_device source;
  std::string token;
  while (token.size() < 32) token += "0123456789abcdef"[source() & 15];
  return token;
}

/// The token in the folder; it goes with this at the latest.
class Token {
 public:
  explicit Token(const std::string& folder) : path_(folder + "/" + token_name), text_(draw_token()) {}
  ~Token() { ::unlink(path_.c_str()); }
  Token(const Token&) = delete;
  Token& operator=(const Token&) = delete;

  Status put() {
    ::unlink(path_.c_str());
    const int fd = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    const bool written =
        fd >= 0 && ::write(fd, text_.data(), text_.size()) == static_cast<ssize_t>(text_.size());
    const int code = errno;
    if (fd >= 0) ::close(fd);
    return written ? ok() : Status(Error{"can't write " + path_ + ": " + std::strerror(code)});
  }
  const std::string& text() const { return text_; }

 private:
  const std::string path_, text_;
};

std::string text_of(const Value& state, Bytes name) {
  const Value* value = state.field(name);
  return value == nullptr ? "" : value->as_text();
}
int64_t number_of(const Value& state, Bytes name) {
  const Value* value = state.field(name);
  return value == nullptr ? 0 : value->as_int().value_or(0);
}

/// holdfast-server beside this program, or wherever the shell finds it.
std::string server_program() {
  char self[4096];
  const ssize_t n = ::readlink("/proc/self/exe", self, sizeof self - 1);
  if (n > 0) {
    const std::string path(self, static_cast<size_t>(n));
    const std::string beside = path.substr(0, path.rfind('/') + 1) + "holdfast-server";
    if (::access(beside.c_str(), X_OK) == 0) return beside;
  }
  return "holdfast-server";
}

/// Its exit code; -1: it could not be run. What it says on standard error is for the user.
int run_verify(const std::string& folder) {
  const std::string program = server_program();
  const char* argv[] = {program.c_str(), "--verify-backup", folder.c_str(), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t pid = 0;
  const int failed =
      ::posix_spawnp(&pid, program.c_str(), &actions, nullptr, const_cast<char**>(argv), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return -1;
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return -1;
  return WIFEXITED(status) && WEXITSTATUS(status) != 127 ? WEXITSTATUS(status) : -1;
}

class Backup {
 public:
  Backup(const BackupOptions& options, std::string folder)
      : o_(options), folder_(std::move(folder)), bar_(options.quiet) {}

  int run() {
    if (const Status opened = c_.open(o_.connect); !opened)
      return complain(opened.error().message, opened.error().code == 0 ? kExitNoServer : opened.error().code);
    Value state;
    {
      Token token(folder_);
      if (const Status put = token.put(); !put) return complain(put.error().message, kExitServerError);
      const auto begun = c_.ask({"BACKUP", "START", "INTO", folder_, "TOKEN", token.text()});
      if (!begun) return complain(begun.error().message, kExitNoServer);
      if (begun->is_error()) return complain("the server answered: " + begun->text, exit_code_of(*begun));
      if (const int code = follow(begun->integer, state); code != kExitOk) return code;
    }
    int code = kExitOk;
    if (o_.verify) code = verify();
    print(state, o_.verify && code == kExitOk);
    return code;
  }

 private:
  int follow(int64_t id, Value& state) {
    for (;; std::this_thread::sleep_for(poll_pause)) {
      auto answer = c_.ask({"BACKUP", "STATUS"});
      if (!answer)
        return complain(answer.error().message + "; the backup is not finished, and goes on at the next call",
                        kExitNoServer);
      if (answer->is_error()) return complain("the server answered: " + answer->text, exit_code_of(*answer));
      state = std::move(*answer);
      if (number_of(state, "id") != id)
        return complain("another backup began before the end of this one could be read; call again",
                        kExitTryLater);
      const std::string phase = text_of(state, "state");
      if (phase == "done") return bar_.end(), kExitOk;
      if (phase == "failed") {
        bar_.end();
        return complain("the backup failed: " + text_of(state, "error"), kExitServerError);
      }
      bar_.show("backup", {number_of(state, "bytes-done"), number_of(state, "bytes-total"), phase}, true,
                steady_ms());
    }
  }

  int verify() {
    const int code = run_verify(folder_);
    if (code == 0) return kExitOk;
    if (code > 0) return complain("the copy in " + folder_ + " is not verified; see above", kExitBadData);
    return complain(
        "copied, but holdfast-server could not be run to verify it: put it beside holdfast-cli, or "
        "run holdfast-server --verify-backup " +
            folder_,
        kExitNotVerified);
  }

  void print(const Value& state, bool verified) {
    if (o_.json) {
      std::string out = "{\"folder\":" + json_string(folder_);
      for (const char* name : {"bytes-done", "milliseconds", "log-begin", "log-end", "offset", "time"})
        out += ",\"" + std::string(name) + "\":" + to_text(number_of(state, name));
      out += ",\"digest\":" + json_string(text_of(state, "digest"));
      out += std::string(",\"verified\":") + (verified ? "true" : "false") + "}";
      std::printf("%s\n", out.c_str());
      return;
    }
    if (o_.quiet) return;
    std::printf("Copied %s in %s: %s holds the log from offset %s to %s\n",
                size_text(static_cast<uint64_t>(number_of(state, "bytes-done"))).c_str(),
                span_text(number_of(state, "milliseconds")).c_str(), folder_.c_str(),
                text_of(state, "log-begin").c_str(), text_of(state, "log-end").c_str());
    std::printf("%s digest %s at offset %s\n",
                verified ? "Verified:" : "Not verified:", text_of(state, "digest").c_str(),
                text_of(state, "offset").c_str());
  }

  const BackupOptions& o_;
  const std::string folder_;
  ProgressBar bar_;
  Connection c_;
};

}  // namespace

bool backup_is_mode(const Options& options) {
  if (options.words.size() < 2) return true;
  for (const char* subcommand : {"start", "status", "help"})
    if (equal_nocase(options.words[1], subcommand)) return false;
  return true;
}

int backup_command(const Options& options) {
  const auto o = parse(options);
  if (!o) return complain(o.error().message, kExitUsage);
  if (o->help) return std::fputs(kBackupHelp, stdout), kExitOk;
  if (::mkdir(o->folder.c_str(), 0700) != 0 && errno != EEXIST)
    return complain("can't make the folder " + o->folder + ": " + std::strerror(errno), kExitServerError);
  const std::unique_ptr<char, void (*)(void*)> real(::realpath(o->folder.c_str(), nullptr), std::free);
  if (!real) return complain("can't open " + o->folder + ": " + std::strerror(errno), kExitServerError);
  return Backup(*o, real.get()).run();
}

}  // namespace hf::cli
