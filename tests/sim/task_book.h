// What is known about runs from replies that left the server: who was given which token when, what was
// accepted from whom, what is final, which checkpoints exist. Every new fact is held against those before.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "world.h"

namespace hf::sim {

class TaskBook {
 public:
  explicit TaskBook(World& world) : world_(world) {}

  struct Version {
    uint64_t token, turn;
    int64_t step;
    std::string payload;
  };
  struct Run {
    std::vector<std::pair<uint64_t, uint64_t>> claims;  ///< token, turn by whose end it was given
    std::map<uint64_t, uint64_t> accepted;              ///< token -> last turn in which it was accepted
    std::map<uint64_t, std::string> closed;             ///< token -> how its attempt ended
    std::string final_state;
    uint64_t final_turn = 0;
    std::map<uint64_t, Version> versions;
  };

  void submitted(const std::string& unique, const std::string& run);
  /// `turn`: executed in this one at the latest.
  void claimed(const std::string& run, uint64_t token, const std::string& who, uint64_t turn, bool repeated);
  /// The server took the token for good in this turn.
  void accepted(const std::string& run, uint64_t token, uint64_t turn);
  /// An attempt's end was acknowledged; `state` when that made the run final.
  void closed(const std::string& run, uint64_t token, const std::string& how, const std::string& state,
              uint64_t turn);
  void finished(const std::string& run, const std::string& state, uint64_t turn);
  void saved(const std::string& run, uint64_t version, Version facts, bool repeated);
  /// TASK.GET's answer, executed in `turn`.
  void shown(const std::string& run, const resp::Value& record, uint64_t turn);
  /// TASK.PAYLOAD's answer.
  void shown_payload(const std::string& run, uint64_t version, const resp::Value& value);

  const std::map<std::string, Run>& runs() const { return runs_; }
  const Run* find(const std::string& run) const {
    const auto it = runs_.find(run);
    return it == runs_.end() ? nullptr : &it->second;
  }
  bool all_final() const;

 private:
  World& world_;
  std::map<std::string, Run> runs_;
  std::map<std::string, std::string> by_unique_;
  std::map<uint64_t, std::string> holders_;  ///< token -> run and worker
  uint64_t highest_before_ = 0, highest_ = 0, life_ = 0;
};

}  // namespace hf::sim
