// The node as a primary and as a replica: where the link up and the links down meet the turn.
#include <algorithm>

#include "base/compress.h"
#include "base/number.h"
#include "base/planted.h"
#include "command/table.h"
#include "node/info_section.h"
#include "node/inside.h"

namespace hf::node {

// ---- roles
// -----------------------------------------------------------------------------------------------------------

/// What clients may do follows from the role and from whether there is anything to serve.
void ServerNode::Impl::settle_role() {
  Gate& gate = executor_.gate;
  const bool serving = persistence_.serving();
  if (serving && !began_serving_) gate.refuse_all.clear();
  if (!serving && began_serving_) gate.refuse_all = "LOADING Holdfast is loading the dataset in memory";
  began_serving_ = serving;
  const bool following = persistence_.following();
  const bool reigns = serving && persistence_.reign_open();
  gate.follows = !reigns || foreign_;
  if (import_ && import_->reader) gate.refuse_all = "LOADING Holdfast is loading the dataset in memory";
  gate.stale = (following || foreign_) && !options_.replica_serve_stale_data && !upstream_.up();
  gate.redirect = following || foreign_ ? "REDIRECT " + upstream_.address().host + ":" +
                                              std::to_string(upstream_.address().port)
                                        : std::string();
  const int64_t patience_ms = std::max<int64_t>(1000, 4 * options_.heartbeat_interval_ms);
  const size_t members = 1 + (reigns && quorum() ? replicas_.healthy(now_, patience_ms, true) : 0);
  gate.no_quorum.clear();
  if (reigns && quorum() && members < static_cast<size_t>(options_.min_copies))
    gate.no_quorum = "NOQUORUM Writes can't be committed: " + std::to_string(members) + " of " +
                     std::to_string(options_.min_copies) +
                     " members (min-copies) are there. Connect replicas, or set "
                     "write-concern async";
  gate.too_few_replicas = reigns && options_.min_replicas_to_write > 0 &&
                          replicas_.healthy(now_, options_.min_replicas_max_lag * 1000) <
                              static_cast<size_t>(options_.min_replicas_to_write);
  if (reigns && !role_settled_) {
    tasks_.set_epoch(persistence_.epoch());
    tasks_.rearm(now_);
    everyone_ready(role_key);
    // What was recovered may not be committed: nobody is shown it before this reign's record is.
    if (quorum()) dirty_.touched_all(persistence_.end());
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
  options_.replicaof = host + " " + std::to_string(port);
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
  if (switchover_.pausing()) return Error{"a failover is under way; FAILOVER ABORT ends it"};
  if (!options_.appendonly) return Error{"a replica needs the log: start with appendonly yes"};
  replicas_.drop_all(kill_);
  begin_following(std::string(host), port);
  persistence_.say(LogLevel::Notice, "Following " + options_.replicaof + " from now on (REPLICAOF)");
  settle_role();
  refuse_blocked_writers();
  return ok();
}

Status ServerNode::Impl::follow_nobody() {
  if (foreign_) {
    if (import_) return Error{"the data set of the Redis followed is not stored whole yet; ask again later"};
    upstream_.leave();
    leave_foreign();
    options_.replicaof.clear();
    persistence_.say(LogLevel::Notice, "Following nobody from now on (REPLICAOF NO ONE)");
    settle_role();
    return ok();
  }
  if (!persistence_.following()) return ok();
  apply_everything();
  if (Status begun = persistence_.begin_own_reign(now_); !begun) return begun;
  upstream_.leave();
  options_.replicaof.clear();
  turn_need_ = persistence_.need_of_this_turn();
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
    return info;
  }
  for (const Replicas::Description& d : replicas_.describe(now_))
    info.replicas.push_back({d.host, d.state, d.port, info.offset - std::min(info.offset, d.lag_bytes)});
  return info;
}

// ---- replicas of this node
// ---------------------------------------------------------------------------------------------

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
  if (session != nullptr && offset) replicas_.acknowledge_stock(session->id, *offset, parse_uint(synced), now_);
}

void ServerNode::Impl::begin_sync(uint64_t client, std::span<const Bytes> args) {
  Session* session = session_of(client);
  if (session == nullptr) return;
  const ReplicaIntroduction nothing;
  const ReplicaIntroduction& said = session->introduction ? *session->introduction : nothing;
  resp::Writer reply(session->outbox.buffer(), 2);
  if (import_)
    return reply.error("NOMASTERLINK This node is taking in the data set of a Redis; ask again later");
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

/// What keeps their links alive and makes them answer is part of the log: every replica counts the same bytes.
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
  if (persistence_.snapshot_asked()) effects.again = true;  // by one of them: it is cut in the next turn
  for (const ConnId id : fed)
    if (Session* session = sessions_.find(id)) touch(*session);
  if (replicas_.take_progress()) {
    everyone_ready(wait_key);
    effects.again = effects.again || !waiters_.empty();
  }
}

// ---- the primary of this node
// --------------------------------------------------------------------------------------------

void ServerNode::Impl::dialed(ConnId conn, bool ok, const std::string& why) {
  Session* session = sessions_.find(conn);
  if (session == nullptr) return;
  upstream_.dialed(conn, ok, why, now_, session->outbox.buffer());
  if (ok) return touch(*session);
  by_client_id_.erase(session->client.id);
  sessions_.remove(conn);
}

void ServerNode::Impl::job_done(const FileJobDone& done) {
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
  if (link != nullptr && link->outbox.stream_end() != before) touch(*link);
  if (upstream_.verify_some(now_)) effects.again = true;
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

Status ServerNode::Impl::apply(const log::MirrorFrame& last, Bytes content) {
  if (last.header.type == log::FrameType::Epoch) return ok();
  turn_need_ = persistence_.need_of_this_turn();
  Status applied = executor_.replay(content, last.header.wall_ms);
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
  const bool committed =
      !upstream_.last_heartbeat().quorum || last.header.end() <= upstream_.last_heartbeat().commit;
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
  apply_committed();
}

void ServerNode::Impl::apply_committed() {
  const replication::Heartbeat& said = upstream_.last_heartbeat();
  while (!unapplied_.empty() && (!said.quorum || unapplied_.front().end <= said.commit)) {
    turn_need_ = persistence_.need_of_this_turn();
    const Status applied = executor_.replay(unapplied_.front().content, unapplied_.front().wall_ms);
    if (!applied)
      persistence_.say(LogLevel::Warning, "A committed change can't be applied: " + applied.error().message);
    unapplied_.pop_front();
  }
  persistence_.set_applied_all(unapplied_.empty());
}

/// What is in the log that this node goes on with.
void ServerNode::Impl::apply_everything() {
  turn_need_ = persistence_.need_of_this_turn();
  while (!unapplied_.empty()) {
    const Status applied = executor_.replay(unapplied_.front().content, unapplied_.front().wall_ms);
    if (!applied)
      persistence_.say(LogLevel::Warning, "A logged change can't be applied: " + applied.error().message);
    unapplied_.pop_front();
  }
  persistence_.set_applied_all(true);
}

void ServerNode::Impl::take_over(const replication::HandOver& hand_over) {
  if (hand_over.end != persistence_.end() || hand_over.epoch != persistence_.epoch()) {
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
  sessions_.for_each([&](Session& session) {
    if (!session.upstream && (session.outbox.holding() || session.client.last_write > kept))
      kill_.push_back(session.id);
  });
  commit_ = {};
}

void ServerNode::Impl::diverged(LogOffset at) {
  // The log may have been trimmed since it was told how far back it reaches: it is asked again, and told
  // anew.
  if (persistence_.writer() == nullptr || at < persistence_.can_go_back_to()) return;
  replicas_.drop_all(kill_);
  forget_behind(at);
  unapplied_.clear();
  persistence_.set_applied_all(true);
  persistence_.cut_back(at);
}

void ServerNode::Impl::adopt(const snapshot::Header& header) {
  replicas_.drop_all(kill_);
  forget_behind({});
  unapplied_.clear();
  persistence_.set_applied_all(true);
  persistence_.adopt(header);
}

replication::Holding ServerNode::Impl::holding() const {
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

// ---- write concern
// ---------------------------------------------------------------------------------------------------

/// How far each number of members has come; the commit offset never goes back.
void ServerNode::Impl::measure_commit() {
  if (!persistence_.logging()) return;
  std::array<LogOffset, copies_max + 1> on_copies{};
  for (size_t copies = 1; copies <= copies_max; ++copies) on_copies[copies] = replicas_.synced_on(copies);
  const auto wanted = static_cast<size_t>(std::clamp<int64_t>(options_.min_copies, 1, copies_max));
  if (quorum() && !persistence_.following()) {
    commit_ = std::max(commit_, on_copies[wanted]);
    for (size_t copies = 1; copies <= wanted; ++copies)
      on_copies[copies] = std::max(on_copies[copies], commit_);
  } else {
    commit_ = {};
  }
  persistence_.set_copies(on_copies, commit_);
  const bool asked = copies_asked_us_ >= 0 && now_.mono_us - copies_asked_us_ < 10'000'000;
  replicas_.set_commit(quorum() && !persistence_.following(), asked || quorum() || switchover_.pausing(),
                       commit_);
}

// ---- switchover
// --------------------------------------------------------------------------------------------------------

Status ServerNode::Impl::fail_over(Bytes host, int port, int64_t timeout_ms) {
  if (follows()) return Error{"FAILOVER is not valid when server is a replica."};
  if (switchover_.pausing()) return Error{"FAILOVER already in progress."};
  if (!replicas_.any()) return Error{"FAILOVER requires connected replicas."};
  const auto target = replicas_.candidate(std::string(host), port);
  if (!target)
    return Error{host.empty() ? "FAILOVER: no replica is online"
                              : "FAILOVER target HOST and PORT is not a replica."};
  const auto place = replicas_.place_of(*target);
  persistence_.say(LogLevel::Notice, "Failing over to " + place->host + ":" + std::to_string(place->port));
  switchover_.begin(*target, place->host, place->port, now_, timeout_ms);
  return ok();
}

Status ServerNode::Impl::abort_failover() {
  if (!switchover_.pausing()) return Error{"No failover in progress."};
  if (switchover_.state() == Switchover::State::HandedOver)
    persistence_.say(LogLevel::Warning, "The failover is given up behind the handing over: should " +
                                            switchover_.host() +
                                            " reign already, two histories part from here");
  switchover_.give_up("aborted");
  end_pause(false);
  return ok();
}

/// Behind the sealing: the log's end is what the target has to reach.
void ServerNode::Impl::step_switchover() {
  if (switchover_.state() != Switchover::State::Draining) return;
  const auto place = replicas_.place_of(switchover_.target());
  persistence_.want_sync(persistence_.end());
  const auto step =
      switchover_.step(now_, persistence_.end(), place ? std::optional(place->synced) : std::nullopt);
  if (step == Switchover::Step::HandOver) {
    replicas_.hand_over(switchover_.target());
    if (Session* session = sessions_.find(switchover_.target())) touch(*session);
  } else if (step == Switchover::Step::GiveUp) {
    persistence_.say(LogLevel::Warning, "The failover to " + switchover_.host() + " is given up: " +
                                            switchover_.last_error() + ". This node goes on as the primary.");
    end_pause(false);
  }
}

void ServerNode::Impl::replica_promoted(uint64_t client) {
  const Session* session = session_of(client);
  if (session == nullptr || switchover_.state() != Switchover::State::HandedOver ||
      session->id != switchover_.target())
    return;
  const MonoUs paused = switchover_.promoted(now_);
  persistence_.say(LogLevel::Notice, switchover_.host() + ":" + std::to_string(switchover_.port()) +
                                         " reigns; writes were paused for " + std::to_string(paused / 1000) +
                                         "." + std::to_string(paused % 1000 / 100) +
                                         " ms. Following it from now on.");
  replicas_.drop_all(kill_);
  begin_following(switchover_.host(), switchover_.port());
  settle_role();
  refuse_blocked_writers();
  end_pause(true);
}

bool ServerNode::Impl::postponed_by_pause(Session& session, std::span<const Bytes> args) {
  const command::Spec* spec = command::find_command(args[0]);
  if (spec == nullptr || !session.client.authenticated) return false;
  const bool exec = Bytes(spec->name) == "exec" && session.client.transaction.open;
  if (!exec && (!(spec->flags & command::Write) || session.client.transaction.open)) return false;
  session.blocked = session.client.blocked = session.postponed = true;
  waiters_.add(session.id, session.client.db, {}, std::vector<std::string>(args.begin(), args.end()),
               INT64_MAX);
  return true;
}

/// What was held is run now; where the role has gone elsewhere, its client is told where, or sent to look.
void ServerNode::Impl::end_pause(bool elsewhere) {
  std::vector<Session*> held;
  sessions_.for_each([&](Session& session) {
    if (session.postponed) held.push_back(&session);
  });
  std::sort(held.begin(), held.end(), [&](Session* a, Session* b) {
    return waiters_.find(a->id)->order < waiters_.find(b->id)->order;
  });
  for (Session* session : held) {
    if (elsewhere && !session->client.redirect) kill_.push_back(session->id);
    else rerun(*session, Executor::Again::First);
  }
}

// ---- INFO
// --------------------------------------------------------------------------------------------------------------

void ServerNode::Impl::info_replication(std::string& out) {
  Section s(out, "Replication");
  const std::string none(40, '0');
  const bool primary = !follows();
  s.text("role", primary ? "master" : "slave");
  if (!primary) {
    const bool up = upstream_.up();
    s.text("master_host", upstream_.address().host).number("master_port", int64_t{upstream_.address().port});
    s.text("master_link_status", up ? "up" : "down");
    const bool heard = upstream_.last_heard_us() > 0;
    s.number("master_last_io_seconds_ago",
             heard ? (now_.mono_us - upstream_.last_heard_us()) / 1'000'000 : int64_t{-1});
    s.number("master_sync_in_progress", int64_t{upstream_.syncing() || !persistence_.serving()});
    s.number("slave_read_repl_offset", persistence_.visible_end());
    s.number("slave_repl_offset", persistence_.visible_end());
    if (upstream_.syncing()) {
      const Upstream::Transfer t = upstream_.transfer();
      s.number("master_sync_total_bytes", t.total).number("master_sync_read_bytes", t.read);
      s.number("master_sync_left_bytes", t.total - t.read);
      s.format("master_sync_perc", "%.2f",
               t.total == 0 ? 0.0 : 100.0 * static_cast<double>(t.read) / static_cast<double>(t.total));
    }
    if (!up) {
      s.number("master_link_down_since_seconds", upstream_.down_since_us() > 0
                                                     ? (now_.mono_us - upstream_.down_since_us()) / 1'000'000
                                                     : int64_t{-1});
      if (!upstream_.last_error().empty()) s.text("master_link_last_error", upstream_.last_error());
      s.number("master_link_attempts", int64_t{upstream_.failures()});
    }
    const Follower::Progress p = progress();
    s.number("replica_received_offset", p.received.value).number("replica_synced_offset", p.synced.value);
    s.number("replica_applied_offset", p.applied.value);
    s.number("replica_lag_bytes",
             std::max(upstream_.last_heartbeat().end, p.received).value - p.received.value);
    s.number("slave_priority", options_.replica_priority).number("slave_read_only", int64_t{1});
    s.number("replica_announced", int64_t{1});
  }
  const auto list = replicas_.describe(now_);
  s.number("connected_slaves", uint64_t{list.size()});
  if (options_.min_replicas_to_write > 0)
    s.number("min_slaves_good_slaves",
             uint64_t{replicas_.healthy(now_, options_.min_replicas_max_lag * 1000)});
  size_t i = 0;
  for (const Replicas::Description& d : list) {
    const uint64_t offset = persistence_.visible_end() - std::min(persistence_.visible_end(), d.lag_bytes);
    s.text("slave" + std::to_string(i++),
           "ip=" + d.host + ",port=" + std::to_string(d.port) + ",state=" + d.state +
               ",offset=" + std::to_string(offset) + ",lag=" + std::to_string(d.ack_age_ms / 1000) +
               ",lag_bytes=" + std::to_string(d.lag_bytes) + ",lag_ms=" + std::to_string(d.lag_ms) +
               ",received=" + std::to_string(d.received.value) + ",synced=" + std::to_string(d.synced.value) +
               ",applied=" + std::to_string(d.applied.value) +
               ",protocol=" + (d.native ? "holdfast" : "redis"));
  }
  if (replicas_.tasks_left_out() > 0) s.number("replication_tasks_left_out", replicas_.tasks_left_out());
  constexpr const char* states[] = {"no-failover", "waiting-for-sync", "failover-in-progress"};
  s.text("master_failover_state", states[static_cast<size_t>(switchover_.state())]);
  if (switchover_.done() + switchover_.given_up() > 0) {
    s.number("failovers_done", switchover_.done()).number("failovers_given_up", switchover_.given_up());
    s.number("failover_last_pause_us", switchover_.last_pause_us());
    if (!switchover_.last_error().empty()) s.text("failover_last_error", switchover_.last_error());
  }
  s.text("write_concern", quorum() ? "quorum" : "async");
  if (quorum()) s.number("commit_offset", commit_.value).number("min_copies", options_.min_copies);
  const replication::Holding held = persistence_.holding();
  const auto& reigns = held.history.reigns();
  s.text("master_replid", persistence_.reign_id().empty() ? none : persistence_.reign_id());
  const bool before = reigns.size() > 1;
  s.text("master_replid2", before ? reigns[reigns.size() - 2].id : none);
  s.number("master_repl_offset", persistence_.visible_end());
  s.number("second_repl_offset", int64_t{-1});
  s.number("repl_backlog_active", int64_t{persistence_.writer() != nullptr});
  s.number("repl_backlog_size", options_.log_keep_bytes);
  s.number("repl_backlog_first_byte_offset", held.begin.value);
  s.number("repl_backlog_histlen", held.end - held.begin);
}

}  // namespace hf::node
