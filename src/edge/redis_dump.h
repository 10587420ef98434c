// Dumps of Redis's as files, for holdfast-check: looking into one before a move, and writing one.
#pragma once
#include <string>

namespace hf::edge {

/// The path is a file (not a folder): what `check_dump` looks at.
bool is_file(const std::string& path);

/// Reads the dump to its end and prints what a move would take and what it would refuse, as a table or as one
/// JSON object. Returns the exit code: 0 sound and nothing refused, 1 damaged or refused, 2 unreadable.
int check_dump(const std::string& path, bool json);

/// Writes `into` (which must not exist yet): a dump that redis-server 7.0 loads, out of the newest sound
/// snapshot of a data folder, or out of another dump. Returns the exit code, having said on standard error
/// what went wrong; `into` is then not there.
int write_dump(const std::string& from, const std::string& into);

}  // namespace hf::edge
