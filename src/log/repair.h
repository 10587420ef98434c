// What can be saved of a damaged log: everything before the first frame that is wrong. Planned here,
// announced and carried out by holdfast-check --repair.
#pragma once
#include <string>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "base/types.h"

namespace hf::log {

struct RepairPlan {
  /// Sentences: what is wrong, what will be done, what is lost. Without steps: why nothing is to be done.
  std::vector<std::string> announcement;
  /// One job. Originals are safe under rescue/ before anything changes; stopped anywhere, the next repair
  /// finishes it.
  std::vector<FileStep> steps;
  LogOffset end;  ///< of the log afterwards
};

/// `base`: offset of the newest snapshot that is whole, 0 for none; the log must be sound up to there. Error:
/// the folder can't be mended this way (the sentence says what else there is).
Result<RepairPlan> plan_repair(Files& files, LogOffset base, WallMs now_ms);

}  // namespace hf::log
