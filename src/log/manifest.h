// MANIFEST: which segments make the log, what is surely durable, and who wrote it. A small text file,
// replaced whole and atomically (write aside, sync, rename, sync the folder), so that it is always the old
// one or the new one.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/files.h"
#include "base/history.h"
#include "base/result.h"
#include "base/types.h"

namespace hf::log {

struct SegmentRef {
  LogOffset first;
  uint64_t salt = 0;
  bool operator==(const SegmentRef&) const = default;
};

/// A snapshot that became valid. What the file itself says wins; this is for listing without opening files.
struct SnapshotNote {
  LogOffset offset;
  Epoch epoch;
  WallMs wall_ms = 0;
  uint64_t bytes = 0, keys = 0;
  std::string reason;  ///< one word: save, bgsave, interval, shutdown, ...
  std::string tag;     ///< empty: none; no blanks or control characters
  int64_t milliseconds = -1;  ///< it took; -1: not known
  bool operator==(const SnapshotNote&) const = default;
};

struct Manifest {
  std::string cluster_id;            ///< is_id
  std::vector<SegmentRef> segments;  ///< ascending; every segment that may hold a frame is here
  History history;         ///< for people and for numbering epochs; recovery trusts the log's own records
  LogOffset durable_upto;  ///< synced when this was written
  std::optional<LogOffset> clean_end;  ///< the log's end at a clean shutdown; set by that shutdown only
  std::vector<SnapshotNote> snapshots;
  std::optional<LogOffset> cut;    ///< the log is being cut back to here
  std::optional<LogOffset> adopt;  ///< this received snapshot is taking the place of all else
  /// With `adopt`: what the log holds behind this offset is nowhere in the new history; it goes to rescue/.
  std::optional<LogOffset> adopt_keeps;
  /// Frames behind `durable_upto` are being copied here from another disk: what they tell of syncs was true
  /// there.
  bool copying = false;
  bool operator==(const Manifest&) const = default;
};

constexpr const char* manifest_name = "MANIFEST";
constexpr const char* manifest_temp_name = "MANIFEST.tmp";

std::string encode_manifest(const Manifest& manifest);
/// The error names line and byte; `code` is `newer_version` (segment.h) for a file of a newer format.
Result<Manifest> decode_manifest(Bytes text);
/// Appends the steps that replace MANIFEST: write aside, sync, rename, sync the folder.
void add_manifest_steps(const Manifest& manifest, std::vector<FileStep>& steps);

}  // namespace hf::log
