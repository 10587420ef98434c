// What a server node is made of. Shared by the files of this room that implement it, each named where its
// part begins; nobody else includes this.
#pragma once
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "command/context.h"
#include "command/server.h"
#include "node/audit.h"
#include "node/backups.h"
#include "node/beside.h"
#include "node/closings.h"
#include "node/executor.h"
#include "node/expiry_sweep.h"
#include "node/outbox.h"
#include "node/persistence.h"
#include "node/replicas.h"
#include "node/request_batch.h"
#include "node/server_node.h"
#include "node/session.h"
#include "node/switchover.h"
#include "node/turn_times.h"
#include "node/upstream.h"
#include "node/waiters.h"
#include "rdb/reader.h"
#include "store/digest.h"
#include "store/store.h"
#include "task/tasks.h"

namespace hf::node {

class ServerNode::Impl final : public command::Server, public store::Observer, private Follower {
 public:
  explicit Impl(Setup setup);

  // ---- the turn (server_node.cc) --------------------------------------------------------------------------
  ConnId connected(const Peer& peer);
  char* read_space(ConnId conn, size_t& room);
  void received(ConnId conn, size_t bytes);
  bool owes_reply(ConnId conn);
  void disconnected(ConnId conn);
  void job_done(const FileJobDone& done);
  void dialed(ConnId conn, bool ok, const std::string& why);
  void backup_report(const BackupReport& report) { backups_.report(report, now_); }
  void turn(Now now, Effects& effects);
  void turn_took(int64_t us) { turn_times_.add(us, now_.wall_ms); }
  Buffer take_output(ConnId conn);
  AfterSend sent(ConnId conn, size_t bytes, Buffer spare);
  void request_shutdown();

  // ---- command::Server (admin.cc, info.cc) ----------------------------------------------------------------
  std::string info(const std::vector<std::string>& sections) override;
  bool loading() const override { return !persistence_.answers(); }
  void config_get(Bytes pattern, const std::function<void(Bytes, Bytes)>& each) override;
  Status config_set(const std::vector<std::pair<std::string, std::string>>& pairs) override;
  Status config_rewrite() override;
  void config_reset_statistics() override;
  std::string option(Bytes name) const override;
  bool password_required() const override { return !options_.requirepass.empty(); }
  bool password_matches(Bytes user, Bytes password) const override;
  Status begin_snapshot(Bytes tag) override;
  std::vector<command::SnapshotInfo> snapshots() const override;
  Status tag_snapshot(uint64_t id, Bytes tag) override;
  Status delete_snapshot(uint64_t id) override;
  bool noting_snapshots() const override { return persistence_.noting_snapshots(); }
  Status begin_verify(uint64_t id) override;
  bool verifying() const override { return persistence_.verifying(); }
  Status begin_digest() override;
  std::optional<std::string> digest_result() const override;
  Result<uint64_t> begin_backup(command::BackupRequest request) override {
    return backups_.begin(std::move(request), now_);
  }
  command::BackupState backup_state() const override { return backups_.state(); }
  Status begin_rewrite() override;
  bool snapshot_running() const override { return persistence_.snapshot_running(); }
  Status last_snapshot_status() const override { return persistence_.last_snapshot_status(); }
  int64_t last_save_seconds() const override { return persistence_.last_save_ms() / 1000; }
  bool shutting_down() const override { return shutdown_asked_; }
  Status shutdown(command::SaveMode save, bool now, bool force, bool abort) override;
  void for_each_client(const std::function<void(const command::ClientState&)>& each) override;
  std::string describe_client(const command::ClientState& client) override;
  void kill_client(uint64_t id) override;
  void watch(command::Context& ctx, Bytes key) override;
  void unwatch_all(command::ClientState& client) override;
  void run_queued(command::Context& ctx, std::span<const Bytes> args) override {
    executor_.run_queued(ctx, args);
  }
  void key_ready(DbIndex db, Bytes key) override { waiters_.key_ready(db, key); }
  bool unblock_client(uint64_t id, bool with_error) override;

  // ---- command::Server and Follower (replication.cc) ------------------------------------------------------
  command::RoleInfo role() override;
  Status follow(Bytes host, int port) override;
  Status follow_nobody() override;
  void follow_now() override { upstream_.dial_now(); }
  bool role_settled() const override { return follows() || persistence_.reign_open(); }
  Status replica_says(uint64_t client, Bytes name, Bytes value) override;
  void replica_acknowledges(uint64_t client, std::span<const Bytes> numbers) override;
  void begin_sync(uint64_t client, std::span<const Bytes> args) override;
  void redis_replica_acknowledges(uint64_t client, Bytes received, Bytes synced) override;
  bool follows() const override { return persistence_.following() || foreign_; }
  size_t replicas_having(LogOffset offset, bool synced) const override {
    return replicas_.having(offset, synced);
  }
  bool synced_here(LogOffset offset) override;
  bool logging() const override { return persistence_.logging(); }
  Status fail_over(Bytes host, int port, int64_t timeout_ms) override;
  Status abort_failover() override;
  void replica_promoted(uint64_t client) override;
  Status begin_audit() override;
  command::AuditState audit_state() override { return audit_.state(audit_members()); }
  void replica_audited(uint64_t client, std::span<const Bytes> words) override;
  int copies_of_server() const override { return quorum() ? static_cast<int>(options_.min_copies) : 0; }
  bool ready() const override;
  replication::Holding holding() const override;
  Status take_group(const std::vector<log::MirrorFrame>& group) override;
  void take_heartbeat(const replication::Heartbeat& heartbeat) override;
  void take_over(const replication::HandOver& hand_over) override;
  void diverged(LogOffset at) override;
  void full_sync_begins(std::optional<LogOffset> shared) override { persistence_.shares_upto(shared); }
  Beside& beside() override { return beside_; }
  void adopt(const snapshot::Header& header) override;
  Follower::Progress progress() const override;
  // ... and following a Redis (import.cc)
  ForeignPlace foreign_place() const override { return foreign_place_; }
  Status follow_foreign() override;
  void import_dump(std::string file, ForeignPlace place) override;
  Status take_foreign(DbIndex db, const std::vector<Bytes>& args, Bytes raw) override;
  void foreign_place_is(const ForeignPlace& place) override { foreign_place_ = place; }
  void say(LogLevel level, std::string text) override { persistence_.say(level, std::move(text)); }

  // ---- store::Observer ------------------------------------------------------------------------------------
  void key_changed(DbIndex db, const store::Key& key) override;
  void database_changed(DbIndex db) override;
  void object_inserted(DbIndex db, Bytes key, store::Object& object) override;
  void object_removed(DbIndex db, Bytes key, store::Object& object) override;
  void objects_flushed(DbIndex db) override { tasks_.objects_flushed(db); }
  void objects_swapped(DbIndex a, DbIndex b) override { tasks_.objects_swapped(a, b); }

  const config::Options& options() const { return options_; }
  bool wants_turn() const { return !runnable_.empty(); }
  bool serving() const { return persistence_.serving(); }
  ServerNode::Progress loading_progress() const {
    const Persistence::Progress p = persistence_.progress();
    return {p.done, p.total};
  }
  std::string digest() const { return to_hex(store_.digest()); }
  LogPlace log_place() const;

 private:
  static store::Options store_options(const config::Options& options, uint64_t seed);
  void apply_options();

  // the turn's parts (server_node.cc, requests.cc, shutdown.cc, connections.cc; replication: as above)
  void run_session(Session& session, bool& more);
  void run_upstream(Session& session, bool& more);
  static bool has_had_its_turn(const Session& session, uint64_t output_before);
  bool run_batch(Session& session, uint64_t output_before, size_t& executed);
  void run_one(Session& session, std::span<const Bytes> args, Bytes raw);
  /// `reply_at`: where in the outbox the reply begins.
  void gate_reply(Session& session, const Executor::Outcome& outcome, std::span<const Bytes> args,
                  size_t reply_at);
  void rerun(Session& session, Executor::Again again);
  void serve_waiters();
  void note_grants(Session& session);
  void run_timers();
  void expire_some();
  bool walk_some(bool busy);
  void settle_role();
  void settle_quorum(Gate& gate, bool reigns);
  void follow_upstream(Effects& effects);
  UpstreamAddress upstream_address(const std::string& host, int port) const;
  void feed_replicas(Effects& effects);
  void speak_to_stock_replicas();
  void begin_following(const std::string& host, int port);
  void refuse_blocked_writers();
  void forget_behind(LogOffset kept);
  Status apply(const log::MirrorFrame& last, Bytes content);
  Status apply_frame(LogOffset end, WallMs wall_ms, Bytes content);
  void apply_committed();
  void note_commit();
  void hold_on_replica(Session& session, const Executor::Outcome& outcome, std::span<const Bytes> args);
  void apply_everything();
  void import_some(Effects& effects);
  void load_import(Effects& effects);
  void drop_for_import();
  /// Another data set takes the place of this one, and the log of what led to it goes.
  void state_replaced();
  void note_foreign_place();
  void leave_foreign();
  void end_import();
  std::string why_not_reign() const;
  bool quorum() const { return options_.write_concern == config::WriteConcern::Quorum; }
  void measure_commit();
  void step_switchover();
  void end_pause(bool elsewhere);
  void end_handed_over(const char* how, bool elsewhere);
  std::string ask_target() const;
  bool postponed_by_pause(Session& session, std::span<const Bytes> args);
  void info_replication(std::string& out);
  // audits (auditing.cc)
  bool may_audit() const;
  std::vector<Audit::Member> audit_members() const;
  void audit_when_due(Effects& effects);
  void hear_audit(std::span<const Bytes> args);
  void write_audit();
  void settle_audit();
  void act_on_audit();
  void report_audit(Session& link);
  void replica_synced_in_full(const std::string& who);
  void forget_audit();
  void keep_distrusted();
  void settle_adopted();
  void refuse_distrusted(Gate& gate) const;
  void info_audit(class Section& s, const command::AuditState& state) const;
  void look_at_memory();
  void collect_output(Effects& effects);
  void enforce_output_limit(Session& session, Effects& effects);
  void once_a_second(Effects& effects);
  void step_shutdown(Effects& effects);
  void give_up_shutdown();
  void touch(Session& session);
  void make_runnable(Session& session);
  void refuse_connection(Session& session, Bytes why);
  void drop(Session& session, Effects& effects);
  void flag_watchers(DbIndex db, Bytes key);
  /// Wakes who waits for a pseudo key, in whichever database.
  void everyone_ready(Bytes key) {
    for (DbIndex db = 0; db < store_.databases(); ++db) waiters_.key_ready(db, key);
  }
  Session* session_of(uint64_t client_id);
  MonoUs next_wake(bool more) const;

  // what it is made of, lower floors first
  config::Options options_;
  Host* host_;
  size_t walk_entries_a_slice_;
  Prng prng_;
  std::string run_id_;
  store::Store store_;
  task::Tasks tasks_;
  command::Journal journal_;
  command::Counters counters_;
  TurnTimes turn_times_;
  Executor executor_;
  Persistence persistence_;
  Backups backups_{options_, store_, persistence_};
  Sessions sessions_;
  Waiters waiters_;
  DirtyKeys dirty_;
  Replicas replicas_;
  Beside beside_;
  Upstream upstream_;
  /// Groups that are logged and may not be shown yet: not committed.
  struct Unapplied {
    LogOffset begin, end;
    WallMs wall_ms;
    std::string content;
  };
  std::deque<Unapplied> unapplied_;
  Switchover switchover_;
  Audit audit_{store_, walk_entries_a_slice_};
  bool adopting_ = false;         ///< the primary's data is taking the place of this node's
  /// What the log says of audits is heard in the stream only, not in a replay.
  bool applying_stream_ = false;

  // following a Redis
  bool foreign_ = false;  ///< a reign of one's own, fed by another server's commands
  ForeignPlace foreign_place_;
  struct Import {
    std::string file;
    ForeignPlace place;
    std::unique_ptr<rdb::StoreSink> sink;
    std::unique_ptr<rdb::Reader> reader;  ///< null: loaded; a snapshot has to hold it yet
    uint64_t at = 0;
    bool dropped = false;  ///< the data set that was here is gone
    bool snapshot_asked = false;
  };
  std::unique_ptr<Import> import_;
  bool import_unfinished_ = false;  ///< the log knows of a dump that was taken in, and nothing holds it
  MonoUs next_note_us_ = 0;
  LogOffset noted_cut_;
  LogOffset commit_;
  LogOffset committed_here_;          ///< of a replica's log, as its primary has said
  std::optional<bool> heard_quorum_;  ///< empty: whom it follows has not said yet
  MonoUs copies_asked_us_ = -1;    ///< when a reply last asked for more than this node's word
  bool pause_ended_ = false;       ///< what a switchover held back is to be run
  bool taking_back_ = false;       ///< a role that was handed over, once this node's new reign is open
  bool answer_promotion_ = false;  ///< the primary waits to hear that this node reigns
  bool acks_wanted_ = false;       ///< a WAIT of this turn waits for replicas that have to be asked
  bool role_settled_ = false;  ///< as of the last turn

  // the turn under way
  Now now_;
  LogOffset turn_need_;  ///< what replies to this turn's writes wait for
  std::vector<ConnId> runnable_, touched_, held_, kill_;
  Closings closings_;
  /// What is held is looked at when more is safe, and now and then for its limits: not in every turn, of
  /// which there are dozens to a sync, each with hundreds of clients that wait for it.
  Safe safe_looked_at_;
  MonoUs next_look_at_held_ = 0;
  std::vector<std::pair<DbIndex, std::string>> ready_keys_;
  std::vector<task::Grant> undelivered_;  ///< leases of connections that went before their reply did
  RequestBatch batch_;  ///< of the session that is run

  // clients
  uint64_t next_client_id_ = 1;
  std::unordered_map<uint64_t, ConnId> by_client_id_;
  std::unordered_map<std::string, std::vector<uint64_t>> watchers_;  // "<db>:<key>" -> client ids
  command::ClientState timer_client_;
  Buffer timer_reply_;

  // time kept
  MonoUs started_at_ = -1, next_second_ = 0, next_memory_look_ = 0;
  ExpirySweep expiry_sweep_;
  uint64_t ops_last_ = 0, ops_per_second_ = 0;

  bool began_serving_ = false;

  // DEBUG DIGEST WALK
  std::unique_ptr<store::WalkDigest> digest_;  ///< of the walk under way, or the last one
  store::WalkId digest_walk_ = 0;              ///< 0: none is under way

  // shutting down
  bool shutdown_asked_ = false, shutdown_forced_ = false;
  bool shutdown_save_ = false, shutdown_snapshot_begun_ = false;
};

}  // namespace hf::node
