// The invariants of tasks, fact by fact.
#include "task_book.h"

#include <algorithm>

namespace hf::sim {
namespace {

std::string with_token(const std::string& run, uint64_t token) {
  return run + ", token " + std::to_string(token);
}
bool is_final(const std::string& state) {
  return state == "SUCCESS" || state == "FAILED" || state == "CANCELLED";
}

}  // namespace

void TaskBook::submitted(const std::string& unique, const std::string& run) {
  const auto [it, fresh] = by_unique_.try_emplace(unique, run);
  world_.check(it->second == run,
               [&] { return "UNIQUE " + unique + " gave " + it->second + " before and " + run + " now"; });
  if (!fresh) return;
  for (const auto& [other, name] : by_unique_)
    world_.check(other == unique || name != run,
                 [&] { return run + " was given to two submits, " + other + " and " + unique; });
  runs_.try_emplace(run);
}

void TaskBook::claimed(const std::string& name, uint64_t token, const std::string& who, uint64_t turn,
                       bool repeated) {
  if (life_ != world_.life()) {
    life_ = world_.life();
    highest_before_ = highest_;
  }
  Run& run = runs_[name];
  const std::string holder = name + " by " + who;
  const auto [it, fresh] = holders_.try_emplace(token, holder);
  world_.check(it->second == holder, [&] {
    return "token " + std::to_string(token) + " was given for " + it->second + ", then for " + holder;
  });
  if (!fresh) return;  // asked twice
  // The repetition of a claim whose answer was lost may bring a lease from before the restart.
  world_.check(token > highest_before_ || repeated, [&] {
    return with_token(name, token) + " does not rise above " + std::to_string(highest_before_) +
           " of an earlier start";
  });
  highest_ = std::max(highest_, token);
  world_.check(run.final_state.empty() || turn <= run.final_turn,
               [&] { return name + " was " + run.final_state + " and is given to a worker"; });
  for (const auto& [other, last_turn] : run.accepted)
    world_.check(other >= token || last_turn <= turn, [&] {
      return with_token(name, other) + " was accepted after token " + std::to_string(token) +
             " had been given";
    });
  run.claims.emplace_back(token, turn);
}

void TaskBook::accepted(const std::string& name, uint64_t token, uint64_t turn) {
  Run& run = runs_[name];
  for (const auto& [newer, given] : run.claims)
    world_.check(newer <= token || given >= turn, [&] {
      return with_token(name, token) + " is accepted though " + std::to_string(newer) +
             " was given before: two leases";
    });
  world_.check(run.final_state.empty() || turn <= run.final_turn,
               [&] { return with_token(name, token) + " is accepted though the run is " + run.final_state; });
  uint64_t& last = run.accepted[token];
  last = std::max(last, turn);
}

void TaskBook::closed(const std::string& name, uint64_t token, const std::string& how,
                      const std::string& state, uint64_t turn) {
  Run& run = runs_[name];
  const auto [it, fresh] = run.closed.try_emplace(token, how);
  if (fresh) run.accepted[token] = std::max(run.accepted[token], turn);
  if (!state.empty()) finished(name, state, turn);
}

void TaskBook::finished(const std::string& name, const std::string& state, uint64_t turn) {
  Run& run = runs_[name];
  if (run.final_state.empty()) {
    run.final_state = state;
    run.final_turn = turn;
  }
  run.final_turn = std::min(run.final_turn, turn);
  world_.check(run.final_state == state,
               [&] { return name + " was " + run.final_state + " and is " + state + " now"; });
}

void TaskBook::saved(const std::string& name, uint64_t version, Version facts, bool repeated) {
  Run& run = runs_[name];
  const auto it = run.versions.find(version);
  if (it != run.versions.end()) {
    world_.check(it->second.payload == facts.payload && it->second.step == facts.step, [&] {
      return name + " version " + std::to_string(version) + " is the answer to two different checkpoints";
    });
    return;
  }
  if (!repeated) accepted(name, facts.token, facts.turn);
  run.versions.emplace(version, std::move(facts));
}

void TaskBook::shown(const std::string& name, const resp::Value& record, uint64_t turn) {
  world_.check(!record.is_null(), [&] { return name + " was submitted and is gone"; });
  if (record.is_error()) return;
  const resp::Value* state = record.field("state");
  world_.check(state != nullptr, [&] { return name + " has no state"; });
  Run& run = runs_[name];
  if (is_final(state->text)) finished(name, state->text, turn);
  world_.check(run.final_state.empty() || is_final(state->text) || turn < run.final_turn,
               [&] { return name + " was " + run.final_state + " and is " + state->text + " now"; });
  const resp::Value* latest = record.field("checkpoint");
  const uint64_t version =
      latest != nullptr && !latest->is_null() ? static_cast<uint64_t>(latest->integer) : 0;
  for (const auto& [known, facts] : run.versions)
    world_.check(known <= version || facts.turn >= turn, [&] {
      return name + ": checkpoint " + std::to_string(known) + " was acknowledged, the latest is " +
             std::to_string(version);
    });
}

void TaskBook::shown_payload(const std::string& name, uint64_t version, const resp::Value& value) {
  const Run& run = runs_[name];
  const auto it = run.versions.find(version);
  if (it == run.versions.end()) return;
  if (value.is_error()) {
    // Kept are the last chains; the latest acknowledged one is always among them.
    world_.check(
        value.text.find("keeps no version") == std::string::npos || it != std::prev(run.versions.end()),
        [&] { return name + ": the latest acknowledged checkpoint can't be read: " + value.text; });
    return;
  }
  world_.check(value.text == it->second.payload, [&] {
    return name + " version " + std::to_string(version) + " holds other bytes than were saved";
  });
}

bool TaskBook::all_final() const {
  return std::all_of(runs_.begin(), runs_.end(),
                     [](const auto& run) { return !run.second.final_state.empty(); });
}

}  // namespace hf::sim
