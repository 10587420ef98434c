// A MANIFEST made anew: what it told of the log stands in the segments' headers, too.
#pragma once
#include <optional>

#include "log/manifest.h"
#include "log/recovery.h"
#include "log/repair.h"

namespace hf::log {

/// MANIFEST as it is; `why` instead where it has to be made anew: it is missing, damaged or older than the
/// log.
struct ManifestFinding {
  Manifest manifest;
  std::string why;
};
Result<ManifestFinding> read_for_repair(Files& files);

/// Error: there is no log that goes on from `base`, the newest whole snapshot.
Result<RepairPlan> plan_manifest(Files& files, const std::string& why,
                                 const std::optional<SnapshotPoint>& base, WallMs now_ms);

}  // namespace hf::log
