// Reads a log that is being written, from an offset on, by jobs: what a replica that is behind is sent. Knows
// a place and nothing else; who asks says which segments there are and how far they may be read. No I/O.
//
//   next_read(segments, upto) -> a Read step for Lane::Transfer -> take(its bytes, each) -> next_read
//   ...
#pragma once
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/checksum.h"
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

  static constexpr uint64_t read_bytes = 256 * 1024;

  /// Behind the last frame that was given whole.
  LogOffset next() const { return next_; }
  /// So many bytes of the frame at next() have been given.
  size_t given() const { return given_; }
  /// The frames before this were sent from elsewhere: it goes on from there.
  void skip_to(LogOffset next);
  /// The same for the next `bytes` of the frame at next(), which they don't complete.
  void skip_part(size_t bytes);
  /// Memory that it holds.
  size_t held_bytes() const { return carry_.capacity(); }

  /// What to read next; empty when everything up to `upto` (an end of a frame that is written) has been
  /// given. `segments` ascend. `length`: of a read, for who takes pieces; else a frame is read whole, however
  /// large. Error: the log no longer reaches back to next().
  Result<std::optional<FileStep>> next_read(const std::vector<SegmentRef>& segments, LogOffset upto,
                                            std::optional<uint64_t> length = {});
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
    consumed(used);
    return status;
  }
  /// The same for who passes the bytes on as they are: calls each(bytes) for what follows given(). A frame
  /// that is larger than a read is passed on as it comes, and judged behind its last piece: an error comes
  /// too late to hold it back, but who gets it finds the same.
  template <class Each>
  Status pass(Bytes bytes, Each&& each) {
    if (bytes.empty()) return short_file();
    carry_.append(bytes);
    size_t used = 0;
    Status status = ok();
    const auto give = [&](LogOffset offset, size_t at, Bytes part) {
      used += part.size();
      if (offset < next_ || at + part.size() <= given_) return;
      each(part.substr(given_ - std::min(given_, at)));
      given_ = at + part.size();
    };
    while (at_offset_ < upto_ && status.ok()) {
      const Bytes rest = Bytes(carry_).substr(used);
      FrameHeader header;
      const size_t size = large_ ? 0 : whole_frame(rest, header, status);
      if (size > 0) {
        give(header.offset, 0, rest.substr(0, size));
        passed(header);
      } else if (large_ || (status.ok() && begin_large(rest, status))) {
        const Bytes part = rest.substr(0, large_->header.frame_bytes() - large_->at);
        if (part.empty()) break;
        give(large_->header.offset, large_->at, part);
        status = add_large(part);
      } else {
        break;
      }
    }
    consumed(used);
    return status;
  }

 private:
  /// A frame that is passed on as it is read.
  struct Large {
    FrameHeader header;
    size_t at = 0;        ///< bytes of it passed on so far
    Sum64Stream sum;      ///< of all but the trailer
    std::string trailer;  ///< what has come of it
  };
  /// True: the frame at the front of `in`, whose header is there, is larger than a read.
  bool begin_large(Bytes in, Status& status);
  Status add_large(Bytes part);
  void passed(const FrameHeader& header);
  void consumed(size_t used);
  void enter_nothing();
  /// Bytes of the frame at the front of `in`; 0: more is needed, or `status` says what is wrong.
  size_t whole_frame(Bytes in, FrameHeader& header, Status& status);
  Status short_file() const;
  Error broken(Verdict verdict) const;

  LogOffset next_;
  size_t given_ = 0;
  uint64_t length_ = read_bytes;  ///< of a read
  std::unique_ptr<Large> large_;
  std::optional<SegmentRef> segment_;
  uint64_t at_byte_ = 0;  ///< of the segment's file, where carry_ begins
  LogOffset at_offset_;   ///< of the frame there
  LogOffset upto_;        ///< what was read for: no further, and not past the segment
  std::string carry_;     ///< read and not yet given
  size_t wanted_ = 0;     ///< the frame at the front of carry_ has so many bytes, as far as is known
};

}  // namespace hf::log
