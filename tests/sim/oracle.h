// What the world knows beyond doubt: the state at each end the log has had, and how far replies that left the
// server have promised it. After a crash the state must be one of those, at least as far as was promised.
#pragma once
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace hf::sim {

class Oracle {
 public:
  /// A turn ended with the log at `end` and the data set as `digest` says.
  void ended(uint64_t end, const std::string& digest) {
    if (!ends_.empty() && ends_.back().offset == end) ends_.back().digest = digest;
    else ends_.push_back({end, digest});
  }
  /// A reply left that promises everything up to `offset`; `synced`: even if the power fails.
  void promised(uint64_t offset, bool synced) {
    if (synced) synced_ = std::max(synced_, offset);
    written_ = std::max(written_, offset);
  }
  void crashed(bool power) { power_ = power_ || power; }
  uint64_t required() const { return power_ ? synced_ : written_; }
  const std::string* digest_at(uint64_t offset) const {
    const auto it = std::lower_bound(ends_.begin(), ends_.end(), offset,
                                     [](const End& end, uint64_t at) { return end.offset < at; });
    return it != ends_.end() && it->offset == offset ? &it->digest : nullptr;
  }
  /// The node came back with the log at `offset`. Empty when that is as it must be; else what is wrong.
  std::string recovered(uint64_t offset, const std::string& digest) {
    if (offset < required())
      return "acknowledged data is lost: recovered up to " + std::to_string(offset) + ", promised up to " +
             std::to_string(required()) + (power_ ? " (synced)" : " (written)");
    if (offset > 0) {
      const std::string* expected = digest_at(offset);
      if (expected == nullptr)
        return "recovered up to " + std::to_string(offset) + ", which is no end of a turn";
      if (*expected != digest)
        return "the recovered state is not the state at offset " + std::to_string(offset);
    }
    while (!ends_.empty() && ends_.back().offset > offset) ends_.pop_back();
    written_ = std::min(written_, offset);
    synced_ = std::min(synced_, offset);
    power_ = false;
    return "";
  }

 private:
  struct End {
    uint64_t offset;
    std::string digest;
  };
  std::vector<End> ends_;
  uint64_t written_ = 0, synced_ = 0;
  bool power_ = false;
};

}  // namespace hf::sim
