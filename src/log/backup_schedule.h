// Scheduled backups, decided from numbers alone: when a full or an incremental one is due, what its folder is
// called, and which folders may go.
#pragma once
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/types.h"

namespace hf::log {

struct BackupPolicy {
  int64_t full_at_s = -1;     ///< second of the day (UTC) at which a new full one begins; -1: never again
  int64_t incremental_s = 0;  ///< seconds between the backups in between; 0: none
  size_t keep = 1;            ///< finished folders, at least 1
};

/// A folder below the backups' one that holds a finished backup.
struct KnownBackup {
  std::string name;
  WallMs full_ms = 0, last_ms = 0;  ///< its first backup, its last one
  uint64_t bytes = 0;               ///< copied by the last one
};

enum class BackupDue : uint8_t { No, Full, Incremental };
/// `known` ascend by name. `failed_ms`: when the last try failed, 0 when it did not; it is repeated some
/// minutes later. A clock that was set back makes nothing due but a day's full one.
BackupDue due_backup(const BackupPolicy& policy, const std::vector<KnownBackup>& known, WallMs failed_ms,
                     WallMs now_ms);

/// "full-20261122T030000Z": names ascend with time.
std::string backup_folder_name(WallMs wall_ms);
bool is_backup_folder_name(Bytes name);
/// Of the folders `names` (ascending): the finished ones beyond the newest `keep`, and what never came to be
/// finished before the newest that did. Others are not ours to remove.
std::vector<std::string> backups_to_remove(const std::vector<std::string>& names,
                                           const std::vector<KnownBackup>& known, size_t keep);

}  // namespace hf::log
