// Which snapshots are kept and from where on the log is: decided from numbers alone, carried out by others
// (Writer::trim_to unlists segments, the node removes files).
#pragma once
#include <vector>

#include "base/types.h"
#include "log/manifest.h"

namespace hf::log {

struct KeepPolicy {
  size_t snapshots = 2;  ///< the newest untagged snapshots, at least 1
  /// The past that can be restored reaches back at least so far: a snapshot from before it is kept, with all
  /// the log behind that.
  uint64_t log_bytes = 0;
  int64_t log_ms = 0;
};

struct Keep {
  /// The log is needed from here on; segments wholly below may go. 0: all of it.
  LogOffset log_from;
  std::vector<LogOffset> forget;  ///< snapshots that are not needed any more, ascending
};

/// How far the log may grow behind the last snapshot before one is taken for the log's sake, so that what is
/// not kept on purpose can go. `asked_bytes`: snapshot-log-bytes, 0 for none. When no snapshot is ever due
/// otherwise (`others`), the log takes one by itself each time it has grown by what it is to keep, and by
/// four segments at least: a log that nothing trims fills the disk, and nobody asks for that by turning
/// snapshots off. 0: never.
uint64_t log_growth_max(uint64_t asked_bytes, bool others, uint64_t keep_bytes, uint64_t segment_bytes);

/// `snapshots` ascend by offset and are all valid; `end` is the log's, `log_begin` where its first segment
/// begins (for a server without a log: `end`). `pins`: offsets from which others (a replica, a transfer, a
/// backup) still need the log. Tagged snapshots stay and need no log. The policy's window always begins at a
/// snapshot, or at offset 0; between there and the newest ones, snapshots are kept an eighth of the window
/// apart, so that its begin can move up.
Keep decide_keep(const std::vector<SnapshotNote>& snapshots, const KeepPolicy& policy, LogOffset log_begin,
                 LogOffset end, WallMs now_ms, const std::vector<LogOffset>& pins = {});

}  // namespace hf::log
