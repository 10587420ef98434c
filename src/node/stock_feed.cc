// The count of a frame's header is held against the bytes that the filter leaves, for every frame.
#include "node/stock_feed.h"

#include <algorithm>

#include "base/compress.h"
#include "command/visible.h"

namespace hf::node {
namespace {

// Frames sent and not acknowledged. Redis acknowledges each second: past this, places become coarser.
constexpr size_t marks_max = 16384;

}  // namespace

StockFeed::StockFeed(LogOffset at, uint64_t visible, uint64_t wanted, Epoch reign)
    : at_(visible), wanted_(wanted), reign_(reign) {
  marks_.push_back({visible, at});
}

Status StockFeed::take(const log::FrameHeader& header, Bytes stored, std::string& out) {
  const bool needed = header.more || !group_.empty() || header.visible_end > std::max(at_, wanted_);
  if (needed && header.type == log::FrameType::Data) {
    if (header.compressed) {
      const Result<std::string> raw = lz4_decompress(stored, header.raw_bytes);
      if (!raw)
        return Error{"the frame at offset " + std::to_string(header.offset.value) + " does not decompress"};
      group_ += *raw;
    } else {
      group_ += stored;
    }
  }
  if (header.more) return ok();
  std::string visible;
  const std::string content = std::exchange(group_, {});
  // What lies wholly before the replica's place need not be looked into.
  if (header.visible_end > std::max(at_, wanted_)) {
    if (Status filtered = command::append_visible(content, visible); !filtered) return filtered;
    if (header.visible_end - at_ != visible.size())
      return Error{"the frame that ends at offset " + std::to_string(header.end().value) + " counts " +
                   std::to_string(header.visible_end - at_) + " bytes for a Redis replica and holds " +
                   std::to_string(visible.size()) + "; please report it"};
    const uint64_t had = at_ < wanted_ ? wanted_ - at_ : 0;
    out.append(visible, had);
  } else if (header.visible_end < at_) {
    return Error{"the Redis-visible offset falls at offset " + std::to_string(header.offset.value) +
                 "; please report it"};
  }
  if (at_ < wanted_ && header.visible_end >= wanted_ && header.epoch > reign_) foreign_ = true;
  at_ = header.visible_end;
  note(header.end());
  return ok();
}

void StockFeed::note(LogOffset end) {
  // Nothing that a replica can acknowledge lies before its place.
  if (at_ < wanted_ || marks_.back().visible == at_) marks_.back() = {at_, end};
  else marks_.push_back({at_, end});
  if (marks_.size() <= marks_max) return;
  size_t kept = 0;
  for (size_t i = 0; i < marks_.size(); ++i)
    if (i % 2 == 0 || i + 1 == marks_.size()) marks_[kept++] = marks_[i];
  marks_.resize(kept);
}

std::optional<LogOffset> StockFeed::place(uint64_t visible) const {
  const auto behind = std::upper_bound(marks_.begin(), marks_.end(), visible,
                                       [](uint64_t v, const Mark& mark) { return v < mark.visible; });
  if (behind == marks_.begin()) return {};
  return std::prev(behind)->end;
}

void StockFeed::forget_below(uint64_t visible) {
  while (marks_.size() > 1 && marks_[1].visible <= visible) marks_.pop_front();
}

}  // namespace hf::node
