// The mark in a folder that a backup or a restore has begun and not finished: while it is there nothing
// starts from the folder, and the same command, run again, goes on. Without it a folder cut short by a power
// failure would start as an older state, or empty, and be taken for the whole.
#pragma once
#include <string>
#include <vector>

#include "base/files.h"
#include "base/result.h"

namespace hf::log {

constexpr const char* incomplete_name = "INCOMPLETE";

enum class Unfinished : uint8_t { Restore, Backup };

/// On disk when done, before anything else is made in the folder.
void add_mark_steps(Unfinished what, std::vector<FileStep>& steps);
/// After the last thing the folder needs is on disk.
void add_unmark_steps(std::vector<FileStep>& steps);

/// Empty, or a sentence: what was not finished in this folder, and what to do.
std::string why_incomplete(Files& files);
/// The mark is there and is, as far as can be read, that of `what`.
bool is_marked(Files& files, Unfinished what);

/// The steps that make `target` ready for a restore: the mark, and what an earlier one left goes. Error: the
/// folder is not empty, and not an unfinished restore either.
Result<std::vector<FileStep>> begin_restore(Files& target);

}  // namespace hf::log
