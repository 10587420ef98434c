// A segment is entered at its first frame and read through up to the wanted one: 64 MiB at most, once a
// connection.
#include "log/tail.h"

#include <algorithm>

#include "base/little_endian.h"
#include "log/segment.h"

namespace hf::log {

void Tail::enter_nothing() {
  segment_.reset();
  large_.reset();
  carry_ = std::string();
}

void Tail::skip_to(LogOffset next) {
  if (next == next_) return;
  next_ = next;
  given_ = 0;
  enter_nothing();
}

void Tail::skip_part(size_t bytes) {
  given_ += bytes;
  enter_nothing();
}

Result<std::optional<FileStep>> Tail::next_read(const std::vector<SegmentRef>& segments, LogOffset upto,
                                                std::optional<uint64_t> length) {
  if (next_ >= upto) return std::optional<FileStep>();
  length_ = std::max<uint64_t>(length.value_or(read_bytes), frame_header_bytes);
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
    large_.reset();
    wanted_ = 0;
  }
  const bool whole = !length && wanted_ > carry_.size();
  const uint64_t missing = whole ? wanted_ - carry_.size() : 0;
  return std::optional<FileStep>(FileStep{.kind = FileStep::Kind::Read,
                                          .name = segment_name(segment_->first),
                                          .offset = at_byte_ + carry_.size(),
                                          .length = std::max(length_, missing)});
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
  status = broken(verdict);
  return 0;
}

bool Tail::begin_large(Bytes in, Status& status) {
  if (in.size() < frame_header_bytes || wanted_ <= length_) return false;
  auto large = std::make_unique<Large>();
  const Verdict verdict = decode_header(in, segment_->salt, large->header);
  HF_CHECK(verdict == Verdict::Valid);  // or whole_frame() had said what is wrong
  if (large->header.offset != at_offset_) {
    status = broken(Verdict::ChainBroken);
    return false;
  }
  large_ = std::move(large);
  return true;
}

Status Tail::add_large(Bytes part) {
  const size_t summed = large_->header.frame_bytes() - frame_trailer_bytes;
  const size_t content = std::min(part.size(), summed - std::min(summed, large_->at));
  large_->sum.update(part.substr(0, content));
  large_->trailer += part.substr(content);
  large_->at += part.size();
  if (large_->trailer.size() < frame_trailer_bytes) return ok();
  const std::unique_ptr<Large> whole = std::move(large_);
  if (get_le<uint64_t>(whole->trailer, 0) != whole->sum.digest()) return broken(Verdict::BadSum);
  passed(whole->header);
  return ok();
}

void Tail::passed(const FrameHeader& header) {
  at_offset_ = header.end();
  if (header.offset < next_) return;
  next_ = header.end();
  given_ = 0;
}

/// So many bytes at the front of what was read are done with.
void Tail::consumed(size_t used) {
  // What lies behind `upto` was read before it was written: zeros, or half of it.
  if (at_offset_ >= upto_) carry_ = std::string();  // there may be nothing more to read for long
  else carry_.erase(0, used);
  at_byte_ += used;
  if (carry_.size() < read_bytes && carry_.capacity() > 4 * read_bytes) carry_.shrink_to_fit();
}

Error Tail::broken(Verdict verdict) const {
  return Error{"log segment " + segment_name(segment_->first) + " (offset " +
               std::to_string(at_offset_.value) + "): " + verdict_text(verdict) +
               "; run holdfast-check on this folder"};
}

Status Tail::short_file() const {
  return Error{"log segment " + segment_name(segment_->first) + " ends at offset " +
               std::to_string(at_offset_.value) +
               ", before what was written; run holdfast-check on this folder"};
}

}  // namespace hf::log
