// A replica's outbox is kept small: what does not fit stays on disk until there is room again.
#include "node/replicas.h"

#include <algorithm>

#include "base/limits.h"
#include "base/number.h"
#include "base/planted.h"
#include "resp/writer.h"
#include "snapshot/format.h"

namespace hf::node {

namespace {

constexpr size_t window_bytes = 1024 * 1024;  // unsent bytes of one replica
constexpr size_t recent_bytes_max = 4 * 1024 * 1024;
constexpr uint64_t snapshot_read_bytes = 256 * 1024;
static_assert(snapshot_read_bytes <= limits::snapshot_piece_bytes_max);
constexpr uint64_t small_log_bytes = 1024 * 1024;  // never worth a new snapshot
constexpr MonoUs second_us = 1'000'000;

/// A rate that is low is kept in small steps: nothing else is sent within a piece of a snapshot, and what takes
/// repl-timeout looks like silence.
uint64_t read_bytes_max(const config::Options& options) {
  const auto rate = static_cast<uint64_t>(options.replication_max_bytes_per_second);
  return rate == 0 ? snapshot_read_bytes : std::clamp<uint64_t>(rate / 10, 1024, snapshot_read_bytes);
}

}  // namespace

replication::Holding Replicas::holding() const { return parts_.persistence.holding(); }

Replicas::Replica* Replicas::find(ConnId conn) {
  for (Replica& replica : replicas_)
    if (replica.conn == conn) return &replica;
  return nullptr;
}

/// In quorum mode a frame leaves while it is being written here, so that both disks work at the same time;
/// otherwise behind the write, so that a kill -9 of this node never leaves a replica ahead of it.
LogOffset Replicas::sendable() const {
  const log::Writer* writer = parts_.persistence.writer();
  if (writer == nullptr) return {};
  return quorum_ || sync_ || planted(Bug::SentBeforeWritten) ? writer->end() : writer->written();
}

// ---- coming and going
// ----------------------------------------------------------------------------------------------

/// True: nobody can follow this node now, and the answer says so. Without a log there is nothing to feed a
/// replica from: the first one that asks has it begun.
bool Replicas::refuse_sync(Session& session, Now now) {
  Persistence& persistence = parts_.persistence;
  const log::Writer* writer = persistence.writer();
  if (writer != nullptr && !writer->history().empty() && persistence.serving()) return false;
  std::string why = "this node has no data set of its own yet";
  if (persistence.without_log()) {
    const Status begun = persistence.begin_log(now);
    why = begun ? "this node begins a log for its replicas (appendonly is no)"
                : "this node has no log (appendonly is no) and can't begin one: " + begun.error().message;
  }
  resp::Writer(session.outbox.buffer(), 2)
      .error("NOMASTERLINK Can't SYNC while " + why + "; ask again later");
  return true;
}

std::string Replicas::name_of(const Replica& replica, const Session& session) const {
  const std::string& announced = replica.introduction.host;
  return (announced.empty() ? session.client.peer_address : announced) + " (port " +
         std::to_string(replica.introduction.port) + ")";
}

/// Where it is to be found; an older link of the same replica counts for nothing any more.
void Replicas::take_address(Replica& replica, const Session& session) {
  const ReplicaIntroduction& said = replica.introduction;
  const std::string& peer = session.client.peer_address;
  replica.host = said.host.empty() ? peer.substr(0, peer.rfind(':')) : said.host;
  for (Replica& other : replicas_)
    if (&other != &replica && other.host == replica.host && other.introduction.port == said.port)
      other.superseded = !planted(Bug::SupersededCounted);
}

/// True: this node follows, or has given its role away, and will have what the replica has, or be told that
/// it is no part of history. Until then it can't judge: what it lacks may be committed, and must not be cut
/// off because of a copy that is late.
bool Replicas::behind(const replication::Holding& replica) const {
  const bool elsewhere = parts_.persistence.following() || (parts_.handed_over && parts_.handed_over());
  if (!elsewhere || planted(Bug::LateCopyJudges)) return false;
  const replication::Holding ours = holding();
  if (replica.cluster_id != ours.cluster_id || replica.history.empty()) return false;
  const Reign& theirs = replica.history.last();
  return theirs.epoch > ours.history.last().epoch ||
         (theirs == ours.history.last() && replica.end > ours.end);
}

bool Replicas::begin(Session& session, const ReplicaIntroduction& introduction, Now now) {
  if (refuse_sync(session, now)) return false;
  resp::Writer reply(session.outbox.buffer(), 2);
  const log::Writer* writer = parts_.persistence.writer();
  const replication::Holding nothing;
  replication::Verdict verdict =
      replication::judge(holding(), introduction.holding ? *introduction.holding : nothing);
  if (const auto* go_on = std::get_if<replication::Continue>(&verdict);
      go_on != nullptr && go_on->from < unreadable_)
    verdict = replication::Full{"the log can't be read on this disk from offset " +
                                std::to_string(go_on->from.value) + " on"};
  if (introduction.holding && behind(*introduction.holding) &&
      !std::holds_alternative<replication::Continue>(verdict)) {
    reply.error(
        "NOMASTERLINK Can't SYNC from here yet: this node follows a primary itself, or has given the role "
        "away, and is behind what the replica has; ask again later, or follow the primary");
    return false;
  }
  remove(session.id);
  Replica replica{.conn = session.id, .introduction = introduction};
  replica.acknowledged_us = replica.caught_up_us = now.mono_us;
  take_address(replica, session);
  // It may have restarted before it took anything in, and know nothing of it any more.
  if (parts_.differed && parts_.differed(who(replica)))
    verdict = replication::Full{"an audit found that its data differs, though its log does not"};
  parts_.persistence.say(LogLevel::Notice,
                         "Replica " + name_of(replica, session) + ": " + replication::describe(verdict));
  const std::string& reign = writer->history().last().id;
  if (const auto* diverged = std::get_if<replication::Diverged>(&verdict)) {
    ++partial_refused_;
    reply.simple("DIVERGED " + std::to_string(diverged->at.value));
    return true;  // it cuts its log and comes again
  }
  if (const auto* go_on = std::get_if<replication::Continue>(&verdict)) {
    ++partial_syncs_;
    reply.simple("CONTINUE " + reign);
    replica.state = Streams{};
    replica.tail = log::Tail(go_on->from);
    replica.received = replica.applied = replica.begins = go_on->from;
  } else {
    ++full_syncs_;
    if (introduction.holding) ++partial_refused_;
    // A third word, for our own kind: up to where both logs are the same, or "-".
    const auto shared =
        replication::shared_end(holding(), introduction.holding ? *introduction.holding : nothing);
    reply.simple("FULLRESYNC " + reign + " " + std::to_string(writer->visible_end()) + " " +
                 (shared ? std::to_string(shared->value) : "-"));
    replica.state = AwaitsSnapshot{.asked = false, .from = unreadable_};
  }
  session.client.replica = true;
  replicas_.push_back(std::move(replica));
  heartbeat_due_ = true;
  return true;
}

void Replicas::lost(const Session& session) {
  const Replica* replica = find(session.id);
  if (replica == nullptr) return;  // sent away by this end, which has said so
  std::string text = (replica->stock ? "Redis replica " : "Replica ") + name_of(*replica, session) +
                     ": its link has ended";
  if (!replica->stock)
    text += "; it had acknowledged offset " + std::to_string(replica->received.value) + " of " +
            std::to_string(parts_.persistence.end().value);
  parts_.persistence.say(LogLevel::Notice, std::move(text));
  remove(session.id);
}

void Replicas::remove(ConnId conn) {
  std::erase_if(replicas_, [&](const Replica& replica) {
    // All of a snapshot was sent, and the replica went without having taken it in: perhaps it can't be.
    if (replica.conn == conn && replica.sent && replica.received < *replica.sent) doubt(*replica.sent);
    if (replica.conn == conn && replica.stock) --stock_count_;
    return replica.conn == conn;
  });
  if (replicas_.empty()) recent_.clear(), recent_bytes_ = 0;
}

void Replicas::drop_all(std::vector<ConnId>& kill) {
  for (const Replica& replica : replicas_) kill.push_back(replica.conn);
  replicas_.clear();
  unreadable_ = {};
  stock_count_ = 0;
  recent_.clear();
  recent_bytes_ = 0;
}

// ---- frames in memory
// ------------------------------------------------------------------------------------------------

void Replicas::sealed(LogOffset begin, LogOffset end, std::string bytes) {
  if (replicas_.empty()) return;
  recent_bytes_ += bytes.size();
  recent_.push_back({begin, end, std::move(bytes)});
  trim_recent();
}

/// What is not written yet can't be read from disk: it stays, whatever its size.
void Replicas::trim_recent() {
  const log::Writer* writer = parts_.persistence.writer();
  const LogOffset written = writer == nullptr ? LogOffset{} : writer->written();
  while (recent_bytes_ > recent_bytes_max && recent_.size() > 1 && recent_.front().end <= written) {
    recent_bytes_ -= recent_.front().bytes.size();
    recent_.pop_front();
  }
}

/// True: the place is in memory, and what may be sent and fits was.
bool Replicas::from_memory(Replica& replica, Session& session) {
  const auto at = std::lower_bound(recent_.begin(), recent_.end(), replica.tail.next(),
                                   [](const Chunk& chunk, LogOffset next) { return chunk.begin < next; });
  if (at == recent_.end() || at->begin != replica.tail.next()) return false;
  const LogOffset upto = sendable();
  for (auto chunk = at; chunk != recent_.end() && chunk->end <= upto; ++chunk) {
    if (session.output_bytes() > window_bytes) break;
    session.outbox.buffer().append(chunk->bytes);
    budget_bytes_ -= static_cast<double>(chunk->bytes.size());
    replica.tail.skip_to(chunk->end);
  }
  return true;
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
    const Status taken = replica.tail.take(
        done.bytes, [&](const log::FrameHeader&, Bytes frame) { session->outbox.buffer().append(frame); });
    if (!taken) {
      // Asked for it again it would find the same: it gets a snapshot that is newer than the damage.
      unreadable_ = parts_.persistence.end();
      fail(*session, taken.error().message + ". The replica starts again from a new snapshot");
    }
    return;
  }
}

/// The newest snapshot and the log behind it, unless that log is longer than the snapshot: then a new one, which is
/// sent while it is being taken. (Not to a stock Redis: what becomes its dump is read in one go.)
void Replicas::start_snapshot(Replica& replica, Session& session, Now now) {
  auto& awaits = std::get<AwaitsSnapshot>(replica.state);
  Persistence& persistence = parts_.persistence;
  const auto& notes = persistence.snapshots();
  const LogOffset begin = persistence.writer()->begin();
  const std::optional<LogOffset> growing = replica.stock ? std::nullopt : persistence.growing_snapshot();
  if (growing && *growing >= std::max(begin, awaits.from)) return begin_sending(replica, session, *growing, now);
  if (!notes.empty() && notes.back().offset >= std::max(begin, awaits.from) && !persistence.snapshot_running()) {
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
  if (!file) return fail(session, "the snapshot it was being sent has failed; it comes again for another one");
  if (!file->whole) parts_.persistence.await_snapshot();
  if (replica.job != 0 || !room) return;
  if (sends.read < file->bytes) {
    sends.name = file->name;
    return read(replica,
                {.kind = FileStep::Kind::Read,
                 .name = sends.name,
                 .offset = sends.read,
                 .length = std::min(read_bytes_max(parts_.options), file->bytes - sends.read)},
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
  // It was given up, which the next turn says; or it got its final name meanwhile, under which it is read again.
  if (!file || (!done.ok && file->name != sends.name)) return;
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
  const bool room = session.output_bytes() < window_bytes && !paced;
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
  // Before the first frame: without it the replica can't tell whether what comes may be shown at once.
  if (std::holds_alternative<Streams>(replica.state) && !std::exchange(replica.greeted, true))
    say_heartbeat();
  if (std::holds_alternative<Streams>(replica.state) && room && replica.job == 0 &&
      !from_memory(replica, session)) {
    auto step = replica.tail.next_read(parts_.persistence.writer()->manifest().segments,
                                             parts_.persistence.writer()->written());
    if (!step) fail(session, step.error().message + "; it starts again from a snapshot");
    else if (*step) read(replica, std::move(**step), effects);
  }
  // However little may be sent: a heartbeat says that this node is there.
  if (heartbeat_due_ && session.output_bytes() < window_bytes) say_heartbeat();
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
    const MonoUs heard_us = !replica.stock             ? replica.acknowledged_us
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

void Replicas::acknowledge(ConnId conn, Epoch epoch, LogOffset received, LogOffset synced, LogOffset applied,
                           Now now) {
  Replica* replica = find(conn);
  if (replica == nullptr) return;
  replica->acknowledged_us = now.mono_us;
  // What it counts of another reign says nothing about this one's bytes.
  if (epoch > parts_.persistence.epoch()) return;
  if (received < replica->received || received > parts_.persistence.end()) return;
  replica->received = received;
  replica->synced =
      std::max(replica->synced, planted(Bug::CommitWithoutSync) ? received : std::min(synced, received));
  replica->applied = std::max(replica->applied, std::min(applied, received));
  progressed_ = true;
  note_lag(*replica, now);
  if (!replica->taking_in || replica->applied < replica->begins) return;
  replica->taking_in = false;
  if (parts_.synced_in_full) parts_.synced_in_full(who(*replica));
}

// ---- what they have
// ------------------------------------------------------------------------------------------------------

size_t Replicas::having(LogOffset offset, bool synced) const {
  return static_cast<size_t>(std::count_if(replicas_.begin(), replicas_.end(), [&](const Replica& replica) {
    return !replica.superseded && (synced ? replica.synced : replica.received) >= offset;
  }));
}

size_t Replicas::healthy(Now now, int64_t lag_ms, bool members) const {
  return static_cast<size_t>(std::count_if(replicas_.begin(), replicas_.end(), [&](const Replica& replica) {
    return !replica.superseded && std::holds_alternative<Streams>(replica.state) &&
           (!replica.stock || (!members && replica.stock->listens)) &&
           now.mono_us - replica.acknowledged_us <= lag_ms * 1000;
  }));
}

LogOffset Replicas::synced_on(size_t copies) const {
  const log::Writer* writer = parts_.persistence.writer();
  if (writer == nullptr) return {};
  if (copies <= 1) return writer->synced();
  std::vector<LogOffset> others;
  // A stock Redis can't take this node's place: what it holds is no member's copy.
  for (const Replica& replica : replicas_)
    if (!replica.superseded && !replica.stock) others.push_back(replica.synced);
  if (others.size() < copies - 1) return {};
  std::sort(others.begin(), others.end(), std::greater<>());
  return planted(Bug::CommitWithoutSelf) ? others[copies - 2]
                                         : std::min(writer->synced(), others[copies - 2]);
}

std::optional<ConnId> Replicas::candidate(const std::string& host, int port) const {
  const Replica* best = nullptr;
  for (const Replica& replica : replicas_) {
    if (!replica.introduction.native || !std::holds_alternative<Streams>(replica.state)) continue;
    const auto place = place_of(replica.conn);
    if (!place || (!host.empty() && (place->host != host || place->port != port))) continue;
    if (best == nullptr || replica.received > best->received) best = &replica;
  }
  if (best == nullptr) return {};
  return best->conn;
}

std::optional<Replicas::Place> Replicas::place_of(ConnId conn) const {
  const Session* session = parts_.sessions.find(conn);
  for (const Replica& replica : replicas_) {
    if (replica.conn != conn || session == nullptr) continue;
    return Place{replica.host, replica.introduction.port, replica.synced};
  }
  return {};
}

void Replicas::hand_over(ConnId conn) {
  Session* session = parts_.sessions.find(conn);
  if (session == nullptr || find(conn) == nullptr) return;
  session->outbox.buffer().append(
      replication::encode(replication::HandOver{parts_.persistence.epoch(), parts_.persistence.end()}));
}

std::vector<LogOffset> Replicas::log_pins() const {
  std::vector<LogOffset> pins;
  const LogOffset end = parts_.persistence.end();
  for (const Replica& replica : replicas_) {
    if (std::holds_alternative<AwaitsSnapshot>(replica.state)) continue;
    const LogOffset next = replica.tail.next();
    if (end - next <= static_cast<uint64_t>(parts_.options.replica_keep_bytes)) pins.push_back(next);
  }
  return pins;
}

bool Replicas::sending_snapshot(LogOffset offset) const {
  return std::any_of(replicas_.begin(), replicas_.end(), [&](const Replica& replica) {
    const auto* sends = std::get_if<SendsSnapshot>(&replica.state);
    return sends != nullptr && sends->offset == offset;
  });
}

void Replicas::set_commit(bool quorum, bool sync, LogOffset commit) {
  if (quorum != quorum_ || sync != sync_ || (quorum && commit != commit_)) heartbeat_due_ = true;
  quorum_ = quorum;
  sync_ = sync;
  commit_ = commit;
}

std::vector<Audit::Member> Replicas::audit_members(LogOffset at) const {
  std::vector<Audit::Member> members;
  for (const Replica& replica : replicas_) {
    if (parts_.sessions.find(replica.conn) == nullptr) continue;
    members.push_back({.host = replica.host,
                       .port = replica.introduction.port,
                       .native = !replica.stock,
                       .passes = !std::holds_alternative<AwaitsSnapshot>(replica.state) && replica.begins < at &&
                                 !replica.superseded,
                       .applied = replica.applied >= at});
  }
  return members;
}

std::optional<std::string> Replicas::who_is(ConnId conn) const {
  for (const Replica& replica : replicas_)
    if (replica.conn == conn && !replica.stock) return who(replica);
  return {};
}

void Replicas::sync_in_full(ConnId conn) {
  Replica* replica = find(conn);
  Session* session = parts_.sessions.find(conn);
  if (replica == nullptr || session == nullptr || replica->taking_in || !std::holds_alternative<Streams>(replica->state))
    return;
  fail(*session, "its data differs from this node's; it comes again for all of it");
}

bool Replicas::any_native() const {
  return std::any_of(replicas_.begin(), replicas_.end(), [](const Replica& replica) {
    return !replica.stock && !replica.superseded && std::holds_alternative<Streams>(replica.state);
  });
}

std::vector<Replicas::Description> Replicas::describe(Now now) const {
  std::vector<Description> list;
  for (const Replica& replica : replicas_) {
    const Session* session = parts_.sessions.find(replica.conn);
    if (session == nullptr) continue;
    Description d;
    d.host = replica.host;
    d.port = replica.introduction.port;
    d.native = replica.introduction.native;
    d.state = std::holds_alternative<AwaitsSnapshot>(replica.state)  ? "wait_bgsave"
              : std::holds_alternative<SendsSnapshot>(replica.state) || (replica.stock && !replica.stock->listens)
                  ? "send_bulk"
                                                                     : "online";
    d.received = replica.received, d.synced = replica.synced, d.applied = replica.applied;
    d.lag_bytes = parts_.persistence.end() - replica.received;
    if (replica.stock) {
      const uint64_t end = parts_.persistence.visible_end();
      d.lag_bytes = end - std::min(end, replica.stock->acknowledged);
    }
    d.lag_ms = d.lag_bytes == 0 ? 0 : (now.mono_us - replica.caught_up_us) / 1000;
    d.ack_age_ms = (now.mono_us - replica.acknowledged_us) / 1000;
    list.push_back(std::move(d));
  }
  return list;
}

}  // namespace hf::node
