// The wrapped program as a process group: start, signal, find what a dead wrapper left behind.
#pragma once
#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace hf::cli {

struct StartProcess {
  std::vector<std::string> argv;
  std::vector<std::pair<std::string, std::string>> environment;  ///< on top of ours
  int lock_fd = -1;  ///< stays open in the program, so that the folder stays locked while it lives
  bool empty_stdin = false;
};

/// Starts the program in a process group of its own that the kernel kills with us (PR_SET_PDEATHSIG). Call it
/// on the main thread: the kernel counts the thread, not the process. An error also when the program can't be
/// executed; its code is what a shell would exit with (127 not found, 126 not executable).
Result<pid_t> start_process(const StartProcess& what);

/// SIGUSR1 to the processes of the group that handle it; others would die of it. Returns how many.
int ask_group(pid_t group);

/// Kills (SIGKILL) the processes that still have HOLDFAST_DIR=`dir` in their environment, other than
/// ourselves and our ancestors: what an earlier wrapper's program left. Returns how many.
int kill_leftovers(const std::string& dir);

}  // namespace hf::cli
