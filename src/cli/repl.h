// The prompt: line editing, history, completion, help; it reconnects when the server comes back.
#pragma once
#include "cli/options.h"

namespace hf::cli {

/// Runs until quit or Ctrl-D; returns the process's exit code. Stdin and stdout are a terminal.
int run_repl(const Options& options);

/// Whether a line may be kept in the history: those that carry a password may not.
bool keep_in_history(const std::string& line);

}  // namespace hf::cli
