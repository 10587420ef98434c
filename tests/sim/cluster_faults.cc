// More that a cluster meets: options changed while it runs, SHUTDOWN, roles handed over and the handing over
// given up, bits that flip on a disk.
#include <algorithm>

#include "cluster.h"

namespace hf::sim {
namespace {

constexpr int64_t ms = 1'000;
constexpr int64_t second = 1'000 * ms;
constexpr int first_port = 7000;

}  // namespace

void Cluster::more_bad_luck() {
  Node& node = some_node();
  switch (prng_.below(life_ == Life::Mixed ? 6 : 3)) {
    case 0: {
      constexpr const char* policies[] = {"always", "everysec", "no"};
      return tell(node.number, {"CONFIG", "SET", "appendfsync", policies[prng_.below(3)]}, kind_policy);
    }
    case 1: return tell(node.number, {"SHUTDOWN", "NOSAVE"}, kind_shutdown);
    case 2:
      if (life_ != Life::Quorum && node.intended != nobody && node.configured != nobody &&
          others_are_sound(node))
        rot(node);
      return;
    case 3:
      return tell(node.number, {"CONFIG", "SET", "write-concern", prng_.chance(1, 3) ? "quorum" : "async"},
                  kind_server_concern);
    default: {
      const int to = (leader_ + static_cast<int>(prng_.between(1, 2))) % cluster_nodes;
      switch_over(leader_, prng_.chance(1, 2) ? to : nobody);
    }
  }
}

/// Data that is nowhere else any more can't be lost by way of trial.
bool Cluster::others_are_sound(const Node& node) const {
  return std::all_of(nodes_.begin(), nodes_.end(), [&](const Node& other) {
    return other.number == node.number ||
           (!other.rotten && other.process && other.came_back && !other.place.cluster_id.empty());
  });
}

/// FAILOVER, with and without a name, a time limit, second thoughts, and a target that dies.
void Cluster::switch_over(int from, int to) {
  std::vector<std::string> args{"FAILOVER"};
  if (to != nobody) args.insert(args.end(), {"TO", "127.0.0.1", std::to_string(first_port + to)});
  if (prng_.chance(1, 2))
    args.insert(args.end(), {"TIMEOUT", std::to_string(prng_.between(1, prng_.chance(1, 2) ? 5 : 300))});
  tell(from, std::move(args), kind_failover);
  if (prng_.chance(1, 3))
    after(prng_.between(0, 20 * ms), [this, from] {
      if (!winding_down_) tell(from, {"FAILOVER", "ABORT"}, kind_abort);
    });
  if (prng_.chance(1, 5))
    after(prng_.between(0, 10 * ms), [this, from] {
      const int target = nodes_[static_cast<size_t>(from)].failing_over_to;
      Node* node = target == nobody ? nullptr : running(target);
      if (node == nullptr || winding_down_) return;
      const bool power = prng_.chance(1, 2);
      faults_.add(power ? Fault::PowerCut : Fault::Kill);
      crash(*node, power);
    });
}

/// The operator has an answer.
void Cluster::told(Node& node, const Request& request, const resp::Value& value) {
  if (value.is_error()) {
    if (request.kind == kind_shutdown) node.shutting_down = false;
    if (request.kind == kind_failover && care_.from == node.number) care_.given_up = true;
    return;
  }
  if (request.kind == kind_policy) faults_.add(Fault::PolicyChanged);
  if (request.kind == kind_server_concern) faults_.add(Fault::ConcernChanged);
  if (request.kind != kind_abort) return;
  faults_.add(Fault::SwitchoverAborted);
  node.failing_over_to = nobody;
  if (care_.from == node.number) care_.given_up = true;
}

/// A bit of what lies on its disk flips while it is down. Until that is replaced, it may come back with
/// less, or refuse its folder; it may not come back with anything else.
void Cluster::rot(Node& node) {
  if (node.process) crash(node, prng_.chance(1, 2));
  const auto names = node.disk->list();
  if (!names || names->empty()) return;
  const std::string& name = (*names)[prng_.below(names->size())];
  const uint64_t size = *node.disk->size(name);
  if (size == 0) return;
  const uint64_t byte = prng_.below(size);
  trace([&] {
    return "a bit of " + name + " of n" + std::to_string(node.number) + ", byte " + std::to_string(byte) +
           ", flips";
  });
  node.disk->flip(name, byte, static_cast<int>(prng_.below(8)));
  node.rotten = true;
}

/// What it had is gone for it.
void Cluster::lose_folder(Node& node) {
  node.tips.push_back(node.tip);
  node.tip = {};
  node.written = node.synced = 0;
  node.cut.reset();
  node.adopts.clear();
}

void Cluster::refused_folder(Node& node) {
  faults_.add(Fault::FolderRefused);
  lose_folder(node);
}

/// One that does not end: with a disk that fails it may; a person would then kill it.
void Cluster::watch_shutdown(Node& node) {
  after(20 * second, [this, &node, life = node.life] {
    if (life != node.life || !node.shutting_down) return;
    if (node.disk->failures() == node.disk_failures_at_start) broken(node, "a clean shutdown does not end");
    crash(node, false);
  });
}

}  // namespace hf::sim
