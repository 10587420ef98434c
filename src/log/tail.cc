// A segment is entered at its first frame and read through up to the wanted one: 64 MiB at most, once a
// connection.
#include "log/tail.h"

#include <algorithm>

#include "log/segment.h"

namespace hf::log {
namespace {

constexpr uint64_t read_bytes = 256 * 1024;

}  // namespace

void Tail::skip_to(LogOffset next) {
  if (next == next_) return;
  next_ = next;
  segment_.reset();
  carry_.clear();
}

Result<std::optional<FileStep>> Tail::next_read(const std::vector<SegmentRef>& segments, LogOffset upto) {
  if (next_ >= upto) return std::optional<FileStep>();
  const SegmentRef* holder = nullptr;
  upto_ = upto;
  for (const SegmentRef& ref : segments) {
    if (ref.first <= next_) holder = &ref;
    else upto_ = std::min(upto_, ref.first);
  }
  if (holder == nullptr)
    return Error{"the log begins at offset " +
                 (segments.empty() ? std::string("none") : std::to_string(segments.front().first.value)) +
                 " and no longer reaches back to offset " + std::to_string(next_.value)};
  if (!segment_ || *segment_ != *holder) {
    segment_ = *holder;
    at_byte_ = segment_header_bytes;
    at_offset_ = holder->first;
    carry_.clear();
    wanted_ = 0;
  }
  const uint64_t missing = wanted_ > carry_.size() ? wanted_ - carry_.size() : 0;
  return std::optional<FileStep>(FileStep{.kind = FileStep::Kind::Read,
                                          .name = segment_name(segment_->first),
                                          .offset = at_byte_ + carry_.size(),
                                          .length = std::max(read_bytes, missing)});
}

size_t Tail::whole_frame(Bytes in, FrameHeader& header, Status& status) {
  wanted_ = 0;
  DecodedFrame decoded;
  const Verdict verdict = decode_frame(in, segment_->salt, decoded);
  if (verdict == Verdict::Valid && decoded.header.offset == at_offset_) {
    header = decoded.header;
    return header.frame_bytes();
  }
  if (verdict == Verdict::End) return 0;
  if (verdict == Verdict::Incomplete) {
    wanted_ = in.size() >= frame_header_bytes ? decoded.header.frame_bytes() : frame_header_bytes;
    return 0;
  }
  status =
      Error{"log segment " + segment_name(segment_->first) + " (offset " + std::to_string(at_offset_.value) +
            "): " + verdict_text(verdict) + "; run holdfast-check on this folder"};
  return 0;
}

Status Tail::short_file() const {
  return Error{"log segment " + segment_name(segment_->first) + " ends at offset " +
               std::to_string(at_offset_.value) +
               ", before what was written; run holdfast-check on this folder"};
}

}  // namespace hf::log
