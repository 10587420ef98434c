// What a cluster has promised to keep whatever happens to one of its members: writes acknowledged by several
// of them, and what was shown to readers under the same concern. All of it lies on one line of history.
#pragma once
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "ledger.h"

namespace hf::sim {

class Promises {
 public:
  /// The end of the longest log that has been promised.
  Place kept() const { return kept_; }
  /// Everything up to `place` is promised from now on. Empty, or why it can't be kept beside what was
  /// promised before: one of the two is lost.
  std::string promise(const Ledger& ledger, Place place);
  /// The turn that wrote this value, which nobody else writes, ended at `behind`.
  void wrote(const std::string& value, Place behind) { places_.try_emplace(value, behind); }
  std::optional<Place> place_of(const std::string& value) const;
  /// The write of this value was answered with an error: nobody may ever see it.
  void refused(const std::string& value) { refused_.insert(value); }
  bool was_refused(const std::string& value) const { return refused_.count(value) != 0; }
  /// A lease's token was acknowledged. False: for the second time.
  bool token_given(uint64_t token) { return tokens_.insert(token).second; }

 private:
  Place kept_;
  std::unordered_map<std::string, Place> places_;
  std::unordered_set<std::string> refused_;
  std::set<uint64_t> tokens_;
};

}  // namespace hf::sim
