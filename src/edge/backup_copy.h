// Copies one data folder into another by the plan of log/backup.h. It blocks: call it from a thread that may.
#pragma once
#include <functional>
#include <string>

#include "edge/file_lanes.h"
#include "edge/posix_files.h"
#include "log/backup.h"
#include "log/backup_record.h"

namespace hf::edge {

class BackupCopy {
 public:
  /// Told after each piece; false gives up.
  using Progress = std::function<bool(uint64_t done, uint64_t total)>;
  /// Both folders exist; `into` is locked by the caller (DataFolder). Links in it are not followed.
  BackupCopy(const std::string& from, const std::string& into, Progress progress);

  /// Everything the first time, what is new from then on. Plans anew when the server trims meanwhile.
  Result<log::BackupPlan> run();
  /// Behind a run: leaves the record in the folder.
  Status leave(const log::BackupRecord& record);
  uint64_t bytes() const { return done_; }  ///< copied so far

 private:
  Result<log::BackupPlan> run_once();
  Status perform(std::vector<FileStep> steps);

  std::string from_;
  PosixFiles source_, target_;
  FileLanes lanes_;
  Progress progress_;
  uint64_t done_ = 0, last_id_ = 0;
};

}  // namespace hf::edge
