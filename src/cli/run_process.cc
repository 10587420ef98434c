// /proc tells what the kernel's calls do not: who handles SIGUSR1, whose environment names our folder.
#include "cli/run_process.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>

#include "base/bytes.h"

extern char** environ;

namespace hf::cli {

namespace {

std::vector<std::string> merged_environment(const std::vector<std::pair<std::string, std::string>>& added) {
  std::vector<std::string> out;
  for (char** at = environ; *at != nullptr; ++at) {
    const Bytes entry = *at;
    bool replaced = false;
    for (const auto& [name, value] : added)
      replaced =
          replaced || (entry.starts_with(name) && entry.size() > name.size() && entry[name.size()] == '=');
    if (!replaced) out.emplace_back(entry);
  }
  for (const auto& [name, value] : added) out.push_back(name + "=" + value);
  return out;
}

/// Between fork and exec: only calls that are safe there. Writes errno to `report` when the program can't be
/// executed.
[[noreturn]] void become(const StartProcess& what, char** argv, char** envp, pid_t parent, int report) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(137);  // the wrapper died before the kernel knew what to do then
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int s : {SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGCHLD}) ::signal(s, SIG_DFL);
  if (what.empty_stdin) {
    const int null = ::open("/dev/null", O_RDONLY);
    if (null > 0) ::dup2(null, 0), ::close(null);
  }
  if (what.lock_fd >= 0) ::fcntl(what.lock_fd, F_SETFD, 0);
  ::execvpe(argv[0], argv, envp);
  const int code = errno;
  [[maybe_unused]] const ssize_t n = ::write(report, &code, sizeof code);
  ::_exit(code == ENOENT ? 127 : 126);
}

std::string slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

/// Calls `each(pid)` for every process there is.
template <class Each>
void for_each_process(Each&& each) {
  DIR* dir = ::opendir("/proc");
  if (dir == nullptr) return;
  while (const dirent* entry = ::readdir(dir)) {
    const int pid = std::atoi(entry->d_name);
    if (pid > 1) each(static_cast<pid_t>(pid));
  }
  ::closedir(dir);
}

pid_t parent_of(pid_t pid) {
  const std::string stat = slurp("/proc/" + std::to_string(pid) + "/stat");
  const size_t paren = stat.rfind(')');  // the name before it may hold anything
  int parent = 0;
  char state = 0;
  if (paren == std::string::npos || std::sscanf(stat.c_str() + paren + 1, " %c %d", &state, &parent) != 2)
    return 0;
  return parent;
}

}  // namespace

Result<pid_t> start_process(const StartProcess& what) {
  std::vector<std::string> env = merged_environment(what.environment);
  std::vector<char*> argv, envp;
  for (const std::string& a : what.argv) argv.push_back(const_cast<char*>(a.c_str()));
  for (std::string& e : env) envp.push_back(e.data());
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  int report[2];
  if (::pipe2(report, O_CLOEXEC) != 0)
    return Error{std::string("cannot make a pipe: ") + std::strerror(errno), 126};
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) become(what, argv.data(), envp.data(), parent, report[1]);
  const int fork_error = errno;
  ::close(report[1]);
  int code = 0;
  ssize_t n = 0;
  if (pid > 0) {
    ::setpgid(pid, pid);  // here too: a signal may come before the child has done it
    do n = ::read(report[0], &code, sizeof code);
    while (n < 0 && errno == EINTR);
  }
  ::close(report[0]);
  if (pid < 0) return Error{std::string("cannot start a process: ") + std::strerror(fork_error), 126};
  if (n == 0) return pid;
  ::waitpid(pid, nullptr, 0);
  return Error{"cannot execute " + what.argv[0] + ": " + std::strerror(code), code == ENOENT ? 127 : 126};
}

int ask_group(pid_t group) {
  int asked = 0;
  for_each_process([&](pid_t pid) {
    if (::getpgid(pid) != group) return;
    std::istringstream status(slurp("/proc/" + std::to_string(pid) + "/status"));
    std::string line;
    while (std::getline(status, line)) {
      if (!line.starts_with("SigCgt:")) continue;
      const unsigned long long caught = std::strtoull(line.c_str() + 7, nullptr, 16);
      if ((caught >> (SIGUSR1 - 1) & 1) != 0 && ::kill(pid, SIGUSR1) == 0) ++asked;
    }
  });
  return asked;
}

int kill_leftovers(const std::string& dir) {
  const std::string wanted = "HOLDFAST_DIR=" + dir;
  std::vector<pid_t> ours;
  for (pid_t p = ::getpid(); p > 1; p = parent_of(p)) ours.push_back(p);
  int killed = 0;
  for_each_process([&](pid_t pid) {
    for (const pid_t p : ours)
      if (p == pid) return;
    struct stat st {};
    const std::string base = "/proc/" + std::to_string(pid);
    if (::stat(base.c_str(), &st) != 0 || st.st_uid != ::geteuid()) return;
    const std::string env = slurp(base + "/environ");
    for (size_t at = 0; at < env.size();) {
      const size_t end = std::min(env.find('\0', at), env.size());
      if (Bytes(env).substr(at, end - at) == wanted) {
        if (::kill(pid, SIGKILL) == 0) ++killed;
        return;
      }
      at = end + 1;
    }
  });
  return killed;
}

}  // namespace hf::cli
