// What must hold in a cluster, looked at whenever a node has had its turn, hands something to its disk, says
// something to another, or comes back.
#include <algorithm>
#include <set>

#include "base/compress.h"
#include "base/number.h"
#include "cluster.h"
#include "log/manifest.h"
#include "log/segment.h"
#include "snapshot/reader.h"
#include "store/store.h"
#include "task/tasks.h"

namespace hf::sim {
namespace {

constexpr uint64_t idle_turns_max = 3'000;
constexpr size_t tips_kept = 300;

std::string text_of(Place place) { return "offset " + std::to_string(place.offset); }

}  // namespace

// ---- turns --------------------------------------------------------------------------------------

void Cluster::after_turn(Node& node) {
  const node::ServerNode::LogPlace before = node.place;
  node.place = node.process->log_place();
  const node::ServerNode::LogPlace& now = node.place;
  node.idle_turns = now.end == before.end ? node.idle_turns + 1 : 0;
  if (node.idle_turns > idle_turns_max)
    broken(node, "it runs in circles: turn after turn with nothing to do");
  if (!now.following || !before.following || node.promoted)
    node.reign_limit = std::max(node.reign_limit, now.end.value);
  node.promoted = false;
  if (!now.cluster_id.empty() && node.came_back && node.adopts.empty()) node.log_begin = now.begin.value;
  if (now.following) {
    node.acknowledged = {};
    node.handed_over_at.reset();
    node.failing_over_to = nobody;
  }
  // Also in the turn that a failed disk ends: what was written by then is sent and answered with the last
  // effects.
  const bool ends = before.settled && !now.settled && !now.following && now.end >= before.end;
  if (now.settled || ends) ledger_.written(node.tip, now.written.value, node.number);
  // A log goes back only where MANIFEST has said so before.
  if (now.end < before.end && now.settled && before.settled && !node.cut && node.adopts.empty())
    broken(node, "its log went back from offset " + std::to_string(before.end.value) + " to " +
                     std::to_string(now.end.value));
  if (now.settled && !node.planted &&
      (now.end != before.end || now.last_sum != before.last_sum || prng_.chance(1, 16))) {
    const std::string wrong = ledger_.state({now.end.value, now.last_sum}, node.process->digest());
    if (!wrong.empty()) broken(node, wrong);
  }
  const bool has_log = node.process->serving() && !now.cluster_id.empty();
  if (has_log && now.following && (!node.came_back || node.cut || !node.adopts.empty()))
    came_back(node, {now.end.value, now.last_sum});
  note_executed(node);
}

/// It shows what it found on its disk. `recovered` is where its log ended then.
void Cluster::came_back(Node& node, Place recovered) {
  trace([&] {
    return "n" + std::to_string(node.number) + " is back with its log up to " + text_of(recovered);
  });
  if (!ledger_.known(recovered)) broken(node, "it came back with a log that nobody has written");
  // A snapshot taken where both logs are still the same is a part of either. Where they part, what lies
  // behind that point tells which one this is: the old one stands where the disk failed before MANIFEST could
  // name the snapshot.
  const Place fork = ledger_.common(node.promised, node.tip);
  const bool parted = !(fork == node.promised) && !(fork == node.tip);
  const bool old_stands = !node.adopts.empty() && node.promised.sum != 0 && parted &&
                          recovered.offset > fork.offset && ledger_.contains(node.tip, recovered);
  const bool adopted =
      !old_stands && std::any_of(node.adopts.begin(), node.adopts.end(),
                                 [&](const Place& place) { return ledger_.contains(recovered, place); });
  const bool had = ledger_.contains(node.tip, recovered) ||
                   (node.rotten && std::any_of(node.tips.begin(), node.tips.end(), [&](const Place& tip) {
                      return ledger_.contains(tip, recovered);  // refused once, and not the next time
                    }));
  if (!adopted && !had)
    broken(node, "it came back with something else (" + text_of(recovered) + ") than it had logged (" +
                     text_of(node.tip) + ")");
  const uint64_t written = old_stands && !node.cut ? node.cut_written : node.written;
  const uint64_t synced = old_stands && !node.cut ? node.cut_synced : node.synced;
  const uint64_t required = node.rotten ? 0 : node.power ? synced : written;
  if (!adopted && recovered.offset < required)
    broken(node, "what was promised is lost: it came back with " + text_of(recovered) +
                     ", and had promised " + std::to_string(required) +
                     (node.power ? " (synced)" : " (written)"));
  if (node.cut && recovered.offset <= *node.cut && !node.rotten) check_rescue(node);
  if (adopted && !node.cut && !node.rotten && !ledger_.contains(recovered, node.tip)) check_adopted(node);
  if (adopted) node.rotten = false;
  if (!(node.tip == recovered)) {
    node.tips.push_back(node.tip);
    if (node.tips.size() > tips_kept) node.tips.erase(node.tips.begin());
  }
  node.tip = recovered;
  node.written = std::min(node.written, recovered.offset);
  node.synced = std::min(node.synced, recovered.offset);
  node.power = false;
  node.came_back = true;
  if (adopted) node.planted = false, node.found_in_turn.reset();
  node.cut.reset();
  node.adopts.clear();
}

std::set<uint64_t> Cluster::rescued(const Node& node) const {
  std::set<uint64_t> saved;
  node.disk->each([&](const std::string& name, Bytes bytes) {
    if (name.starts_with("rescue/")) each_frame(bytes, [&](const auto& frame) { saved.insert(frame.sum); });
  });
  return saved;
}

/// The same of what a full sync threw away, as far back as the log went: all of it that the primary did not
/// have when it promised to send everything.
void Cluster::check_adopted(Node& node) {
  const std::set<uint64_t> saved = rescued(node);
  const uint64_t needed = node.power ? node.cut_synced : node.cut_written;
  for (Place at = node.tip; at.sum != 0 && at.offset > node.shared.offset && at.offset > node.log_begin;
       at = ledger_.before(at.sum)) {
    if (at.offset > needed || ledger_.find(at.sum)->opens_reign) continue;
    if (saved.count(at.sum) == 0)
      broken(node, "what a full sync threw away is not under rescue/: the frame that ends at " + text_of(at) +
                       "; shared were the frames up to " + text_of(node.shared));
    faults_.add(Fault::FullSyncRescued);
  }
}

/// Everything that was cut off and had been promised stands under rescue/.
void Cluster::check_rescue(Node& node) {
  const std::set<uint64_t> saved = rescued(node);
  const uint64_t needed = node.power ? node.cut_synced : node.cut_written;
  for (Place at = node.tip; at.sum != 0 && at.offset > *node.cut; at = ledger_.before(at.sum))
    if (at.offset <= needed && saved.count(at.sum) == 0 && !ledger_.find(at.sum)->opens_reign)
      broken(node, "what was cut off is not under rescue/: the frame that ends at " + text_of(at));
}

// ---- what goes to disks ---------------------------------------------------------------------------

void Cluster::note_jobs(Node& node, const std::vector<FileJob>& jobs) {
  for (const FileJob& job : jobs)
    for (const FileStep& step : job.steps) {
      if (job.lane == Lane::Transfer && step.kind == FileStep::Kind::Read && step.name.starts_with("log-"))
        faults_.add(Fault::ReadFromDisk);
      if (job.lane != Lane::Log || step.kind != FileStep::Kind::Write) continue;
      if (step.name == log::manifest_temp_name) note_manifest(node, step.bytes);
      if (!step.name.starts_with("log-")) continue;
      if (step.offset == 0 && node.tip.offset > 0) faults_.add(Fault::SegmentRolled);
      each_frame(step.bytes, [&](const log::DecodedFrame& frame) { note_frame(node, frame); });
    }
}

void Cluster::note_frame(Node& node, const log::DecodedFrame& frame) {
  const Place place{frame.header.end().value, frame.sum};
  const Ledger::Frame* known = ledger_.find(frame.sum);
  if (known == nullptr) {
    learn_frame(node, frame);
    known = ledger_.find(frame.sum);
    if (known->opens_reign && !node.came_back) came_back(node, ledger_.before(frame.sum));
  } else if (!known->written && !known->early && ledger_.reigns().at(known->reign).node != node.number) {
    broken(node, "it has a frame that its primary has not written yet, ending at " + text_of(place));
  }
  if (!ledger_.contains(node.tip, place)) node.tip = place;
}

/// A frame seen for the first time: on its way to a disk, or to a replica.
void Cluster::learn_frame(Node& node, const log::DecodedFrame& frame) {
  const log::FrameHeader& header = frame.header;
  if (header.end().value > node.reign_limit)
    broken(node, "a replica's log has a frame that no primary has written, ending at offset " +
                     std::to_string(header.end().value));
  std::string raw(frame.stored);
  if (header.compressed) raw = *lz4_decompress(frame.stored, header.raw_bytes);
  const std::string wrong = ledger_.add(frame, raw, node.number, node.life);
  if (!wrong.empty()) broken(node, wrong);
  if (ledger_.find(frame.sum)->opens_reign) check_reign_begins(node, ledger_.before(frame.sum));
}

/// MANIFEST announces that a log is to be cut, or replaced: from here on either may be found.
void Cluster::note_manifest(Node& node, Bytes text) {
  const auto manifest = log::decode_manifest(text);
  if (!manifest) broken(node, "it writes a MANIFEST that can't be read: " + manifest.error().message);
  if (manifest->cut && !node.cut) {
    node.cut = manifest->cut->value;
    node.cut_written = node.written, node.cut_synced = node.synced;
    node.written = std::min(node.written, *node.cut);
    node.synced = std::min(node.synced, *node.cut);
  }
  if (manifest->adopt && (node.adopts.empty() || node.adopts.back().offset != manifest->adopt->value)) {
    snapshot::Reader reader(*node.disk, log::received_name(*manifest->adopt));
    if (reader.open() == snapshot::Reader::Phase::Damaged)
      broken(node, "it takes a snapshot for its state that is damaged: " + reader.reason());
    if (node.adopts.empty() && !node.cut) node.cut_written = node.written, node.cut_synced = node.synced;
    node.adopts.push_back({manifest->adopt->value, reader.header().previous_sum});
    node.written = node.synced = 0;
  }
}

/// A snapshot got its final name: what is in it must be the state at its cut.
void Cluster::check_snapshot(Node& node, const std::string& name) {
  if (!name.starts_with("snapshot-") || !name.ends_with(".rdb") || node.planted) return;
  faults_.add(Fault::SnapshotTaken);
  store::Store store({.databases = 4, .hash_seed = 7});
  store.set_loader(store::Type::Task, task::load_task);
  snapshot::Reader reader(*node.disk, name);
  snapshot::StoreSink sink(store);
  auto phase = reader.open();
  while (phase == snapshot::Reader::Phase::Loading) phase = reader.step(1 << 20, sink);
  if (phase != snapshot::Reader::Phase::Done) broken(node, "a fresh snapshot is damaged: " + reader.reason());
  const Place place{reader.header().offset.value, reader.header().previous_sum};
  const std::string expected = ledger_.digest_at(place);
  if (!expected.empty() && expected != to_hex(store.digest()))
    broken(node, name + " does not hold the state at its cut, " + text_of(place));
}

// ---- what nodes say to one another ------------------------------------------------------------------

void Cluster::listen(const PipeRef& pipe, int from, Bytes bytes) {
  Side& side = pipe->side[from];
  if (from == 0) {
    if (Node* node = running(side.node)) check_acknowledged(*node, bytes);
    return;
  }
  if (life_ != Life::Plain) hear_frames(pipe, bytes);
  if (pipe->verdict_seen) return;
  pipe->said += bytes;
  for (size_t end; (end = pipe->said.find("\r\n")) != std::string::npos && !pipe->verdict_seen;) {
    const std::string line = pipe->said.substr(0, end);
    pipe->said.erase(0, end + 2);
    pipe->verdict_seen =
        line.starts_with("+CONTINUE") || line.starts_with("+FULLRESYNC") || line.starts_with("+DIVERGED");
    if (pipe->verdict_seen) check_verdict(pipe, line);
  }
}

/// A full sync only where nothing less would do; a cut only where the logs part.
void Cluster::check_verdict(const PipeRef& pipe, const std::string& line) {
  Node* primary = running(pipe->side[1].node);
  Node* replica = running(pipe->side[0].node);
  if (primary == nullptr || replica == nullptr || pipe->side[0].life != replica->life) return;
  if (!replica->place.following || primary == replica) return;
  const Place shared = ledger_.common(primary->tip_before, replica->tip);
  if (line.starts_with("+FULLRESYNC")) {
    const Place there{primary->place.end.value, primary->place.last_sum};
    const bool same = replica->place.cluster_id == primary->place.cluster_id;
    replica->promised = !same ? Place{} : ledger_.known(there) ? there : primary->tip;
    replica->shared = same ? ledger_.common(replica->promised, replica->tip) : Place{};
  }
  if (line.starts_with("+FULLRESYNC") && !primary->rotten && !replica->planted &&
      !replica->place.cluster_id.empty() && shared.sum != 0 &&
      replica->place.cluster_id == primary->place.cluster_id && shared.offset >= primary->place.begin.value &&
      replica->adopts.empty() && !replica->cut &&
      (shared.offset == replica->place.end.value || shared.offset >= replica->place.back_to.value))
    broken(*replica, "a full sync from n" + std::to_string(primary->number) +
                         ", though both logs are the same up to " + text_of(shared) +
                         " and the primary's reaches back to offset " +
                         std::to_string(primary->place.begin.value));
  if (line.starts_with("+DIVERGED") && replica->adopts.empty() && !replica->cut) {
    const auto at = parse_uint(Bytes(line).substr(10));
    if (!at) broken(*primary, "a verdict that makes no sense: " + line);
    if (*at < shared.offset)
      broken(*replica, "it is told to cut its log at offset " + std::to_string(*at) +
                           ", though it is the same up to " + text_of(shared));
  }
}

/// Acknowledgements: what is called synced has to be found again after any crash.
void Cluster::check_acknowledged(Node& node, Bytes bytes) {
  constexpr Bytes word = "$5\r\nhfack\r\n";
  for (size_t at = 0; (at = bytes.find(word, at)) != Bytes::npos;) {
    at += word.size();
    uint64_t numbers[4] = {};
    size_t from = at;
    for (uint64_t& number : numbers) {
      const size_t begin = bytes.find("\r\n", from) + 2;
      const size_t end = bytes.find("\r\n", begin);
      number = parse_uint(bytes.substr(begin, end - begin)).value_or(0);
      from = end + 2;
    }
    if (node.cut || !node.adopts.empty() || !node.process->serving() || !node.came_back) continue;
    if (numbers[1] > node.place.end.value)
      broken(node, "it acknowledges offset " + std::to_string(numbers[1]) + ", and has its log up to " +
                       std::to_string(node.place.end.value));
    node.synced = std::max(node.synced, numbers[2]);
    node.written = std::max(node.written, numbers[2]);
  }
}

// ---- what nodes say to clients ----------------------------------------------------------------------

void Cluster::note_executed(Node& node) {
  for (const PipeRef& pipe : pipes_) {
    if (pipe->client == nullptr || !pipe->side[1].open || pipe->side[1].node != node.number) continue;
    for (Request& request : pipe->waiting) {
      if (request.end_at > pipe->side[1].read) break;
      if (request.turn != 0) continue;
      request.turn = node.turns;
      request.log_end = node.place.end.value;
      request.value = node.place.last_sum;
      note_request(node, pipe, request);
      ++commands_;
    }
  }
}

size_t Cluster::nodes_having(Place place, int but, bool synced) const {
  size_t n = 0;
  for (const Node& node : nodes_) {
    if (node.number == but) continue;
    const Place now{node.place.end.value, node.place.last_sum};
    bool has = (node.process && ledger_.contains(now, place)) || ledger_.contains(node.tip, place);
    for (const Place& tip : node.tips) has = has || ledger_.contains(tip, place);
    if (has && (!synced || node.synced >= place.offset || !node.tips.empty())) ++n;
  }
  return n;
}

void Cluster::reply_leaves(const PipeRef& pipe, Request& request, const resp::Value& value) {
  Node& node = nodes_[static_cast<size_t>(pipe->side[1].node)];
  trace([&] {
    std::string text = "n" + std::to_string(node.number) + " answers";
    for (const std::string& arg : request.args) text += " " + arg.substr(0, 30);
    return text + " -> " + value.as_text().substr(0, 60);
  });
  judge_reply(pipe, node, request, value);
  if (value.is_error()) {
    if (value.error_code() == "MISCONF") faults_.add(Fault::WritesRefused);
    if (value.error_code() == "READONLY") faults_.add(Fault::WriteOnReplica);
    const bool ends = node.shutting_down || node.disk->failures() != node.disk_failures_at_start;
    if (value.error_code() == "LOADING" && node.served && node.place.following && !node.loads_again &&
        !ends && node.options.replica_load != config::ReplicaLoad::DropFirst)
      broken(node, "a read finds it loading, though it had a data set and loads the next one beside");
    return;
  }
  const std::string& word = request.args[0];
  if (word == "WAIT" || word == "WAITAOF") {
    const bool aof = word == "WAITAOF";
    const auto n = static_cast<size_t>(aof ? value.items[1].integer : value.integer);
    if (n > 0 && pipe->last_set.sum != 0) {
      faults_.add(Fault::WaitKept);
      for (const Node& each : nodes_)
        trace([&] {
          return "  n" + std::to_string(each.number) + " is at " + std::to_string(each.place.end.value) +
                 ", synced " + std::to_string(each.place.synced.value) + ", acknowledged as synced " +
                 std::to_string(each.synced);
        });
      if (nodes_having(pipe->last_set, node.number, aof) < n)
        broken(node, word + " counts " + std::to_string(n) + " replicas with " + text_of(pipe->last_set) +
                         ", and fewer have it");
    }
    return;
  }
  check_refused(node, request, value);
  if (request.turn == 0) broken(node, "a reply to a request that has not arrived whole");
  if (request.kind != kind_write || node.cut || !node.adopts.empty()) return;
  // Enough others may have it on their disks before this node has.
  const Place in_memory{node.place.end.value, node.place.last_sum}, write{request.log_end, request.value};
  const bool here = ledger_.contains(node.tip, write);
  if (!here && (request.b < 2 || !ledger_.contains(in_memory, write)))
    broken(node, "it acknowledges a write that its log does not have, at offset " +
                     std::to_string(request.log_end));
  pipe->last_set = {request.log_end, request.value};
  if (!here) return;  // it is on others' disks, and may come back without it
  // Acknowledged: its own log keeps it, by its policy.
  node.written = std::max(node.written, request.log_end);
  if (request.synced) node.synced = std::max(node.synced, request.log_end);
}

}  // namespace hf::sim
