// Segment reading: big chunks, no allocation a frame (but for a compressed one's content).
#include "log/reader.h"

#include <algorithm>

#include "base/check.h"
#include "base/compress.h"

namespace hf::log {

SegmentReader::SegmentReader(Files& files, std::string name, size_t read_bytes)
    : files_(files), name_(std::move(name)), read_bytes_(std::max(read_bytes, frame_header_bytes)) {}

Status SegmentReader::open() {
  const Result<uint64_t> size = files_.size(name_);
  if (!size) return size.error();
  size_ = *size;
  const Result<Bytes> head = window(0, segment_header_bytes);
  if (!head) return head.error();
  Result<SegmentHeader> header = decode_segment_header(*head);
  if (!header) return Error{"log segment " + name_ + ", " + header.error().message, header.error().code};
  header_ = std::move(*header);
  at_ = segment_header_bytes;
  return ok();
}

Result<Bytes> SegmentReader::window(uint64_t at, size_t want) {
  HF_CHECK(at <= size_);
  want = std::min<uint64_t>(want, size_ - at);
  const bool inside =
      at >= chunk_at_ && at - chunk_at_ <= chunk_.size() && chunk_.size() - (at - chunk_at_) >= want;
  if (!inside) {
    const size_t fetch = std::min<uint64_t>(std::max(want, read_bytes_), size_ - at);
    Result<std::string> read = files_.read(name_, at, fetch);
    if (!read)
      return Error{"log segment " + name_ + ", byte " + std::to_string(at) + ": " + read.error().message,
                   read.error().code};
    if (read->size() < want)
      return Error{"log segment " + name_ + ", byte " + std::to_string(at + read->size()) +
                   ": the file became shorter while it was read"};
    chunk_ = std::move(*read);
    chunk_at_ = at;
  }
  return Bytes(chunk_).substr(at - chunk_at_);
}

Result<Verdict> SegmentReader::next(ChainPoint& chain, Frame& frame) {
  if (at_ >= size_) return Verdict::End;
  Result<Bytes> head = window(at_, frame_header_bytes);
  if (!head) return head.error();
  DecodedFrame decoded;
  Verdict verdict = decode_frame(*head, header_.salt, decoded);
  if (verdict == Verdict::Incomplete && head->size() >= frame_header_bytes) {
    const size_t wanted = decoded.header.frame_bytes();
    if (wanted > size_ - at_) return Verdict::Incomplete;
    head = window(at_, wanted);
    if (!head) return head.error();
    verdict = decode_frame(*head, header_.salt, decoded);
  }
  if (verdict != Verdict::Valid) return verdict;
  const FrameHeader& h = decoded.header;
  if (h.offset != chain.offset || h.previous_sum != chain.sum || h.epoch < chain.epoch)
    return Verdict::ChainBroken;

  frame.content = decoded.stored;
  if (h.compressed) {
    Result<std::string> raw = lz4_decompress(decoded.stored, h.raw_bytes);
    if (!raw) return Verdict::BadContent;
    raw_ = std::move(*raw);
    frame.content = raw_;
  }
  frame.header = h;
  frame.sum = decoded.sum;
  frame.at = at_;
  chain = {h.end(), decoded.sum, h.epoch};
  at_ += h.frame_bytes();
  return Verdict::Valid;
}

Result<bool> SegmentReader::zeros_to_the_end() {
  for (uint64_t at = at_; at < size_;) {
    const Result<Bytes> bytes = window(at, read_bytes_);
    if (!bytes) return bytes.error();
    if (bytes->find_first_not_of('\0') != Bytes::npos) return false;
    at += bytes->size();
  }
  return true;
}

Status SegmentReader::scan(uint64_t from, const std::function<void(uint64_t, const FrameHeader&)>& each) {
  for (uint64_t at = from; at < size_ && size_ - at >= frame_header_bytes;) {
    const Result<Bytes> bytes = window(at, frame_header_bytes);
    if (!bytes) return bytes.error();
    const size_t found = bytes->find(frame_magic);
    if (found == Bytes::npos) {
      at += bytes->size() - (frame_magic.size() - 1);  // a magic may lie across two chunks
      continue;
    }
    at += found;
    const Result<Bytes> head = window(at, frame_header_bytes);
    if (!head) return head.error();
    FrameHeader header;
    DecodedFrame decoded;
    if (decode_header(*head, header_.salt, header) == Verdict::Valid && header.frame_bytes() <= size_ - at) {
      const Result<Bytes> whole = window(at, header.frame_bytes());
      if (!whole) return whole.error();
      if (decode_frame(*whole, header_.salt, decoded) == Verdict::Valid) {
        each(at, header);
        at += header.frame_bytes();
        continue;
      }
    }
    ++at;
  }
  return ok();
}

Result<SegmentReader::Ahead> SegmentReader::look_ahead(uint64_t from) {
  Ahead ahead;
  const Status scanned = scan(from, [&](uint64_t, const FrameHeader& header) {
    ++ahead.frames;
    if (!header_.mirrored) ahead.durable_upto = std::max(ahead.durable_upto, header.durable_upto);
    ahead.epoch_max = std::max(ahead.epoch_max, header.epoch);
  });
  if (!scanned) return scanned.error();
  return ahead;
}

Result<std::optional<uint64_t>> SegmentReader::find(LogOffset offset, uint64_t previous_sum) {
  std::optional<uint64_t> found;
  const Status scanned = scan(segment_header_bytes, [&](uint64_t at, const FrameHeader& header) {
    if (header.offset == offset && header.previous_sum == previous_sum) found = at;
  });
  if (!scanned) return scanned.error();
  return found;
}

}  // namespace hf::log
