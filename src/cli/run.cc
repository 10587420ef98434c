// One thread polls: the server, signals, the folder, and a helper thread that packs, copies, syncs and
// hashes, so that no heartbeat waits for a disk. What to do is RunPlan's business; here it is done.
#include "cli/run.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <random>
#include <thread>

#include "base/checksum.h"
#include "base/limits.h"
#include "base/number.h"
#include "cli/client.h"
#include "cli/exit_codes.h"
#include "cli/json.h"
#include "cli/pack.h"
#include "cli/progress_bar.h"
#include "cli/run_options.h"
#include "cli/run_plan.h"
#include "cli/run_process.h"
#include "cli/tree.h"

namespace hf::cli {

namespace fs = std::filesystem;

namespace {

constexpr int kDialTimeoutMs = 1000;

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "unknown-host";
}

std::string first_line(const char* path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

/// A file job on a thread of its own; its end is told through an eventfd. One at a time.
class Helper {
 public:
  Helper() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~Helper() {
    if (thread_.joinable()) thread_.join();
    ::close(fd_);
  }
  int fd() const { return fd_; }
  bool busy() const { return thread_.joinable(); }
  /// `work` runs on the thread; what it returns runs in finish(), on the caller's.
  void begin(std::function<std::function<void()>()> work) {
    thread_ = std::thread([this, work = std::move(work)] {
      result_ = work();
      const uint64_t one = 1;
      [[maybe_unused]] const ssize_t n = ::write(fd_, &one, sizeof one);
    });
  }
  void finish() {
    uint64_t count;
    if (::read(fd_, &count, sizeof count) != sizeof count) return;
    thread_.join();
    const auto result = std::move(result_);
    result();
  }

 private:
  int fd_;
  std::thread thread_;
  std::function<void()> result_;
};

class Runner {
 public:
  Runner(RunOptions options, RunSettings settings, std::unique_ptr<RunFolder> folder)
      : o_(std::move(options)),
        folder_(std::move(folder)),
        plan_(std::move(settings), seed(), steady_ms()),
        screen_(o_.quiet) {}
  ~Runner() {
    for (const int fd : {signals_, inotify_})
      if (fd >= 0) ::close(fd);
  }

  int run() {
    watch_signals();
    watch_out();
    while (!exit_code_) {
      act();
      if (!exit_code_) wait();
    }
    if (child_ > 0) ::kill(-child_, SIGKILL);
    screen_.end();
    return *exit_code_;
  }

 private:
  static uint64_t seed() {
    std::random_device device;
    return static_cast<uint64_t>(device()) << 32 | device();
  }

  void watch_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int s : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) sigaddset(&set, s);
    ::sigprocmask(SIG_BLOCK, &set, nullptr);
    signals_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  }

  /// Adopting a folder may make out/ anew; the watch follows.
  void watch_out() {
    if (inotify_ < 0) inotify_ = ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (inotify_ >= 0)
      ::inotify_add_watch(inotify_, (folder_->path() + "/out").c_str(),
                          IN_MOVED_TO | IN_CREATE | IN_CLOSE_WRITE);
  }

  void act() {
    while (!exit_code_) {
      auto effect = plan_.next(steady_ms());
      if (!effect) return;
      std::visit([this](auto& e) { perform(e); }, *effect);
    }
  }

  void wait() {
    pollfd fds[4] = {{connection_.is_open() ? connection_.fd() : -1, POLLIN, 0},
                     {signals_, POLLIN, 0},
                     {inotify_, POLLIN, 0},
                     {helper_.fd(), POLLIN, 0}};
    const Millis now = steady_ms();
    const Millis most = plan_.program_runs() ? 200 : 1000;
    ::poll(fds, 4, static_cast<int>(std::clamp<Millis>(plan_.wake_at(now) - now, 0, most)));
    if (fds[1].revents != 0) take_signals();
    if (fds[2].revents != 0) {
      char events[4096];
      while (::read(inotify_, events, sizeof events) > 0) {}
      if (!helper_.busy()) folder_->coalesce();
      plan_.on_out_changed();
    }
    if (fds[3].revents != 0) helper_.finish();
    if (fds[0].revents != 0) take_replies();
    if (plan_.program_runs() && steady_ms() >= look_at_) look();
  }

  /// Twice a second: progress for the screen and the next beat; and out/, should inotify have missed
  /// something.
  void look() {
    look_at_ = steady_ms() + 500;
    plan_.on_progress(folder_->progress());
    screen_.show(plan_.run(), plan_.progress(), plan_.connected(), steady_ms());
    if (++looks_ % 4 == 0) {
      plan_.on_out_changed();
      if (!helper_.busy()) folder_->coalesce();
    }
  }

  void take_replies() {
    while (connection_.is_open()) {
      resp::Value v;
      auto got = connection_.poll_reply(v);
      if (!got) return plan_.on_disconnected(got.error().message, steady_ms());
      if (!*got) return;
      if (!v.is(resp::Value::Kind::Push)) plan_.on_reply(v, steady_ms());
      act();
    }
  }

  void take_signals() {
    signalfd_siginfo info{};
    while (::read(signals_, &info, sizeof info) == sizeof info) {
      if (info.ssi_signo == SIGCHLD) reap();
      else plan_.on_signal(static_cast<int>(info.ssi_signo), steady_ms());
    }
  }

  void reap() {
    int status = 0;
    if (child_ <= 0 || ::waitpid(child_, &status, WNOHANG) != child_) return;
    ::kill(-child_, SIGKILL);         // nothing of the attempt outlives its first process,
    kill_leftovers(folder_->path());  // not even what has left its group
    child_ = -1;
    screen_.end();
    plan_.on_progress(folder_->progress());
    const bool killed = WIFSIGNALED(status);
    plan_.on_exit(killed ? 0 : WEXITSTATUS(status), killed ? WTERMSIG(status) : 0, folder_->finished_marked(),
                  steady_ms());
  }

  void perform(effect::Dial& e) {
    ConnectOptions to = o_.connect;
    to.addresses = {o_.connect.addresses[e.address]};
    to.connect_timeout_ms = kDialTimeoutMs;
    const Status s = connection_.open(to);
    if (s) plan_.on_connected(steady_ms());
    else plan_.on_dial_failed(s.error().message, s.error().code == kExitTryLater, steady_ms());
  }
  void perform(effect::HangUp&) { connection_.close(); }
  void perform(effect::Send& e) {
    if (const Status s = connection_.send(e.args); !s) plan_.on_disconnected(s.error().message, steady_ms());
  }
  void perform(effect::Adopt& e) {
    auto ended = folder_->adopt(e.run);
    if (!ended) return fail(ended.error());
    watch_out();
    plan_.on_adopted(*ended);
  }
  void perform(effect::Collect& e) {
    helper_.begin([this, e]() -> std::function<void()> {
      auto failed = std::make_shared<std::string>();
      auto result = std::make_shared<Result<std::optional<Prepared>>>(
          folder_->collect(e.run, e.version, e.newer_than, *failed));
      return [this, result, failed] { plan_.on_collected(std::move(*result), *failed, steady_ms()); };
    });
  }
  void perform(effect::Settle& e) { folder_->settle(e.name); }
  void perform(effect::Restore& e) {
    helper_.begin([this, chain = std::move(e.chain)]() -> std::function<void()> {
      auto result = std::make_shared<Status>(folder_->before_attempt());
      if (*result) *result = folder_->restore(chain);
      return [this, result] { plan_.on_restored(*result); };
    });
  }
  void perform(effect::Start& e) {
    StartProcess what;
    what.argv = o_.argv;
    what.environment = {{"HOLDFAST_RUN", e.run},
                        {"HOLDFAST_TOKEN", e.token},
                        {"HOLDFAST_ATTEMPT", e.attempt},
                        {"HOLDFAST_STEP", to_text(e.step)},
                        {"HOLDFAST_RESOURCES", e.resources},
                        {"HOLDFAST_DIR", folder_->path()}};
    what.lock_fd = folder_->lock_fd();
    what.empty_stdin = ::isatty(STDIN_FILENO) != 0;
    auto pid = start_process(what);
    if (!pid) return plan_.on_start_failed(pid.error().code, pid.error().message, steady_ms());
    child_ = *pid;
    look_at_ = steady_ms() + 500;
  }
  void perform(effect::Signal& e) {
    if (child_ > 0) ::kill(-child_, e.number);
  }
  void perform(effect::AskProgram&) {
    if (child_ <= 0) return;
    if (ask_group(child_) > 0) return void(deaf_ = 0);
    if (++deaf_ != 3) return;  // at first it may not have come to it yet
    screen_.line("the program does not handle SIGUSR1, so it is not asked for checkpoints");
  }
  void perform(effect::RememberEnd& e) {
    if (const Status s = folder_->remember_end(e.run, e.code); !s) screen_.line(s.error().message);
  }
  void perform(effect::PruneStore& e) { folder_->prune_store(e.run, e.keep); }
  void perform(effect::Say& e) { screen_.line(e.text); }
  void perform(effect::Exit& e) {
    exit_code_ = e.code;
    if (!e.clear) return;
    folder_->clear();
    if (o_.store.empty()) folder_->prune_store(plan_.run(), {});
  }
  void fail(const Error& e) {
    screen_.line(e.message);
    exit_code_ = kExitServerError;
  }

  RunOptions o_;
  std::unique_ptr<RunFolder> folder_;
  RunPlan plan_;
  ProgressBar screen_;
  Connection connection_;
  Helper helper_;
  int signals_ = -1, inotify_ = -1, looks_ = 0, deaf_ = 0;
  pid_t child_ = -1;
  Millis look_at_ = 0;
  std::optional<int> exit_code_;
};

std::string default_folder(const RunOptions& o) {
  std::string base;
  if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state == '/') base = state;
  else if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0')
    base = std::string(home) + "/.local/state";
  else base = "/var/tmp";
  return base + "/holdfast/" + path_part(o.connect.addresses[0].text()) + "/" + path_part(o.task);
}

std::string absolute(const std::string& path) { return fs::absolute(path).lexically_normal().string(); }

RunSettings settings_of(const RunOptions& o, const std::string& folder) {
  RunSettings s;
  s.task = o.task, s.queue = o.queue, s.tags = o.tags, s.trace = o.trace, s.priority = o.priority,
  s.retries = o.retries;
  s.lease_ms = o.lease_ms, s.timeout_ms = o.timeout_ms;
  s.backoff_kind = o.backoff_kind, s.backoff_base_ms = o.backoff_base_ms, s.backoff_cap_ms = o.backoff_cap_ms;
  s.fresh = o.fresh, s.once = o.once, s.no_wait = o.no_wait, s.wait = o.wait, s.fallback = o.fallback,
  s.strict = o.strict;
  s.grace_ms = o.grace_ms, s.checkpoint_every_ms = o.checkpoint_every_ms;
  s.permanent_exit_codes.assign(o.permanent_exit_codes.begin(), o.permanent_exit_codes.end());
  s.addresses = o.connect.addresses.size();
  // The same worker after any crash, so that it gets its own run back at once; another folder is another
  // worker.
  const std::string identity = first_line("/etc/machine-id") + "\n" + folder;
  s.worker = o.worker.empty() ? host_name() + "-" + to_hex(sum128(identity)).substr(0, 12) : o.worker;
  s.payload = "{\"argv\":[";
  for (size_t i = 0; i < o.argv.size(); ++i) s.payload += (i > 0 ? "," : "") + json_string(o.argv[i]);
  std::error_code ec;
  s.payload += "],\"cwd\":" + json_string(fs::current_path(ec).string()) +
               ",\"host\":" + json_string(host_name()) + "}";
  return s;
}

/// Waits until the folder is ours and nothing of an earlier wrapper's program lives. False: not waiting,
/// `holder` has it.
Result<bool> lock_folder(RunFolder& folder, const RunOptions& o) {
  bool told = false;
  for (;;) {
    int holder = 0;
    auto locked = folder.try_lock(holder);
    if (!locked) return locked.error();
    if (*locked) {
      kill_leftovers(folder.path());
      return true;
    }
    const bool alive = holder > 0 && ::kill(holder, 0) == 0;
    // The wrapper that held it is dead: its program goes too, by the same rule that ties it to its wrapper.
    if (!alive) kill_leftovers(folder.path());
    if (alive && o.no_wait) return false;
    if (alive && !told && !o.quiet)
      std::fprintf(stderr, "holdfast: process %d works in %s already; waiting for it to end\n", holder,
                   folder.path().c_str());
    told = told || alive;
    std::this_thread::sleep_for(std::chrono::milliseconds(alive ? 100 : 5));
  }
}

}  // namespace

int run_command(const Options& options) {
  auto o = parse_run_options(options);
  if (!o) return complain(o.error().message, kExitUsage);
  if (o->help) return std::fputs(kRunHelp, stdout), kExitOk;
  const std::string path = absolute(o->dir.empty() ? default_folder(*o) : o->dir);
  auto folder = std::make_unique<RunFolder>(path, o->store.empty() ? "" : absolute(o->store),
                                            limits::task_payload_bytes_max);
  if (const Status s = folder->create(); !s) return complain(s.error().message, kExitServerError);
  auto locked = lock_folder(*folder, *o);
  if (!locked) return complain(locked.error().message, kExitServerError);
  if (!*locked)
    return complain("another holdfast-cli run works in " + path + "; not waiting (--no-wait)", kExitTryLater);
  RunSettings settings = settings_of(*o, path);
  return Runner(std::move(*o), std::move(settings), std::move(folder)).run();
}

int checkpoint_command(const Options& options) {
  auto o = parse_checkpoint_options(options);
  if (!o) return complain(o.error().message, kExitUsage);
  if (o->help) return std::fputs(kCheckpointHelp, stdout), kExitOk;
  const char* dir = std::getenv("HOLDFAST_DIR");
  if (dir == nullptr || *dir == '\0')
    return complain(
        "checkpoint works inside a program that `holdfast-cli run` started (HOLDFAST_DIR is not set)",
        kExitUsage);
  const std::string base = dir, name = (o->delta ? "delta-" : "step-") + to_text(o->step);
  const std::string tmp = base + "/tmp/" + name + "." + std::to_string(::getpid()),
                    out = base + "/out/" + name;
  std::error_code ec;
  // The name on the command line may be a link ("latest"): what it leads to is meant. Links inside are kept.
  const std::string source = fs::canonical(o->file, ec);
  if (ec) return complain("cannot read " + o->file + ": " + ec.message(), kExitServerError);
  Status copied = copy_tree(source, tmp, false);
  if (copied && fs::is_directory(tmp, ec)) copied = pack_folder(tmp, [](Bytes) { return ok(); });
  if (!copied) {
    remove_tree(tmp);
    return complain(copied.error().message, kExitServerError);
  }
  Status synced = sync_tree(tmp);
  if (synced) {
    fs::rename(tmp, out, ec);
    if (ec && fs::exists(out)) {  // a folder is there under this step: the newer one takes its place
      ec.clear();
      remove_tree(out);
      fs::rename(tmp, out, ec);
    }
    if (ec) synced = Error{"cannot rename " + tmp + " to " + out + ": " + ec.message(), ec.value()};
  }
  if (!synced) {
    remove_tree(tmp);
    return complain(synced.error().message, kExitServerError);
  }
  while (o->wait && (fs::exists(out) || fs::exists(base + "/sending/" + name)))
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  return kExitOk;
}

}  // namespace hf::cli
