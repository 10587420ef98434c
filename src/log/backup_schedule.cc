// The calendar of backups.
#include "log/backup_schedule.h"

#include <algorithm>

#include "log/restore.h"

namespace hf::log {
namespace {

constexpr int64_t day_ms = 24ll * 3600 * 1000;
constexpr int64_t retry_after_ms = 5ll * 60 * 1000;
constexpr Bytes name_prefix = "full-";
constexpr Bytes name_shape = "full-00000000T000000Z";

/// The last moment, not after `now_ms`, at which the day's full backup was due.
WallMs last_full_due(int64_t full_at_s, WallMs now_ms) {
  const WallMs today = now_ms - now_ms % day_ms + full_at_s * 1000;
  return today <= now_ms ? today : today - day_ms;
}

}  // namespace

BackupDue due_backup(const BackupPolicy& policy, const std::vector<KnownBackup>& known, WallMs failed_ms,
                     WallMs now_ms) {
  if (failed_ms > 0 && now_ms >= failed_ms && now_ms - failed_ms < retry_after_ms) return BackupDue::No;
  if (known.empty()) return BackupDue::Full;
  const KnownBackup& newest = known.back();
  if (policy.full_at_s >= 0 && newest.full_ms < last_full_due(policy.full_at_s, now_ms))
    return BackupDue::Full;
  if (policy.incremental_s > 0 && now_ms - newest.last_ms >= policy.incremental_s * 1000)
    return BackupDue::Incremental;
  return BackupDue::No;
}

std::string backup_folder_name(WallMs wall_ms) {
  std::string name(name_prefix);
  for (const char c : time_text(wall_ms - wall_ms % 1000).substr(0, 19))
    if (c != '-' && c != ':') name += c;
  return name + "Z";
}

bool is_backup_folder_name(Bytes name) {
  if (name.size() != name_shape.size()) return false;
  for (size_t i = 0; i < name.size(); ++i) {
    const bool digit = name[i] >= '0' && name[i] <= '9';
    if (name_shape[i] == '0' ? !digit : name[i] != name_shape[i]) return false;
  }
  return true;
}

std::vector<std::string> backups_to_remove(const std::vector<std::string>& names,
                                           const std::vector<KnownBackup>& known, size_t keep) {
  std::vector<std::string> out;
  if (known.empty()) return out;
  size_t finished_before = 0;
  for (const std::string& name : names) {
    if (!is_backup_folder_name(name) || name >= known.back().name) continue;
    const bool finished = std::any_of(known.begin(), known.end(),
                                      [&](const KnownBackup& backup) { return backup.name == name; });
    if (!finished || finished_before++ + std::max<size_t>(keep, 1) < known.size()) out.push_back(name);
  }
  return out;
}

}  // namespace hf::log
