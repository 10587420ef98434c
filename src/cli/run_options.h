// The command line of `holdfast-cli run` and `holdfast-cli checkpoint`.
#pragma once
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "cli/options.h"

namespace hf::cli {

struct RunOptions {
  ConnectOptions connect;
  std::string task, queue = "default", worker, dir, store;
  std::vector<std::string> argv;  ///< of the program; not empty
  std::vector<std::pair<std::string, std::string>> tags;
  std::string trace;
  int64_t priority = 0, retries = -1, lease_ms = 0, timeout_ms = 0;  ///< -1 and 0: the server's default
  std::string backoff_kind;                                          ///< empty: the server's default
  int64_t backoff_base_ms = 0, backoff_cap_ms = 0;
  bool fresh = false, once = false, no_wait = false, wait = false, fallback = false, strict = false,
       quiet = false;
  int64_t grace_ms = 30000, checkpoint_every_ms = 0;
  std::set<int> permanent_exit_codes;
  bool help = false;
};

/// Reads `run ...` (options.words[0] is "run"), on top of the connection options that stood before it.
Result<RunOptions> parse_run_options(const Options& options);

struct CheckpointOptions {
  std::string file;
  int64_t step = -1;
  bool delta = false, wait = false, help = false;
};
Result<CheckpointOptions> parse_checkpoint_options(const Options& options);

extern const char* const kRunHelp;
extern const char* const kCheckpointHelp;

}  // namespace hf::cli
