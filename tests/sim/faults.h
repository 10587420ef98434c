// Everything that can go wrong in the simulated world, by name. A run counts each; a kind that never struck
// is a hole in the test, and fails it.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

namespace hf::sim {

enum class Fault : uint8_t {
  // the process and the machine
  Kill,
  KillAtEffect,
  PowerCut,
  PowerCutAtEffect,
  CrashWhileStarting,
  CleanShutdown,
  ShutdownCommand,
  ClockForward,
  ClockBackward,
  SlowTurn,
  // the disk
  WriteFailed,
  SyncFailed,
  FolderSyncFailed,
  TruncateFailed,
  RenameFailed,
  DiskFull,
  LaneStalled,
  KilledInsideWrite,
  PageKept,
  PageLost,
  PageGarbled,
  PageStale,
  PageTorn,
  SizeKept,
  SizeLost,
  NameKept,
  NameLost,
  BitRot,
  // connections
  RequestCut,
  ReplyCut,
  ConnectionLost,
  ConnectionLostBeforeReply,
  // what the node was made to do in the middle of it all
  TornTailCut,
  SegmentRolled,
  SnapshotTaken,
  SnapshotLoaded,
  SnapshotFailed,
  PolicyChanged,
  WritesRefused,
  KeyExpired,
  LargeValue,
  // workers
  WorkerCrashed,
  WorkerPaused,
  CommandRepeated,
  ClaimRepeated,
  LateBeat,
  WorkerFenced,
  LeaseLost,
  Readopted,
  // clusters: the network
  DialRefused,
  DialUnanswered,
  LinkReset,
  LinkHalfOpen,
  LinkPieces,
  LinkFull,
  OneWayCut,
  Partition,
  SlowNetwork,
  // clusters: the operator
  Promoted,
  Repointed,
  Chained,
  Circled,
  FolderWiped,
  // clusters: what came of it
  PrimaryKilled,
  PrimaryPowerCut,
  FullSync,
  FailedWhileSent,
  LoadedBeside,
  DroppedFirst,
  PartialSync,
  FellOffTheLog,
  ReadFromDisk,
  Diverged,
  TailRescued,
  WaitKept,
  WriteOnReplica,
  AuditAgreed,
  DifferenceHealed,
  Count,
};

struct FaultName {
  Fault fault;
  const char* name;
};

constexpr size_t fault_count = static_cast<size_t>(Fault::Count);

/// What a single node's life can meet.
constexpr FaultName node_faults[] = {
    {Fault::Kill, "kill -9"},
    {Fault::KillAtEffect, "kill -9 at an effect"},
    {Fault::PowerCut, "power cut"},
    {Fault::PowerCutAtEffect, "power cut at an effect"},
    {Fault::CrashWhileStarting, "crash while starting"},
    {Fault::CleanShutdown, "clean shutdown"},
    {Fault::ShutdownCommand, "SHUTDOWN command"},
    {Fault::ClockForward, "clock set forward"},
    {Fault::ClockBackward, "clock set back"},
    {Fault::SlowTurn, "turn of the loop late"},
    {Fault::WriteFailed, "write failed"},
    {Fault::SyncFailed, "sync failed"},
    {Fault::FolderSyncFailed, "folder sync failed"},
    {Fault::TruncateFailed, "truncate failed"},
    {Fault::RenameFailed, "rename failed"},
    {Fault::DiskFull, "disk full"},
    {Fault::LaneStalled, "lane stalled"},
    {Fault::KilledInsideWrite, "killed inside a write"},
    {Fault::PageKept, "unsynced page kept"},
    {Fault::PageLost, "unsynced page lost"},
    {Fault::PageGarbled, "unsynced page garbled"},
    {Fault::PageStale, "unsynced page stale"},
    {Fault::PageTorn, "unsynced page torn"},
    {Fault::SizeKept, "unsynced size kept"},
    {Fault::SizeLost, "unsynced size lost"},
    {Fault::NameKept, "unsynced name kept"},
    {Fault::NameLost, "unsynced name lost"},
    {Fault::BitRot, "a durable byte flipped"},
    {Fault::RequestCut, "request cut in pieces"},
    {Fault::ReplyCut, "reply cut in pieces"},
    {Fault::ConnectionLost, "connection lost"},
    {Fault::ConnectionLostBeforeReply, "connection lost before the reply"},
    {Fault::TornTailCut, "torn tail cut"},
    {Fault::SegmentRolled, "segment rolled"},
    {Fault::SnapshotTaken, "snapshot taken"},
    {Fault::SnapshotLoaded, "snapshot loaded"},
    {Fault::SnapshotFailed, "snapshot failed"},
    {Fault::PolicyChanged, "appendfsync changed"},
    {Fault::WritesRefused, "writes refused"},
    {Fault::KeyExpired, "key expired"},
    {Fault::LargeValue, "change of a large value"},
    {Fault::WorkerCrashed, "worker crashed"},
    {Fault::WorkerPaused, "worker paused past its lease"},
    {Fault::CommandRepeated, "task command repeated"},
    {Fault::ClaimRepeated, "claim repeated"},
    {Fault::LateBeat, "beat with an old token"},
    {Fault::WorkerFenced, "worker fenced"},
    {Fault::LeaseLost, "lease lost"},
    {Fault::Readopted, "run re-adopted"},
};

/// What a cluster's life can meet: disks and processes as above, the network, the operator.
constexpr FaultName cluster_faults[] = {
    {Fault::Kill, "kill -9"},
    {Fault::KillAtEffect, "kill -9 at an effect"},
    {Fault::PowerCut, "power cut"},
    {Fault::PowerCutAtEffect, "power cut at an effect"},
    {Fault::PrimaryKilled, "kill -9 of a primary"},
    {Fault::PrimaryPowerCut, "power cut of a primary"},
    {Fault::CrashWhileStarting, "crash while starting"},
    {Fault::CleanShutdown, "clean shutdown"},
    {Fault::ClockForward, "clock set forward"},
    {Fault::ClockBackward, "clock set back"},
    {Fault::SlowTurn, "turn of the loop late"},
    {Fault::WriteFailed, "write failed"},
    {Fault::SyncFailed, "sync failed"},
    {Fault::FolderSyncFailed, "folder sync failed"},
    {Fault::TruncateFailed, "truncate failed"},
    {Fault::RenameFailed, "rename failed"},
    {Fault::DiskFull, "disk full"},
    {Fault::LaneStalled, "lane stalled"},
    {Fault::KilledInsideWrite, "killed inside a write"},
    {Fault::PageKept, "unsynced page kept"},
    {Fault::PageLost, "unsynced page lost"},
    {Fault::PageGarbled, "unsynced page garbled"},
    {Fault::PageStale, "unsynced page stale"},
    {Fault::PageTorn, "unsynced page torn"},
    {Fault::SizeKept, "unsynced size kept"},
    {Fault::SizeLost, "unsynced size lost"},
    {Fault::NameKept, "unsynced name kept"},
    {Fault::NameLost, "unsynced name lost"},
    {Fault::TornTailCut, "torn tail cut"},
    {Fault::SegmentRolled, "segment rolled"},
    {Fault::SnapshotTaken, "snapshot taken"},
    {Fault::SnapshotLoaded, "snapshot loaded"},
    {Fault::SnapshotFailed, "snapshot failed"},
    {Fault::WritesRefused, "writes refused"},
    {Fault::DialRefused, "dial refused"},
    {Fault::DialUnanswered, "dial unanswered"},
    {Fault::LinkReset, "link reset"},
    {Fault::LinkHalfOpen, "link half open"},
    {Fault::LinkPieces, "stream cut in pieces"},
    {Fault::LinkFull, "link full"},
    {Fault::OneWayCut, "one way cut"},
    {Fault::Partition, "partition"},
    {Fault::SlowNetwork, "slow network"},
    {Fault::Promoted, "replica promoted"},
    {Fault::Repointed, "node pointed elsewhere"},
    {Fault::Chained, "replica of a replica"},
    {Fault::Circled, "circle of replicas"},
    {Fault::FolderWiped, "folder wiped"},
    {Fault::FullSync, "full sync"},
    {Fault::FailedWhileSent, "snapshot failed while being sent"},
    {Fault::LoadedBeside, "loaded beside the old data"},
    {Fault::DroppedFirst, "old data dropped first"},
    {Fault::PartialSync, "partial sync"},
    {Fault::FellOffTheLog, "replica fell off the log"},
    {Fault::ReadFromDisk, "stream read from disk"},
    {Fault::Diverged, "histories parted"},
    {Fault::TailRescued, "tail rescued"},
    {Fault::WaitKept, "WAIT answered by replicas"},
    {Fault::WriteOnReplica, "write refused by a replica"},
    {Fault::AuditAgreed, "replica audited in the middle of it"},
    {Fault::DifferenceHealed, "planted difference found, healed"},
};

class FaultCounts {
 public:
  void add(Fault fault, uint64_t n = 1) { counts_[static_cast<size_t>(fault)] += n; }
  void add(const FaultCounts& other) {
    for (size_t i = 0; i < fault_count; ++i) counts_[i] += other.counts_[i];
  }
  uint64_t of(Fault fault) const { return counts_[static_cast<size_t>(fault)]; }

 private:
  std::array<uint64_t, fault_count> counts_{};
};

}  // namespace hf::sim
