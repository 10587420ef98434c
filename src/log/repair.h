// What can be saved of a damaged log: everything before the first frame that is wrong, and where that lies in
// front of the newest whole snapshot, everything behind the snapshot. Planned here, announced and carried out
// by holdfast-check --repair.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "base/types.h"
#include "log/recovery.h"

namespace hf::log {

struct RepairPlan {
  /// Sentences: what is wrong, what will be done, what is lost. Without steps: why nothing is to be done.
  std::vector<std::string> announcement;
  /// One job. Originals are safe under rescue/ before anything changes; stopped anywhere, the next repair
  /// finishes it.
  std::vector<FileStep> steps;
  std::optional<LogOffset> end;  ///< of the log, where it is cut
};

/// Mends one thing (MANIFEST, the log's begin, its end): to be called again until there is nothing more to
/// do. `base`: the newest snapshot that is whole. Error: the folder can't be mended this way (the sentence
/// says what else there is).
Result<RepairPlan> plan_repair(Files& files, const std::optional<SnapshotPoint>& base, WallMs now_ms);

}  // namespace hf::log
