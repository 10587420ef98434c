// Connections that this node closes of its own accord. One event can close hundreds (a quorum that is gone, a
// client library gone wrong), so the log gets one line a second for each reason, with their number, not one
// for each.
#pragma once
#include <algorithm>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/types.h"

namespace hf::node {

class Closings {
 public:
  /// `why` goes on behind "Closed <who>". It is a literal: it must outlive this, and there are as many kinds
  /// as reasons.
  void add(const std::string& peer, Bytes why, Now now) {
    for (Kind& kind : kinds_)
      if (kind.why == why) return void(++kind.count);
    kinds_.push_back({why, peer, 1, now.mono_us});
  }
  /// The lines whose first connection was closed a second ago, so that one event is one line; `all`: those
  /// that wait, too.
  std::vector<std::string> take(Now now, bool all) {
    std::vector<std::string> lines;
    const auto due = std::stable_partition(kinds_.begin(), kinds_.end(), [&](const Kind& kind) {
      return !all && now.mono_us - kind.since_us < gather_us;
    });
    for (auto kind = due; kind != kinds_.end(); ++kind) lines.push_back(line_of(*kind));
    kinds_.erase(due, kinds_.end());
    return lines;
  }

 private:
  struct Kind {
    Bytes why;
    std::string first;  ///< address
    uint64_t count = 0;
    MonoUs since_us = 0;
  };
  static std::string line_of(const Kind& kind) {
    std::string who = kind.first;
    if (kind.count > 1) who = std::to_string(kind.count) + " connections (the first: " + kind.first + ")";
    return "Closed " + who + std::string(kind.why);
  }

  static constexpr MonoUs gather_us = 1'000'000;
  std::vector<Kind> kinds_;
};

}  // namespace hf::node
