// holdfast-cli: picks the mode; everything else is in src/cli.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "cli/backup.h"
#include "cli/client.h"
#include "cli/exit_codes.h"
#include "cli/follow.h"
#include "cli/options.h"
#include "cli/repl.h"
#include "cli/run.h"
#include "cli/task_views.h"

namespace {

std::string password_from_environment() {
  for (const char* name : {"HOLDFASTCLI_AUTH", "REDISCLI_AUTH"})
    if (const char* value = std::getenv(name); value != nullptr && *value != '\0') return value;
  return "";
}

}  // namespace

int main(int argc, char** argv) {
  using namespace hf::cli;
  ::signal(SIGPIPE, SIG_IGN);
  auto options = parse_options(std::vector<std::string>(argv + 1, argv + argc), password_from_environment());
  if (!options) {
    std::fprintf(stderr, "holdfast-cli: %s\n", options.error().message.c_str());
    return kExitUsage;
  }
  if (options->help) return std::fputs(kHelp, stdout), kExitOk;
  if (options->version) return std::puts("holdfast-cli 0.1.0"), kExitOk;
  if (!options->words.empty()) {
    const std::string& mode = options->words[0];
    if (mode == "backup" && backup_is_mode(*options)) return backup_command(*options);
    if (mode == "follow") return follow_command(*options);
    if (mode == "run") return run_command(*options);
    if (mode == "checkpoint") return checkpoint_command(*options);
    if (mode == "task") return task_command(*options);
  } else if (!options->pipe && !options->scan && ::isatty(STDIN_FILENO) != 0) {
    return run_repl(*options);
  }
  return run_client(*options);
}
