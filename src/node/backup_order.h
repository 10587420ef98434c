// What the node asks of whoever copies backups beside the loop, and what it is told.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "log/backup_record.h"
#include "log/backup_schedule.h"

namespace hf::node {

struct BackupOrder {
  enum class Kind : uint8_t {
    Look,    ///< only tell what is below `root`
    Copy,    ///< bring `folder` up to now, then leave `record` in it
    Remove,  ///< the folders `remove` below `root`
    Cancel,  ///< the Copy of that `id`: it ends with an error, unless it has everything; no report of its own
  };
  uint64_t id = 0;  ///< rising; comes back in the reports
  Kind kind = Kind::Look;
  std::string root;    ///< the folder of scheduled backups, made when missing; empty: not concerned
  std::string folder;  ///< of Copy: absolute or relative to the process, or (with a root) a name below `root`
  std::string token;   ///< not empty: `folder` must hold it (see backup_token_name)
  log::BackupRecord record;  ///< of Copy: the cut; what is copied must reach it
  std::vector<std::string> remove;
};

struct BackupReport {
  uint64_t id = 0;
  bool over = false;  ///< else it only tells how far the copy is
  std::string error;  ///< of one that is over; empty: it went well
  uint64_t bytes_done = 0, bytes_total = 0;
  log::BackupRecord record;  ///< as it was left in the folder
  /// With a root: the folders below it, ascending, and those that hold a finished backup.
  std::vector<std::string> names;
  std::vector<log::KnownBackup> known;
};

}  // namespace hf::node
