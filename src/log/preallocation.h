// Zeros written ahead of the frames, so that a sync need not make the file longer (two journal writes of the
// file system instead of none). One write at a time, on Lane::Sync, beside the frames': it never reaches
// where a frame is sealed already, and a frame that would come to lie where one is under way has to wait for
// it.
#pragma once
#include <cstdint>
#include <string>

#include "base/files.h"

namespace hf::log {

/// Of one segment at a time. Places are bytes of its file; `sealed` is where its sealed frames end.
class Preallocation {
 public:
  /// `bytes_ahead` 0: none. Nothing is written behind `segment_bytes`.
  Preallocation(uint64_t bytes_ahead, uint64_t segment_bytes)
      : bytes_ahead_(bytes_ahead), segment_bytes_(segment_bytes) {}

  /// No write is under way and too little is left.
  bool due(uint64_t sealed) const;
  /// The write, to be answered with ended(). CHECK: due(sealed).
  FileJob begin(uint64_t id, const std::string& name, uint64_t sealed);
  void ended(bool ok, uint64_t sealed);
  bool in_flight() const { return id_ != 0; }
  /// Whether this is the job in flight.
  bool is(uint64_t id) const { return id_ != 0 && id == id_; }
  /// Two lanes must not write to the same bytes, and a closed segment must not grow: a batch of frames that
  /// ends at `upto`, or opens the next segment, has to wait.
  bool in_the_way(bool opens, uint64_t upto) const { return id_ != 0 && (opens || upto > from_); }

  /// The file's length with the zeros; 0: it has none.
  uint64_t allocated() const { return allocated_; }
  void new_segment() { allocated_ = 0, off_ = false; }
  /// The file was cut.
  void gone() { allocated_ = 0; }

 private:
  uint64_t from(uint64_t sealed) const;
  uint64_t upto(uint64_t sealed) const;

  uint64_t bytes_ahead_, segment_bytes_;
  uint64_t allocated_ = 0;
  bool off_ = false;  ///< no zeros for this segment any more: no room, or of no use
  uint64_t id_ = 0;   ///< of the job in flight, 0: none; it writes the bytes from from_ to to_
  uint64_t from_ = 0, to_ = 0;
};

}  // namespace hf::log
