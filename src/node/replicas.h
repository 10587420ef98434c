// The replicas of this node, from the primary's end: each is a place in the log, fed from memory while it
// keeps up and from disk while it does not, at its own pace. Nothing is built for one replica, nothing is
// buffered without bound.
#pragma once
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/files.h"
#include "base/prng.h"
#include "base/types.h"
#include "config/options.h"
#include "log/tail.h"
#include "node/audit.h"
#include "node/effects.h"
#include "node/persistence.h"
#include "node/recent_frames.h"
#include "node/session.h"
#include "node/stock_dump.h"
#include "node/stock_feed.h"
#include "replication/verdict.h"
#include "replication/wire.h"

namespace hf::node {

class Replicas {
 public:
  struct Parts {
    const config::Options& options;
    Persistence& persistence;
    Sessions& sessions;
    Prng& prng;
    /// An audit found that its data differs: a log that goes on is not enough for it.
    std::function<bool(const std::string& who)> differed = {};
    /// It has loaded a snapshot of this node's.
    std::function<void(const std::string& who)> synced_in_full = {};
    /// This node's role was given to another, which may reign by now.
    std::function<bool()> handed_over = {};
  };
  explicit Replicas(Parts parts) : parts_(std::move(parts)) {}

  /// PSYNC arrived and the introduction is known: answers on `session` and feeds it from now on. False:
  /// refused, with an error as the answer.
  bool begin(Session& session, const ReplicaIntroduction& introduction, Now now);
  /// What a stock Redis asks for.
  struct StockAsk {
    bool plain_sync = false;  ///< SYNC: it knows no offsets
    std::string reign = {};   ///< whose bytes it has; "?" for none
    int64_t next = -1;        ///< Redis's offset: the first byte it lacks, counted from 1
  };
  /// The same for a stock Redis replica, or redis-cli as one (stock_replicas.cc).
  bool begin_stock(Session& session, const ReplicaIntroduction& introduction, const StockAsk& ask, Now now);
  void acknowledge_stock(ConnId conn, uint64_t received, std::optional<uint64_t> synced, Now now);
  bool any_stock() const { return stock_count_ > 0; }
  /// True once each repl-ping-replica-period.
  bool take_ping_due(Now now);
  /// In all dumps for Redis so far.
  uint64_t tasks_left_out() const { return tasks_left_out_; }
  /// The link has ended, from the other side or for a reason that is not the replica's: says so, removes it.
  void lost(const Session& session);
  void remove(ConnId conn);
  /// The role or the history changed: all have to ask again.
  void drop_all(std::vector<ConnId>& kill);

  /// A frame was sealed: kept in memory for those who keep up.
  void sealed(LogOffset begin, LogOffset end, std::string bytes);
  bool any() const { return !replicas_.empty(); }

  /// Once a turn, behind the sealing: fills outboxes, plans reads. `touched` gets the sessions with new
  /// output.
  void pump(Now now, Effects& effects, std::vector<ConnId>& touched);
  void job_done(const FileJobDone& done);
  MonoUs next_wake() const {
    return replicas_.empty() ? INT64_MAX : any_stock() ? std::min(next_heartbeat_us_, next_ping_us_) : next_heartbeat_us_;
  }
  /// True once after some replica's acknowledgement moved.
  bool take_progress() { return std::exchange(progressed_, false); }
  void acknowledge(ConnId conn, Epoch epoch, LogOffset received, LogOffset synced, LogOffset applied,
                   Now now);

  /// How many have it, in memory (WAIT) or on disk (WAITAOF).
  size_t having(LogOffset offset, bool synced) const;
  /// Who may take over: at that address, or (empty) the one that has the most. Empty: there is none such.
  std::optional<ConnId> candidate(const std::string& host, int port) const;
  struct Place {
    std::string host;
    int port = 0;
    LogOffset synced;
  };
  std::optional<Place> place_of(ConnId conn) const;
  void hand_over(ConnId conn);
  /// Connected and acknowledging within `lag_ms`: for min-replicas-to-write.
  /// `members`: only those that count for the write concern, which stock replicas do not.
  size_t healthy(Now now, int64_t lag_ms, bool members = false) const;
  /// The offset that `copies` members have synced, this node included.
  LogOffset synced_on(size_t copies) const;
  /// From where the log is needed by them, and the snapshots being sent.
  std::vector<LogOffset> log_pins() const;
  bool sending_snapshot(LogOffset offset) const;
  /// A node that follows gives on the count of who reigns, so that all below it know whether anybody does.
  void pass_on(uint64_t heartbeats) { heartbeats_ = heartbeats; }
  /// What heartbeats say.
  void set_commit(bool quorum, bool sync, LogOffset commit);

  struct Description {
    std::string host, state;
    int port = 0;
    bool native = true;
    LogOffset received, synced, applied;
    uint64_t lag_bytes = 0;
    int64_t lag_ms = 0, ack_age_ms = 0;
  };
  std::vector<Description> describe(Now now) const;
  /// Those linked, for an audit at `at`: whom its mark reaches, and who has applied it.
  std::vector<Audit::Member> audit_members(LogOffset at) const;
  std::optional<std::string> who_is(ConnId conn) const;  ///< "host:port" of a native one
  /// Ends the link of a replica that has to ask for everything anew; one that is being sent that already stays.
  void sync_in_full(ConnId conn);
  /// A Holdfast is linked and streams.
  bool any_native() const;
  uint64_t full_syncs() const { return full_syncs_; }
  uint64_t partial_syncs() const { return partial_syncs_; }
  uint64_t partial_refused() const { return partial_refused_; }
  size_t recent_bytes() const { return recent_.bytes(); }
  /// What all links hold of what they are sent: no more than replica-memory-max, but for one frame to a Redis.
  size_t held_bytes() const;
  /// By replica-memory-max; one link more is refused.
  size_t links_max() const;
  uint64_t links_refused() const { return links_refused_; }

  static constexpr uint64_t job_bit = 1ull << 61;

 private:
  struct AwaitsSnapshot {
    bool asked;  ///< for one of its own: any newer one will do
    LogOffset from;  ///< no older one will do: who wants no stream wants the state of now
  };
  struct SendsSnapshot {
    LogOffset offset;
    uint64_t read = 0;
    std::string name = {};  ///< it was last read under
  };
  struct Streams {};
  /// A stock replica's place in the log is looked for: first the segment, from the newest back, then the frame.
  struct Seeks {
    LogOffset below;  ///< no segment from here on can hold it
    uint64_t wanted = 0;
    Epoch reign;
    std::optional<LogOffset> reign_end;  ///< empty: it reigns still
    LogOffset segment = {};              ///< whose header is being read
  };
  /// What a replica that is a stock Redis has beside the rest.
  struct Stock {
    bool plain_sync = false;
    bool listens = false;  ///< what is sent goes into its stream: behind a dump, only once it has acknowledged
    std::unique_ptr<StockDump> dump;
    std::unique_ptr<StockFeed> feed;
    uint64_t acknowledged = 0;
  };
  struct Replica {
    ConnId conn;
    ReplicaIntroduction introduction;
    std::variant<AwaitsSnapshot, SendsSnapshot, Streams, Seeks> state;
    std::unique_ptr<Stock> stock;  ///< null: a Holdfast
    log::Tail tail{LogOffset{}};
    LogOffset begins;        ///< its link streams what lies behind this
    bool taking_in = false;  ///< a snapshot, and has not acknowledged anything behind it yet
    uint64_t job = 0;  ///< the read under way; 0: none
    LogOffset received, synced, applied;
    MonoUs acknowledged_us = 0, caught_up_us = 0, last_sent_us = 0;
    MonoUs moved_us = 0;        ///< when it last took something, or there was nothing for it to take
    uint64_t gone_bytes = 0;    ///< that had left this node then
    std::string host;         ///< announced, or where it connects from
    std::optional<LogOffset> sent;  ///< a snapshot, to its end
    bool owes_heartbeat = true;     ///< the first goes ahead of the first frame
    bool superseded = false;  ///< it has connected again, and this connection does not know: it counts once
  };
  Replica* find(ConnId conn);
  void feed(Replica& replica, Session& session, Now now, Effects& effects, std::vector<ConnId>& touched);
  void start_snapshot(Replica& replica, Session& session, Now now);
  void begin_sending(Replica& replica, Session& session, LogOffset offset, Now now);
  void send_snapshot(Replica& replica, Session& session, bool room, Effects& effects);
  void snapshot_read(Replica& replica, Session& session, const FileJobDone& done);
  bool from_memory(Replica& replica, Session& session);
  void send_part(Replica& replica, Session& session, const RecentFrames::Chunk& chunk);
  size_t window() const;
  uint64_t read_bytes_max() const;
  bool too_many(const Session& session);
  void read(Replica& replica, FileStep step, Effects& effects);
  bool refuse_sync(Session& session, Now now);
  void doubt(LogOffset snapshot) { doubted_ = std::max(doubted_.value_or(LogOffset{}), snapshot); }
  bool behind(const replication::Holding& replica) const;
  static std::string who(const Replica& replica) {
    return replica.host + ":" + std::to_string(replica.introduction.port);
  }
  void take_address(Replica& replica, const Session& session);
  static MonoUs last_moved(Replica& replica, const Session& session, Now now);
  std::string name_of(const Replica& replica, const Session& session) const;
  void feed_stock(Replica& replica, Session& session, Now now, Effects& effects);
  void stock_job_done(Replica& replica, Session& session, const FileJobDone& done);
  void needs_full(Replica& replica, Session& session, const std::string& why);
  void continue_stock(Replica& replica, Session& session);
  void take_dump(Replica& replica, Session& session, Bytes bytes);
  std::unique_ptr<StockDump> begin_dump(Replica& replica, Session& session, Now now);
  void seek_segment(Replica& replica, Session& session, Effects& effects);
  void seek_in(Replica& replica, Session& session, Bytes segment_header);
  void take_stock(Replica& replica, Session& session, const log::FrameHeader& header, Bytes frame);
  bool stock_from_memory(Replica& replica, Session& session);
  LogOffset stock_sendable() const;
  void fail(Session& session, const std::string& why);
  void note_lag(Replica& replica, Now now);
  LogOffset sendable() const;
  replication::Holding holding() const;
  void trim_recent();

  Parts parts_;
  std::list<Replica> replicas_;
  RecentFrames recent_;
  std::vector<std::pair<uint64_t, FileJobDone>> reads_;
  uint64_t next_job_ = 1, heartbeats_ = 0;
  MonoUs next_heartbeat_us_ = 0;
  bool heartbeat_due_ = false, progressed_ = false, quorum_ = false, sync_ = false;
  LogOffset commit_;
  std::vector<ConnId> failed_;
  std::optional<LogOffset>
      doubted_;           ///< snapshots up to here may be damaged: a replica could not take one in
  LogOffset unreadable_;  ///< the log on this disk is damaged somewhere before this
  size_t stock_count_ = 0;
  MonoUs next_ping_us_ = 0;
  uint64_t tasks_left_out_ = 0;
  uint64_t full_syncs_ = 0, partial_syncs_ = 0, partial_refused_ = 0;
  uint64_t links_refused_ = 0;
  bool refuses_links_ = false, stock_waits_ = false;
  double budget_bytes_ = 0;  ///< replication-max-bytes-per-second: what may be sent at once
  MonoUs budget_us_ = 0;
};

}  // namespace hf::node
