// One Holdfast node: floors 0 to 2 joined into a state machine without I/O. Events come in by the calls
// below; `turn` executes all that has arrived as one batch and returns effects. Who drives it (libuv, the
// simulator) is not its business; it never asks the clock, the disk or the network for anything by itself.
//
// Order of a driver's loop: any number of connected / received / disconnected / sent / job_done, then one
// turn(now), then its effects carried out; wait for events, or until `wake_at`, or not at all when `again`.
#pragma once
#include <memory>

#include "base/buffer.h"
#include "base/files.h"
#include "base/limits.h"
#include "config/options.h"
#include "log/restore.h"
#include "node/effects.h"

namespace hf::node {

struct Setup {
  config::Options options;
  /// Random; everything random in the node grows from it (hash secret, reign ids, backoff). The same seed and
  /// the same events give the same node.
  uint64_t seed = 0;
  /// Must outlive the node.
  Files* files = nullptr;
  Host* host = nullptr;
  /// Entries that a snapshot's walk visits at a time, a millisecond apart. The simulator sets it low, so that
  /// walks take many turns.
  size_t walk_entries_a_slice = 1024;
  /// And this, so that their files take many jobs.
  size_t snapshot_block_bytes = limits::snapshot_block_bytes;
  /// Instead of serving: the state at this point, read from `files`. The jobs make a data folder of it, so
  /// the driver must carry them out in another one. Ends with exit 0, or 1 having said why.
  std::optional<log::RestorePoint> restore = {};
  /// With `restore`: only bring the state back, for its digest; write nothing.
  bool restore_nothing_written = false;
};

class ServerNode {
 public:
  explicit ServerNode(Setup setup);
  ~ServerNode();
  ServerNode(const ServerNode&) = delete;
  ServerNode& operator=(const ServerNode&) = delete;

  // ---- events ---------------------------------------------------------------------------------------------
  /// A connection was accepted. (Refusals - maxclients, protected mode - are a reply and a close in the next
  /// turn.)
  ConnId connected(const Peer& peer);
  /// Where to put bytes that arrive: at least 16 KiB at the returned place, `room` says how many. Null when
  /// the connection is gone or must not be read now (its query buffer is full, or it is closing): ask again
  /// later. Valid until the next call for this connection or the next turn.
  char* read_space(ConnId conn, size_t& room);
  void received(ConnId conn, size_t bytes);
  /// True while the connection has input to be executed or output to be sent: one that has closed its sending
  /// side (`printf ... | nc`) is kept until then. A blocked one is owed nothing: who left does not wait.
  bool owes_reply(ConnId conn);
  void disconnected(ConnId conn);
  /// Of Effects::dial: the connection stands (`local`: its own address), or `why` not.
  void dialed(ConnId conn, bool ok, const std::string& why);
  void job_done(const FileJobDone& done);
  void backup_report(const BackupReport& report);
  /// SIGTERM, SIGINT: finish what is acknowledged, sync, exit 0.
  void request_shutdown();

  /// Executes everything that has arrived. Times must not run backwards (mono) between turns.
  void turn(Now now, Effects& effects);
  /// How long the loop was held, from the first event to the last effect of the turn: for INFO only.
  void turn_took(int64_t us);

  // ---- output ---------------------------------------------------------------------------------------------
  /// The bytes that may leave now; empty when there are none. The caller writes them all, in order.
  Buffer take_output(ConnId conn);
  enum class AfterSend : uint8_t { KeepOpen, Close };
  /// `bytes` of what was taken have left; `spare` is an emptied buffer to reuse (or an empty one). Close:
  /// everything has been sent and the connection was to end after it: close it, then call disconnected.
  AfterSend sent(ConnId conn, size_t bytes, Buffer spare);

  // ---- for the driver and for tests -----------------------------------------------------------------------
  const config::Options& options() const;
  /// There is input to execute that no event announces (a client has read, and may go on): run a turn at
  /// once.
  bool wants_turn() const;
  bool serving() const;  ///< recovery is over
  struct Progress {
    uint64_t done = 0, total = 0;  ///< bytes
  };
  Progress loading_progress() const;
  /// Order-free digest of the whole data set.
  std::string digest() const;
  /// Where the log is; all 0 until this node's reign is opened (and without a log).
  struct LogPlace {
    Epoch epoch;
    LogOffset reign_begin;  ///< where recovery ended
    LogOffset end;          ///< behind the last turn's frame
    LogOffset begin, written, synced;
    LogOffset back_to;        ///< the log could be cut back to here
    uint64_t last_sum = 0;    ///< of the frame before `end`: equal sums, equal logs
    bool following = false;   ///< a replica; true also without a log
    /// The data set is the state at `end`: nothing is loading or waiting to be applied.
    bool settled = false;
    bool linked = false;      ///< a replica that is sent its primary's frames
    std::string cluster_id;   ///< empty: no log yet
  };
  LogPlace log_place() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hf::node
