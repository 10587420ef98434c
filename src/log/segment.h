// A segment: one file of the log, named by its first offset, opened by a header with the salt that its frames
// carry.
#pragma once
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "base/types.h"

namespace hf::log {

constexpr uint32_t format_version = 1;
constexpr size_t segment_header_bytes = 96;

struct SegmentHeader {
  uint32_t version = format_version;
  uint64_t salt = 0;
  LogOffset first;              ///< offset of its first frame
  Epoch epoch;                  ///< of the writer that opened it
  uint64_t visible_offset = 0;  ///< Redis-visible offset at `first`
  uint64_t previous_sum = 0;    ///< sum of the last frame before it
  WallMs wall_ms = 0;           ///< when it was opened
  std::string cluster_id;       ///< is_id
  bool mirrored = false;  ///< its frames came from a primary: what they call durable was so there, not here
  bool operator==(const SegmentHeader&) const = default;
};

/// 96 bytes. CHECK: is_id(cluster_id).
std::string encode_segment_header(const SegmentHeader& header);
/// The error names the byte and says whether the file is short, damaged or from a newer version (`code` is
/// then `newer_version`).
Result<SegmentHeader> decode_segment_header(Bytes in);
constexpr int newer_version = -2;

/// "log-00000000000000000042.aof" and back.
std::string segment_name(LogOffset first);
std::optional<LogOffset> parse_segment_name(Bytes name);
/// "snapshot-00000000000000000042.rdb" and back: recovery has to recognise them.
std::string snapshot_name(LogOffset offset);
std::optional<LogOffset> parse_snapshot_name(Bytes name);
/// "full-00000000000000000042.rdb" and back: a snapshot on its way from a primary.
std::string received_name(LogOffset offset);
std::optional<LogOffset> parse_received_name(Bytes name);

}  // namespace hf::log
