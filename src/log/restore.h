// Back in time: what point is meant, which snapshots may serve as its base, and whether what was reached is
// it. The replay itself is Recovery's.
#pragma once
#include <string>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "log/manifest.h"
#include "log/recovery.h"

namespace hf::log {

struct RestorePoint {
  enum class Kind : uint8_t {
    Time,    ///< behind the last frame that is not later than `wall_ms`
    Offset,  ///< behind the last frame that ends at `offset` or before
    Tag,     ///< the snapshot of that tag
  };
  Kind kind = Kind::Offset;
  WallMs wall_ms = 0;
  LogOffset offset;
  std::string tag;
  bool operator==(const RestorePoint&) const = default;
};
/// "2026-11-22T05:00:00Z" (seconds may have up to three decimals), digits for an offset, or "tag:NAME".
Result<RestorePoint> parse_restore_point(Bytes text);
/// "2026-11-22T05:00:00.000Z"
std::string time_text(WallMs wall_ms);

struct RestorePlan {
  StopAt stop;
  std::vector<LogOffset> skip;  ///< snapshots that must not be loaded
};
/// `snapshots` are those of the folder, ascending. The error says what there is.
Result<RestorePlan> plan_restore(const RestorePoint& point, const std::vector<SnapshotNote>& snapshots);

/// What Recovery came to. Error: the point lies behind the end of the log; it says where that is.
Status judge_restore(const RestorePoint& point, const ResumePoint& reached);
/// "snapshots: offset 10 of 2026-..., tag v1; ...": for errors.
std::string list_snapshots(const std::vector<SnapshotNote>& snapshots);

}  // namespace hf::log
