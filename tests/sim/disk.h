// A disk that may do all that real ones do. What was written is there for a process that reads it, and on the
// platter only after a sync; a power cut decides page by page, name by name, what of the rest survives.
//
// The rules, for each file:
//   - unsynced pages (4 KiB): each is kept, lost, torn at a sector (512 bytes), garbled or shows stale bytes
//   of some
//     other place; a sector that holds synced bytes is only ever old or new, as on real disks;
//   - an unsynced size is the old one or the new one, zeros where nothing arrived;
//   - unsynced names (create, rename, remove): any subset survives, in their order;
//   - a sync saves what was written before it began;
//   - a failed sync drops the unsynced pages: they are still readable, and gone after the machine went down,
//   whatever
//     later syncs say.
#pragma once
#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/prng.h"
#include "faults.h"

namespace hf::sim {

/// The world's clock and agenda, as far as the disk needs them.
class Agenda {
 public:
  virtual ~Agenda() = default;
  /// Calls `what` in `delay_us` of virtual time.
  virtual void after(int64_t delay_us, std::function<void()> what) = 0;
};

class SimDisk final : public Files {
 public:
  SimDisk(Agenda& agenda, FaultCounts& faults, uint64_t seed);

  // ---- Files ------------------------------------------------------------------------------------
  Result<std::vector<std::string>> list() override;
  Result<std::vector<std::string>> list_in(const std::string& folder) override;
  Result<uint64_t> size(const std::string& name) override;
  bool exists(const std::string& name) override;
  Result<std::string> read(const std::string& name, uint64_t offset, size_t n) override;

  // ---- jobs -------------------------------------------------------------------------------------
  void submit(FileJob job);
  /// Answers of finished jobs come here. `after_step` is called when any step was done (or failed): the place
  /// to crash.
  std::function<void(const FileJobDone&)> on_done;
  std::function<void()> after_step;
  bool idle() const;

  // ---- the end of a process, the end of power ---------------------------------------------------
  /// kill -9: jobs stop where they are (a write may be half done); what was written stays written.
  void kill();
  /// Power: `kill`, and then only what a disk remembers.
  void power_cut();
  /// An empty disk takes the place of this one.
  void wipe();
  /// Everything there is, in folders too, with its bytes: for checks.
  void each(const std::function<void(const std::string& name, Bytes bytes)>& call) const;
  /// From here on chance is drawn anew: the same story with another end.
  void reseed(uint64_t seed) { prng_ = Prng(seed); }
  /// All that a process would read, folders below included.
  std::map<std::string, std::string> contents() const;
  /// Puts these files on the platter of an empty disk.
  void fill(const std::map<std::string, std::string>& files);

  // ---- faults -----------------------------------------------------------------------------------
  /// The n-th step of this kind from now on fails with `code` (errno).
  void fail_step(FileStep::Kind kind, uint64_t nth, int code);
  void clear_faults();
  void set_full(bool full) { full_ = full; }
  /// The next step on that lane takes this much longer.
  void stall(Lane lane, int64_t delay_us) { lanes_[static_cast<size_t>(lane)].stall_us = delay_us; }
  /// 1: a fast disk; steps take about this many times longer.
  void set_slowness(int64_t factor) { slowness_ = factor; }
  /// Flips one bit of what is on the platter (and in memory).
  void flip(const std::string& name, uint64_t byte, int bit);
  /// Called with the name once a rename is done.
  std::function<void(const std::string&)> on_renamed;
  /// Steps that failed so far.
  uint64_t failures() const { return failures_; }

 private:
  struct File {
    std::string now;                     ///< what a process reads
    std::string durable;                 ///< what is on the platter
    std::map<uint64_t, uint64_t> dirty;  ///< page -> number of the write that last touched it
    std::optional<uint64_t> cut_to;      ///< smallest unsynced truncation
    uint64_t synced_from = 0;            ///< the latest finished sync saw the writes up to this one
  };
  using FileRef = std::shared_ptr<File>;
  struct NameChange {
    std::string from, to;  ///< create: "" -> name; remove: name -> ""
    FileRef file;
    uint64_t number;
  };
  /// What a sync in progress will have saved.
  struct SyncImage {
    FileRef file;
    std::map<uint64_t, uint64_t> pages;
    std::string bytes;
    std::optional<uint64_t> cut_to;
    uint64_t begun = 0;  ///< the last write before it
    uint64_t names = 0;  ///< changes of names before this one
  };
  struct LaneState {
    std::deque<FileJob> queue;
    size_t step = 0;
    bool busy = false;
    int64_t stall_us = 0;
    SyncImage sync;
    std::string read;  ///< by the job under way
  };
  struct Plan {
    FileStep::Kind kind;
    uint64_t left;
    int code;
  };

  void begin_step(Lane lane);
  void end_step(Lane lane);
  void finish_job(Lane lane, FileJobDone done);
  int64_t duration_of(const FileStep& step);
  int planned_failure(FileStep::Kind kind);
  /// 0 or an errno.
  int perform(FileStep& step, LaneState& lane);
  int write(const std::string& name, uint64_t offset, Bytes bytes, bool append, int code);
  void begin_sync(const FileStep& step, SyncImage& image);
  void end_sync(SyncImage& image);
  void drop_unsynced(const FileRef& file);
  FileRef create(const std::string& name);
  void put(const FileRef& file, uint64_t offset, Bytes bytes);
  std::string after_power_cut(File& file);
  void settle_page(const File& file, uint64_t page, std::string& result);
  void settle_names();

  Agenda& agenda_;
  FaultCounts& faults_;
  Prng prng_;
  std::map<std::string, FileRef> names_, durable_names_;
  std::deque<NameChange> name_changes_;
  std::array<LaneState, lane_count> lanes_;
  std::vector<Plan> plans_;
  bool full_ = false;
  int64_t slowness_ = 1;
  uint64_t life_ = 0;  ///< rises with every kill: late events of an earlier life are dropped
  uint64_t writes_ = 0, renames_ = 0, failures_ = 0;
};

}  // namespace hf::sim
