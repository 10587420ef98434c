// Nearly every chunk is one frame, so that a place inside one is looked for by walking it.
#include "node/recent_frames.h"

#include <algorithm>
#include <iterator>

#include "base/check.h"
#include "base/little_endian.h"
#include "log/frame.h"

namespace hf::node {
namespace {

constexpr size_t bytes_max = 4 * 1024 * 1024;

}  // namespace

void RecentFrames::trim(LogOffset written) {
  while (bytes_ > bytes_max && chunks_.size() > 1 && chunks_.front().end <= written) {
    bytes_ -= chunks_.front().bytes.size();
    chunks_.pop_front();
  }
}

const RecentFrames::Chunk* RecentFrames::holding(LogOffset at) const {
  const auto behind =
      std::upper_bound(chunks_.begin(), chunks_.end(), at,
                       [](LogOffset place, const Chunk& chunk) { return place < chunk.begin; });
  if (behind == chunks_.begin() || at >= std::prev(behind)->end) return nullptr;
  return &*std::prev(behind);
}

Bytes RecentFrames::from(const Chunk& chunk, LogOffset at) {
  Bytes rest = chunk.bytes;
  for (log::FrameHeader header; !rest.empty(); rest.remove_prefix(header.frame_bytes())) {
    // Sealed, or checked, by this very process: the frame's own word for its salt will do.
    HF_CHECK(log::decode_header(rest, get_le<uint64_t>(rest, 16), header) == log::Verdict::Valid);
    if (header.offset >= at) return rest;
  }
  return rest;
}

}  // namespace hf::node
