// The network of a cluster: connections that take their time, cut streams in pieces, fill up, break at any
// moment, and sometimes tell only one end of it.
#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "cluster.h"

namespace hf::sim {
namespace {

constexpr int first_port = 7000;
constexpr size_t pipes_max = 200;

}  // namespace

bool Cluster::cut_off(int from, int to) const {
  return from >= 0 && to >= 0 && blocked_[static_cast<size_t>(from)][static_cast<size_t>(to)];
}

Cluster::PipeRef Cluster::pipe_of(const Node& node, node::ConnId conn, int& side) {
  for (const PipeRef& pipe : pipes_)
    for (side = 0; side < 2; ++side) {
      const Side& s = pipe->side[side];
      if (s.open && s.node == node.number && s.life == node.life && s.conn == conn) return pipe;
    }
  return nullptr;
}

// ---- connecting ---------------------------------------------------------------------------------

void Cluster::dial(Node& from, const node::Dial& to) {
  std::erase_if(pipes_,
                [](const PipeRef& p) { return !p->side[0].open && !p->side[1].open && p.use_count() == 1; });
  HF_CHECK(pipes_.size() < pipes_max);
  const int target = to.port - first_port;
  HF_CHECK(target >= 0 && target < cluster_nodes);
  auto pipe = std::make_shared<Pipe>();
  pipe->window = prng_.chance(1, 4) ? static_cast<size_t>(prng_.between(600, 8'000)) : 64 * 1024;
  Side& mine = pipe->side[0];
  mine.node = from.number, mine.life = from.life, mine.conn = to.conn, mine.open = true;
  pipe->side[1].node = target;
  pipes_.push_back(pipe);
  trace([&] { return "n" + std::to_string(from.number) + " dials n" + std::to_string(target); });
  const auto answer = [this, &from, conn = to.conn, life = from.life, pipe](bool ok, const char* why) {
    dial_answer(from, conn, life, pipe, ok, why);
  };
  if (cut_off(from.number, target) || cut_off(target, from.number)) {
    faults_.add(Fault::DialUnanswered);
    return after(3'000'000, [answer] { answer(false, "timed out"); });
  }
  after(prng_.between(20, 500) * network_slowness_, [this, pipe, target, answer, &from] {
    Node* at = running(target);
    if (at == nullptr || (!winding_down_ && !options_.calm && prng_.chance(1, 40))) {
      faults_.add(Fault::DialRefused);
      return after(prng_.between(20, 500), [answer] { answer(false, "connection refused"); });
    }
    node::Peer peer;
    peer.peer_address = "127.0.0.1:" + std::to_string(20'000 + event_number_ % 40'000);
    peer.local_address = "127.0.0.1:" + std::to_string(first_port + target);
    Side& theirs = pipe->side[1];
    theirs.conn = at->process->connected(peer);
    theirs.life = at->life;
    theirs.open = true;
    schedule_turn(*at, prng_.between(0, 100));
    after(prng_.between(20, 500) * network_slowness_, [answer] { answer(true, ""); });
  });
}

void Cluster::dial_answer(Node& from, node::ConnId conn, uint64_t life, PipeRef pipe, bool ok,
                          const std::string& why) {
  if (!pipe->side[0].open || !from.process || from.life != life) {
    if (pipe->side[1].open) learn_closed(pipe, 1);
    return;
  }
  if (!ok) pipe->side[0].open = false;
  from.process->dialed(conn, ok, why);
  schedule_turn(from, prng_.between(0, 100));
}

// ---- sending ------------------------------------------------------------------------------------

void Cluster::take_output(Node& node, node::ConnId conn) {
  int s = 0;
  const PipeRef pipe = pipe_of(node, conn, s);
  if (!pipe) return;
  const Buffer out = node.process->take_output(conn);
  if (out.empty()) return;
  pipe->side[s].leaving += out.view();
  if (pipe->client != nullptr) to_client(pipe, out.view());
  else listen(pipe, s, out.view());
  push(pipe, s);
}

/// What the kernel has room for leaves; the rest waits for the other end to read.
void Cluster::push(const PipeRef& pipe, int from) {
  Side& side = pipe->side[from];
  const size_t room = pipe->window - std::min(pipe->window, side.flying);
  const size_t n = std::min(room, side.leaving.size());
  if (n < side.leaving.size()) faults_.add(Fault::LinkFull);
  if (n == 0) return;
  std::string bytes = side.leaving.substr(0, n);
  side.leaving.erase(0, n);
  const bool from_server = side.node != nobody;
  // Replies to clients are taken where they leave (to_client).
  if (!(from_server && pipe->client != nullptr)) {
    side.flying += n;
    int64_t delay = std::max(prng_.between(5, 300) * network_slowness_, side.last_arrival - now_us_);
    while (!bytes.empty()) {
      size_t piece = bytes.size();
      if (piece > 1 && prng_.chance(1, 12)) {
        piece = static_cast<size_t>(prng_.between(1, static_cast<int64_t>(piece) - 1));
        faults_.add(from_server ? Fault::LinkPieces : Fault::RequestCut);
      }
      after(delay, [this, pipe, from, part = bytes.substr(0, piece)] { arrive(pipe, from, part); });
      side.last_arrival = now_us_ + delay;
      bytes.erase(0, piece);
      if (!bytes.empty()) delay += prng_.between(1, 300);
    }
  }
  Node* node = running(side.node);
  if (node == nullptr || !side.open || side.life != node->life) return;
  if (node->process->sent(side.conn, n, Buffer()) == node::ServerNode::AfterSend::Close) {
    node->process->disconnected(side.conn);
    close(pipe, from, true);
  }
  schedule_turn(*node, prng_.between(0, 100));
}

void Cluster::arrive(const PipeRef& pipe, int from, std::string bytes) {
  const int to = 1 - from;
  Side& sender = pipe->side[from];
  Side& side = pipe->side[to];
  if (cut_off(sender.node, side.node) || !sender.held.empty()) {
    sender.held.push_back(std::move(bytes));
    return;
  }
  if (!side.open) {
    // Nobody is there any more: that is what the sender hears.
    if (sender.open) after(prng_.between(5, 300), [this, pipe, from] { learn_closed(pipe, from); });
    return;
  }
  side.inbox += bytes;
  read_inbox(pipe, to);
  if (Node* node = running(side.node)) {
    node->idle_turns = 0;
    schedule_turn(*node, prng_.between(0, 150));
  }
}

void Cluster::read_inbox(const PipeRef& pipe, int at) {
  Side& side = pipe->side[at];
  Node* node = running(side.node);
  if (node == nullptr || side.life != node->life) return;
  size_t taken = 0;
  while (!side.inbox.empty()) {
    size_t room = 0;
    char* space = node->process->read_space(side.conn, room);
    if (space == nullptr) break;
    const size_t n = std::min(room, side.inbox.size());
    std::memcpy(space, side.inbox.data(), n);
    side.inbox.erase(0, n);
    node->process->received(side.conn, n);
    taken += n;
  }
  side.read += taken;
  Side& sender = pipe->side[1 - at];
  sender.flying -= std::min(sender.flying, taken);
  if (taken > 0 && !sender.leaving.empty())
    after(prng_.between(5, 200), [this, pipe, at] {
      if (pipe->side[1 - at].open) push(pipe, 1 - at);
    });
}

// ---- ends ---------------------------------------------------------------------------------------

/// `side` is closed by its own process (or with it). What it had handed to the kernel still arrives.
void Cluster::close(const PipeRef& pipe, int side, bool tell_other) {
  Side& mine = pipe->side[side];
  if (!mine.open) return;
  mine.open = false;
  mine.leaving.clear();
  if (pipe->client != nullptr && side == 1) {
    Client& client = *pipe->client;
    if (pipe->side[0].open) pipe->side[0].open = false, lost(client);
    return;
  }
  if (!tell_other || !pipe->side[1 - side].open) return;
  const int64_t delay = std::max(prng_.between(5, 300) * network_slowness_, mine.last_arrival - now_us_ + 1);
  after(delay, [this, pipe, side] {
    if (!cut_off(pipe->side[side].node, pipe->side[1 - side].node)) learn_closed(pipe, 1 - side);
  });
}

/// The kernel of `side` has heard that the other end is gone.
void Cluster::learn_closed(const PipeRef& pipe, int side) {
  Side& mine = pipe->side[side];
  if (!mine.open) return;
  mine.open = false;
  mine.leaving.clear();
  Node* node = running(mine.node);
  if (node == nullptr || mine.life != node->life) return;
  node->process->disconnected(mine.conn);
  schedule_turn(*node, prng_.between(0, 100));
}

void Cluster::heal(int from, int to) {
  blocked_[static_cast<size_t>(from)][static_cast<size_t>(to)] = false;
  for (size_t i = 0; i < pipes_.size(); ++i) {
    const PipeRef pipe = pipes_[i];
    for (int s = 0; s < 2; ++s) {
      if (pipe->side[s].node != from || pipe->side[1 - s].node != to) continue;
      std::deque<std::string> held;
      held.swap(pipe->side[s].held);
      for (std::string& bytes : held) arrive(pipe, s, std::move(bytes));
    }
  }
}

// ---- clients ------------------------------------------------------------------------------------

void Cluster::send(Client& client, std::vector<Request> requests) {
  const PipeRef pipe = client.pipe;
  HF_CHECK(pipe && pipe->side[0].open);
  for (Request& request : requests) {
    std::string bytes = "*" + std::to_string(request.args.size()) + "\r\n";
    for (const std::string& arg : request.args)
      bytes += "$" + std::to_string(arg.size()) + "\r\n" + arg + "\r\n";
    pipe->side[0].leaving += bytes;
    pipe->sent += bytes.size();
    request.end_at = pipe->sent;
    pipe->waiting.push_back(std::move(request));
    ++client.outstanding;
  }
  push(pipe, 0);
}

void Cluster::to_client(const PipeRef& pipe, Bytes bytes) {
  pipe->tail += bytes;
  size_t at = 0;
  while (at < pipe->tail.size()) {
    const auto outcome = pipe->reader.next(Bytes(pipe->tail).substr(at));
    at += pipe->reader.used();
    if (outcome == resp::ReplyReader::Outcome::Incomplete) break;
    if (outcome != resp::ReplyReader::Outcome::Reply)
      throw Broken{"a reply is not RESP: " + pipe->reader.error()};
    const resp::Value value = pipe->reader.take();
    if (pipe->waiting.empty()) throw Broken{"a reply that nobody asked for: " + value.as_text()};
    Request request = std::move(pipe->waiting.front());
    pipe->waiting.pop_front();
    reply_leaves(pipe, request, value);
    after(prng_.between(5, 300), [this, pipe, request, value]() mutable {
      if (pipe->side[0].open) answered(*pipe->client, request, value);
    });
  }
  pipe->tail.erase(0, at);
}

}  // namespace hf::sim
