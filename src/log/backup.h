// A copy of a data folder, taken from outside while its server may be running: which bytes, in which order,
// so that the copy is at any moment a folder that starts, and so that the next time only what is new is
// copied.
#pragma once
#include <string>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "base/types.h"

namespace hf::log {

/// Done in order, each whole before the next: bytes `from` to `to` of the source's file `name` are written to
/// the same place of the target's file `as`, then come `steps`, all in the target.
struct BackupAction {
  std::string name, as;  ///< empty: nothing to copy
  uint64_t from = 0, to = 0;
  std::vector<FileStep> steps;
};

struct BackupPlan {
  /// To be synced in the source before anything is copied: the copy must not know what the source may forget.
  std::string sync_first;
  std::vector<BackupAction> actions;
  LogOffset begin, end;  ///< of the log in the copy
  uint64_t bytes = 0;    ///< to be copied
};

/// Reads both folders' MANIFESTs and the segments that grow. An error with code ENOENT: the server trimmed
/// its log meanwhile; plan again. Other errors say why `target` can't take this backup.
Result<BackupPlan> plan_backup(Files& source, Files& target);

}  // namespace hf::log
