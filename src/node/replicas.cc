// Who may follow this node and from where on, and what those who do have of its log. What they are sent
// stands in replica_feed.cc, what is different with a stock Redis in stock_replicas.cc.
#include "node/replicas.h"

#include <algorithm>

#include "base/planted.h"
#include "resp/writer.h"

namespace hf::node {

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

/// True: replica-memory-max is shared by as many links as it may be, and this one comes on top.
bool Replicas::too_many(const Session& session) {
  if (find(session.id) != nullptr) return false;
  const bool full = replicas_.size() >= links_max();
  if (full) ++links_refused_;
  if (full && !std::exchange(refuses_links_, true))
    parts_.persistence.say(
        LogLevel::Warning,
        "New links of replicas are refused from now on: " + std::to_string(replicas_.size()) +
            " are there, as many as replica-memory-max allows; the first one refused is " +
            session.client.peer_address);
  if (!full) refuses_links_ = false;
  return full;
}

/// True: nobody can follow this node now, and the answer says so. Without a log there is nothing to feed a
/// replica from: the first one that asks has it begun.
bool Replicas::refuse_sync(Session& session, Now now) {
  if (too_many(session)) {
    resp::Writer(session.outbox.buffer(), 2)
        .error("NOMASTERLINK Can't SYNC while " + std::to_string(replicas_.size()) +
               " replicas are linked, as many as replica-memory-max allows; ask again later, raise it, or "
               "follow "
               "one of them");
    return true;
  }
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
  std::string text =
      (replica->stock ? "Redis replica " : "Replica ") + name_of(*replica, session) + ": its link has ended";
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
  if (replicas_.empty()) recent_.clear();
}

void Replicas::drop_all(std::vector<ConnId>& kill) {
  for (const Replica& replica : replicas_) kill.push_back(replica.conn);
  replicas_.clear();
  unreadable_ = {};
  stock_count_ = 0;
  recent_.clear();
}

// ---- what they say
// ------------------------------------------------------------------------------------------------------------

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
    if (!replica.introduction.native || replica.superseded || !std::holds_alternative<Streams>(replica.state))
      continue;
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
                       .passes = !std::holds_alternative<AwaitsSnapshot>(replica.state) &&
                                 replica.begins < at && !replica.superseded,
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
  if (replica == nullptr || session == nullptr || replica->taking_in ||
      !std::holds_alternative<Streams>(replica->state))
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
    d.state =
        std::holds_alternative<AwaitsSnapshot>(replica.state) ? "wait_bgsave"
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
