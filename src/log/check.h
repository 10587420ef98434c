// holdfast-check's verdict on a data folder: reads everything, changes nothing. The decision lives here, so
// that it is tested without files; src/main/check.cc verifies the snapshots (which this room does not know),
// asks here, and prints.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/types.h"
#include "log/recovery.h"

namespace hf::log {

enum class Soundness : uint8_t {
  Sound,     ///< starts, and nothing is missing (a torn tail is sound: the server cuts it by itself)
  Damaged,   ///< something that was durable can't be read any more
  Unusable,  ///< no data folder, unreadable, or of a newer version
};
const char* soundness_text(Soundness soundness);

/// One file's line in the table.
struct FileReport {
  std::string name;
  std::string kind;  ///< manifest, segment, snapshot, leftover, rescue
  uint64_t bytes = 0;
  uint64_t items = 0;    ///< frames, or keys
  LogOffset first, end;  ///< offsets covered
  Soundness soundness = Soundness::Sound;
  std::string finding;  ///< what is wrong or worth knowing, with the byte; empty when nothing is
};

/// A snapshot that the caller has verified: `point` is set when it is whole.
struct VerifiedSnapshot {
  FileReport report;
  std::optional<SnapshotPoint> point;
  bool unreadable = false;  ///< the system would not let it be read: it may be whole or not
};

struct FolderReport {
  Soundness soundness = Soundness::Sound;
  std::string verdict;  ///< a sentence: what a start of the server would do
  std::vector<FileReport> files;
  LogOffset end;           ///< recovered end, when it would start
  LogOffset durable_upto;  ///< the largest offset known to have been synced
};

FolderReport check_folder(Files& files, const std::vector<VerifiedSnapshot>& snapshots);

/// A segment by itself, whatever it is called: what lies under rescue/.
FolderReport check_file(Files& files, const std::string& name);

}  // namespace hf::log
