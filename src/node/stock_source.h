// A Redis (or Valkey) followed: its dump goes to a file and is judged as it arrives, then its stream of
// commands is taken one by one. What Holdfast does not hold is named, never passed over. Bytes in, calls on
// Follower out.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "base/files.h"
#include "base/types.h"
#include "rdb/reader.h"
#include "resp/parser.h"

namespace hf::node {

class Follower;

/// How far another server's stream was taken.
struct ForeignPlace {
  std::string id;  ///< its replication id; empty: nowhere
  uint64_t offset = 0;
  bool known() const { return !id.empty(); }
};

class StockSource {
 public:
  /// `full`: a dump comes first. The follower must outlive it.
  StockSource(Follower& follower, ForeignPlace place, bool full);

  /// Takes what it can; true: there is more it could take at once.
  bool consume(Buffer& in, Buffer& out);
  void acknowledge(Buffer& out) const;
  std::optional<FileJob> next_job(uint64_t id);
  void job_done(const FileJobDone& done);

  /// Not empty: the link is to be closed, and why.
  const std::string& broken() const { return broken_; }
  /// Trying again at once would end in the same way: what it has is refused.
  bool hopeless() const { return hopeless_; }
  bool syncing() const { return state_ != State::Stream; }
  /// Of the dump, more can be taken now.
  bool has_room() const;
  uint64_t received() const { return received_; }
  uint64_t total() const { return total_; }  ///< 0: not known
  const ForeignPlace& place() const { return place_; }

 private:
  enum class State : uint8_t { Head, Dump, Mark, Storing, Stream };

  bool take_head(Buffer& in);
  void take_dump(Buffer& in);
  bool stream(Buffer& in, Buffer& out);
  void take_command(const std::vector<Bytes>& args, Bytes raw, Buffer& out);
  void pass_on(DbIndex db, const std::vector<Bytes>& args, Bytes raw);

  /// Only judges: the dump is loaded from its file, once it is known to be whole.
  class Judge final : public rdb::Sink {
    Status entry(DbIndex, Bytes) override { return ok(); }
  };

  Follower& follower_;
  State state_;
  ForeignPlace place_;
  Judge judge_;
  std::unique_ptr<rdb::Reader> reader_;
  std::string mark_, chunk_, broken_;
  uint64_t received_ = 0, total_ = 0, written_ = 0;
  bool in_flight_ = false, finishing_ = false, hopeless_ = false;
  resp::RequestParser parser_;
  DbIndex db_ = 0;
  bool in_transaction_ = false;
  struct Queued {
    DbIndex db;
    std::string raw;
  };
  std::vector<Queued> queued_;  ///< of a transaction that is not whole yet
  size_t queued_bytes_ = 0;
};

}  // namespace hf::node
