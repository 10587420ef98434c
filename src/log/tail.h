// Reads a log that is being written, from an offset on, by jobs: what a replica that is behind is sent. Knows
// a place and nothing else; who asks says which segments there are and how far they may be read. No I/O.
//
//   next_read(segments, upto) -> a Read step for Lane::Transfer -> take(its bytes, each) -> next_read
//   ...
#pragma once
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "base/types.h"
#include "log/frame.h"
#include "log/manifest.h"

namespace hf::log {

class Tail {
 public:
  /// `next` is a place between two frames.
  explicit Tail(LogOffset next) : next_(next) {}

  /// Behind the last frame that take() gave.
  LogOffset next() const { return next_; }
  /// The frames before this were sent from elsewhere: it goes on from there.
  void skip_to(LogOffset next);

  /// What to read next; empty when everything up to `upto` (an end of a frame that is written) has been
  /// given. `segments` ascend. Error: the log no longer reaches back to next().
  Result<std::optional<FileStep>> next_read(const std::vector<SegmentRef>& segments, LogOffset upto);
  /// The bytes that were read. Calls each(header, frame bytes) for every whole frame up to what next_read was
  /// allowed: what stands behind may be half written. Error: what stands there is no frame of this log, or
  /// the file ends too early: damage.
  template <class Each>
  Status take(Bytes bytes, Each&& each) {
    if (bytes.empty()) return short_file();
    carry_.append(bytes);
    size_t used = 0;
    FrameHeader header;
    Status status = ok();
    while (at_offset_ < upto_) {
      const size_t size = whole_frame(Bytes(carry_).substr(used), header, status);
      if (size == 0) break;
      if (header.offset >= next_) {
        each(static_cast<const FrameHeader&>(header), Bytes(carry_).substr(used, size));
        next_ = header.end();
      }
      at_offset_ = header.end();
      used += size;
    }
    // What lies behind `upto` was read before it was written: zeros, or half of it.
    if (at_offset_ >= upto_) carry_.clear();
    else carry_.erase(0, used);
    at_byte_ += used;
    return status;
  }

 private:
  /// Bytes of the frame at the front of `in`; 0: more is needed, or `status` says what is wrong.
  size_t whole_frame(Bytes in, FrameHeader& header, Status& status);
  Status short_file() const;

  LogOffset next_;
  std::optional<SegmentRef> segment_;
  uint64_t at_byte_ = 0;  ///< of the segment's file, where carry_ begins
  LogOffset at_offset_;   ///< of the frame there
  LogOffset upto_;        ///< what was read for: no further, and not past the segment
  std::string carry_;     ///< read and not yet given
  size_t wanted_ = 0;     ///< the frame at the front of carry_ has so many bytes, as far as is known
};

}  // namespace hf::log
