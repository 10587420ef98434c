// `holdfast-cli follow [HOST PORT]`: makes a server the replica of another one (REPLICAOF), shows how far its
// sync is, and ends when it has everything.
#pragma once
#include "cli/options.h"

namespace hf::cli {

/// Returns the process's exit code.
int follow_command(const Options& options);

}  // namespace hf::cli
