// Retention: the newest snapshots, one from before the window that must be restorable, and a thin row
// between.
#include "log/trim.h"

#include <algorithm>
#include <optional>

#include "base/check.h"

namespace hf::log {
namespace {

constexpr uint64_t steps_in_window = 8;

constexpr uint64_t segments_between_snapshots = 4;

}  // namespace

uint64_t log_growth_max(uint64_t asked_bytes, bool others, uint64_t keep_bytes, uint64_t segment_bytes) {
  if (asked_bytes > 0 || others) return asked_bytes;
  return std::max(keep_bytes, segments_between_snapshots * segment_bytes);
}

Keep decide_keep(const std::vector<SnapshotNote>& snapshots, const KeepPolicy& policy, LogOffset log_begin,
                 LogOffset end, WallMs now_ms, const std::vector<LogOffset>& pins) {
  HF_CHECK(policy.snapshots > 0);
  std::vector<const SnapshotNote*> untagged;
  for (const SnapshotNote& note : snapshots)
    if (note.tag.empty()) untagged.push_back(&note);
  Keep keep;
  if (untagged.empty()) return keep;

  const auto before_window = [&](const SnapshotNote& note) {
    return note.offset.value + policy.log_bytes <= end.value && note.wall_ms + policy.log_ms <= now_ms;
  };
  const bool has_window = policy.log_bytes > 0 || policy.log_ms > 0;
  const size_t newest = untagged.size() - std::min(untagged.size(), policy.snapshots);
  // Where the kept past begins: at a snapshot, unless the log reaches back to the beginning of everything.
  size_t base = untagged.size();
  for (size_t i = 0; i < untagged.size(); ++i)
    if (before_window(*untagged[i])) base = i;
  LogOffset last;
  std::optional<WallMs> last_ms;
  const bool from_zero = log_begin == LogOffset{0} && base == untagged.size();
  // A snapshot from before the log is of no use to a window that the log does not cover either.
  if (base == untagged.size() && !from_zero) {
    base = 0;
    while (base < newest && untagged[base]->offset < log_begin) ++base;
  }
  for (size_t i = 0; i < untagged.size(); ++i) {
    const SnapshotNote& note = *untagged[i];
    // Apart by both measures: an eighth of whichever window reaches back further.
    const bool apart =
        note.offset.value - last.value >= policy.log_bytes / steps_in_window &&
        (!last_ms || note.wall_ms - *last_ms >= policy.log_ms / static_cast<int64_t>(steps_in_window));
    const bool bridges = has_window && apart && (from_zero || i > base);
    if (i >= newest || i == base || bridges) {
      last = note.offset, last_ms = note.wall_ms;
      if (keep.log_from == LogOffset{0} || note.offset < keep.log_from) keep.log_from = note.offset;
    } else {
      keep.forget.push_back(note.offset);
    }
  }
  if (from_zero) keep.log_from = LogOffset{0};
  for (const LogOffset pin : pins) keep.log_from = std::min(keep.log_from, pin);
  return keep;
}

}  // namespace hf::log
