// The tree of frames: who may write which, and which state stands behind it.
#include "ledger.h"

namespace hf::sim {

std::string Ledger::add(const log::DecodedFrame& frame, Bytes content, int node, uint64_t life) {
  const log::FrameHeader& header = frame.header;
  const auto at =
      "the frame at offset " + std::to_string(header.offset.value) + " of n" + std::to_string(node);
  const Frame* parent = find(header.previous_sum);
  if (parent == nullptr && (header.previous_sum != 0 || header.offset.value != 0))
    return at + " continues a frame that nobody has";
  if (parent != nullptr && parent->end != header.offset.value) return at + " leaves a gap";
  if (parent != nullptr && parent->epoch > header.epoch.value)
    return at + " is of an older epoch than the one before";
  Frame fresh{.end = header.end().value, .parent = header.previous_sum, .epoch = header.epoch.value};
  fresh.more = header.more;
  if (header.type == log::FrameType::Epoch) {
    const auto reign = log::parse_epoch_command(content);
    if (!reign) return at + " opens a reign, and does not say which";
    if (parent != nullptr && parent->epoch >= header.epoch.value)
      return at + " opens an epoch that was there before";
    if (!reigns_.emplace(reign->id, Reign{node, life, frame.sum}).second)
      return at + " opens a reign a second time";
    fresh.reign = reign->id;
    fresh.opens_reign = true;
  } else {
    if (parent == nullptr) return at + " belongs to no reign";
    fresh.reign = parent->reign;
    const Reign& reign = reigns_.at(fresh.reign);
    if (reign.node != node || reign.life != life)
      return at + " goes on in a reign that this process did not open";
  }
  frames_.emplace(frame.sum, std::move(fresh));
  return "";
}

void Ledger::written(Place place, uint64_t upto, int node) {
  for (uint64_t sum = place.sum; sum != 0;) {
    const auto it = frames_.find(sum);
    if (it == frames_.end() || it->second.written) return;
    if (it->second.end <= upto && reigns_.at(it->second.reign).node == node) it->second.written = true;
    sum = it->second.parent;
  }
}

std::string Ledger::state(Place place, const std::string& digest) {
  const std::string& known = digests_.try_emplace(place.sum, digest).first->second;
  return known == digest ? ""
                         : "the data set is not the state at offset " + std::to_string(place.offset) +
                               " that another has seen there";
}

Place Ledger::before(uint64_t sum) const {
  const uint64_t parent = frames_.at(sum).parent;
  return {end_of(parent), parent};
}

Place Ledger::common(Place a, Place b) const {
  while (a.sum != b.sum) {
    Place& longer = a.offset >= b.offset ? a : b;
    if (longer.sum == 0) return {};
    const auto it = frames_.find(longer.sum);
    if (it == frames_.end()) return {};
    longer = {end_of(it->second.parent), it->second.parent};
  }
  return a;
}

}  // namespace hf::sim
