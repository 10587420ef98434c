// Two promises hold together as long as one log is the beginning of the other.
#include "promises.h"

namespace hf::sim {

std::string Promises::promise(const Ledger& ledger, Place place) {
  if (place.sum == 0 || place == kept_) return "";
  if (!ledger.known(place)) return "it promises what no disk and no replica has ever been handed";
  if (ledger.contains(place, kept_)) {
    kept_ = place;
    return "";
  }
  if (ledger.contains(kept_, place)) return "";
  return "the log up to offset " + std::to_string(place.offset) + " and the one up to offset " +
         std::to_string(kept_.offset) + " were both promised, and part at offset " +
         std::to_string(ledger.common(place, kept_).offset);
}

std::optional<Place> Promises::place_of(const std::string& value) const {
  const auto it = places_.find(value);
  return it == places_.end() ? std::nullopt : std::optional(it->second);
}

}  // namespace hf::sim
