// What a cluster's world knows beyond doubt: every frame that any node handed to its disk, as a tree by the
// sums that chain frames together. Equal sums mean equal logs, so one digest belongs to one sum, whoever
// holds it.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/types.h"
#include "log/frame.h"

namespace hf::sim {

/// A place between two frames: how far a log goes, and which log that is. Sum 0: the start of history.
struct Place {
  uint64_t offset = 0, sum = 0;
  bool operator==(const Place&) const = default;
};

class Ledger {
 public:
  struct Frame {
    uint64_t end = 0, parent = 0;  ///< offset behind it, sum of the frame before
    uint64_t epoch = 0;
    std::string reign;
    bool opens_reign = false;
    bool more = false;     ///< its group goes on: no log ends here
    bool written = false;  ///< its author was told that the write is done
    bool early = false;    ///< sent to a replica before that, as quorum mode allows
  };
  struct Reign {
    int node = -1;
    uint64_t life = 0;
    uint64_t sum = 0;  ///< of the frame that opened it
  };

  const Frame* find(uint64_t sum) const {
    const auto it = frames_.find(sum);
    return it == frames_.end() ? nullptr : &it->second;
  }
  bool known(Place place) const { return place.sum == 0 ? place.offset == 0 : find(place.sum) != nullptr; }
  /// A frame seen for the first time, in the folder of `node`. Empty, or what is wrong with it.
  std::string add(const log::DecodedFrame& frame, Bytes content, int node, uint64_t life);
  /// It was sent to a replica, written or not.
  void sent(uint64_t sum) { frames_.at(sum).early |= !frames_.at(sum).written; }
  /// `node` has been told that its log up to `place` is written as far as `upto`: its own reigns' part of it
  /// is noted.
  void written(Place place, uint64_t upto, int node);
  /// The state of a node whose log ends at `place`. Empty, or what is wrong with it.
  std::string state(Place place, const std::string& digest);
  /// Empty: nobody has stood there at the end of a turn.
  std::string digest_at(Place place) const {
    const auto it = digests_.find(place.sum);
    return it == digests_.end() ? "" : it->second;
  }
  /// The end of the longest part that both logs have.
  Place common(Place a, Place b) const;
  bool contains(Place log, Place part) const { return common(log, part) == part; }
  const std::map<std::string, Reign>& reigns() const { return reigns_; }
  Place before(uint64_t sum) const;
  uint64_t end_of(uint64_t sum) const { return sum == 0 ? 0 : frames_.at(sum).end; }

 private:
  std::unordered_map<uint64_t, Frame> frames_;
  std::unordered_map<uint64_t, std::string> digests_;  ///< by sum; of frames on no disk yet, too
  std::map<std::string, Reign> reigns_;
};

/// Calls `each` for the frames in bytes that begin at a segment's begin or between two of its frames; ends at
/// what is no frame.
template <class Each>
void each_frame(Bytes bytes, Each&& each) {
  constexpr Bytes segment_magic = "HFLogSeg";
  constexpr size_t header_bytes = 96;
  if (bytes.starts_with(segment_magic)) bytes.remove_prefix(std::min(header_bytes, bytes.size()));
  while (bytes.size() >= log::frame_header_bytes) {
    log::DecodedFrame frame;
    uint64_t salt = 0;
    for (size_t i = 8; i-- > 0;) salt = salt << 8 | static_cast<uint8_t>(bytes[16 + i]);
    if (log::decode_frame(bytes, salt, frame) != log::Verdict::Valid) return;
    each(frame);
    bytes.remove_prefix(frame.header.frame_bytes());
  }
}

}  // namespace hf::sim
