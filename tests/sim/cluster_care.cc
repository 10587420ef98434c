// The operator of a quorum life, who keeps to the rules that make "acknowledged" mean "kept": whoever might
// still reign is down before another is told to; of all that could hold a promise, the one with the newest
// reign that was meant, and in it the longest synced log, gets the role; no second disk is lost before the
// first is rebuilt. Everything else (crashes, power cuts, cut networks, bad disks) may happen at any time.
#include <algorithm>
#include <tuple>

#include "base/check.h"
#include "cluster.h"

namespace hf::sim {
namespace {

constexpr int64_t ms = 1'000;
constexpr int64_t second = 1'000 * ms;

}  // namespace

bool Cluster::at_rest(const Node& node) const {
  // What is known of it is from its last turn: it has served in one.
  return node.process && node.served && node.process->serving() &&
         (node.came_back || node.place.cluster_id.empty()) && !node.cut && node.adopts.empty() &&
         !node.shutting_down;
}

bool Cluster::reigns(const Node& node) const {
  return at_rest(node) && !node.place.following && node.place.settled &&
         node.place.synced > node.place.reign_begin;
}

/// How far its log is on its disk, and which log that is: what decides who may reign.
Place Cluster::synced_place(const Node& node) const {
  Place at{node.place.end.value, node.place.last_sum};
  if (!ledger_.known(at)) at = node.tip;  // sealed, and handed to nobody yet
  while (at.sum != 0 && at.offset > node.place.synced.value) at = ledger_.before(at.sum);
  return at;
}

/// Which of the reigns that were meant this log has the begin of; a node that starts as a primary raises its
/// epoch without asking anybody, so that epochs alone don't tell.
size_t Cluster::newest_ordered(Place log) const {
  size_t n = care_.ordered.size();
  while (n > 0 && !ledger_.contains(log, care_.ordered[n - 1])) --n;
  return n;
}

void Cluster::care() {
  after(prng_.between(2 * ms, 12 * ms), [this] { care(); });
  if (care_.lost != nobody) {
    Node& node = nodes_[static_cast<size_t>(care_.lost)];
    const bool rebuilt = at_rest(node) && !node.rotten && node.place.linked &&
                         ledger_.contains(synced_place(node), promises_.kept());
    if (rebuilt) {
      care_.lost = nobody;
    } else if (node.rotten && !winding_down_ && now_us_ - care_.lost_at > second &&
               care_.doing == Care::Doing::Nothing && node.process && node.place.following &&
               node.configured != nobody) {
      // It has not noticed; holdfast-check has.
      wipe(node);
      node.rotten = false;
    }
  }
  switch (care_.doing) {
    case Care::Doing::TakingOver: return go_on_taking_over();
    case Care::Doing::SwitchingOver: return go_on_switching();
    case Care::Doing::Nothing: break;
  }
  if (winding_down_ || now_us_ < care_.next) return;
  care_.next = now_us_ + prng_.between(20 * ms, 500 * ms);
  begin_something();
}

void Cluster::begin_something() {
  const int other = (leader_ + static_cast<int>(prng_.between(1, 2))) % cluster_nodes;
  Node& replica = nodes_[static_cast<size_t>(other)];
  const bool replica_may_be_lost = care_.lost == nobody && replica.configured != nobody;
  switch (prng_.below(12)) {
    case 0:
    case 1:
      if (care_.lost == nobody || care_.lost == leader_) take_over(leader_, prng_.chance(1, 2));
      return;
    case 2:
    case 3:
    case 4: {
      Node& from = nodes_[static_cast<size_t>(leader_)];
      if (!reigns(from)) return;
      care_.doing = Care::Doing::SwitchingOver;
      care_.from = leader_, care_.to = other;
      care_.from_life = from.life, care_.to_life = replica.life;
      care_.given_up = false;
      care_.since = now_us_;
      from.configured = other;  // from here on it comes back as a replica, whatever happens
      return switch_over(leader_, other);
    }
    case 5:
      if (!replica_may_be_lost) return;
      care_.lost = other, care_.lost_at = now_us_;
      return wipe(replica);
    case 6:
      if (!replica_may_be_lost) return;
      care_.lost = other, care_.lost_at = now_us_;
      return rot(replica);
    case 7:
    case 8: {
      faults_.add(Fault::Chained);
      replica.configured = 3 - leader_ - other;
      if (nodes_[static_cast<size_t>(replica.configured)].configured == other) replica.configured = leader_;
      return point(other, replica.configured);
    }
    case 9:
      faults_.add(Fault::Repointed);
      replica.configured = leader_;
      return point(other, leader_);
    default:
      if (!toggles_) return;
      const char* concern = prng_.chance(1, 2) ? "async" : "quorum";
      for (int i = 0; i < cluster_nodes; ++i)
        tell(i, {"CONFIG", "SET", "write-concern", concern}, kind_server_concern);
  }
}

// ---- a role taken ---------------------------------------------------------------------------------------

/// `down` is kept down, and may lose its disk; who else may think that it reigns, or will, begins anew as a
/// replica.
void Cluster::take_over(int down, bool lose_its_disk) {
  care_.doing = Care::Doing::TakingOver;
  care_.down = down;
  care_.chosen = nobody;
  care_.since = now_us_;
  care_.asked_at = 0;
  trace([&] { return "the operator takes the role from n" + std::to_string(down); });
  for (Node& node : nodes_) {
    if (node.number == down) continue;
    const bool may_reign = node.configured == nobody || !node.place.following || node.number == care_.to ||
                           node.number == care_.from;
    if (node.configured == nobody) node.configured = down;
    if (may_reign) crash(node, prng_.chance(1, 2));
  }
  care_.from = care_.to = nobody;
  Node& node = nodes_[static_cast<size_t>(down)];
  node.held = true;
  node.configured = (down + 1) % cluster_nodes;
  const bool power = prng_.chance(1, 2);
  if (node.process) faults_.add(power ? Fault::PowerCut : Fault::Kill), crash(node, power);
  if (!lose_its_disk) return;
  care_.lost = down, care_.lost_at = now_us_;
  if (prng_.chance(1, 2)) wipe(node), node.rotten = false;
  else rot(node);
}

void Cluster::go_on_taking_over() {
  const int a = (care_.down + 1) % cluster_nodes, b = (care_.down + 2) % cluster_nodes;
  Node *one = &nodes_[static_cast<size_t>(a)], *two = &nodes_[static_cast<size_t>(b)];
  if (care_.chosen == nobody) {
    if (!at_rest(*one) || !at_rest(*two)) return;
    const Place p = synced_place(*one), q = synced_place(*two);
    const auto epoch = [&](Place place) { return place.sum == 0 ? 0 : ledger_.find(place.sum)->epoch; };
    const auto rank = [&](Place place) {
      return std::tuple(newest_ordered(place), epoch(place), place.offset);
    };
    if (rank(q) > rank(p) || (rank(p) == rank(q) && prng_.chance(1, 2))) std::swap(one, two);
    care_.chosen = one->number;
    one->configured = nobody;
    two->configured = one->number;
    nodes_[static_cast<size_t>(care_.down)].configured = one->number;
  }
  Node& chosen = nodes_[static_cast<size_t>(care_.chosen)];
  if (reigns(chosen)) {
    Node& down = nodes_[static_cast<size_t>(care_.down)];
    faults_.add(Fault::TakenOver);
    down.held = false;
    if (!down.process) start(down);
    return reigns_now(chosen.number);
  }
  if (now_us_ - care_.asked_at < 100 * ms) return;
  care_.asked_at = now_us_;
  if (chosen.process && chosen.place.following) point(chosen.number, nobody);
  chosen.configured = nobody;
}

/// All others follow it from now on.
void Cluster::reigns_now(int leader) {
  leader_ = leader;
  care_.doing = Care::Doing::Nothing;
  care_.from = care_.to = nobody;
  Place begin = synced_place(nodes_[static_cast<size_t>(leader)]);
  while (begin.sum != 0 && !ledger_.find(begin.sum)->opens_reign) begin = ledger_.before(begin.sum);
  care_.ordered.push_back(begin);
  for (Node& node : nodes_) {
    node.intended = node.configured = node.number == leader ? nobody : leader;
    if (node.number != leader && node.process && node.place.following) point(node.number, leader);
    if (node.number != leader) node.configured = leader;
  }
}

// ---- a role given ---------------------------------------------------------------------------------------

void Cluster::go_on_switching() {
  Node& from = nodes_[static_cast<size_t>(care_.from)];
  Node& to = nodes_[static_cast<size_t>(care_.to)];
  const bool same = from.process && from.life == care_.from_life;
  if (reigns(to) && !(same && !from.place.following && now_us_ - care_.since < 300 * ms)) {
    if (same && !from.place.following) crash(from, false);  // it has not heard: it comes back as a replica
    return reigns_now(to.number);
  }
  if (care_.given_up && reigns(from) && from.life == care_.from_life && !reigns(to)) {
    from.configured = nobody;
    care_.doing = Care::Doing::Nothing;
    care_.from = care_.to = nobody;
    return;
  }
  if (same && now_us_ - care_.since < 1'200 * ms) return;
  take_over(care_.lost != nobody ? care_.lost : care_.from, false);
}

}  // namespace hf::sim
