// A full sync from a Holdfast, from the replica's end: the snapshot that its primary sends goes two ways at
// once, into a file, and block by block into a data set beside the one served. Bytes in, jobs and calls on
// Follower out.
#pragma once
#include <optional>
#include <string>

#include "base/buffer.h"
#include "base/files.h"
#include "base/types.h"
#include "replication/wire.h"
#include "snapshot/stream.h"

namespace hf::node {

class Follower;

class FullSync {
 public:
  /// The follower must outlive it.
  FullSync(Follower& follower, Now now) : follower_(follower), begun_us_(now.mono_us) {}

  /// Takes what it can off `in`. True: what is left could be taken, but for what may_go_on() says.
  bool consume(Now now, Buffer& in);
  std::optional<FileJob> next_job(uint64_t id);
  /// Of a job that next_job() gave.
  void job_done(const FileJobDone& done);
  bool in_flight() const { return in_flight_; }
  /// Looks through what has come, and loads it beside where there is room; a block a call. True: again at
  /// once.
  bool load_some(Now now);
  /// When load_some() has something to do; INT64_MAX: once more has come.
  MonoUs next_load() const;

  /// Not empty: the link is to be closed, and why.
  const std::string& broken() const { return broken_; }
  /// The primary has sent all of it.
  bool whole() const { return whole_; }
  /// More can be taken now.
  bool may_go_on() const { return !whole_ && has_room(); }
  /// All is loaded, and safe on the disk; says so.
  bool stored() const { return stored_; }
  void report_end(Now now) const;
  /// CHECK: stored().
  const snapshot::Header& header() const { return *stream_.header(); }

  uint64_t expected() const { return expected_; }  ///< bytes, as far as the primary knows
  uint64_t received() const { return received_; }
  uint64_t looked_through() const { return stream_.bytes_done(); }

 private:
  bool take_record(Now now, Buffer& in);
  bool take_piece(Bytes record);
  void report(Now now);
  Result<bool> load_step();
  bool break_off(std::string why);
  bool has_room() const;
  bool may_load() const { return ahead_ && !waits_; }
  /// Nothing is missing, and nothing is left over.
  bool complete() const { return whole_ && stream_.done() && stream_.kept_bytes() == 0; }

  Follower& follower_;
  std::string broken_;
  std::optional<replication::SnapshotAhead> ahead_;
  uint64_t expected_ = 0, received_ = 0;
  size_t piece_left_ = 0;
  bool whole_ = false;
  // the file
  std::string chunk_;
  uint64_t written_ = 0, synced_ = 0;
  bool in_flight_ = false, finishing_ = false, stored_ = false;
  // the data set
  snapshot::Stream stream_;
  bool waits_ = true;  ///< for more to come: no whole part is left to be taken
  bool prepared_ = false;
  bool told_ = false;  ///< that the old data set has to go first
  MonoUs next_report_us_ = 0, begun_us_ = 0;
};

}  // namespace hf::node
