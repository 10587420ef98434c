// Brings a data folder back: picks a snapshot, replays the log behind it, and tells a torn tail (cut, saved,
// go on) from damage (refuse, naming the byte). Stepwise, so that a loading server can answer -LOADING
// meanwhile.
//
//   open() -> LoadSnapshot? the caller loads snapshot() with its own loader, then snapshot_loaded() or
//   snapshot_damaged()
//          -> Replay        step() until it says Done
//          -> Done          outcome()
//
// The rule: let x be the offset behind the last good frame (behind the last complete group). When x lies
// below what any valid frame, MANIFEST, a successor segment, a clean shutdown or the loaded snapshot says was
// durable, this is damage. Otherwise it is what a power cut leaves.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/buffer.h"
#include "base/files.h"
#include "base/history.h"
#include "base/result.h"
#include "base/types.h"
#include "log/frame.h"
#include "log/manifest.h"
#include "log/reader.h"
#include "log/segment.h"
#include "log/writer.h"

namespace hf::log {

/// Takes what is replayed, in order, each group whole.
class ReplaySink {
 public:
  virtual ~ReplaySink() = default;
  /// `header` is that of the group's last frame, `content` the whole group's commands from offset `begin` on;
  /// both die with the call. An error ends recovery as Refused.
  virtual Status replay(const FrameHeader& header, LogOffset begin, Bytes content) = 0;
};

/// What the loaded snapshot's header says: where the log has to join. A snapshot without any reign at an
/// offset above 0 was taken without a log (`appendonly no`): a log that ends below it is then superseded, not
/// damaged.
struct SnapshotPoint {
  LogOffset offset;
  uint64_t previous_sum = 0;
  uint64_t visible_offset = 0;
  WallMs wall_ms = 0;
  std::string cluster_id;
  History history;
  Epoch epoch;  ///< of the reign at the cut; keeps later reigns above it
};

/// The folder holds no data: start with fresh_start(a new cluster id).
struct Fresh {
  std::vector<FileStep> leftovers;  ///< removals of what a first life left half-made; before anything is made
};

/// A tail that a power cut (or kill) left behind the last good frame.
struct TornTail {
  std::string segment;
  uint64_t byte = 0;   ///< where the log is cut
  uint64_t bytes = 0;  ///< how much goes to rescue/
  LogOffset offset;    ///< the log's new end
  std::string why;     ///< verdict on the first bad frame
};

struct Recovered {
  ResumePoint resume;
  std::optional<TornTail> torn;
  /// To be done as one job on Lane::Log before a Writer is made: saves the tail under rescue/ and cuts the
  /// log. May be empty. Fails? Then the server can't start.
  std::vector<FileStep> repair;
  /// To be done in the same job, behind `repair`: writes again, and syncs, what may only be in the system's
  /// memory.
  std::vector<FileStep> settle;
};

/// Do not start: `why` names segment, byte, offset and what holdfast-check can do.
struct Refused {
  std::string why;
};

using Outcome = std::variant<Fresh, Recovered, Refused>;

/// Going back in time: groups that end behind `offset` or are later than `wall_ms` are not replayed.
struct StopAt {
  LogOffset offset{UINT64_MAX};
  WallMs wall_ms = INT64_MAX;
  bool asked() const { return offset.value != UINT64_MAX || wall_ms != INT64_MAX; }
};

struct RecoveryOptions {
  WallMs wall_ms = 0;                   ///< names the files under rescue/
  size_t read_bytes = 4 * 1024 * 1024;  ///< of one read
  StopAt stop;                          ///< what lies behind is not even judged
  std::vector<LogOffset> skip;          ///< snapshots that must not be loaded
};

class Recovery {
 public:
  enum class Phase : uint8_t { LoadSnapshot, Replay, Done };

  /// `files` must outlive the recovery.
  Recovery(Files& files, const RecoveryOptions& options);

  /// Reads MANIFEST and the names; call once, first.
  Phase open();

  /// In phase LoadSnapshot: the file to load now. Start each attempt with an empty store.
  struct SnapshotFile {
    std::string name;
    LogOffset offset;
  };
  const SnapshotFile& snapshot() const { return candidates_.back(); }
  Phase snapshot_loaded(const SnapshotPoint& point);
  /// The next phase: an older snapshot, the log alone, or Done (Refused) when the log no longer reaches back.
  Phase snapshot_damaged(const std::string& why);

  /// In phase Replay: reads about `budget_bytes` of the log, at least one frame.
  Phase step(size_t budget_bytes, ReplaySink& sink);

  Phase phase() const { return phase_; }
  /// CHECK: phase() is Done. May be moved from.
  Outcome& outcome() { return *outcome_; }
  /// Bytes of log read, of those to read (the log's part of the progress).
  uint64_t bytes_done() const;
  uint64_t bytes_total() const { return bytes_total_; }
  uint64_t frames() const { return frames_; }
  /// What is known to have been durable: the log must reach it.
  LogOffset durable_floor() const { return floor_; }
  /// Where the replay is.
  LogOffset offset() const { return good_.offset; }
  /// Sentences for the server's log, in order: damaged snapshots, leftovers, a torn tail.
  const std::vector<std::string>& notes() const { return notes_; }
  /// Files under rescue/ with what diverged, made by this recovery.
  const std::vector<std::string>& rescued() const { return rescued_; }

 private:
  struct File {
    SegmentRef ref;
    std::string name;
    uint64_t size = 0;
    bool missing = false;
  };
  /// Where the last complete group ended.
  struct GoodEnd {
    uint64_t byte = 0;
    LogOffset offset;
    uint64_t sum = 0, visible = 0;
    WallMs wall_ms = 0;
    History history;
    /// The last epoch record read, also of what a snapshot holds already: whose it is, and where it stands.
    struct {
      Epoch epoch;
      uint64_t visible = 0;
    } reign;
  };

  Phase refuse(std::string why);
  Phase refuse_unlisted();
  Phase read_manifest();
  Status collect_segments(const std::vector<std::string>& names);
  Status set_aside(const std::string& name);
  LogOffset cut_at() const { return manifest_.cut.value_or(LogOffset{UINT64_MAX}); }
  void settle_following(const std::vector<std::string>& names);
  void adopt_received(const std::vector<std::string>& names);
  void rescue_segments(const std::vector<std::string>& names);
  void keep_tail(const std::string& name);
  std::string tail_name(const std::string& segment);
  void drop_behind_cut(const std::vector<std::string>& names);
  Phase cut_back(uint64_t byte);
  void keep_in_rescue(const std::string& name);
  size_t give_up_past(size_t needed);
  bool log_superseded() const;
  void set_log_aside();
  Phase start_replay();
  Status enter(size_t index);
  Status join_snapshot();
  Status take_frame(const SegmentReader::Frame& frame, ReplaySink& sink);
  Status take_group(const SegmentReader::Frame& frame, LogOffset begin, Bytes content, ReplaySink& sink);
  Phase file_ended();
  Phase bad_frame(Verdict verdict);
  Phase judge_end(const std::string& why, uint64_t byte);
  Phase cut(const std::string& why);
  Status add_settle_steps();
  Phase finish(std::optional<TornTail> torn);
  Status add_rescue_steps(TornTail& torn);
  void raise_floor(LogOffset durable, const std::string& source);
  ResumePoint resume_point();
  std::string rescue_name(const std::string& name, uint64_t byte) const;

  Files& files_;
  RecoveryOptions options_;
  Phase phase_ = Phase::LoadSnapshot;
  std::optional<Outcome> outcome_;
  std::vector<std::string> notes_, rescued_;
  std::vector<FileStep> repair_;

  bool have_manifest_ = false, gave_up_past_ = false;
  Manifest manifest_;                     ///< as read
  LogOffset listed_from_;                 ///< its first segment, also when a cut has taken that
  std::vector<File> segments_;            ///< those in MANIFEST, ascending
  std::vector<SnapshotFile> candidates_;  ///< ascending: the newest is tried first
  std::vector<std::string> unlisted_;     ///< segments with data beside a missing MANIFEST
  std::optional<SnapshotPoint> snapshot_;
  bool joined_ = false;  ///< the replay has passed the snapshot's offset

  size_t segment_ = 0;                     ///< being read
  std::unique_ptr<SegmentReader> reader_;  ///< null while there is none
  ChainPoint chain_;
  GoodEnd good_;
  bool in_group_ = false;
  bool stopped_ = false;
  bool cut_reached_ = false;
  Buffer group_;  ///< contents of an unfinished group
  LogOffset group_begin_;
  /// Places in the segment under way, about `mark_bytes` apart, from which its tail can be written again.
  struct Mark {
    LogOffset offset;
    uint64_t byte;
  };
  static constexpr uint64_t mark_bytes = 64 * 1024;
  std::vector<Mark> marks_;
  std::vector<FileStep> settle_;
  LogOffset floor_;  ///< surely durable: a log that ends below is damaged
  std::string floor_source_;
  Epoch epoch_max_;
  uint64_t bytes_total_ = 0, bytes_before_ = 0, frames_ = 0;
};

}  // namespace hf::log
