// Known-wrong lines, to find out whether the simulator finds them. In every build but the simulator's planted one
// `planted` is a constant false, and the lines vanish.
#pragma once
#include <cstdint>

namespace hf {

enum class Bug : uint8_t {
  None,
  SyncSkipped,         ///< log/writer: a batch that should be synced is only written
  FailedSyncForgiven,  ///< log/writer: a failed sync counts as done
  TornRefused,         ///< log/recovery: a torn tail is taken for damage
  DamageCut,           ///< log/recovery: damage is taken for a torn tail
  ReignResumed,        ///< node/persistence: a restart goes on in the old reign
  ReplyEarly,          ///< node/server_node: replies to writes wait for nothing
  ReadEarly,           ///< node/server_node: reads of what is not yet safe wait for nothing
  HandOverForgotten,   ///< store/door: a removed entry is not handed to the walks
  GenerationKept,      ///< store/walk: an entry handed over keeps its old number
  SnapshotTooEarly,    ///< snapshot/writer: gets its name before the log has reached its cut
  TokenNotRaised,      ///< task/tasks: a new lease gets the last token again
  NotFenced,           ///< command/task_common: a superseded token is accepted
};

#ifdef HOLDFAST_PLANTED_BUGS
inline Bug planted_bug = Bug::None;
inline bool planted(Bug bug) { return planted_bug == bug; }
#else
constexpr bool planted(Bug) { return false; }
#endif

}  // namespace hf
