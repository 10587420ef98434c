// The node's hold on the disk: brings the data set back at start, opens the reign, turns each turn's journal
// into a frame, knows how far the log is safe, takes snapshots, and closes the log. It joins the rooms log/,
// snapshot/ and store/, which do not know each other.
//
//   Loading -> Repairing -> Opening -> Serving -> Closing -> Closed
//      \__________\____________\___________\________\______-> Dead (says why; exit code 1)
//       |   Following: a replica opens no reign of its own; Resetting: it takes another state in
//       (following.cc)
//       \-> Restoring -> Closed: back in time, into another folder (restore.cc)
#pragma once
#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/files.h"
#include "base/prng.h"
#include "base/types.h"
#include "command/journal.h"
#include "config/options.h"
#include "log/recovery.h"
#include "log/rescue.h"
#include "log/restore.h"
#include "log/writer.h"
#include "node/effects.h"
#include "node/executor.h"
#include "node/group_commit.h"
#include "node/outbox.h"
#include "node/record_clock.h"
#include "replication/verdict.h"
#include "snapshot/reader.h"
#include "snapshot/writer.h"
#include "store/store.h"

namespace hf::node {

std::string random_hex40(Prng& prng);

class Persistence final : private log::ReplaySink {
 public:
  struct Parts {
    const config::Options& options;
    Files& files;
    store::Store& store;
    Executor& executor;
    Prng& prng;
    /// Go back to this point, write it out (into another folder, by way of the driver) and end.
    std::optional<log::RestorePoint> restore = {};
    bool restore_nothing_written = false;
    size_t snapshot_block_bytes = limits::snapshot_block_bytes;
    /// What replicas still need: from where on the log, and whether a snapshot is being sent.
    std::function<std::vector<LogOffset>()> log_pins = {};
    std::function<bool(LogOffset)> snapshot_in_use = {};
    /// A frame was sealed or stored: what replicas are sent, when there are any.
    std::function<bool()> frames_wanted = {};
    std::function<void(LogOffset begin, LogOffset end, std::string bytes)> on_frame = {};
    /// Once all is recovered: why what is there can't be reigned over; empty: it can.
    std::function<std::string()> why_not_reign = {};
  };
  explicit Persistence(const Parts& parts);

  // clang-format off
  enum class Phase : uint8_t {
    Loading, Repairing, Opening, Serving, Resetting, Closing, Restoring, Closed, Dead
  };
  // clang-format on
  Phase phase() const { return phase_; }
  bool serving() const { return phase_ == Phase::Serving || phase_ == Phase::Closing; }
  bool dead() const { return phase_ == Phase::Dead; }
  /// There is a data set to read: the one served, or one that is just being exchanged for what stands beside.
  bool answers() const { return serving() || (beside_ && phase_ != Phase::Dead && phase_ != Phase::Closed); }

  // ---- starting -------------------------------------------------------------------------------------------
  void start(Now now);
  /// One slice of recovery. True: come back at once. Serving when the new reign's record is synced.
  bool recover_some(Now now);
  Epoch epoch() const { return epoch_; }
  const std::string& reign_id() const { return reign_id_; }
  const std::string& cluster_id() const { return cluster_id_; }

  // ---- following a primary (following.cc) -----------------------------------------------------------------
  /// Before start: open no reign. Later: give up one's own.
  void follow();
  bool following() const { return following_; }
  replication::Holding holding() const;
  /// Stores frames of the primary, a whole group.
  Status mirror(const std::vector<log::MirrorFrame>& group);
  /// There is a log to store frames in, and the disk keeps up.
  bool can_mirror() const;
  /// The earliest offset that the log could be cut back to: the data set there can still be loaded.
  LogOffset can_go_back_to() const;
  /// Saves and cuts off what was logged behind `at`, then loads again.
  void cut_back(LogOffset at);
  /// Before adopt(): the primary's log is the same up to here (empty: it has nothing in common with this
  /// one).
  void shares_upto(std::optional<LogOffset> shared) { shared_ = shared.value_or(LogOffset{}); }
  /// What diverged and was saved under rescue/ by this process.
  struct Rescued {
    uint64_t files = 0;
    std::string last;
  };
  const Rescued& rescued() const { return rescued_; }
  /// All that lies there, as of the last start, change of primary or snapshot.
  const log::RescueHeld& rescue_held() const { return rescue_held_; }
  /// Lets `full-<offset>.rdb` take the place of everything. `beside`: the store has it beside; it is taken
  /// once MANIFEST says so, and the old data set is there to be read until then. Else the old one is dropped,
  /// and it is loaded.
  void adopt(const snapshot::Header& header, bool beside);
  /// Ends following: a reign of one's own, reign_open() once it is synced. Error: there is nothing to reign
  /// over.
  Status begin_own_reign(Now now);
  bool reign_open() const;
  /// False: frames are logged that the data set does not show yet (they are not committed): no cut can be
  /// taken.
  void set_applied_all(bool all) { applied_all_ = all; }
  /// What loading meant to say when it was refused and a primary was there to ask; empty otherwise.
  const std::string& unusable() const { return unusable_; }

  // ---- the turn -------------------------------------------------------------------------------------------
  /// The time for this turn's records (RecordClock).
  Now never_backwards(Now now);
  /// There is a log to wait for.
  bool logging() const { return writer_ != nullptr && beginning_ == Beginning::No; }
  /// Without a log (`appendonly no`) and somebody needs one: a replica, or CONFIG SET appendonly yes. A
  /// snapshot is taken, and what changes behind its cut is logged: logging() once that snapshot is on disk.
  /// No effect while there is a log, or one is being begun. Error: the snapshot can't be taken now; ask
  /// again.
  Status begin_log(Now now);
  /// It serves a data set of its own, and no change is logged.
  bool without_log() const { return unlogged_ && serving() && !logging() && !following_; }
  /// What replies to this turn's writes wait for: the frame that `seal` will make.
  LogOffset need_of_this_turn() const { return {end().value + 1}; }
  void seal(Now now, const command::Journal& journal);
  Safe safe() const;
  /// What the members have synced, by their number (Safe::on_copies); commit goes into frames.
  void set_copies(const std::array<LogOffset, copies_max + 1>& on_copies, LogOffset commit) {
    on_copies_ = on_copies;
    commit_ = commit;
  }
  bool replies_wait_for_sync() const { return parts_.options.appendfsync == config::FsyncPolicy::Always; }
  bool tasks_wait_for_sync() const { return parts_.options.task_sync == config::TaskSync::Always; }
  /// A reply waits for the sync of this offset: see to it.
  void want_sync(LogOffset upto) { sync_wanted_ = std::max(sync_wanted_, upto); }
  /// The same for a reply to a client: what counts for when the next sync begins.
  void reply_wants_sync(LogOffset upto) {
    want_sync(upto);
    commits_.reply_waits();
  }
  /// Empty, or the error that every write gets at the moment.
  const std::string& refuse_writes() const { return refusal_; }
  /// Empty, or the error for a read of what is not in the log and may not get there.
  const std::string& refuse_reads_in_doubt() const { return doubt_; }
  void job_done(const FileJobDone& done);
  /// Hands out jobs, lines and the exit.
  void pump(Now now, Effects& effects);
  void once_a_second(Now now);
  MonoUs next_wake(Now now, bool clients_wait) const;
  void say(LogLevel level, std::string text) { lines_.push_back({level, std::move(text)}); }
  void note_change() { ++changes_; }

  // ---- snapshots ------------------------------------------------------------------------------------------
  struct SnapshotPlan {
    std::string reason;  ///< one word
    std::string tag = {};
    MonoUs spread_us = 0;  ///< take this long about the walk, unless hurried; 0: as fast as slices allow
    bool rewrite = false;  ///< trim the log to it
    bool awaited = false;  ///< by a replica, which is sent it as it grows
  };
  /// The cut is taken when this turn's frame is sealed. While one that is spread over time runs, that one is
  /// hurried and this one follows it; otherwise one that runs is an error.
  Status begin_snapshot(Now now, SnapshotPlan plan);
  bool snapshot_running() const { return asked_ || snapshot_ != nullptr; }
  /// A snapshot's file for who reads it, which may be while it is being written.
  struct SnapshotFile {
    std::string name;             ///< another one once it is whole
    uint64_t bytes = 0;           ///< there to be read
    uint64_t expected_bytes = 0;  ///< when it is whole, as far as can be told
    bool whole = false;
  };
  /// Empty: there is none (any more); one that was being taken has failed or was given up.
  std::optional<SnapshotFile> snapshot_file(LogOffset offset) const;
  /// The cut of the one being taken, once there is something of it to read.
  std::optional<LogOffset> growing_snapshot() const;
  /// The one that is asked for or being taken is waited for: it is not spread over time any more.
  void await_snapshot() {
    plan_.spread_us = 0;
    plan_.awaited = true;
  }
  /// Its cut belongs to the next turn.
  bool snapshot_due() const { return asked_ && applied_all_; }
  Status last_snapshot_status() const;
  /// The reason of the one taken while stopping: it has the loop to itself.
  static constexpr const char* shutdown_reason = "shutdown";
  /// A slice of the walk under way, of so many entries at most, when it is time for one (`next_wake`). True:
  /// there is more to walk at once.
  bool walk_some(Now now, size_t entries, bool clients_wait);
  enum class FileState : uint8_t { Unchecked, Written, Verified, Damaged };
  /// What this process knows of a snapshot beside its note.
  struct SnapshotFacts {
    FileState state = FileState::Unchecked;
    std::string finding = {};  ///< of Damaged
  };
  /// Oldest first.
  const std::vector<log::SnapshotNote>& snapshots() const { return notes_; }
  SnapshotFacts snapshot_facts(LogOffset offset) const;
  /// "" takes the tag off. Error: no such snapshot, or a tag that can't be.
  Status tag_snapshot(LogOffset offset, std::string tag);
  Status delete_snapshot(LogOffset offset);
  /// A tag given or taken is not in MANIFEST on disk yet.
  bool noting_snapshots() const { return writer_ && !writer_->snapshots_written(); }
  /// True once after it is.
  bool take_notes_written() { return !noting_snapshots() && std::exchange(notes_awaited_, false); }
  /// Begins to read the file through, a block a turn. Error: none such, or one is being read.
  Status begin_verify(LogOffset offset);
  bool verifying() const { return verifier_ != nullptr; }
  /// True: there is more to read at once.
  bool verify_some();
  /// True once after a verification ended.
  bool take_verify_finished() { return std::exchange(verify_finished_, false); }
  /// Bytes that exist only because a snapshot runs.
  size_t snapshot_copy_bytes() const {
    return (snapshot_ ? snapshot_->waiting_bytes() : 0) + parts_.store.kept_for_walks_bytes();
  }
  LogOffset last_cut() const { return last_cut_; }
  /// Removes a file once the snapshots' lane is free.
  void remove_file(std::string name) {
    housekeeping_.push_back({.kind = FileStep::Kind::Remove, .name = std::move(name)});
  }
  size_t snapshot_copy_bytes_peak() const { return copy_peak_; }
  uint64_t snapshot_keys_total() const { return snapshot_ ? keys_at_cut_ : 0; }
  uint64_t snapshot_file_bytes() const { return snapshot_ ? snapshot_->file_bytes() : 0; }
  /// BGREWRITEAOF: a snapshot, then the log without what only the past needs.
  Status begin_rewrite(Now now);
  bool rewriting() const {
    return (snapshot_running() && plan_.rewrite) || (next_ && next_->rewrite);
  }
  bool last_rewrite_failed() const { return rewrite_failed_; }
  /// True once after a snapshot ended, well or badly.
  bool take_snapshot_finished() { return std::exchange(snapshot_finished_, false); }
  int64_t last_save_ms() const { return last_save_ms_; }

  // ---- ending ---------------------------------------------------------------------------------------------
  /// Syncs the log and writes the clean end. Call each turn; true when done.
  bool close_log();

  // ---- INFO -----------------------------------------------------------------------------------------------
  LogOffset end() const { return writer_ ? writer_->end() : unlogged_end_; }
  uint64_t visible_end() const { return writer_ ? writer_->visible_end() : unlogged_visible_; }
  /// Where the last reign begins, in that count; empty: not known.
  std::optional<uint64_t> reign_visible() const { return writer_ ? writer_->reign_visible() : std::nullopt; }
  const log::Writer* writer() const { return logging() ? writer_.get() : nullptr; }
  uint64_t changes_since_save() const { return changes_ - changes_at_save_; }
  int64_t last_snapshot_seconds() const { return last_snapshot_s_; }
  int64_t current_snapshot_seconds(Now now) const {
    return snapshot_running() ? (now.mono_us - snapshot_begun_us_) / 1'000'000 : -1;
  }
  uint64_t snapshot_keys() const { return snapshot_ ? snapshot_->keys() : 0; }
  uint64_t snapshots_taken() const { return snapshots_taken_; }
  struct Progress {
    uint64_t done = 0, total = 0, frames = 0;
  };
  Progress progress() const;

 private:
  Status replay(const log::FrameHeader& header, LogOffset begin, Bytes content) override;
  bool load_snapshot();
  void recovered();
  std::vector<log::SnapshotNote> snapshots_in_folder();
  void start_restore(log::RecoveryOptions options);
  void restored();
  void end_restore();
  void begin_fresh();
  void open_log(log::ResumePoint from);
  void make_writer(log::ResumePoint from);
  void log_from_cut(Now now);
  void abandon_log();
  void open_reign(WallMs wall_ms);
  void tee();
  void hand_on(LogOffset begin);
  void reset(log::Manifest manifest);
  void step_reset(Effects& effects);
  void load_again();
  bool take_beside();
  void drop_beside();
  void drop_served();
  void snapshot_loaded(const snapshot::Header& header, uint64_t keys);
  void die(std::string why);
  void look_at_rescue();
  void log_job_done(const FileJobDone& done);
  void cut_snapshot(Now now);
  /// So that a load can make room first.
  void describe_tables(snapshot::Header& header) const;
  void fail_walk();
  bool ahead_of_pace(Now now) const;
  MonoUs next_slice(Now now, bool clients_wait) const;
  void find_snapshots(const std::vector<log::SnapshotNote>& notes);
  log::SnapshotNote* find_note(LogOffset offset);
  const log::SnapshotNote* find_note(LogOffset offset) const;
  Status tag_is_free(LogOffset offset, Bytes tag) const;
  bool failed_lately(Now now) const;
  void report_snapshot(Now now);
  void snapshot_job_done(const FileJobDone& done);
  void end_snapshot(Now now);
  void forget_old_snapshots(bool trim_all);
  void remove_dropped_segments();
  void snapshot_when_due(Now now);
  void report_progress(Now now);
  void watch_clock();
  void update_refusal();

  Parts parts_;
  Phase phase_ = Phase::Loading;
  Now now_;
  std::vector<LogLine> lines_;
  bool exit_said_ = false;

  // recovery
  std::unique_ptr<log::Recovery> recovery_;
  std::unique_ptr<snapshot::Reader> reader_;
  size_t notes_said_ = 0;
  MonoUs started_us_ = 0, next_report_us_ = 0;
  std::optional<log::ResumePoint> resume_;
  std::vector<FileStep> repair_;
  bool repair_in_flight_ = false;
  std::vector<log::SnapshotNote> restore_snapshots_;

  // the log
  std::unique_ptr<log::Writer> writer_;
  /// Of begin_log, what it waits for; from `Snapshot` on the writer gathers frames and hands out no job.
  enum class Beginning : uint8_t {
    No,
    Cut,       ///< of the snapshot it asked for
    Snapshot,  ///< on disk
    Folder,    ///< without the log that was here before
  };
  Beginning beginning_ = Beginning::No;
  bool unlogged_ = false;  ///< serves a data set of its own without a log, or did until one began
  Epoch epoch_;
  std::string reign_id_, cluster_id_, refusal_, doubt_;
  RecordClock clock_;
  bool clock_said_ = false;  ///< that the system's is behind it
  LogOffset sync_wanted_, unlogged_end_;
  uint64_t unlogged_visible_ = 0;
  MonoUs last_sync_us_ = 0, next_sync_us_ = 0;
  GroupCommit commits_;
  std::optional<int64_t> lane_back_;  ///< the cpu_us of a job of Lane::Log that has ended since the last turn
  bool closing_sent_ = false;
  bool following_ = false, applied_all_ = true;
  std::array<LogOffset, copies_max + 1> on_copies_{};
  LogOffset commit_;
  std::string unusable_, tee_;
  LogOffset shared_;  ///< with the primary that everything is fetched from
  Rescued rescued_;
  log::RescueHeld rescue_held_;
  Epoch epoch_max_;
  LogOffset reign_needs_;                  ///< synced up to here, the reign is open
  std::optional<log::Manifest> reset_to_;  ///< in Resetting: announces what is to become of the folder
  bool reset_in_flight_ = false;
  std::optional<snapshot::Header> beside_;  ///< of what the store has beside, until it is the data set
  std::optional<FileJob> closing_job_;

  // snapshots
  std::unique_ptr<snapshot::Writer> snapshot_;
  store::WalkId walk_ = 0;
  bool walking_ = false, asked_ = false, snapshot_finished_ = false, abort_sent_ = false;
  SnapshotPlan plan_;                 ///< of the one asked for or running
  std::optional<SnapshotPlan> next_;  ///< asked for while plan_ runs
  std::string snapshot_failure_;
  std::vector<log::SnapshotNote> notes_;
  std::map<uint64_t, SnapshotFacts> facts_;  ///< by offset
  std::optional<LogOffset> loaded_;          ///< the snapshot that the start read whole, every sum checked
  uint64_t keys_at_cut_ = 0;
  size_t copy_peak_ = 0;
  LogOffset last_cut_;
  MonoUs next_snapshot_report_us_ = 0, next_slice_us_ = 0, last_slice_us_ = 0;
  bool asked_since_slice_ = false;  ///< a client wanted something since the walk's last slice
  std::unique_ptr<snapshot::Reader> verifier_;
  LogOffset verifying_;
  bool verify_finished_ = false;
  bool notes_awaited_ = false;  ///< by who gave or took a tag
  uint64_t next_snapshot_job_ = 1, snapshots_taken_ = 0;
  MonoUs snapshot_begun_us_ = 0;
  WallMs last_save_ms_ = 0, last_try_ms_ = 0;
  int64_t last_snapshot_s_ = -1;
  uint64_t changes_ = 0, changes_at_save_ = 0, changes_at_cut_ = 0;
  bool rewrite_failed_ = false;
  std::vector<FileStep> housekeeping_;  ///< removals, done on the snapshot lane
  uint64_t housekeeping_id_ = 0;
};

}  // namespace hf::node
