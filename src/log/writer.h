// The log's write side: seals frames, gathers batches, plans the disk's jobs and knows how far the log is
// written and synced. A state machine without I/O: the caller hands jobs to their lanes and brings the
// answers back.
//
//   append() ... append()  ->  next_job(want_sync)  ->  Lane::Log  ->  job_done()  ->  written(), synced()
//   moved
//
// Invariants
//   1. At most one job on Lane::Log, and one sync and one write ahead on Lane::Sync; frames appended
//   meanwhile make the next batch.
//   2. synced() <= written() <= end(). synced() only claims what was written before that sync was asked for.
//   3. A segment is synced before its successor is begun, and a segment is in MANIFEST before its first frame
//   is written.
//   4. A batch whose write failed is kept, and is written again only after what it left behind was cut and
//   synced.
//   5. Zeros are written ahead only where nothing is sealed yet, and no frame goes there before they are
//   done.
//   6. After a failed sync nothing is written, synced or claimed ever again (Dead).
#pragma once
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/files.h"
#include "base/history.h"
#include "base/limits.h"
#include "base/prng.h"
#include "base/types.h"
#include "log/frame.h"
#include "log/manifest.h"
#include "log/preallocation.h"
#include "log/segment.h"

namespace hf::log {

/// Where writing goes on: made by Recovery, or by `fresh_start` for an empty folder.
struct ResumePoint {
  Manifest manifest;         ///< cluster id, segments, history as recovered; the writer keeps it up to date
  LogOffset end;             ///< offset behind the last frame
  uint64_t visible_end = 0;  ///< Redis-visible offset there
  /// Redis-visible offset where the last reign of the history begins; empty: its record was not seen.
  std::optional<uint64_t> reign_visible = {};
  uint64_t last_sum = 0;     ///< sum of the last frame (0: none)
  uint64_t segment_bytes =
      0;            ///< length of the last segment up to `end`; 0: there is none, the first append opens one
  Epoch epoch_max;  ///< highest epoch seen anywhere: the next reign takes a higher one
  WallMs wall_ms = 0;    ///< the last frame's time: the clock of records does not run backwards
  bool stopped = false;  ///< a RecoveryOptions::stop was reached before the log's end
  bool mirrored = false;  ///< the last segment is: a reign of one's own begins a new one
  bool manifest_stale =
      false;  ///< the file MANIFEST does not say what `manifest` says: written before the first frame
};
/// CHECK: is_id(cluster_id).
ResumePoint fresh_start(std::string cluster_id);

struct WriterOptions {
  uint64_t segment_bytes = limits::segment_bytes_default;  ///< a segment that has reached this is closed
  bool compress = true;
  uint64_t ahead_bytes = 0;  ///< zeros are written so far ahead of the frames; 0: none
  uint64_t salt_seed = 0;    ///< salts are drawn from it: random in production, chosen in the simulator
};

/// A frame as it came from a primary; `bytes` hold all of it and must outlive the call.
struct MirrorFrame {
  FrameHeader header;
  uint64_t sum = 0;
  Bytes bytes;
  Bytes content;  ///< of an Epoch frame: its commands
};

/// One turn's content. Contents over limits::frame_content_bytes_max are cut into frames with `more` by the
/// writer.
struct FrameInput {
  FrameType type = FrameType::Data;
  Epoch epoch;
  WallMs wall_ms = 0;
  uint64_t visible_bytes = 0;  ///< of the content, what a stock Redis replica is sent
  LogOffset commit;
  Bytes content;  ///< not empty; copied
};

enum class Health : uint8_t {
  Good,
  Failing,  ///< a write failed: refuse new writes with `reason()`, call retry() each second
  Dead,     ///< a sync failed: acknowledge nothing any more, exit non-zero
};

/// What an answer changed. Look at written(), synced() and health() after any of them.
enum class WriterEvent : uint8_t {
  Advanced,   ///< written() or synced() moved
  Repaired,   ///< the torn batch is cut; it will be written again after retry()
  Failed,     ///< health() is now (or still) Failing
  Recovered,  ///< a write went through again: health() is Good
  Died,       ///< health() is now Dead
  ShutDown,   ///< the clean shutdown's job is done
};

class Writer {
 public:
  Writer(WriterOptions options, ResumePoint from);
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // ---- appending --------------------------------------------------------------------------------
  /// Seals `input` behind the last frame: one copy and one sum, no I/O. Returns the log's new end. A
  /// snapshot's cut must be taken at such an end (cut_point()), never while content of the turn is still
  /// waiting to be appended.
  LogOffset append(const FrameInput& input);
  /// Appends the record that opens `reign` and adds it to the history (MANIFEST is rewritten with the next
  /// batch). Sync it before serving. CHECK: reign.first == end(), and it follows the last reign.
  LogOffset begin_reign(const Reign& reign, WallMs wall_ms);
  /// Appends frames as a primary sealed them, byte for byte: a whole group. A reign that one of them opens
  /// joins the history. Error: they do not continue this log.
  Status mirror(const std::vector<MirrorFrame>& group);
  /// What the next mirrored frame has to continue.
  uint64_t last_sum() const { return last_sum_; }
  /// Every frame sealed from now on is appended to `out` as well (null: no more); it must outlive the writer.
  void set_tee(std::string* out) { tee_ = out; }

  // ---- jobs -------------------------------------------------------------------------------------
  /// The next job for Lane::Log, if one is due and none is in flight: a batch (with its segment, MANIFEST and
  /// sync where needed), a cut after a failed write, or a rewritten MANIFEST. `want_sync`: what is appended
  /// so far must end up synced (policy `always`, or a reply that waits for the sync): then also when nothing
  /// new is to be written.
  std::optional<FileJob> next_job(bool want_sync);
  /// For `everysec`: a job for Lane::Sync that covers what is written now; none when one is in flight or all
  /// is synced.
  std::optional<FileJob> sync_job();
  /// A job for Lane::Sync that writes zeros behind the frames, so that a sync need not make the file longer
  /// (two journal writes of the file system instead of none); none when there is enough of that.
  std::optional<FileJob> ahead_job();
  /// The last job: everything synced, MANIFEST with the clean end. CHECK: idle(), health() is Good. Append
  /// nothing after.
  FileJob shutdown_job();
  /// Every answer from Lane::Log and Lane::Sync, in any order between the two.
  WriterEvent job_done(const FileJobDone& done);
  /// Let the kept batch (or its cut) be tried again; no effect unless Failing.
  void retry();

  // ---- what holds -------------------------------------------------------------------------------
  LogOffset end() const { return end_; }          ///< of what is appended
  LogOffset written() const { return written_; }  ///< handed to the system: survives kill -9
  LogOffset synced() const { return synced_; }    ///< survives a power cut
  uint64_t visible_end() const { return visible_end_; }
  WallMs wall_ms() const { return wall_ms_; }  ///< of the last frame
  bool sync_in_flight() const { return sync_id_ != 0; }
  /// Nothing appended that is not written, and no job in flight.
  bool idle() const;
  /// Bytes of frames not yet known to be written: bounds what the node lets in.
  size_t unwritten_bytes() const { return unwritten_; }
  Health health() const { return health_; }
  /// A sentence for the log and for -MISCONF: file, byte, what the system said.
  const std::string& reason() const { return reason_; }
  const Manifest& manifest() const { return manifest_; }
  const History& history() const { return manifest_.history; }
  /// See ResumePoint.
  std::optional<uint64_t> reign_visible() const { return reign_visible_; }
  /// Bytes of all frames sealed by this writer (INFO).
  uint64_t bytes_sealed() const { return bytes_sealed_; }

  /// What a snapshot taken now has to store to be joined to this log again.
  struct CutPoint {
    LogOffset offset;
    uint64_t previous_sum;
    uint64_t visible_offset;
    WallMs wall_ms;
  };
  CutPoint cut_point() const { return {end_, last_sum_, visible_end_, wall_ms_}; }

  /// Snapshots for MANIFEST (whole list); written with the next job.
  void set_snapshots(std::vector<SnapshotNote> snapshots);
  /// MANIFEST on disk holds what set_snapshots said last.
  bool snapshots_written() const { return notes_written_ == notes_set_; }

  // ---- trimming ---------------------------------------------------------------------------------
  /// The log is not needed below `from`: segments that lie wholly below leave MANIFEST with the next job. The
  /// one being written stays until it is closed.
  void trim_to(LogOffset from);
  /// Files of segments that MANIFEST on disk does not list any more: the caller removes them, on any lane.
  std::vector<std::string> take_dropped() { return std::exchange(dropped_, {}); }
  /// Where it reaches back to. (A first segment is listed only with the job that makes it.)
  LogOffset begin() const {
    if (!manifest_.segments.empty()) return manifest_.segments.front().first;
    return batches_.empty() ? end_ : batches_.front().segment.first;
  }
  /// The next append begins a new segment, so that a trim to this offset leaves nothing of what came before.
  void roll() { roll_due_ = true; }

 private:
  /// Sealed frames that go to one place of one segment.
  struct Batch {
    SegmentRef segment;
    bool opens = false;  ///< the segment has to be created first
    std::string header;  ///< then its header
    uint64_t at = 0;     ///< byte of the segment where `frames` go
    std::string frames;
    LogOffset end;
  };
  enum class InFlight : uint8_t { Nothing, Batch, Sync, Manifest, Cut, Shutdown };

  void open_segment(Epoch epoch, std::optional<uint64_t> mirrored_salt);
  bool segment_is_full() const;
  Batch& gathering();
  void seal(const FrameInput& input, Bytes content, bool more, uint64_t visible_end);
  void trim();
  FileJob new_job(InFlight what);
  void add_manifest(std::vector<FileStep>& steps);
  void add_opening_steps(const Batch& batch, std::vector<FileStep>& steps);
  FileJob batch_job(bool want_sync);
  FileJob cut_job();
  WriterEvent log_job_succeeded();
  WriterEvent ahead_done(const FileJobDone& done);
  void add_length_step(std::vector<FileStep>& steps) const;
  WriterEvent log_job_failed(const FileJobDone& done);
  WriterEvent batch_written();
  WriterEvent die(const FileJobDone& done);

  WriterOptions options_;
  Preallocation ahead_;          ///< of current_
  Prng salts_;
  Manifest manifest_;            ///< a segment enters when the job that creates it is planned
  bool manifest_dirty_ = false;  ///< the file says less than manifest_
  uint64_t notes_set_ = 0, notes_planned_ = 0, notes_written_ = 0;  ///< calls of set_snapshots
  std::vector<std::string> unlisted_;  ///< out of manifest_, perhaps still in the file
  size_t unlisting_ = 0;               ///< so many of them leave it with the job on Lane::Log
  std::vector<std::string> dropped_;   ///< out of the file
  LogOffset trim_from_;
  bool roll_due_ = false;
  LogOffset end_, written_, synced_;
  uint64_t visible_end_, last_sum_;
  std::optional<uint64_t> reign_visible_;
  WallMs wall_ms_;

  SegmentRef sealing_;                 ///< segment that the last frame was sealed for
  uint64_t sealing_bytes_ = 0;         ///< its length with everything sealed; 0: none yet
  bool sealing_mirrored_ = false;
  std::string* tee_ = nullptr;
  std::optional<SegmentRef> current_;  ///< segment that written_ lies in
  uint64_t current_bytes_ = 0;         ///< its length up to written_
  std::deque<Batch> batches_;
  bool front_taken_ =
      false;           ///< the front batch is in flight, or kept after a failure: nothing is added to it
  std::string spare_;  ///< a written batch's memory, used again
  size_t unwritten_ = 0;
  uint64_t bytes_sealed_ = 0;
  unsigned compress_skips_ = 0, compress_misses_ = 0;

  InFlight in_flight_ = InFlight::Nothing;
  uint64_t log_id_ = 0, sync_id_ = 0, next_id_ = 1;
  std::string job_name_;    ///< segment that the job on Lane::Log writes to, for reason()
  size_t rename_step_ = 0;  ///< of an opening batch's job: from its success on the segment is in MANIFEST
  std::optional<SegmentRef> replaced_;  ///< by the segment being opened: an empty one of the same offset
  size_t replaced_upto_ = 0;            ///< the step from whose success on MANIFEST does not list it any more
  std::optional<LogOffset> log_job_covers_;  ///< synced when the job on Lane::Log succeeds
  LogOffset sync_job_covers_;                ///< the same for Lane::Sync
  bool cut_due_ = false, cut_removes_ = false, may_try_ = false;
  Health health_ = Health::Good;
  std::string reason_;
};

}  // namespace hf::log
