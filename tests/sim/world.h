// One world: a node on a bad disk, actors on bad connections, an operator with bad luck, all out of one seed
// and in virtual time. The node is the product's own; everything around it is made here.
#pragma once
#include <deque>
#include <functional>
#include <memory>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "disk.h"
#include "faults.h"
#include "node/server_node.h"
#include "oracle.h"
#include "resp/reader.h"

namespace hf::sim {

/// What a seed found: the first broken invariant.
struct Failure {
  uint64_t step = 0;  ///< event of the world
  int64_t time_us = 0;
  std::string invariant;
};
/// Thrown where an invariant is found broken; ends the seed.
struct Broken {
  std::string what;
};

/// One request of an actor, from sending to its reply.
struct Request {
  std::vector<std::string> args;
  int kind = 0;  ///< the actor's own words, as are the next ones
  uint64_t a = 0, b = 0;
  uint64_t value = 0;  ///< the number of the recognisable value it writes; 0: none
  std::string text;
  std::vector<std::string> more;
  bool task = false;  ///< its reply waits for the sync whatever the policy
  bool blocks =
      false;  ///< may be executed in a later turn than the one it arrived in; nothing is sent behind it
  // filled in by the world
  uint64_t end_at = 0;   ///< position of its last byte in the link's stream
  uint64_t turn = 0;     ///< executed in this turn; 0: not arrived as a whole
  uint64_t log_end = 0;  ///< of the log after that turn
  bool synced = false;   ///< its reply promises to survive a power cut
};

/// The `kind` of the operator's CONFIG SET appendfsync; `a` is 1 for always.
constexpr int policy_kind = 1000;
/// The `kind` of the operator's SHUTDOWN.
constexpr int shutdown_kind = 1001;

class Actor;

/// A connection as both ends see it.
struct Link {
  node::ConnId conn;
  uint64_t life = 0;  ///< of the node at the other end
  bool open = true;
  Actor* owner = nullptr;
  uint64_t sent = 0, delivered = 0;
  int64_t last_arrival = 0, last_reply = 0;
  std::string undelivered;      ///< arrived at the server's socket while it would not read
  std::deque<Request> waiting;  ///< sent, reply has not left the server
  std::deque<std::pair<Request, resp::Value>> coming;  ///< replies on their way
  resp::ReplyReader reader;
  std::string tail;
};

class World;

class Actor {
 public:
  explicit Actor(World& world) : world_(world) {}
  virtual ~Actor() = default;
  /// It is time to do something.
  virtual void wake() = 0;
  /// The reply left the server: what it says has to hold from now on, received or not.
  virtual void left(Request&, const resp::Value&) {}
  virtual void reply(Request& request, resp::Value& value) = 0;
  /// The connection is gone. `left_behind`: sent, reply not received; those the server still answered have
  /// been through left().
  virtual void lost(std::deque<Request>& unanswered) = 0;
  /// The node has recovered the history up to `offset`; should it crash before it serves, that may become
  /// less.
  virtual void recovered(uint64_t /*offset*/) {}
  /// The node serves: what it recovered is safe from here on.
  virtual void settled() {}
  /// Winding down: it has seen to everything it began.
  virtual bool finished() const { return true; }

 protected:
  void wake_in(int64_t delay_us);
  World& world_;

 private:
  friend class World;
  uint64_t alarm_ = 0;
};

struct WorldOptions {
  uint64_t seed = 1;
  bool trace = false;  ///< keep the last events for a report
  uint64_t commands_min = 2000;
  uint64_t crashes_min = 3;
};

class World final : public Agenda, private node::Host {
 public:
  explicit World(WorldOptions options);
  ~World() override;

  /// Lives the seed out. Empty: all invariants held.
  std::optional<Failure> run();
  const FaultCounts& faults() const { return faults_; }
  uint64_t commands() const { return commands_; }
  uint64_t crashes() const { return crashes_; }
  const std::deque<std::string>& last_events() const { return events_; }

  // ---- for actors -------------------------------------------------------------------------------
  void after(int64_t delay_us, std::function<void()> what) override;
  int64_t now_us() const { return now_us_; }
  uint64_t turn() const { return turns_; }
  uint64_t life() const { return life_; }
  Prng& prng() { return prng_; }
  void count(Fault fault) { faults_.add(fault); }
  void trace(const std::function<std::string()>& text);
  [[noreturn]] void broken(std::string what) const { throw Broken{std::move(what)}; }
  void check(bool holds, const std::function<std::string()>& what) const {
    if (!holds) broken(what());
  }
  /// Null when nobody listens.
  Link* connect(Actor& owner);
  void send(Link& link, std::vector<Request> requests);
  /// From the client's side; what was sent and not delivered is lost.
  void hang_up(Link& link);
  void wake(Actor& actor, int64_t delay_us);
  /// No new work: what is begun is brought to its end.
  bool winding_down() const { return winding_down_; }
  /// This life has values that snapshots take in pieces.
  bool large_values() const { return large_values_; }
  Oracle& oracle() { return oracle_; }
  /// A number for a value that no other write will have.
  uint64_t next_value() {
    value_ends_.push_back(0);
    return value_ends_.size() - 1;
  }
  /// The log's end behind the write of that value; 0: not executed yet.
  uint64_t end_of_value(uint64_t number) const {
    return number < value_ends_.size() ? value_ends_[number] : 0;
  }
  void promise(uint64_t offset, bool synced) { oracle_.promised(offset, synced); }
  void count_if_expired(const std::string& key) {
    if (expiring_.erase(key) > 0) count(Fault::KeyExpired);
  }
  void policy_is(bool always) {
    always_next_ = always;
    count(Fault::PolicyChanged);
  }
  void policy_stays() { always_next_ = always_; }
  void shutdown_refused() {
    if (shutdown_by_command_) shutting_down_ = false;
  }
  bool serving() const { return node_ && node_->serving(); }

 private:
  struct Event {
    int64_t at;
    uint64_t number;
    std::function<void()> what;
    bool operator<(const Event& other) const {
      return at != other.at ? at > other.at : number > other.number;
    }
  };

  // ---- Host
  node::HostFacts facts() override;
  Result<std::string> read_config() override { return Error{"no config file"}; }
  Status write_config(const std::string&) override { return Error{"no config file"}; }

  // ---- the node's life (world.cc)
  void start_node();
  void schedule_turn(int64_t delay_us);
  void run_turn();
  void note_executed();
  void after_turn();
  void carry_out(node::Effects& effects);
  bool effect_done();
  void node_back(uint64_t offset);
  void crash(bool power);
  void node_gone(int64_t restart_in_us);
  void node_exited(int code);
  void deliver(Link& link, Bytes bytes);
  void flush_undelivered(Link& link);
  void take_output(Link& link);
  void reply_leaves(Link& link, resp::Value value);
  void drop(Link& link);
  Link* link_of(node::ConnId conn);
  std::shared_ptr<Link> shared(Link& link);
  void check_snapshot(const std::string& name);

  // ---- the operator (operator.cc)
  void build_actors();
  config::Options draw_options();
  void bad_luck();
  void plan_disk_fault();
  void fuse(uint64_t effects, bool power);
  void begin_shutdown();
  void shutdown_begins();
  void run_until(const std::function<bool()>& done, int64_t limit_us, const char* what);
  void wind_down();
  void last_act();

  class Operator;

  WorldOptions options_;
  Prng prng_;
  FaultCounts faults_;
  SimDisk disk_;
  Oracle oracle_;
  std::unique_ptr<node::ServerNode> node_;
  std::vector<std::unique_ptr<Actor>> actors_;
  std::vector<std::shared_ptr<Link>> links_;
  std::priority_queue<Event> agenda_;
  std::deque<std::string> events_;

  int64_t now_us_ = 0, wall_base_ms_ = 0, mono_base_us_ = 0;
  uint64_t event_number_ = 0, steps_ = 0, turns_ = 0, life_ = 0;
  uint64_t commands_ = 0, crashes_ = 0;
  uint64_t turn_ticket_ = 0, idle_turns_ = 0;
  int64_t turn_at_ = INT64_MAX;
  node::Effects effects_;

  // of this life of the node
  bool came_back_ = false, served_ = false, shutting_down_ = false, shutdown_by_command_ = false;
  uint64_t log_end_ = 0, epoch_served_ = 0, epoch_ = 0, disk_failures_at_start_ = 0;
  bool always_ = false,
       always_next_ = false;  ///< the policy promises syncs: in this turn, from the next one on

  std::vector<uint64_t> value_ends_{0};
  std::set<std::string> expiring_;

  // bad luck
  uint64_t fuse_ = 0;
  bool fuse_power_ = false;
  bool winding_down_ = false, large_values_ = false, expect_refusal_ = false, refused_ = false;
  int64_t segment_bytes_ = 0, paused_until_ = 0;
};

inline void Actor::wake_in(int64_t delay_us) { world_.wake(*this, delay_us); }

}  // namespace hf::sim
