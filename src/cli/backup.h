// `holdfast-cli backup DIR`: asks the server for a backup into a folder of its machine, shows how far it is,
// and has it verified.
#pragma once
#include "cli/options.h"

namespace hf::cli {

/// False for the server's own command: BACKUP START, STATUS, HELP.
bool backup_is_mode(const Options& options);
/// Returns the process's exit code.
int backup_command(const Options& options);

}  // namespace hf::cli
