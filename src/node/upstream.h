// The link to a primary, from the replica's end: dials, shakes hands, takes frames and snapshots,
// acknowledges, and begins again when anything breaks. Bytes and times come in, bytes and calls on Follower
// go out; sockets and files are the driver's.
//
//   Resting -> Dialing -> Handshake -> Streaming
//      ^          |           |    \-> Receiving -> (Follower::adopt) -> Streaming
//      \----------\-----------\------------- lost: a random, growing while later
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/buffer.h"
#include "base/files.h"
#include "base/prng.h"
#include "base/types.h"
#include "log/writer.h"
#include "node/beside.h"
#include "node/effects.h"
#include "node/full_sync.h"
#include "node/stock_source.h"
#include "replication/backoff.h"
#include "replication/verdict.h"
#include "replication/wire.h"
#include "snapshot/format.h"

namespace hf::node {

/// Where the primary is and how to greet it.
struct UpstreamAddress {
  std::string host;
  int port = 0;
  std::string user, password;   ///< empty: none
  int own_port = 0;             ///< told to the primary, for its INFO
  std::string announced_host;   ///< empty: it takes the connection's
  int64_t timeout_ms = 60'000;  ///< of silence

  /// As messages name it.
  std::string name() const { return host + ":" + std::to_string(port); }
};

/// What the link does to its node.
class Follower {
 public:
  virtual ~Follower() = default;
  virtual replication::Holding holding() const = 0;
  /// The node can take frames now: its log is open and keeps up. (Else they wait in the socket.)
  virtual bool ready() const = 0;
  /// Logs and applies a whole group.
  virtual Status take_group(const std::vector<log::MirrorFrame>& group) = 0;
  /// The primary gives its role to this node, which holds everything up to `end`.
  virtual void take_over(const replication::HandOver& hand_over) = 0;
  virtual void take_heartbeat(const replication::Heartbeat& heartbeat) = 0;
  /// What was logged behind `at` is not the primary's: save it, cut it off, come back to Serving.
  virtual void diverged(LogOffset at) = 0;
  /// The primary sends everything; it has the same log up to `shared` (empty: nothing in common). What lies
  /// behind is not in its history.
  virtual void full_sync_begins(std::optional<LogOffset> shared) = 0;
  /// Where a snapshot is loaded while it comes.
  virtual Beside& beside() = 0;
  /// `full-<offset>.rdb` is whole and sound: let it take the place of everything. When beside() is loading,
  /// it has all of it.
  virtual void adopt(const snapshot::Header& header) = 0;
  // Following a Redis: a reign of this node's own, fed by another server's commands.
  virtual ForeignPlace foreign_place() const = 0;
  /// The primary is no Holdfast.
  virtual Status follow_foreign() = 0;
  /// The dump in that file, whole and sound, becomes the data set; not ready() until it is loaded.
  virtual void import_dump(std::string file, ForeignPlace place) = 0;
  /// Applies and logs one command. Error: it can't be, and names it.
  virtual Status take_foreign(DbIndex db, const std::vector<Bytes>& args, Bytes raw) = 0;
  virtual void foreign_place_is(const ForeignPlace& place) = 0;
  struct Progress {
    Epoch epoch;
    LogOffset received, synced, applied;
    bool operator==(const Progress&) const = default;
  };
  virtual Progress progress() const = 0;
  virtual void say(LogLevel level, std::string text) = 0;
};

class Upstream {
 public:
  /// All must outlive it.
  Upstream(Follower& follower, Files& files, Prng& prng);

  /// Follows from now on (the link to whoever came before is given up).
  void follow(UpstreamAddress address);
  /// What may change while it follows: passwords, names and times of the next greeting.
  void greet_as(UpstreamAddress address) { address_ = std::move(address); }
  /// What stood in the way may be gone: the next attempt need not wait.
  void dial_now();
  void leave();
  /// The same, but the connection is the caller's to end.
  void let_go();
  bool following() const { return address_.has_value(); }
  const UpstreamAddress& address() const { return *address_; }

  Files& files() { return files_; }
  /// What came was lost again: the link is closed and made anew.
  void start_over() { broken("what it sent was lost here"); }

  // ---- events ---------------------------------------------------------------------------------------------
  /// Once a turn. A new connection is to be made as `fresh()` says, when it returns true.
  bool wants_dial(Now now);
  void dialing(ConnId conn) { conn_ = conn; }
  void dialed(ConnId conn, bool ok, const std::string& why, Now now, Buffer& out);
  void lost(ConnId conn, Now now);
  /// Takes what it can off `in`; true: there is more it could take at once.
  bool consume(Now now, Buffer& in, Buffer& out);
  /// Bytes lie unread, for want of a job's end or of a log that keeps up: true once it is there.
  bool may_go_on() const;
  bool stopped() const { return stopped_; }
  /// Acknowledges, notices silence. The link is to be closed when true.
  bool tick(Now now, Buffer* out);
  void job_done(const FileJobDone& done, Now now);
  std::optional<FileJob> next_job();
  /// Looks through what has come of a snapshot, and loads it beside where there is room; a block a call.
  /// True: again at once.
  bool load_some(Now now);
  MonoUs next_wake() const;

  // ---- INFO -----------------------------------------------------------------------------------------------
  std::optional<ConnId> conn() const { return conn_; }
  bool up() const { return std::holds_alternative<Streaming>(state_) && !(stock_ && stock_->syncing()); }
  bool stock() const { return stock_ != nullptr; }
  bool syncing() const { return stock_ ? stock_->syncing() : std::holds_alternative<Receiving>(state_); }
  struct Transfer {
    uint64_t total = 0, read = 0;  ///< total: as far as the primary knows, while it takes the snapshot
  };
  Transfer transfer() const;
  /// Of the snapshot that comes: how far it is looked through, and loaded beside; zeros when there is none.
  Transfer load_progress() const;
  const char* state_name() const;  ///< as ROLE prints it
  MonoUs last_heard_us() const { return last_heard_us_; }
  MonoUs down_since_us() const { return down_since_us_; }
  const replication::Heartbeat& last_heartbeat() const { return heartbeat_; }
  /// Empty until this link has brought one: what another primary's asked for says nothing about this one's.
  const replication::Heartbeat* heard() const { return heard_ ? &heartbeat_ : nullptr; }
  const std::string& last_error() const { return last_error_; }
  int failures() const { return backoff_.failures(); }

  /// Set in the id of every job of this link: Lane::Transfer is shared.
  static constexpr uint64_t job_bit = 1ull << 62;

 private:
  enum class Step : uint8_t { Ping, Auth, Port, Host, Capabilities, Holding, Psync };
  struct Resting {};
  struct Dialing {};
  struct Handshake {
    Step step;
  };
  struct Receiving {
    std::unique_ptr<FullSync> sync;
  };
  struct Streaming {};

  void send_step(Step step, Buffer& out);
  bool handshake_line(Bytes line, Now now, Buffer& out);
  void psync_answer(Bytes line, Now now);
  const FullSync* full_sync() const;
  FullSync* full_sync() { return const_cast<FullSync*>(std::as_const(*this).full_sync()); }
  void give_up_load();
  bool stream(Now now, Buffer& in);
  bool take_frame(Buffer& in);
  void broken(std::string why);
  void rest(Now now);

  Follower& follower_;
  Files& files_;
  Prng& prng_;
  std::optional<UpstreamAddress> address_;
  std::variant<Resting, Dialing, Handshake, Receiving, Streaming> state_;
  std::optional<ConnId> conn_;
  replication::Backoff backoff_{1000};
  MonoUs next_dial_us_ = 0, last_heard_us_ = 0, reign_heard_us_ = 0, up_since_us_ = 0, down_since_us_ = 0,
         next_ack_us_ = 0;
  bool close_ = false;  ///< the link is to be closed
  bool ack_due_ = false;
  bool stopped_ = false;  ///< consume() left bytes that it could have taken, but for what may_go_on() says
  std::string last_error_;
  replication::Heartbeat heartbeat_;
  bool heard_ = false;  ///< a heartbeat, on this link
  Follower::Progress acknowledged_;
  std::unique_ptr<StockSource> stock_;  ///< while the primary is no Holdfast
  bool stock_wanted_ = false;
  std::vector<std::string> group_;  ///< frames of a group that is not whole yet
  size_t group_bytes_ = 0;
  uint64_t next_job_ = 1;
};

}  // namespace hf::node
