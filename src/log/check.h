// holdfast-check's verdict on the log of a data folder: reads everything, changes nothing. The decision lives here, so
// that it is tested without files; src/main/check.cc joins it with the snapshots' and prints.
#pragma once
#include <string>
#include <vector>

#include "base/files.h"
#include "base/types.h"

namespace hf::log {

enum class Soundness : uint8_t {
  Sound,     ///< starts, nothing acknowledged is missing (a torn tail is sound: the server cuts it by itself)
  Damaged,   ///< something that was durable can't be read any more
  Unusable,  ///< no data folder, unreadable, or of a newer version
};
const char* soundness_text(Soundness soundness);

/// One file's line in the table.
struct FileReport {
  std::string name;
  std::string kind;        ///< manifest, segment, snapshot, other
  uint64_t bytes = 0;
  uint64_t items = 0;      ///< frames, or keys
  LogOffset first, end;    ///< offsets covered
  Soundness soundness = Soundness::Sound;
  std::string finding;     ///< what is wrong or worth knowing, with the byte; empty when nothing is
};

struct LogReport {
  Soundness soundness = Soundness::Sound;
  std::vector<FileReport> files;
  std::string verdict;     ///< a sentence
  LogOffset end;           ///< recovered end
  LogOffset durable_upto;  ///< largest known
};

LogReport check_log(Files& files);

}  // namespace hf::log
