// What a replica is sent. Its outbox is kept small: what does not fit stays on disk until there is room
// again, and a frame that is larger than that leaves in parts.
#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "base/limits.h"
#include "base/little_endian.h"
#include "base/planted.h"
#include "node/replicas.h"
#include "snapshot/format.h"

namespace hf::node {

namespace {

constexpr uint64_t snapshot_read_bytes = 256 * 1024;
static_assert(snapshot_read_bytes <= limits::snapshot_piece_bytes_max);
constexpr uint64_t small_log_bytes = 1024 * 1024;  // never worth a new snapshot
constexpr MonoUs second_us = 1'000'000;

}  // namespace

// ---- what a link may hold
// ----------------------------------------------------------------------------------------

size_t Replicas::links_max() const {
  const auto all = static_cast<size_t>(parts_.options.replica_memory_max);
  return std::max(limits::replica_links_min, all / limits::replica_share_bytes_min);
}

/// Unsent bytes of one link: with more it gets nothing new. An eighth of its share: what is unsent passes
/// this by a piece and lies in two buffers that have room to grow; the read under way, and what was read
/// before, come on top.
size_t Replicas::window() const {
  const auto all = static_cast<size_t>(parts_.options.replica_memory_max);
  return std::clamp<size_t>(all / 8 / std::max<size_t>(1, replicas_.size()), 1,
                            limits::replica_window_bytes_max);
}

/// A rate that is low is kept in small steps: nothing else is sent within a piece of a snapshot, and what
/// takes repl-timeout looks like silence.
uint64_t Replicas::read_bytes_max() const {
  const auto rate = static_cast<uint64_t>(parts_.options.replication_max_bytes_per_second);
  const uint64_t most = std::min<uint64_t>(snapshot_read_bytes, window());
  return rate == 0 ? most : std::min(most, std::max<uint64_t>(rate / 10, 1024));
}

size_t Replicas::held_bytes() const {
  size_t held = 0;
  for (const Replica& replica : replicas_) {
    Session* session = parts_.sessions.find(replica.conn);
    if (session == nullptr) continue;
    held += session->output_bytes() + replica.tail.held_bytes();
    if (replica.job != 0) held += read_bytes_max();
    if (replica.stock && replica.stock->feed) held += replica.stock->feed->held_bytes();
  }
  return held;
}

void Replicas::sealed(LogOffset begin, LogOffset end, std::string bytes) {
  if (replicas_.empty()) return;
  recent_.add(begin, end, std::move(bytes));
  trim_recent();
}

void Replicas::trim_recent() {
  const log::Writer* writer = parts_.persistence.writer();
  recent_.trim(writer == nullptr ? LogOffset{} : writer->written());
}

/// True: the place is in memory, and what may be sent and fits was.
bool Replicas::from_memory(Replica& replica, Session& session) {
  const RecentFrames::Chunk* chunk = recent_.holding(replica.tail.next());
  if (chunk == nullptr) return false;
  for (const LogOffset upto = sendable(); chunk != nullptr && chunk->end <= upto;
       chunk = recent_.holding(replica.tail.next())) {
    if (session.output_bytes() >= window()) break;
    const uint64_t before = session.outbox.stream_end();
    send_part(replica, session, *chunk);
    budget_bytes_ -= static_cast<double>(session.outbox.stream_end() - before);
  }
  return true;
}

/// The rest of a chunk; of a large frame what has room: each link has a place in it, none a copy.
void Replicas::send_part(Replica& replica, Session& session, const RecentFrames::Chunk& chunk) {
  log::Tail& tail = replica.tail;
  Bytes rest = RecentFrames::from(chunk, tail.next());
  Buffer& out = session.outbox.buffer();
  if (rest.size() - tail.given() <= window()) {
    out.append(rest.substr(tail.given()));
    return tail.skip_to(chunk.end);
  }
  log::FrameHeader header;
  HF_CHECK(log::decode_header(rest, get_le<uint64_t>(rest, 16), header) == log::Verdict::Valid);
  const Bytes frame = rest.substr(tail.given(), header.frame_bytes() - tail.given());
  const Bytes part = frame.substr(0, std::max<size_t>(1, window() - session.output_bytes()));
  out.append(part);
  if (part.size() == frame.size()) tail.skip_to(header.end());
  else tail.skip_part(part.size());
}

// ---- feeding
// -----------------------------------------------------------------------------------------------------------

void Replicas::fail(Session& session, const std::string& why) {
  parts_.persistence.say(LogLevel::Warning,
                         "Closing the replica " + session.client.peer_address + ": " + why);
  failed_.push_back(session.id);
}

void Replicas::read(Replica& replica, FileStep step, Effects& effects) {
  replica.job = next_job_++ | job_bit;
  effects.jobs.push_back({.id = replica.job, .lane = Lane::Transfer});
  effects.jobs.back().steps.push_back(std::move(step));
}

void Replicas::job_done(const FileJobDone& done) {
  for (Replica& replica : replicas_) {
    if (replica.job != done.id) continue;
    replica.job = 0;
    Session* session = parts_.sessions.find(replica.conn);
    if (session == nullptr) return;
    const auto* sends = std::get_if<SendsSnapshot>(&replica.state);
    if (sends != nullptr && !replica.stock) return snapshot_read(replica, *session, done);
    // Asked for it again it would find the same: it gets one that is newer.
    if (sends != nullptr && (!done.ok || done.bytes.empty())) doubt(sends->offset);
    if (!done.ok) return fail(*session, "what it needs can't be read: " + done.message);
    budget_bytes_ -= static_cast<double>(done.bytes.size());
    if (replica.stock) return stock_job_done(replica, *session, done);
    const Status taken =
        replica.tail.pass(done.bytes, [&](Bytes piece) { session->outbox.buffer().append(piece); });
    if (!taken) {
      // Asked for it again it would find the same: it gets a snapshot that is newer than the damage.
      unreadable_ = parts_.persistence.end();
      fail(*session, taken.error().message + ". The replica starts again from a new snapshot");
    }
    return;
  }
}

/// The newest snapshot and the log behind it, unless that log is longer than the snapshot: then a new one,
/// which is sent while it is being taken. (Not to a stock Redis: what becomes its dump is read in one go.)
void Replicas::start_snapshot(Replica& replica, Session& session, Now now) {
  auto& awaits = std::get<AwaitsSnapshot>(replica.state);
  Persistence& persistence = parts_.persistence;
  const auto& notes = persistence.snapshots();
  const LogOffset begin = persistence.writer()->begin();
  const std::optional<LogOffset> growing = replica.stock ? std::nullopt : persistence.growing_snapshot();
  if (growing && *growing >= std::max(begin, awaits.from))
    return begin_sending(replica, session, *growing, now);
  if (!notes.empty() && notes.back().offset >= std::max(begin, awaits.from) &&
      !persistence.snapshot_running()) {
    const log::SnapshotNote& note = notes.back();
    const bool doubted = doubted_ && note.offset <= *doubted_ && !awaits.asked;
    const uint64_t behind = persistence.end() - note.offset;
    if (awaits.asked || (!doubted && behind <= std::max(note.bytes, small_log_bytes))) {
      if (awaits.asked) doubted_.reset();
      return begin_sending(replica, session, note.offset, now);
    }
  }
  if (!persistence.snapshot_running()) {
    const Status begun = persistence.begin_snapshot(now, {.reason = "replica"});
    if (!begun) return fail(session, "no snapshot can be taken for it: " + begun.error().message);
  }
  // One that began before this replica came serves it just as well.
  persistence.await_snapshot();
  awaits.asked = true;
}

void Replicas::begin_sending(Replica& replica, Session& session, LogOffset offset, Now now) {
  const auto file = parts_.persistence.snapshot_file(offset);
  if (replica.stock) replica.stock->dump = begin_dump(replica, session, now);
  else
    session.outbox.buffer().append(
        replication::encode(replication::SnapshotAhead{offset, file->expected_bytes}));
  replica.state = SendsSnapshot{offset};
  replica.tail = log::Tail(offset);
  replica.begins = offset;
  replica.taking_in = true;
}

void Replicas::send_snapshot(Replica& replica, Session& session, bool room, Effects& effects) {
  auto& sends = std::get<SendsSnapshot>(replica.state);
  const auto file = parts_.persistence.snapshot_file(sends.offset);
  if (!file)
    return fail(session, "the snapshot it was being sent has failed; it comes again for another one");
  if (!file->whole) parts_.persistence.await_snapshot();
  if (replica.job != 0 || !room) return;
  if (sends.read < file->bytes) {
    sends.name = file->name;
    return read(replica,
                {.kind = FileStep::Kind::Read,
                 .name = sends.name,
                 .offset = sends.read,
                 .length = std::min(read_bytes_max(), file->bytes - sends.read)},
                effects);
  }
  if (!file->whole) return;
  session.outbox.buffer().append(replication::encode(replication::SnapshotPiece{0, sends.read}));
  // It has what it says it has: nothing until it has taken the snapshot in.
  if (planted(Bug::ReplicaCountedEarly)) replica.received = sends.offset;
  replica.sent = sends.offset;
  replica.state = Streams{};
}

void Replicas::snapshot_read(Replica& replica, Session& session, const FileJobDone& done) {
  auto& sends = std::get<SendsSnapshot>(replica.state);
  const auto file = parts_.persistence.snapshot_file(sends.offset);
  // It was given up, which the next turn says; or it got its final name meanwhile, under which it is read
  // again. That name is known here once the answer from the other lane is in, a moment after the file had it.
  if (!file) return;
  const bool being_renamed = !file->whole && done.code == ENOENT;
  if (!done.ok && (file->name != sends.name || being_renamed)) return;
  // Asked for it again it would find the same: it gets one that is newer.
  if (!done.ok || done.bytes.empty()) doubt(sends.offset);
  if (!done.ok) return fail(session, "what it needs can't be read: " + done.message);
  if (done.bytes.empty()) return fail(session, "the snapshot being sent has become shorter");
  budget_bytes_ -= static_cast<double>(done.bytes.size());
  sends.read += done.bytes.size();
  session.outbox.buffer().append(replication::encode(replication::SnapshotPiece{
      static_cast<uint32_t>(done.bytes.size()), std::max(file->expected_bytes, sends.read)}));
  session.outbox.buffer().append(done.bytes);
}

void Replicas::feed(Replica& replica, Session& session, Now now, Effects& effects,
                    std::vector<ConnId>& touched) {
  const uint64_t before = session.outbox.stream_end();
  if (std::holds_alternative<AwaitsSnapshot>(replica.state)) start_snapshot(replica, session, now);
  if (replica.stock) {
    feed_stock(replica, session, now, effects);
    if (session.outbox.stream_end() != before || session.outbox.size() > 0) touched.push_back(session.id);
    return;
  }
  const bool paced = parts_.options.replication_max_bytes_per_second > 0 && budget_bytes_ <= 0;
  const bool room = session.output_bytes() < window() && !paced;
  if (std::holds_alternative<SendsSnapshot>(replica.state)) send_snapshot(replica, session, room, effects);
  const auto say_heartbeat = [&] {
    session.outbox.buffer().append(
        replication::encode(replication::Heartbeat{.quorum = quorum_,
                                                   .sync = sync_,
                                                   .epoch = parts_.persistence.epoch(),
                                                   .end = parts_.persistence.end(),
                                                   .commit = commit_,
                                                   .wall_ms = now.wall_ms,
                                                   .sequence = heartbeats_}));
  };
  // Not within a frame: then it is owed. One goes ahead of the first: without it the replica can't tell
  // whether what comes may be shown at once.
  if (std::holds_alternative<Streams>(replica.state) && replica.tail.given() == 0 && replica.owes_heartbeat)
    say_heartbeat(), replica.owes_heartbeat = false;
  if (std::holds_alternative<Streams>(replica.state) && room && replica.job == 0 &&
      !from_memory(replica, session)) {
    const log::Writer& writer = *parts_.persistence.writer();
    auto step = replica.tail.next_read(writer.manifest().segments, writer.written(), read_bytes_max());
    if (!step) fail(session, step.error().message + "; it starts again from a snapshot");
    else if (*step) read(replica, std::move(**step), effects);
  }
  // However little may be sent: a heartbeat says that this node is there.
  if (heartbeat_due_ && replica.tail.given() > 0) replica.owes_heartbeat = true;
  else if (heartbeat_due_ && session.output_bytes() < window()) say_heartbeat();
  note_lag(replica, now);
  if (session.outbox.stream_end() != before || session.outbox.size() > 0) touched.push_back(session.id);
}

void Replicas::note_lag(Replica& replica, Now now) {
  if (replica.received >= parts_.persistence.end()) replica.caught_up_us = now.mono_us;
}

/// A link that takes nothing would keep its snapshot, and the log behind that, on the disk for ever.
MonoUs Replicas::last_moved(Replica& replica, const Session& session, Now now) {
  const uint64_t gone = session.outbox.stream_end() - session.output_bytes();
  if (replica.moved_us == 0 || session.output_bytes() == 0 || gone != replica.gone_bytes) {
    replica.moved_us = now.mono_us;
    replica.gone_bytes = gone;
  }
  return replica.moved_us;
}

void Replicas::pump(Now now, Effects& effects, std::vector<ConnId>& touched) {
  if (replicas_.empty()) return;
  if (now.mono_us >= next_heartbeat_us_) {
    heartbeat_due_ = true;
    next_heartbeat_us_ = now.mono_us + parts_.options.heartbeat_interval_ms * 1000;
  }
  if (heartbeat_due_ && !parts_.persistence.following()) ++heartbeats_;
  const double rate = static_cast<double>(parts_.options.replication_max_bytes_per_second);
  budget_bytes_ =
      std::min(rate / 10, budget_bytes_ + rate * static_cast<double>(now.mono_us - budget_us_) / 1e6);
  budget_us_ = now.mono_us;
  if (rate > 0 && budget_bytes_ <= 0)
    effects.wake_at = std::min(effects.wake_at, now.mono_us + second_us / 100);
  trim_recent();
  stock_waits_ = any_stock() && held_bytes() >= static_cast<size_t>(parts_.options.replica_memory_max);
  const bool snapshot_ran = parts_.persistence.snapshot_running();
  const MonoUs silent_us = parts_.options.repl_timeout * second_us;
  for (Replica& replica : replicas_) {
    Session* session = parts_.sessions.find(replica.conn);
    if (session == nullptr) continue;
    if (session->closing) {  // it has got all it wanted, perhaps between two turns
      touched.push_back(replica.conn);
      continue;
    }
    const bool streams = std::holds_alternative<Streams>(replica.state);
    // A stock replica that loads its dump says only line ends, and a client of SYNC nothing at all.
    const MonoUs heard_us = !replica.stock              ? replica.acknowledged_us
                            : replica.stock->plain_sync ? now.mono_us
                                                        : session->client.last_active_at;
    if (streams && now.mono_us - heard_us > silent_us) {
      fail(*session, "it has acknowledged nothing for repl-timeout");
      continue;
    }
    if (now.mono_us - last_moved(replica, *session, now) > silent_us) {
      fail(*session, "it has taken nothing of what it is sent for repl-timeout");
      continue;
    }
    feed(replica, *session, now, effects, touched);
  }
  heartbeat_due_ = false;
  // The cut belongs to the next turn, which would else wait for something to happen.
  if (!snapshot_ran && parts_.persistence.snapshot_running()) effects.again = true;
  for (const ConnId id : failed_) {
    if (parts_.sessions.find(id) == nullptr) continue;
    remove(id);
    effects.close.push_back(id);
  }
}

}  // namespace hf::node
