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

/// Records of runs as a table: one row each. `now_ms` is wall-clock time.
Table runs_table(const std::vector<const resp::Value*>& records, int64_t now_ms);
Table events_table(const resp::Value& events, int64_t now_ms);
/// One record, one field a line, times with their ages.
std::string record_page(const resp::Value& record, int64_t now_ms, bool color);

}  // namespace hf::cli
