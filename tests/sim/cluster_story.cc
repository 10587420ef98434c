// Who lives in a cluster: clients that write and wait, bad luck drawn from the seed, an operator who
// promotes, repoints, chains, circles and wipes, and the end, where all have to agree again.
#include <cerrno>

#include "base/check.h"
#include "cluster.h"

namespace hf::sim {
namespace {

constexpr int64_t ms = 1'000;
constexpr int64_t second = 1'000 * ms;
constexpr int first_port = 7000;

std::string port_of(int node) { return std::to_string(first_port + node); }

}  // namespace

Cluster::Cluster(ClusterOptions options) : options_(options), prng_(options.seed * 2 + 1) {
  wall_base_ms_ = 1'700'000'000'000 + prng_.between(0, 1'000'000'000);
  config::Options& o = drawn_;
  o.databases = 4;
  o.appendfsync = static_cast<config::FsyncPolicy>(prng_.below(3));
  o.repl_timeout = prng_.between(2, 4);
  o.heartbeat_interval_ms = prng_.between(20, 250);
  o.log_keep_bytes = prng_.chance(1, 2) ? 0 : prng_.between(1'000, 30'000);
  o.replica_keep_bytes = prng_.chance(1, 2) ? 0 : prng_.between(1'000, 30'000);
  // Small windows: frames and snapshots leave in pieces. (No draw of its own, which would make every seed another.)
  if (o.replica_keep_bytes > 0) o.replica_memory_max = 16 * o.replica_keep_bytes;
  o.task_lease_ms_default = prng_.between(100, 600);
  o.task_backoff_base_ms = 20;
  o.task_backoff_cap_ms = 200;
  o.commit_timeout_ms = prng_.between(200, 1'500);
  const uint64_t kind = options.seed % 5;
  life_ = kind < 2 ? Life::Quorum : kind == 2 ? Life::Mixed : Life::Plain;
  if (life_ == Life::Quorum) {
    o.write_concern = config::WriteConcern::Quorum;
    toggles_ = prng_.chance(1, 3);
  }
  for (int i = 0; i < cluster_nodes; ++i) {
    Node& node = nodes_[static_cast<size_t>(i)];
    node.number = i;
    node.configured = node.intended = i == 0 ? nobody : 0;
    node.options.log_segment_bytes = int64_t{2048} << (2 * prng_.below(4));
    node.wall_skew_ms = prng_.between(-2'000, 2'000);
    node.disk =
        std::make_unique<SimDisk>(*this, faults_, options.seed ^ (0xd15c00u + static_cast<uint64_t>(i)));
    node.disk->on_done = [this, &node](const FileJobDone& done) {
      if (!node.process) return;
      node.idle_turns = 0;
      node.process->job_done(done);
      schedule_turn(node, prng_.between(0, 40));
    };
    node.disk->after_step = [this, &node] { effect_done(node); };
    node.disk->on_renamed = [this, &node](const std::string& name) { check_snapshot(node, name); };
  }
}

Cluster::~Cluster() = default;

config::Options Cluster::draw_options(const Node& node) {
  config::Options o = drawn_;
  o.log_segment_bytes = node.options.log_segment_bytes;
  o.port = first_port + node.number;
  o.hash_seed = static_cast<int64_t>(prng_.between(1, 1'000'000));
  o.save.clear();
  if (prng_.chance(1, 2)) o.save.push_back({1, 10});
  o.snapshot_keep = prng_.between(1, 2);
  o.hz = prng_.between(5, 50);
  o.audit_interval = prng_.between(0, 2);
  o.enable_debug_command = config::DebugCommand::Local;
  o.hash_max_listpack_entries = prng_.chance(1, 2) ? 4 : 128;
  if (o.hash_seed % 4 == 0) o.replica_load = config::ReplicaLoad::DropFirst;
  if (node.configured != nobody) o.replicaof = "127.0.0.1 " + port_of(node.configured);
  return o;
}

// ---- clients --------------------------------------------------------------------------------------

bool Cluster::connect(Client& client, int at) {
  Node* node = running(at);
  if (node == nullptr || node->shutting_down) return false;
  auto pipe = std::make_shared<Pipe>();
  pipe->client = &client;
  pipe->side[0].open = pipe->side[1].open = true;
  pipe->side[1].node = at;
  pipe->side[1].life = node->life;
  node::Peer peer;
  peer.peer_address = "127.0.0.1:" + std::to_string(10'000 + event_number_ % 10'000);
  peer.local_address = "127.0.0.1:" + port_of(at);
  pipe->side[1].conn = node->process->connected(peer);
  pipes_.push_back(pipe);
  client.pipe = pipe;
  client.at = at;
  client.outstanding = 0;
  return true;
}

Request Cluster::some_command() {
  Prng& prng = prng_;
  Request request;
  auto& a = request.args;
  const std::string key = "k" + std::to_string(prng.below(12)), hash = "h" + std::to_string(prng.below(3));
  const std::string value = fresh_value();
  switch (prng.below(20)) {
    case 0: a = {"INCRBY", "n" + std::to_string(prng.below(3)), std::to_string(prng.between(1, 9))}; break;
    case 1: a = {"APPEND", "a" + std::to_string(prng.below(3)), "+"}; break;
    case 2: a = {"HSET", hash, "f" + std::to_string(prng.below(8)), value}; break;
    case 3: a = {"HINCRBY", hash, "count", "1"}; break;
    case 4: a = {"DEL", key, hash}; break;
    case 5: a = {"PEXPIRE", key, std::to_string(prng.between(1, 400))}; break;
    case 6: a = {"SET", key, value, "PX", std::to_string(prng.between(1, 300))}; break;
    case 7: a = {"GET", key}; break;
    case 8: a = {"HGETALL", hash}; break;
    case 9: a = {"SET", key, std::string(static_cast<size_t>(prng.between(500, 9'000)), 'x')}; break;
    case 10: a = {"TASK.SUBMIT", "t" + std::to_string(prng.below(4)), "QUEUE", "q"}; break;
    case 11: a = {"TASK.CLAIM", "1", "q", "WORKER", "w" + std::to_string(prng.below(3))}; break;
    case 12:
      if (prng.chance(1, 12)) a = {"FLUSHDB"};
      else a = {"COPY", key, "k" + std::to_string(prng.below(12)), "REPLACE"};
      break;
    default: request.kind = kind_write, a = {"SET", key, value};  // its success is a promise
  }
  return request;
}

void Cluster::burst(Client& client) {
  std::vector<Request> out;
  const int64_t n = prng_.between(1, 5);
  if (client.pipe->sent == 0 && life_ != Life::Plain && prng_.chance(1, 3)) {
    Request concern;
    concern.kind = kind_concern;
    concern.args = {"CLIENT", "WRITE-CONCERN", prng_.chance(3, 4) ? "quorum" : "3"};
    out.push_back(std::move(concern));
  }
  for (int64_t i = 0; i < n; ++i)
    out.push_back(life_ != Life::Plain && prng_.chance(1, 3) ? quorum_command(client) : some_command());
  if (prng_.chance(1, 8)) {
    Request wait;
    const std::string copies = std::to_string(prng_.between(1, 2)),
                      limit = std::to_string(prng_.between(1, 400));
    if (prng_.chance(1, 2)) wait.args = {"WAIT", copies, limit};
    else wait.args = {"WAITAOF", "0", copies, limit};
    out.push_back(std::move(wait));  // nothing is sent behind it until its answer has come
  }
  send(client, std::move(out));
}

void Cluster::wake(Client& client) {
  if (winding_down_) return;
  if (!client.pipe || !client.pipe->side[0].open) {
    const int at = prng_.chance(life_ == Life::Quorum ? 4 : 5, 6)
                       ? leader_
                       : static_cast<int>(prng_.below(cluster_nodes));
    if (!connect(client, at)) {
      after(prng_.between(1 * ms, 20 * ms), [this, &client] { wake(client); });
      return;
    }
  } else if (prng_.chance(1, 50) || (client.at != leader_ && prng_.chance(1, 6))) {
    const PipeRef pipe = client.pipe;
    pipe->side[0].open = false;
    faults_.add(Fault::ConnectionLost);
    learn_closed(pipe, 1);
    return lost(client);
  }
  if (client.outstanding == 0) burst(client);
  after(prng_.chance(1, 12) ? prng_.between(20 * ms, 150 * ms) : prng_.between(200, 10 * ms),
        [this, &client, pipe = client.pipe] {
          if (client.pipe == pipe) wake(client);
        });
}

void Cluster::lost(Client& client) {
  if (client.pipe) client.pipe->waiting.clear();
  client.pipe.reset();
  client.outstanding = 0;
  if (client.number != nobody) after(prng_.between(500, 30 * ms), [this, &client] { wake(client); });
}

void Cluster::answered(Client& client, Request&, const resp::Value&) { --client.outstanding; }

/// One command of the operator's, over a connection of its own.
void Cluster::tell(int number, std::vector<std::string> args, int kind) {
  auto person = std::make_unique<Client>();
  person->number = nobody;
  if (!connect(*person, number)) return;
  std::vector<Request> out(1);
  out[0].args = std::move(args);
  out[0].kind = kind;
  trace([&] {
    std::string text = "the operator tells n" + std::to_string(number) + ":";
    for (const std::string& arg : out[0].args) text += " " + arg;
    return text;
  });
  send(*person, std::move(out));
  operators_.push_back(std::move(person));
}

// ---- the operator -----------------------------------------------------------------------------------

/// One REPLICAOF, over a connection of its own. What the node starts with next time may or may not be changed
/// along (CONFIG REWRITE is easily forgotten).
void Cluster::point(int number, int at) {
  Node& node = nodes_[static_cast<size_t>(number)];
  node.intended = at;
  if (winding_down_ || prng_.chance(1, 2)) node.configured = at;
  if (at == nobody) tell(number, {"REPLICAOF", "NO", "ONE"}, kind_other);
  else tell(number, {"REPLICAOF", "127.0.0.1", port_of(at)}, kind_other);
}

void Cluster::arrange(const std::array<int, cluster_nodes>& upstream) {
  for (int i = 0; i < cluster_nodes; ++i) {
    if (prng_.chance(1, 8)) continue;  // overlooked
    after(prng_.between(0, 30 * ms), [this, i, to = upstream[static_cast<size_t>(i)]] {
      if (!winding_down_) point(i, to);
    });
  }
}

void Cluster::operate() {
  const int a = static_cast<int>(prng_.below(cluster_nodes));
  const int b = (a + static_cast<int>(prng_.between(1, 2))) % cluster_nodes, c = 3 - a - b;
  std::array<int, cluster_nodes> to{};
  const auto set = [&](int node, int at) { to[static_cast<size_t>(node)] = at; };
  switch (prng_.below(10)) {
    case 0:
    case 1:
    case 2:
    case 3:
      faults_.add(Fault::Promoted);
      leader_ = a;
      set(a, nobody), set(b, a), set(c, a);
      break;
    case 4:
    case 5:
      faults_.add(Fault::Chained);
      leader_ = a;
      set(a, nobody), set(b, a), set(c, b);
      break;
    case 6:
      faults_.add(Fault::Circled);
      if (prng_.chance(1, 2)) set(a, b), set(b, c), set(c, a);
      else set(a, b), set(b, a), set(c, a);
      after(prng_.between(100 * ms, 900 * ms), [this, a, b, c] {
        if (winding_down_) return;  // who leads is settled
        std::array<int, cluster_nodes> right{};
        right[static_cast<size_t>(a)] = nobody;
        right[static_cast<size_t>(b)] = right[static_cast<size_t>(c)] = a;
        leader_ = a;
        arrange(right);
      });
      break;
    case 7:
      if (Node& node = nodes_[static_cast<size_t>(a)]; node.intended != nobody && others_are_sound(node))
        wipe(node);
      return;
    default: faults_.add(Fault::Repointed); return point(a, prng_.chance(1, 8) ? a : b);
  }
  arrange(to);
}

void Cluster::wipe(Node& node) {
  faults_.add(Fault::FolderWiped);
  trace([&] { return "the folder of n" + std::to_string(node.number) + " is wiped"; });
  crash(node, false);
  node.disk->wipe();
  lose_folder(node);
}

void Cluster::shut_down(Node& node) {
  if (!node.process || node.shutting_down) return;
  faults_.add(Fault::CleanShutdown);
  trace([&] { return "n" + std::to_string(node.number) + " is asked to end"; });
  node.process->request_shutdown();
  node.shutting_down = true;
  schedule_turn(node, 0);
  watch_shutdown(node);
}

// ---- bad luck -----------------------------------------------------------------------------------------

void Cluster::disk_fault(Node& node) {
  using Kind = FileStep::Kind;
  SimDisk& disk = *node.disk;
  const uint64_t nth = static_cast<uint64_t>(prng_.between(1, 12));
  switch (prng_.below(12)) {
    case 0:
    case 1: disk.fail_step(Kind::Write, nth, prng_.chance(1, 2) ? EIO : ENOSPC); break;
    case 2: disk.fail_step(Kind::Read, nth, EIO); break;
    case 3: disk.fail_step(Kind::Sync, nth, EIO); break;
    case 4: disk.fail_step(Kind::SyncDir, 1, EIO); break;
    case 5:
      disk.fail_step(Kind::Write, 1, EIO);
      disk.fail_step(Kind::Truncate, 1, EIO);
      break;
    case 6: disk.fail_step(Kind::Rename, static_cast<uint64_t>(prng_.between(1, 3)), EIO); break;
    case 7:
    case 8:
      disk.set_full(true);
      after(prng_.between(5 * ms, 1'500 * ms), [&disk] { disk.set_full(false); });
      break;
    case 9: disk.set_slowness(prng_.chance(1, 2) ? 1 : prng_.between(2, 20)); break;
    default: disk.stall(static_cast<Lane>(prng_.below(lane_count)), prng_.between(20 * ms, 1'500 * ms));
  }
}

void Cluster::network_fault() {
  const int a = static_cast<int>(prng_.below(cluster_nodes));
  const int b = (a + static_cast<int>(prng_.between(1, 2))) % cluster_nodes;
  const auto block = [&](int from, int to) {
    blocked_[static_cast<size_t>(from)][static_cast<size_t>(to)] = true;
    after(prng_.between(20 * ms, 2'000 * ms), [this, from, to] { heal(from, to); });
  };
  switch (prng_.below(8)) {
    case 0:
      faults_.add(Fault::OneWayCut);
      block(a, b);
      break;
    case 1:
      faults_.add(Fault::Partition);
      for (int other = 0; other < cluster_nodes; ++other)
        if (other != a) block(a, other), block(other, a);
      break;
    case 2:
      faults_.add(Fault::SlowNetwork);
      network_slowness_ = prng_.between(10, 100);
      after(prng_.between(50 * ms, 600 * ms), [this] { network_slowness_ = 1; });
      break;
    default: {
      std::vector<PipeRef> live;
      for (const PipeRef& pipe : pipes_)
        if (pipe->client == nullptr && pipe->side[0].open && pipe->side[1].open) live.push_back(pipe);
      if (live.empty()) return;
      const PipeRef pipe = live[prng_.below(live.size())];
      const int side = static_cast<int>(prng_.below(2));
      const bool half = prng_.chance(1, 3);
      faults_.add(half ? Fault::LinkHalfOpen : Fault::LinkReset);
      learn_closed(pipe, side);
      if (!half) learn_closed(pipe, 1 - side);
    }
  }
}

void Cluster::bad_luck() {
  if (winding_down_) return;
  Node& node = some_node();
  switch (prng_.below(25)) {
    case 0:
    case 1:
      if (node.process) faults_.add(Fault::Kill), crash(node, false);
      break;
    case 2:
    case 3:
      if (node.process) faults_.add(Fault::PowerCut), crash(node, true);
      break;
    case 4:
    case 5:
      node.fuse = static_cast<uint64_t>(prng_.between(1, 60));
      node.fuse_power = prng_.chance(1, 2);
      break;
    case 6: shut_down(node); break;
    case 7:
      faults_.add(Fault::ClockForward);
      node.wall_skew_ms += prng_.between(1, 5'000);
      break;
    case 8:
      faults_.add(Fault::ClockBackward);
      node.wall_skew_ms -= prng_.between(1, 5'000);
      break;
    case 9:
      faults_.add(Fault::SlowTurn);
      node.paused_until = now_us_ + prng_.between(20 * ms, 1'500 * ms);
      break;
    case 10:
    case 11:
    case 12: disk_fault(node); break;
    case 13:
    case 14:
    case 15:
    case 16: life_ == Life::Quorum ? void() : operate(); break;
    case 17:
    case 18:
    case 19: more_bad_luck(); break;
    default: network_fault();
  }
  after(prng_.between(10 * ms, 300 * ms), [this] { bad_luck(); });
}

// ---- the story ------------------------------------------------------------------------------------------

std::optional<Failure> Cluster::run() {
  try {
    for (Node& node : nodes_) after(prng_.between(0, 20 * ms), [this, &node] { start(node); });
    const int64_t clients = prng_.between(2, 4);
    for (int64_t i = 0; i < clients; ++i) {
      clients_.push_back(std::make_unique<Client>());
      clients_.back()->number = static_cast<int>(i);
      after(prng_.between(1 * ms, 10 * ms), [this, client = clients_.back().get()] { wake(*client); });
    }
    if (!options_.calm) after(prng_.between(50 * ms, 400 * ms), [this] { bad_luck(); });
    if (life_ == Life::Quorum) after(prng_.between(50 * ms, 400 * ms), [this] { care(); });
    audit_now_and_then();
    run_until(
        [&] {
          return commands_ >= options_.commands_min && (options_.calm || crashes_ >= options_.crashes_min);
        },
        600 * second, [] { return std::string("too little happens"); });
    wind_down();
  } catch (const Broken& failed) {
    return Failure{steps_, now_us_, failed.what};
  }
  return {};
}

/// Empty: all follow the leader, and hold the same.
std::string Cluster::disagreement() const {
  const Node& leader = nodes_[static_cast<size_t>(leader_)];
  if (!leader.process || !leader.process->serving() || leader.place.following)
    return "the leader does not lead";
  for (const Node& node : nodes_) {
    const std::string name = "n" + std::to_string(node.number);
    if (!node.process || !node.place.settled)
      return name + " is not ready" +
             (!node.process              ? ": it is down"
              : !node.process->serving() ? ": it does not serve"
                                         : ": not all it has is committed and applied");
    if (node.number == leader_) continue;
    if (!node.place.following) return name + " follows nobody";
    if (!node.place.linked) return name + " has no link to the leader";
    if (node.place.end != leader.place.end || node.place.last_sum != leader.place.last_sum)
      return name + " is at offset " + std::to_string(node.place.end.value) + ", the leader at " +
             std::to_string(leader.place.end.value);
    if (node.process->digest() != leader.process->digest())
      return name + " holds something else than the leader";
  }
  return "";
}

/// The faults are over: within ten seconds all have to be one again.
void Cluster::wind_down() {
  trace([] { return std::string("no more faults from here on"); });
  winding_down_ = true;
  network_slowness_ = 1;
  for (int from = 0; from < cluster_nodes; ++from)
    for (int to = 0; to < cluster_nodes; ++to) heal(from, to);
  for (Node& node : nodes_) {
    node.fuse = 0;
    node.paused_until = 0;
    node.disk->clear_faults();
    node.disk->set_slowness(1);
  }
  const auto all_serve = [&] {
    for (const Node& node : nodes_)
      if (!node.process || node.shutting_down || !node.process->serving()) return false;
    return true;
  };
  if (life_ == Life::Quorum)
    run_until([&] { return care_.doing == Care::Doing::Nothing; }, 20 * second,
              [] { return std::string("the role that was on the move has not arrived"); });
  run_until(all_serve, 30 * second, [] { return std::string("not all nodes serve after the faults ended"); });
  // The one that was meant to lead, if it has anything to lead with.
  const auto has_nothing = [&] { return nodes_[static_cast<size_t>(leader_)].place.cluster_id.empty(); };
  for (int i = 0; i < cluster_nodes && life_ != Life::Quorum && has_nothing(); ++i)
    leader_ = (leader_ + 1) % cluster_nodes;
  const auto insist = [this](auto self) -> void {
    for (int i = 0; i < cluster_nodes; ++i) point(i, i == leader_ ? nobody : leader_);
    after(second, [this, self] {
      if (!disagreement().empty()) self(self);
    });
  };
  insist(insist);
  const auto agreed = [&] { return disagreement().empty(); };
  run_until(agreed, 10 * second, [&] { return "no agreement after the faults: " + disagreement(); });
  Client& last = *clients_.front();
  if (last.pipe) last.pipe->side[0].open = false;
  if (!connect(last, leader_)) throw Broken{"the leader takes no connection"};
  for (int i = 0; i < 5; ++i) burst(last);
  run_until([&] { return last.outstanding == 0; }, 10 * second,
            [&] {
              std::string what = "the leader does not answer";
              if (last.pipe && !last.pipe->waiting.empty())
                for (const std::string& arg : last.pipe->waiting.front().args) what += " " + arg;
              return what;
            });
  run_until(agreed, 5 * second, [&] { return "the last writes did not arrive: " + disagreement(); });
  const Node& leader = nodes_[static_cast<size_t>(leader_)];
  if (life_ == Life::Quorum &&
      !ledger_.contains({leader.place.end.value, leader.place.last_sum}, promises_.kept()))
    broken(leader,
           "in the end it lacks what was promised, up to offset " + std::to_string(promises_.kept().offset));
  audit_finds_what_differs();
}

}  // namespace hf::sim
