// BACKUP, the file that a finished backup leaves in its folder: up to which offset it is known to be whole,
// and the digest of the server's state there, so that what is restored can be compared with what was.
#pragma once
#include <string>

#include "base/bytes.h"
#include "base/files.h"
#include "base/result.h"
#include "base/types.h"

namespace hf::log {

struct BackupRecord {
  LogOffset offset;         ///< the cut: the state at it has the digest
  std::string digest;       ///< 32 hex digits, as DEBUG DIGEST prints it
  WallMs wall_ms = 0;       ///< of the cut
  WallMs full_ms = 0;       ///< of the first backup into this folder
  LogOffset begin, end;     ///< of the log in the folder
  uint64_t bytes = 0;       ///< copied by the last backup
  uint64_t databases = 16;  ///< of the server: to bring the state back takes as many
  bool operator==(const BackupRecord&) const = default;
};

constexpr const char* backup_record_name = "BACKUP";
constexpr const char* backup_record_temp_name = "BACKUP.tmp";
/// Holds the token by which a client shows that it may write into the folder; gone once a backup begins.
constexpr const char* backup_token_name = "BACKUP-TOKEN";
constexpr uint64_t backup_record_bytes_max = 4096;

std::string encode_backup_record(const BackupRecord& record);
Result<BackupRecord> decode_backup_record(Bytes text);
/// Error with code ENOENT: no backup into this folder was ever finished.
Result<BackupRecord> read_backup_record(Files& folder);
/// Appends the steps that replace the file: write aside, sync, rename, sync the folder.
void add_backup_record_steps(const BackupRecord& record, std::vector<FileStep>& steps);

}  // namespace hf::log
