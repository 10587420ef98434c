// A cluster's world: three nodes, each on a disk of its own, a network between them that loses, delays and
// cuts, clients, and an operator who points nodes at one another. One seed decides everything, in virtual
// time. The nodes are the product's own; the checks stand in cluster_checks.cc, the story in
// cluster_story.cc.
#pragma once
#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "disk.h"
#include "faults.h"
#include "ledger.h"
#include "node/server_node.h"
#include "promises.h"
#include "resp/reader.h"
#include "world.h"

namespace hf::sim {

constexpr int cluster_nodes = 3;
constexpr int nobody = -1;

/// A request's kind: what its reply means to the checks.
constexpr int kind_other = 0;
constexpr int kind_write = 1;     ///< its success was surely logged
constexpr int kind_concern = 2;   ///< CLIENT WRITE-CONCERN
constexpr int kind_read = 3;      ///< shows values that tell who wrote them
constexpr int kind_pair = 4;      ///< reads two keys that are only ever written together
constexpr int kind_claim = 5;     ///< TASK.CLAIM
constexpr int kind_shutdown = 6;  ///< of the operator, as are the next ones
constexpr int kind_failover = 7;
constexpr int kind_abort = 8;
constexpr int kind_policy = 9;
constexpr int kind_server_concern = 10;

/// What kind of life a seed leads.
enum class Life : uint8_t {
  Plain,   ///< async; an operator who points nodes anywhere
  Mixed,   ///< the same, with connections that ask for copies, FAILOVER, options changed at run time
  Quorum,  ///< write-concern quorum, and an operator who keeps to the rules: nothing promised may be lost
};

struct ClusterOptions {
  uint64_t seed = 1;
  bool trace = false;
  uint64_t commands_min = 900;
  uint64_t crashes_min = 4;
  bool calm = false;  ///< no faults at all: the nodes meet, and agree
};

class Cluster final : public Agenda, private node::Host {
 public:
  explicit Cluster(ClusterOptions options);
  ~Cluster() override;
  std::optional<Failure> run();
  const FaultCounts& faults() const { return faults_; }
  uint64_t commands() const { return commands_; }
  uint64_t crashes() const { return crashes_; }
  const std::deque<std::string>& last_events() const { return events_; }
  void after(int64_t delay_us, std::function<void()> what) override;

 private:
  struct Event {
    int64_t at;
    uint64_t number;
    std::function<void()> what;
    bool operator<(const Event& other) const {
      return at != other.at ? at > other.at : number > other.number;
    }
  };
  /// A machine with a disk, and the process on it.
  struct Node {
    int number = 0;
    std::unique_ptr<SimDisk> disk;
    std::unique_ptr<node::ServerNode> process;
    config::Options options;
    int configured = nobody;  ///< whom it follows when it starts
    int intended = nobody;    ///< whom the operator last told it to follow
    uint64_t life = 0, turns = 0;
    int64_t wall_skew_ms = 0, mono_base_us = 0;
    int64_t turn_at = INT64_MAX, paused_until = 0;
    uint64_t turn_ticket = 0, idle_turns = 0;
    uint64_t fuse = 0, disk_failures_at_start = 0;
    bool fuse_power = false, shutting_down = false, served = false;
    bool held = false;    ///< down, and kept down by the operator
    bool rotten = false;  ///< a bit on its disk has flipped, and what holds it has not been replaced
    // what is known of it
    node::ServerNode::LogPlace place;          ///< after its last turn
    bool promoted = false;                     ///< in the turn under way
    bool came_back = false;                    ///< this process has shown what it recovered
    bool planted = false;                      ///< its data was made to differ from its log (cluster_audit.cc)
    std::optional<uint64_t> found_in_turn;     ///< and it has found that out
    bool loads_again = false;                  ///< it has been told to cut its log: reads may find it loading
    Place tip, tip_before;                     ///< its log as far as jobs went to the disk; before this turn
    uint64_t reign_limit = 0;                  ///< as a primary it has sealed up to here
    uint64_t written = 0, synced = 0;          ///< promised to survive a kill, a power cut
    bool power = false;                        ///< it was cut off power since it last came back
    std::vector<Place> tips;                   ///< logs that it had and gave up
    std::optional<uint64_t> cut;               ///< announced in MANIFEST
    std::vector<Place> adopts;                 ///< likewise: one of them takes the place of all else
    uint64_t cut_written = 0, cut_synced = 0;  ///< what had been promised when the cut was announced
    Place promised;                            ///< where the primary of its cluster was that last promised all
    Place shared;                              ///< with it
    uint64_t log_begin = 0;                    ///< its log reaches back to here, or did when it was replaced
    // what it says to clients, and about its role
    int failing_over_to = nobody;
    bool takes_over = false;              ///< in the turn under way
    Place acknowledged;                   ///< behind the last write that this process has acknowledged
    std::optional<Place> handed_over_at;  ///< another reigns from here on
    bool always_before = false;           ///< appendfsync always, before the turn under way
    int copies_before = 0, copies = 0;    ///< what write-concern asked for before and after the last turn
  };
  struct Client;
  /// One end of a connection.
  struct Side {
    int node = nobody;  ///< nobody: a client
    uint64_t life = 0;
    node::ConnId conn;
    bool open = false;
    std::string leaving;  ///< taken from the node; the kernel has no room yet
    std::string inbox;    ///< arrived, not read
    size_t flying = 0;    ///< sent and not read at the other end
    int64_t last_arrival = 0;
    std::deque<std::string> held;  ///< can't get through at the moment
    uint64_t read = 0;
  };
  struct Pipe {
    Side side[2];  ///< the first one dialed
    size_t window = 64 * 1024;
    Client* client = nullptr;
    std::string said,
        tail;  ///< the primary's verdict, as far as it has been said; replies that are not whole
    bool verdict_seen = false;
    std::string part;  ///< of a frame on its way to a replica: what has been said of it
    std::deque<Request> waiting;
    resp::ReplyReader reader;
    uint64_t sent = 0;
    Place last_set;  ///< behind the last write that surely logged something
    int copies = 0;  ///< CLIENT WRITE-CONCERN
  };
  using PipeRef = std::shared_ptr<Pipe>;
  struct Client {
    int number = 0;
    PipeRef pipe;
    int at = nobody;
    size_t outstanding = 0;
    std::string run, token;  ///< a lease of its own
    int checkpoints = 0;
  };

  // ---- Host
  node::HostFacts facts() override;
  Result<std::string> read_config() override { return Error{"no config file"}; }
  Status write_config(const std::string&) override { return Error{"no config file"}; }

  // ---- time and processes (cluster.cc)
  void trace(const std::function<std::string()>& text);
  [[noreturn]] void broken(const Node& node, const std::string& what) const;
  void run_until(const std::function<bool()>& done, int64_t limit_us,
                 const std::function<std::string()>& what);
  void start(Node& node);
  void schedule_turn(Node& node, int64_t delay_us);
  void run_turn(Node& node);
  void carry_out(Node& node, node::Effects& effects);
  bool effect_done(Node& node);
  void hear(Node& node, const node::LogLine& line);
  void exited(Node& node, int code);
  void crash(Node& node, bool power);
  void gone(Node& node, bool power, int64_t restart_in_us);
  Node* running(int number);

  // ---- the network (net.cc)
  void dial(Node& from, const node::Dial& dial);
  void dial_answer(Node& from, node::ConnId conn, uint64_t life, PipeRef pipe, bool ok,
                   const std::string& why);
  void take_output(Node& node, node::ConnId conn);
  void push(const PipeRef& pipe, int from);
  void arrive(const PipeRef& pipe, int from, std::string bytes);
  void read_inbox(const PipeRef& pipe, int at);
  void to_client(const PipeRef& pipe, Bytes bytes);
  void close(const PipeRef& pipe, int side, bool tell_other);
  void learn_closed(const PipeRef& pipe, int side);
  void heal(int from, int to);
  bool cut_off(int from, int to) const;
  PipeRef pipe_of(const Node& node, node::ConnId conn, int& side);
  void send(Client& client, std::vector<Request> requests);

  // ---- checks (cluster_checks.cc)
  void after_turn(Node& node);
  void note_jobs(Node& node, const std::vector<FileJob>& jobs);
  void note_manifest(Node& node, Bytes text);
  void note_frame(Node& node, const log::DecodedFrame& frame);
  void learn_frame(Node& node, const log::DecodedFrame& frame);
  void came_back(Node& node, Place recovered);
  void check_rescue(Node& node);
  void check_adopted(Node& node);
  std::set<uint64_t> rescued(const Node& node) const;
  void note_executed(Node& node);
  void listen(const PipeRef& pipe, int from, Bytes bytes);
  void check_verdict(const PipeRef& pipe, const std::string& line);
  void check_acknowledged(Node& node, Bytes bytes);
  void reply_leaves(const PipeRef& pipe, Request& request, const resp::Value& value);
  void check_snapshot(Node& node, const std::string& name);
  size_t nodes_having(Place place, int but, bool synced) const;

  // ---- what several members have promised (cluster_quorum.cc)
  Request quorum_command(Client& client);
  std::string fresh_value() { return "v" + std::to_string(++values_); }
  void before_turn(Node& node);
  void note_request(Node& node, const PipeRef& pipe, Request& request);
  void hear_frames(const PipeRef& pipe, Bytes bytes);
  void judge_reply(const PipeRef& pipe, Node& node, Request& request, const resp::Value& value);
  void judge_shown(Node& node, const Request& request, const std::string& value);
  void promise(Node& node, Place place, const std::string& what);
  void check_reign_begins(Node& node, Place before);

  // ---- audits (cluster_audit.cc)
  void hear_audit(Node& node, const std::string& text);
  void audit_now_and_then();
  void audit_again(Client& auditor);
  void read_on(Client& reader, const std::string& key);
  void check_refused(Node& node, const Request& request, const resp::Value& value);
  void audit_finds_what_differs();
  void say_to(int number, std::vector<std::string> words);

  // ---- the story (cluster_story.cc)
  config::Options draw_options(const Node& node);
  void wake(Client& client);
  Request some_command();
  void burst(Client& client);
  void lost(Client& client);
  void answered(Client& client, Request& request, const resp::Value& value);
  void bad_luck();
  void disk_fault(Node& node);
  void network_fault();
  void operate();
  void point(int node, int at);
  void arrange(const std::array<int, cluster_nodes>& upstream);
  void shut_down(Node& node);
  void wipe(Node& node);
  Node& some_node() { return nodes_[prng_.below(cluster_nodes)]; }
  bool connect(Client& client, int at);
  void wind_down();
  std::string disagreement() const;
  void tell(int node, std::vector<std::string> args, int kind);

  // ---- faults of a cluster's operator, and of its disks (cluster_faults.cc)
  void more_bad_luck();
  void rot(Node& node);
  bool others_are_sound(const Node& node) const;
  void watch_shutdown(Node& node);
  void switch_over(int from, int to);
  void told(Node& node, const Request& request, const resp::Value& value);
  void refused_folder(Node& node);
  void lose_folder(Node& node);

  // ---- an operator who keeps to the rules (cluster_care.cc)
  /// One thing at a time: a role that moves, a member that is rebuilt.
  struct Care {
    enum class Doing : uint8_t { Nothing, TakingOver, SwitchingOver } doing = Doing::Nothing;
    int down = nobody;               ///< TakingOver: held down
    int chosen = nobody;             ///< told to reign
    int from = nobody, to = nobody;  ///< SwitchingOver
    uint64_t from_life = 0, to_life = 0;
    bool given_up = false;  ///< the switchover, says who began it
    int64_t since = 0, asked_at = 0;
    int lost = nobody;  ///< whose disk was lost: no other may be before it is rebuilt
    int64_t lost_at = 0;
    int64_t next = 0;
    std::vector<Place> ordered;  ///< where each reign that was meant begins: what a register would remember
  };
  void care();
  void begin_something();
  void take_over(int down, bool lose_its_disk);
  void go_on_taking_over();
  void go_on_switching();
  void reigns_now(int node);
  bool at_rest(const Node& node) const;
  bool reigns(const Node& node) const;
  Place synced_place(const Node& node) const;
  size_t newest_ordered(Place log) const;

  ClusterOptions options_;
  Prng prng_;
  FaultCounts faults_;
  Ledger ledger_;
  Promises promises_;
  Life life_ = Life::Plain;
  bool toggles_ = false;  ///< write-concern changes at run time
  Care care_;
  uint64_t values_ = 0;
  std::array<Node, cluster_nodes> nodes_;
  std::vector<PipeRef> pipes_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::priority_queue<Event> agenda_;
  std::deque<std::string> events_;
  node::Effects effects_;
  std::array<std::array<bool, cluster_nodes>, cluster_nodes> blocked_{};
  int64_t now_us_ = 0, wall_base_ms_ = 0, network_slowness_ = 1;
  uint64_t event_number_ = 0, steps_ = 0, commands_ = 0, crashes_ = 0;
  int leader_ = 0;
  bool winding_down_ = false;
  uint64_t audits_agreed_ = 0;    ///< of all who answered, as primaries said
  uint64_t audits_differed_ = 0;  ///< reports of a replica that differs
  config::Options drawn_;
  std::vector<std::unique_ptr<Client>> operators_;
};

}  // namespace hf::sim
