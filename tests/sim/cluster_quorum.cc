// What several members of a cluster have promised together: writes acknowledged under a write concern, values
// shown under one. Whoever reigns afterwards holds them; what was refused is seen by nobody.
#include <algorithm>

#include "base/little_endian.h"
#include "base/number.h"
#include "cluster.h"

namespace hf::sim {
namespace {

std::string text_of(Place place) { return "offset " + std::to_string(place.offset); }

int copies_of(const config::Options& options) {
  return options.write_concern == config::WriteConcern::Quorum ? static_cast<int>(options.min_copies) : 0;
}

/// Each text in a reply, however deep.
template <class Each>
void each_text(const resp::Value& value, const Each& each) {
  if (!value.text.empty()) each(value.text);
  for (const resp::Value& item : value.items) each_text(item, each);
}

std::string field(const resp::Value& record, Bytes name) {
  for (size_t i = 0; i + 1 < record.items.size(); i += 2)
    if (record.items[i].text == name) return record.items[i + 1].as_text();
  return "";
}

}  // namespace

// ---- requests ---------------------------------------------------------------------------------------

Request Cluster::quorum_command(Client& client) {
  Request request;
  auto& a = request.args;
  const std::string key = "k" + std::to_string(prng_.below(12));
  const bool reads = client.at != leader_ && prng_.chance(3, 4);
  switch (reads ? 2 : prng_.below(9)) {
    case 0:
    case 1:
      request.kind = kind_write;
      request.text = fresh_value();
      a = {"SET", key, request.text};
      break;
    case 2:
    case 3: request.kind = kind_read, a = {"GET", key}; break;
    case 4:
      request.kind = kind_write;
      request.text = fresh_value();
      a = {"MSET", "pa", request.text, "pb", request.text};
      break;
    case 5: request.kind = kind_pair, a = {"MGET", "pa", "pb"}; break;
    case 6:
      request.kind = kind_write;
      request.text = "job" + std::to_string(++values_);
      a = {"TASK.SUBMIT", request.text, "QUEUE", "q"};
      break;
    case 7:
      request.kind = kind_read;
      a = {"TASK.GET", "job" + std::to_string(values_ - prng_.below(std::min<uint64_t>(values_ + 1, 60)))};
      break;
    default:
      if (client.run.empty()) {
        request.kind = kind_claim;
        a = {"TASK.CLAIM", "1", "q", "WORKER", "c" + std::to_string(client.number)};
      } else {
        request.kind = kind_write;
        if (client.checkpoints++ == 0) {
          a = {"TASK.CHECKPOINT", client.run, client.token, "1", "half way"};
        } else {
          a = {"TASK.DONE", client.run, client.token};
          client.run.clear();
        }
      }
  }
  return request;
}

void Cluster::before_turn(Node& node) {
  const config::Options& options = node.process->options();
  node.always_before = options.appendfsync == config::FsyncPolicy::Always;
  node.copies_before = copies_of(options);
}

/// It has been executed in the turn that just ended. What options asked for counts when they did before that
/// turn and behind it.
void Cluster::note_request(Node& node, const PipeRef& pipe, Request& request) {
  const config::Options& options = node.process->options();
  node.copies = copies_of(options);
  if (request.kind == kind_concern) pipe->copies = request.args[2] == "quorum" ? 2 : 3;
  request.synced = node.always_before && options.appendfsync == config::FsyncPolicy::Always;
  request.a = node.place.following ? 1 : 0;
  request.b = static_cast<uint64_t>(std::max(std::min(node.copies, node.copies_before), pipe->copies));
  if (request.kind == kind_write && !node.place.following && !request.text.empty())
    promises_.wrote(request.text, {request.log_end, request.value});
  if (request.kind == kind_shutdown && !node.shutting_down) {
    faults_.add(Fault::ShutdownCommand);
    node.shutting_down = true;
    watch_shutdown(node);
  }
}

// ---- what leaves a node -----------------------------------------------------------------------------

/// A primary's stream: under a write concern a frame may go to a replica before it is in this node's log. It
/// may leave in parts.
void Cluster::hear_frames(const PipeRef& pipe, Bytes bytes) {
  Node* node = running(pipe->side[1].node);
  if (node == nullptr || pipe->side[1].life != node->life) return;
  const std::string all = std::exchange(pipe->part, {}) + std::string(bytes);
  size_t at = 0;
  for (; (at = all.find(log::frame_magic, at)) != Bytes::npos;) {
    const Bytes rest = Bytes(all).substr(at);
    log::DecodedFrame frame;
    const log::Verdict verdict = rest.size() < log::frame_header_bytes
                                     ? log::Verdict::Incomplete
                                     : log::decode_frame(rest, get_le<uint64_t>(rest, 16), frame);
    if (verdict == log::Verdict::Incomplete) {
      pipe->part = rest;
      return;
    }
    if (verdict != log::Verdict::Valid) {
      ++at;
      continue;
    }
    if (ledger_.find(frame.sum) == nullptr) learn_frame(*node, frame);
    ledger_.sent(frame.sum);
    at += frame.header.frame_bytes();
  }
  pipe->part = all.substr(all.size() - std::min(all.size(), log::frame_magic.size() - 1));
}

void Cluster::promise(Node& node, Place place, const std::string& what) {
  if (life_ != Life::Quorum) return;
  const std::string wrong = promises_.promise(ledger_, place);
  if (!wrong.empty()) broken(node, what + " at " + text_of(place) + ": " + wrong);
}

/// A reign begins: what was promised in those before is under it.
void Cluster::check_reign_begins(Node& node, Place before) {
  if (life_ == Life::Quorum && !ledger_.contains(before, promises_.kept()))
    broken(node, "a reign begins at " + text_of(before) + " without what was promised up to " +
                     text_of(promises_.kept()) + "; they part at " +
                     text_of(ledger_.common(before, promises_.kept())));
  node.handed_over_at.reset();
  if (!std::exchange(node.takes_over, false)) return;
  for (Node& other : nodes_) {
    if (!other.process || other.failing_over_to != node.number) continue;
    if (!ledger_.contains(before, other.acknowledged))
      broken(node, "it takes the role over at " + text_of(before) + " without what n" +
                       std::to_string(other.number) + " had acknowledged up to " +
                       text_of(other.acknowledged));
    other.handed_over_at = before;
  }
}

void Cluster::judge_shown(Node& node, const Request& request, const std::string& value) {
  if (promises_.was_refused(value)) broken(node, "it shows " + value + ", whose write was refused");
  const auto place = promises_.place_of(value);
  if (!place) return;
  const bool replica = request.a == 1;
  if (replica ? toggles_ || life_ != Life::Quorum : request.b < 2) return;
  faults_.add(replica ? Fault::QuorumReadOnReplica : Fault::QuorumRead);
  promise(node, *place, "it shows " + value + ", written");
}

void Cluster::judge_reply(const PipeRef& pipe, Node& node, Request& request, const resp::Value& value) {
  if (request.kind >= kind_shutdown) told(node, request, value);
  if (value.is_error()) {
    if (value.error_code() == "NOQUORUM") faults_.add(Fault::NoQuorum);
    if (request.kind == kind_write && !request.text.empty()) promises_.refused(request.text);
    if (request.kind == kind_concern) {
      pipe->copies = 0;
      for (Request& behind : pipe->waiting) behind.b = 0;
    }
    return;
  }
  if (request.kind == kind_concern) faults_.add(Fault::ConcernAsked);
  if (request.kind == kind_pair && value.items.at(0).text != value.items.at(1).text)
    broken(node, "half of a write: " + value.items[0].text + " beside " + value.items[1].text);
  if (request.kind == kind_read || request.kind == kind_pair)
    each_text(value, [&](const std::string& text) { judge_shown(node, request, text); });
  const bool claimed = request.kind == kind_claim && !value.items.empty();
  if (claimed) {
    pipe->client->run = field(value.items[0], "run");
    pipe->client->token = field(value.items[0], "token");
    pipe->client->checkpoints = 0;
    if (life_ == Life::Quorum && request.b >= 2 &&
        !promises_.token_given(parse_uint(pipe->client->token).value_or(0)))
      broken(node, "token " + pipe->client->token + " is given a second time");
  }
  if ((request.kind != kind_write && !claimed) || node.cut || !node.adopts.empty()) return;
  const Place place{request.log_end, request.value};
  if (node.handed_over_at && !ledger_.contains(*node.handed_over_at, place))
    broken(node, "it acknowledges a write at " + text_of(place) + " though another reigns since " +
                     text_of(*node.handed_over_at));
  node.acknowledged = place;
  if (request.b < 2) return;
  const size_t others = nodes_having(place, node.number, true);
  const size_t members = others + (node.place.synced.value >= place.offset ? 1 : 0);
  if (members < request.b)
    broken(node, request.args[0] + " is acknowledged for " + std::to_string(request.b) + " members, and " +
                     std::to_string(members) + " have it on disk (" + text_of(place) + ")");
  faults_.add(request.args[0].starts_with("TASK.") ? Fault::QuorumTask : Fault::QuorumKept);
  promise(node, place, "it acknowledges " + request.args[0]);
}

}  // namespace hf::sim
