// Drives a node that goes back in time: reads one data folder, makes another, shows how far it is.
#pragma once
#include <string>

#include "config/options.h"
#include "log/restore.h"

namespace hf::edge {

/// The state at `point`, out of the folder `options.dir`, which is only read (its server may be running),
/// into `into`, which must be empty or missing. Returns the exit code, having said on standard error what
/// went wrong.
int restore_into(const config::Options& options, const log::RestorePoint& point, const std::string& into);

}  // namespace hf::edge
