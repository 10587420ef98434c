// Reads one segment frame by frame, in big chunks, judging each frame exactly. Recovery, holdfast-check and
// catching up from the log all read through this.
#pragma once
#include <functional>
#include <optional>
#include <string>

#include "base/buffer.h"
#include "base/files.h"
#include "base/types.h"
#include "log/frame.h"
#include "log/segment.h"

namespace hf::log {

/// What the next frame has to continue.
struct ChainPoint {
  LogOffset offset;
  uint64_t sum = 0;  ///< of the last frame
  Epoch epoch;       ///< of the last frame: epochs never fall
};

class SegmentReader {
 public:
  /// `files` must outlive the reader. `read_bytes` is the size of one read.
  SegmentReader(Files& files, std::string name, size_t read_bytes = 4 * 1024 * 1024);

  /// Reads size and header. The error names the file and the byte.
  Status open();
  const SegmentHeader& header() const { return header_; }
  const std::string& name() const { return name_; }
  uint64_t size() const { return size_; }
  /// Byte in the file of the frame that next() judges next (or has judged bad).
  uint64_t at() const { return at_; }

  struct Frame {
    FrameHeader header;
    Bytes content;  ///< as commands, decompressed; valid until the next call
    uint64_t sum = 0;
    uint64_t at = 0;  ///< byte in the file
  };
  /// The next frame that continues `chain`; moves on only when Valid, and then advances `chain`. `End` means
  /// exactly at the end of the file. An unreadable file is an error.
  Result<Verdict> next(ChainPoint& chain, Frame& frame);

  /// Only zeros from at() to the end of the file?
  Result<bool> zeros_to_the_end();

  /// (Not of a mirrored segment, where it speaks of another disk.)
  /// The largest durable_upto of any valid frame with this segment's salt that begins at byte `from` or
  /// later, whether or not a chain leads there; also the count of such frames and their largest epoch.
  struct Ahead {
    size_t frames = 0;
    LogOffset durable_upto;
    Epoch epoch_max;
  };
  Result<Ahead> look_ahead(uint64_t from);

  /// The byte of the frame at `offset` behind a frame of that sum, whether or not a chain leads there.
  Result<std::optional<uint64_t>> find(LogOffset offset, uint64_t previous_sum);

 private:
  /// Calls `each` with the byte and the header of every valid frame that begins at `from` or later.
  Status scan(uint64_t from, const std::function<void(uint64_t at, const FrameHeader&)>& each);
  /// Bytes from `at`, at least `want` unless the file ends before.
  Result<Bytes> window(uint64_t at, size_t want);

  Files& files_;
  std::string name_;
  size_t read_bytes_;
  uint64_t size_ = 0, at_ = 0;
  SegmentHeader header_;
  std::string chunk_;  ///< file bytes from chunk_at_
  uint64_t chunk_at_ = 0;
  std::string raw_;  ///< the last decompressed content
};

}  // namespace hf::log
