// Writes the state at one offset into a file while the server goes on: takes entries from a walk, packs them
// into blocks of about 256 KiB, and plans jobs whose steps compress and sum on the lane's thread. No I/O
// here.
//
//   Writer w(...); store.begin_walk(w)
//   each slice: store.walk_some(...); next_job(synced) -> Lane::Snapshot; answers -> job_done()
//   walk complete: finish(); go on with next_job()/job_done() until state() is Done or Failed
//   Failed, or no longer wanted: store.abort_walk(), then abort_job() once no job is in flight
#pragma once
#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "base/files.h"
#include "base/types.h"
#include "snapshot/format.h"
#include "store/store.h"

namespace hf::snapshot {

struct WriterOptions {
  size_t block_bytes = limits::snapshot_block_bytes;
  /// Entries handed over and not yet on disk. Past it the snapshot fails, never the server.
  size_t waiting_bytes_max = 256 * 1024 * 1024;
  /// Ids of jobs rise along a lane: give the next free one, take next_job_id() back for the following
  /// snapshot.
  uint64_t first_job_id = 1;
};

/// A walk runs ahead of the disk by this much at most: enough to keep the lane busy.
constexpr size_t pause_bytes_max = 2 * 1024 * 1024;

enum class State : uint8_t {
  Taking,     ///< the walk goes on
  Finishing,  ///< everything is handed over, not everything is on disk
  Done,       ///< the file is there under its final name
  Failed,     ///< see reason(); abort the walk and run abort_job()
};

class Writer final : public store::WalkConsumer {
 public:
  Writer(Header header, WriterOptions options);
  ~Writer() override;
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  /// From the walk. Ignored once Failed.
  void take(DbIndex db, const store::Entry& entry) override;
  void take_large(const store::LargeValue& value) override;
  void take_field(uint64_t hash, Bytes field, Bytes value) override;
  void take_large_field(uint64_t hash, Bytes field, uint64_t number, uint64_t size) override;
  void take_bytes(uint64_t number, Bytes piece) override;
  /// The same for an entry that is encoded already (FORMAT.md of store/).
  void take_encoded(DbIndex db, Bytes encoded);
  /// The walk is complete. No effect once Failed.
  void finish();

  /// What can go to Lane::Snapshot now, one job at a time. The last job, which gives the file its final name,
  /// is held back until `synced`, the log's synced offset, has reached the cut: a snapshot ahead of its log
  /// would look like damage.
  std::optional<FileJob> next_job(LogOffset synced);
  /// The answer; state() tells what it meant.
  void job_done(const FileJobDone& done);
  bool job_in_flight() const { return in_flight_id_ != 0; }
  /// Gives up and removes the temporary file. State becomes Failed. CHECK: no job in flight, not Done.
  FileJob abort_job();
  void fail(std::string why);

  State state() const { return state_; }
  const std::string& reason() const { return reason_; }
  const Header& header() const { return header_; }
  std::string name() const { return file_name(header_.offset); }
  /// Bytes handed over and not yet on disk. Above `pause_bytes()` the caller should stop walking until it
  /// falls (what changing entries hand over comes all the same).
  size_t waiting_bytes() const { return waiting_; }
  size_t pause_bytes() const { return std::min(options_.waiting_bytes_max / 8, pause_bytes_max); }
  /// Not while everything waits in the open block: only more entries close that.
  bool should_pause() const {
    return waiting_ > pause_bytes() && (in_flight_id_ != 0 || !ready_.empty());
  }
  uint64_t keys() const { return keys_; }
  uint64_t raw_bytes() const { return raw_bytes_; }
  uint64_t file_bytes() const;  ///< produced so far
  /// Of the file, there to be read: under temp_name() until the state is Done.
  uint64_t written_bytes() const { return written_; }
  uint64_t next_job_id() const { return next_id_; }

 private:
  struct OnLane;  ///< what the lane's thread counts: file bytes, index
  struct Block {
    std::string raw;
    uint32_t entries = 0;
  };
  /// An entry stands in open_.raw from `begin` on.
  void entry_added(size_t begin);
  size_t open_entry(DbIndex db);
  void count_waiting(size_t added);
  void close_block();
  void add_block_step(Block block, std::vector<FileStep>& steps);
  void add_last_steps(std::vector<FileStep>& steps);

  Header header_;
  WriterOptions options_;
  State state_ = State::Taking;
  std::string reason_;
  std::shared_ptr<OnLane> lane_;
  Block open_;
  std::deque<Block> ready_;
  uint32_t blocks_ = 0;  ///< handed to the lane
  size_t waiting_ = 0, in_flight_bytes_ = 0;
  uint64_t entries_ = 0, keys_ = 0, raw_bytes_ = 0, written_ = 0;
  uint64_t fields_of_ = 0;   ///< the hash whose fields end open_.raw; 0: something else does
  size_t fields_begin_ = 0;  ///< where that entry stands
  uint64_t next_id_, in_flight_id_ = 0;
  bool begun_ = false;  ///< the temporary file may exist
  bool last_in_flight_ = false;
};

}  // namespace hf::snapshot
