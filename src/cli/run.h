// `holdfast-cli run` and `holdfast-cli checkpoint`: the world around the plan.
#pragma once
#include "cli/options.h"

namespace hf::cli {

/// Runs `run ...` (options.words[0] is "run") to its end; returns the process's exit code.
int run_command(const Options& options);
/// Runs `checkpoint FILE --step N` inside a wrapped program.
int checkpoint_command(const Options& options);

}  // namespace hf::cli
