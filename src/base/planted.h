// Known-wrong lines, to find out whether the simulator finds them. In every build but the simulator's planted
// one `planted` is a constant false, and the lines vanish.
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
  // found by lives of clusters
  RescueSkipped,         ///< log/recovery_follow: what is cut off is not saved first
  AckBeforeStored,       ///< node/replication: a replica calls synced what it has in memory
  SentBeforeWritten,     ///< node/replicas: a frame leaves before it is written here, in async mode
  MirroredForgotten,     ///< log/writer: a segment with a primary's frames is not marked as such
  PromotedWithoutReign,  ///< node/following: a promoted replica goes on in the old primary's reign
  ReplicaExpires,        ///< node/server_node: a replica deletes expired keys by its own clock
  ChainNotChecked,       ///< replication/verdict: a replica that wrote behind the common end continues
  AdoptedUnsynced,       ///< node/upstream: a received snapshot is taken in before it is safe on the disk
  PartialForgotten,      ///< replication/verdict: who was behind a restart of its primary syncs in full
  ReplicaCountedEarly,   ///< node/replicas: a replica has what it was sent
  SupersededCounted,     ///< node/replicas: each of a replica's connections counts
  FullRescueSkipped,     ///< log/recovery_follow: what a full sync throws away is not saved first
  // found by lives under write-concern quorum
  CommitWithoutSync,     ///< node/replicas: what a replica has received counts as synced
  CommitWithoutSelf,     ///< node/replicas: the primary's own disk does not count
  UncommittedApplied,    ///< node/replication: a replica applies what is not committed
  UncommittedShown,      ///< node/concern: a replica that loaded what is not committed shows it
  HandedOverEarly,       ///< node/switchover, node/replication: the target need not have everything
  WritesBehindHandOver,  ///< node/concern: an abort behind the handing over lets writes go on
  HeldRunUnlogged,       ///< node/concern: what a pause held back runs behind the turn's frame
  LateCopyJudges,        ///< node/replicas: a follower that is behind has others' logs cut
  AuditBlind,            ///< replication/audit: two states that differ are called the same
  AuditCutLate,          ///< node/audit: a replica's walk begins a frame too late
  AuditServes,           ///< node/audit: a replica that differs goes on answering
};

#ifdef HOLDFAST_PLANTED_BUGS
inline Bug planted_bug = Bug::None;
inline bool planted(Bug bug) { return planted_bug == bug; }
#else
constexpr bool planted(Bug) { return false; }
#endif

}  // namespace hf
