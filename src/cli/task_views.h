// `holdfast-cli task ls|show|runs|events`: tasks as tables that people read.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "cli/options.h"
#include "cli/tables.h"
#include "resp/reader.h"

namespace hf::cli {

/// Runs `task ...` (options.words[0] is "task") and returns the process's exit code.
int task_command(const Options& options);

/// Records of runs as a table: one row each. `now_ms` is wall-clock time. Names of runs take `run_width`
/// columns at most (0: no bound).
Table runs_table(const std::vector<const resp::Value*>& records, int64_t now_ms, size_t run_width = 60);
Table events_table(const resp::Value& events, int64_t now_ms);
/// One record, one field a line, times with their ages.
std::string record_page(const resp::Value& record, int64_t now_ms, bool color);

}  // namespace hf::cli
