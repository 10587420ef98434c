// The node as a primary and as a replica: where the link up and the links down meet the turn.
#include <algorithm>

#include "base/compress.h"
#include "base/number.h"
#include "base/planted.h"
#include "command/table.h"
#include "node/info_section.h"
#include "node/inside.h"

namespace hf::node {

// ---- roles ------------------------------------------------------------------------------------------------

/// Whether writes can be committed at all; the log says when that changes.
void ServerNode::Impl::settle_quorum(Gate& gate, bool reigns) {
  const bool refused = !gate.no_quorum.empty();
  gate.no_quorum.clear();
  if (!reigns || !quorum()) return;
  const int64_t patience_ms = std::max<int64_t>(1000, 4 * options_.heartbeat_interval_ms);
  const size_t members = 1 + replicas_.healthy(now_, patience_ms, true);
  const std::string count = std::to_string(members) + " of " + std::to_string(options_.min_copies) +
                            " members (min-copies) are there";
  if (members < static_cast<size_t>(options_.min_copies))
    gate.no_quorum =
        "NOQUORUM Writes can't be committed: " + count + ". Connect replicas, or set write-concern async";
  if (refused == !gate.no_quorum.empty()) return;
  if (refused) persistence_.say(LogLevel::Notice, "Writes are taken again: " + count);
  else persistence_.say(LogLevel::Warning, "Writes are refused from now on: " + gate.no_quorum);
}

/// What clients may do follows from the role and from whether there is anything to serve.
void ServerNode::Impl::settle_role() {
  Gate& gate = executor_.gate;
  const bool serving = persistence_.answers();
  if (serving && !began_serving_) gate.refuse_all.clear();
  if (!serving && began_serving_) gate.refuse_all = "LOADING Holdfast is loading the dataset in memory";
  began_serving_ = serving;
  const bool following = persistence_.following();
  const bool reigns = persistence_.reign_open();
  gate.follows = !reigns || foreign_;
  if (import_ && import_->reader && import_->dropped)
    gate.refuse_all = "LOADING Holdfast is loading the dataset in memory";
  settle_adopted();
  gate.stale.clear();
  if ((following || foreign_) && !options_.replica_serve_stale_data && !upstream_.up())
    gate.stale = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";
  refuse_distrusted(gate);
  gate.redirect = following || foreign_ ? "REDIRECT " + upstream_.address().host + ":" +
                                              std::to_string(upstream_.address().port)
                                        : std::string();
  settle_quorum(gate, reigns);
  gate.too_few_replicas = reigns && options_.min_replicas_to_write > 0 &&
                          replicas_.healthy(now_, options_.min_replicas_max_lag * 1000) <
                              static_cast<size_t>(options_.min_replicas_to_write);
  if (reigns && !role_settled_) {
    tasks_.set_epoch(persistence_.epoch());
    tasks_.rearm(now_);
    everyone_ready(role_key);
    // What was recovered may not be committed: who reads under a concern, the server's or the connection's
    // own, is not shown it before this reign's record is.
    dirty_.touched_all(persistence_.end());
    if (taking_back_) end_handed_over("REPLICAOF NO ONE took the role back", false);
    if (answer_promotion_) {
      answer_promotion_ = false;
      if (Session* link = upstream_.conn() ? sessions_.find(*upstream_.conn()) : nullptr) {
        resp::Writer(link->outbox.buffer(), 2)
            .command({"REPLCONF", "hfpromoted", std::to_string(persistence_.epoch().value)});
        link->upstream = false;
        link->closing = true;
        touch(*link);
      }
      upstream_.let_go();
    }
  }
  role_settled_ = reigns;
}

void ServerNode::Impl::begin_following(const std::string& host, int port) {
  committed_here_ = std::max(committed_here_, commit_);
  heard_quorum_.reset();
  options_.replicaof = host + " " + std::to_string(port);
  forget_audit();
  leave_foreign();
  persistence_.follow();
  upstream_.follow(upstream_address(host, port));
}

UpstreamAddress ServerNode::Impl::upstream_address(const std::string& host, int port) const {
  UpstreamAddress address;
  address.host = host;
  address.port = port;
  address.user = options_.masteruser;
  address.password = options_.masterauth;
  address.own_port =
      static_cast<int>(options_.replica_announce_port != 0 ? options_.replica_announce_port : options_.port);
  address.announced_host = options_.replica_announce_ip;
  address.timeout_ms = options_.repl_timeout * 1000;
  return address;
}

Status ServerNode::Impl::follow(Bytes host, int port) {
  if (switchover_.state() == Switchover::State::Draining)
    return Error{"a failover is under way; FAILOVER ABORT ends it"};
  replicas_.drop_all(kill_);
  begin_following(std::string(host), port);
  persistence_.say(LogLevel::Notice, "Following " + options_.replicaof + " from now on (REPLICAOF)");
  settle_role();
  end_handed_over("REPLICAOF named the primary", true);
  refuse_blocked_writers();
  return ok();
}

Status ServerNode::Impl::follow_nobody() {
  if (foreign_) {
    if (import_ && import_->dropped)
      return Error{"the data set of the Redis followed is not stored whole yet; ask again later"};
    if (import_unfinished_) return Error{why_not_reign()};
    upstream_.leave();
    leave_foreign();
    options_.replicaof.clear();
    persistence_.say(LogLevel::Notice, "Following nobody from now on (REPLICAOF NO ONE)");
    settle_role();
    return ok();
  }
  const bool take_back = switchover_.state() == Switchover::State::HandedOver;
  if (!persistence_.following() && !take_back) return ok();
  apply_everything();
  if (import_unfinished_) return Error{why_not_reign()};
  if (Status begun = persistence_.begin_own_reign(now_); !begun) return begun;
  keep_distrusted();
  forget_audit();
  upstream_.leave();
  options_.replicaof.clear();
  turn_need_ = persistence_.need_of_this_turn();
  taking_back_ = take_back;
  persistence_.say(LogLevel::Notice, "Following nobody from now on (REPLICAOF NO ONE)");
  settle_role();
  return ok();
}

/// Who waits to change something waits for what will not come: READONLY tells them to look for the primary.
void ServerNode::Impl::refuse_blocked_writers() {
  std::vector<Session*> writers;
  sessions_.for_each([&](Session& session) {
    const Waiters::Waiter* waiter = session.blocked ? waiters_.find(session.id) : nullptr;
    if (waiter == nullptr) return;
    const command::Spec* spec = command::find_command(waiter->args[0]);
    if (spec != nullptr && (spec->flags & command::Write)) writers.push_back(&session);
  });
  for (Session* session : writers) rerun(*session, Executor::Again::Retried);
}

command::RoleInfo ServerNode::Impl::role() {
  command::RoleInfo info;
  info.primary = !follows();
  info.offset = persistence_.visible_end();
  if (!info.primary) {
    info.host = upstream_.address().host;
    info.port = upstream_.address().port;
    info.link = upstream_.state_name();
    if (foreign_place_.known()) info.offset = foreign_place_.offset;
    return info;
  }
  for (const Replicas::Description& d : replicas_.describe(now_))
    info.replicas.push_back({d.host, d.state, d.port, info.offset - std::min(info.offset, d.lag_bytes)});
  return info;
}

// ---- replicas of this node --------------------------------------------------------------------------------

Status ServerNode::Impl::replica_says(uint64_t client, Bytes name, Bytes value) {
  Session* session = session_of(client);
  if (session == nullptr) return ok();
  if (!session->introduction) session->introduction = std::make_unique<ReplicaIntroduction>();
  ReplicaIntroduction& said = *session->introduction;
  if (equal_nocase(name, "listening-port")) {
    const auto port = parse_int(value);
    if (!port || *port < 0 || *port > 65535) return Error{"ERR value is not an integer or out of range"};
    said.port = static_cast<int>(*port);
  } else if (equal_nocase(name, "ip-address")) {
    if (value.size() > 255) return Error{"ERR REPLCONF ip-address provided by replica instance is too long"};
    // It becomes a part of INFO's lines, between commas.
    const bool word = std::all_of(value.begin(), value.end(),
                                  [](char c) { return c > ' ' && c < 0x7f && c != ',' && c != '='; });
    if (!word) return Error{"ERR REPLCONF ip-address is no address or host name; see replica-announce-ip"};
    said.host = std::string(value);
  } else if (equal_nocase(name, "capa")) {
    if (equal_nocase(value, replication::native_capability)) said.native = true;
    if (equal_nocase(value, "eof")) said.takes_marked_dumps = true;
  } else if (equal_nocase(name, "rdb-only")) {
    said.dump_only = value == "1";
  } else if (equal_nocase(name, "rdb-filter-only")) {
    said.dump_empty = true;  // every filter there is keeps something that this server has none of
  } else if (equal_nocase(name, "holdfast")) {
    said.holding = replication::decode_holding(value);
    if (!value.empty() && !said.holding) return Error{"ERR REPLCONF holdfast: not what a replica holds"};
  } else {
    return Error{"ERR Unrecognized REPLCONF option: " + std::string(name.substr(0, 64))};
  }
  return ok();
}

void ServerNode::Impl::replica_acknowledges(uint64_t client, std::span<const Bytes> numbers) {
  Session* session = session_of(client);
  uint64_t values[4] = {};
  for (size_t i = 0; i < 4; ++i) {
    const auto value = i < numbers.size() ? parse_uint(numbers[i]) : std::nullopt;
    if (!value) return;
    values[i] = *value;
  }
  if (session != nullptr)
    replicas_.acknowledge(session->id, {values[0]}, {values[1]}, {values[2]}, {values[3]}, now_);
}

void ServerNode::Impl::redis_replica_acknowledges(uint64_t client, Bytes received, Bytes synced) {
  const Session* session = session_of(client);
  const auto offset = parse_uint(received);
  if (session != nullptr && offset)
    replicas_.acknowledge_stock(session->id, *offset, parse_uint(synced), now_);
}

void ServerNode::Impl::begin_sync(uint64_t client, std::span<const Bytes> args) {
  Session* session = session_of(client);
  if (session == nullptr) return;
  const ReplicaIntroduction nothing;
  const ReplicaIntroduction& said = session->introduction ? *session->introduction : nothing;
  resp::Writer reply(session->outbox.buffer(), 2);
  if (import_)
    return reply.error("NOMASTERLINK This node is taking in the data set of a Redis; ask again later");
  if (audit_.distrusted())
    return reply.error(
        "NOMASTERLINK This node's data differs from its primary's and is being replaced; ask again later");
  // A circle of replicas would hold itself up: only who is linked passes on what comes to it.
  if (persistence_.following() && !upstream_.up())
    return reply.error("NOMASTERLINK Can't SYNC while not connected with my master (" + options_.replicaof +
                       "); do the two follow each other, in a circle?");
  if (said.native) {
    replicas_.begin(*session, said, now_);
  } else if (follows()) {
    // Only a primary can log the pings that a stock replica's link lives on.
    reply.error("NOMASTERLINK Can't SYNC a Redis from a replica: follow the primary itself");
  } else {
    Replicas::StockAsk ask{.plain_sync = args.size() < 3};
    if (!ask.plain_sync) ask.reign = std::string(args[1]), ask.next = parse_int(args[2]).value_or(-1);
    replicas_.begin_stock(*session, said, ask, now_);
  }
  touch(*session);
}

/// What keeps their links alive and makes them answer is part of the log: every replica counts the same
/// bytes.
void ServerNode::Impl::speak_to_stock_replicas() {
  const bool asked = std::exchange(acks_wanted_, false);
  const bool may_log = persistence_.phase() == Persistence::Phase::Serving && !executor_.gate.follows &&
                       !switchover_.pausing() && persistence_.refuse_writes().empty();
  if (!may_log || !replicas_.any_stock()) return;
  if (asked) journal_.append_bare({"REPLCONF", "GETACK", "*"});
  if (replicas_.take_ping_due(now_)) journal_.append_bare({"PING"});
}

bool ServerNode::Impl::synced_here(LogOffset offset) {
  if (persistence_.safe().synced >= offset) return true;
  persistence_.want_sync(offset);
  return false;
}

void ServerNode::Impl::feed_replicas(Effects& effects) {
  if (!replicas_.any()) return;
  if (persistence_.following()) replicas_.pass_on(upstream_.last_heartbeat().sequence);
  std::vector<ConnId> fed;
  replicas_.pump(now_, effects, fed);
  if (persistence_.snapshot_due()) effects.again = true;  // asked for by one of them
  for (const ConnId id : fed)
    if (Session* session = sessions_.find(id)) touch(*session);
  if (replicas_.take_progress()) {
    everyone_ready(wait_key);
    effects.again = effects.again || !waiters_.empty();
  }
}

// ---- the primary of this node -----------------------------------------------------------------------------

void ServerNode::Impl::dialed(ConnId conn, bool ok, const std::string& why) {
  Session* session = sessions_.find(conn);
  if (session == nullptr) return;
  upstream_.dialed(conn, ok, why, now_, session->outbox.buffer());
  if (ok) return touch(*session);
  by_client_id_.erase(session->client.id);
  sessions_.remove(conn);
}

void ServerNode::Impl::job_done(const FileJobDone& done) {
  // A data set that is exchanged touches all keys: nobody may wait for an offset of the old log.
  turn_need_ = persistence_.need_of_this_turn();
  if (done.lane != Lane::Transfer) return persistence_.job_done(done);
  if (done.id & Upstream::job_bit) upstream_.job_done(done, now_);
  else replicas_.job_done(done);
}

void ServerNode::Impl::follow_upstream(Effects& effects) {
  import_some(effects);
  Session* link = upstream_.conn() ? sessions_.find(*upstream_.conn()) : nullptr;
  const uint64_t before = link == nullptr ? 0 : link->outbox.stream_end();
  if (upstream_.tick(now_, link == nullptr ? nullptr : &link->outbox.buffer())) {
    if (link != nullptr) drop(*link, effects);
    link = nullptr;
  }
  if (link != nullptr) report_audit(*link);
  if (link != nullptr && link->outbox.stream_end() != before) touch(*link);
  if (upstream_.load_some(now_)) effects.again = true;
  if (auto job = upstream_.next_job()) effects.jobs.push_back(std::move(*job));
  if (link != nullptr && !link->input.empty() && upstream_.may_go_on()) make_runnable(*link);
  if (!upstream_.wants_dial(now_)) return;
  upstream_.greet_as(upstream_address(upstream_.address().host, upstream_.address().port));
  Session& session = sessions_.add();
  session.upstream = session.client.primary = true;
  session.client.id = next_client_id_++;
  session.client.peer_address = upstream_.address().host + ":" + std::to_string(upstream_.address().port);
  session.client.authenticated = session.client.internal = true;
  session.client.connected_at = session.client.last_active_at = now_.mono_us;
  by_client_id_.emplace(session.client.id, session.id);
  upstream_.dialing(session.id);
  effects.dial.push_back({session.id, upstream_.address().host, upstream_.address().port});
}

/// Everything that the stream changes goes through here.
Status ServerNode::Impl::apply_frame(LogOffset end, WallMs wall_ms, Bytes content) {
  turn_need_ = persistence_.need_of_this_turn();
  applying_stream_ = true;
  Status applied = executor_.replay(content, wall_ms);
  applying_stream_ = false;
  if (applied) audit_.applied(end, now_);
  return applied;
}

Status ServerNode::Impl::apply(const log::MirrorFrame& last, Bytes content) {
  if (last.header.type == log::FrameType::Epoch) return ok();
  Status applied = apply_frame(last.header.end(), last.header.wall_ms, content);
  if (!applied)
    return Error{"what the primary sent can't be applied: " + applied.error().message + "; please report it"};
  return applied;
}

Status ServerNode::Impl::take_group(const std::vector<log::MirrorFrame>& group) {
  std::string whole;
  std::vector<std::string> raw;
  raw.reserve(group.size());
  std::vector<log::MirrorFrame> frames = group;
  for (log::MirrorFrame& frame : frames) {
    if (frame.header.compressed) {
      Result<std::string> bytes = lz4_decompress(frame.content, frame.header.raw_bytes);
      if (!bytes) return Error{"a frame's content can't be decompressed: " + bytes.error().message};
      raw.push_back(std::move(*bytes));
      frame.content = raw.back();
    }
    if (frames.size() > 1) whole += frame.content;
  }
  if (Status stored = persistence_.mirror(frames); !stored) return stored;
  const log::MirrorFrame& last = frames.back();
  const Bytes content = frames.size() > 1 ? Bytes(whole) : last.content;
  const replication::Heartbeat* said = upstream_.heard();
  const bool committed = planted(Bug::UncommittedApplied) ||
                         (said != nullptr && (!said->quorum || last.header.end() <= said->commit));
  note_commit();
  if (upstream_.last_heartbeat().sync) persistence_.want_sync(last.header.end());
  if (committed && unapplied_.empty()) return apply(last, content);
  if (last.header.type == log::FrameType::Data)
    unapplied_.push_back(
        {frames.front().header.offset, last.header.end(), last.header.wall_ms, std::string(content)});
  persistence_.set_applied_all(unapplied_.empty());
  persistence_.want_sync(last.header.end());
  return ok();
}

void ServerNode::Impl::take_heartbeat(const replication::Heartbeat& heartbeat) {
  if (heartbeat.quorum || heartbeat.sync) persistence_.want_sync(persistence_.end());
  note_commit();
  apply_committed();
}

/// What of this node's own log is committed, as far as it has heard.
void ServerNode::Impl::note_commit() {
  const replication::Heartbeat* said = upstream_.heard();
  if (said == nullptr) return;
  heard_quorum_ = said->quorum;
  if (said->quorum) committed_here_ = std::max(committed_here_, std::min(said->commit, persistence_.end()));
}

void ServerNode::Impl::apply_committed() {
  const replication::Heartbeat& said = *upstream_.heard();
  while (!unapplied_.empty() && (!said.quorum || unapplied_.front().end <= said.commit)) {
    const Unapplied& next = unapplied_.front();
    const Status applied = apply_frame(next.end, next.wall_ms, next.content);
    if (!applied)
      persistence_.say(LogLevel::Warning, "A committed change can't be applied: " + applied.error().message);
    unapplied_.pop_front();
  }
  persistence_.set_applied_all(unapplied_.empty());
}

/// What is in the log that this node goes on with.
void ServerNode::Impl::apply_everything() {
  while (!unapplied_.empty()) {
    const Unapplied& next = unapplied_.front();
    const Status applied = apply_frame(next.end, next.wall_ms, next.content);
    if (!applied)
      persistence_.say(LogLevel::Warning, "A logged change can't be applied: " + applied.error().message);
    unapplied_.pop_front();
  }
  persistence_.set_applied_all(true);
}

void ServerNode::Impl::take_over(const replication::HandOver& hand_over) {
  const bool here = hand_over.end == persistence_.end() || planted(Bug::HandedOverEarly);
  if (!here || hand_over.epoch != persistence_.epoch()) {
    persistence_.say(LogLevel::Warning, "The primary gives its role away at offset " +
                                            std::to_string(hand_over.end.value) +
                                            ", which is not where this node is");
    return;
  }
  apply_everything();
  if (Status begun = persistence_.begin_own_reign(now_); !begun) {
    persistence_.say(LogLevel::Warning, "Can't take over: " + begun.error().message);
    return;
  }
  forget_audit();
  answer_promotion_ = true;
  options_.replicaof.clear();
  turn_need_ = persistence_.need_of_this_turn();
  persistence_.say(LogLevel::Notice,
                   "Taking over from the primary at offset " + std::to_string(hand_over.end.value));
}

/// The log goes back: what waits for an offset of the old one would be answered by the new one's. Connections
/// whose writes go, or are still held back, are closed: no answer about them would be true for long.
void ServerNode::Impl::forget_behind(LogOffset kept) {
  dirty_ = DirtyKeys();
  forget_audit();
  sessions_.for_each([&](Session& session) {
    if (!session.upstream && (session.outbox.holding() || session.client.last_write > kept))
      kill_.push_back(session.id);
  });
  commit_ = {};
}

void ServerNode::Impl::state_replaced() {
  backups_.abort(
      "this server takes over another data set from the server it follows, and a backup would hold "
      "some of both; begin it again",
      now_);
}

void ServerNode::Impl::diverged(LogOffset at) {
  // The log may have been trimmed since it was told how far back it reaches: it is asked again, and told
  // anew.
  if (persistence_.writer() == nullptr || at < persistence_.can_go_back_to()) return;
  replicas_.drop_all(kill_);
  state_replaced();
  forget_behind(at);
  unapplied_.clear();
  persistence_.set_applied_all(true);
  persistence_.cut_back(at);
}

void ServerNode::Impl::adopt(const snapshot::Header& header) {
  replicas_.drop_all(kill_);
  state_replaced();
  import_unfinished_ = false;
  forget_behind({});
  unapplied_.clear();
  persistence_.set_applied_all(true);
  const bool loaded = beside_.loading();
  beside_.handed_over();
  persistence_.adopt(header, loaded);
  adopting_ = true;
}

replication::Holding ServerNode::Impl::holding() const {
  // What differs though its log is the same can't be mended from the log: nothing of it counts.
  if (audit_.distrusted()) return {};
  replication::Holding holding = persistence_.holding();
  if (!holding.cluster_id.empty()) holding.begin = persistence_.can_go_back_to();
  return holding;
}

Follower::Progress ServerNode::Impl::progress() const {
  // While another state is taken in, what the old log had says nothing of the primary's.
  const log::Writer* writer = persistence_.writer();
  if (writer == nullptr || !persistence_.serving()) return {};
  return {persistence_.epoch(), writer->end(),
          planted(Bug::AckBeforeStored) ? writer->end() : writer->synced(),
          unapplied_.empty() ? writer->end() : unapplied_.front().begin};
}

}  // namespace hf::node
