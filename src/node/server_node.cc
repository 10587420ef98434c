// The turn: run what has arrived, wake who waits, let timers act, seal the log's frame, and release the replies whose
// offset is safe. Everything that happens to a node happens in this order.
#include "node/server_node.h"

#include <algorithm>

#include "base/limits.h"
#include "base/number.h"
#include "base/planted.h"
#include "command/table.h"
#include "command/task.h"
#include "node/inside.h"

namespace hf::node {

namespace {

constexpr MonoUs second_us = 1'000'000;

}  // namespace

store::Options ServerNode::Impl::store_options(const config::Options& options, uint64_t seed) {
  store::Options out;
  out.databases = static_cast<uint32_t>(options.databases);
  out.hash_seed = options.hash_seed != 0 ? static_cast<uint64_t>(options.hash_seed) : seed;
  out.hash_packed_entries_max = static_cast<size_t>(options.hash_max_listpack_entries);
  out.hash_packed_value_bytes_max = static_cast<size_t>(options.hash_max_listpack_value);
  return out;
}

ServerNode::Impl::Impl(Setup setup)
    : options_(std::move(setup.options)),
      host_(setup.host),
      walk_entries_a_slice_(setup.walk_entries_a_slice),
      prng_(setup.seed),
      run_id_(random_hex40(prng_)),
      store_(store_options(options_, prng_.next())),
      tasks_(static_cast<uint32_t>(options_.databases)),
      executor_({store_, tasks_, *this, journal_, prng_, counters_}),
      persistence_({options_, *setup.files, store_, executor_, prng_, std::move(setup.restore),
                    setup.restore_nothing_written, setup.snapshot_block_bytes,
                    [this] { return replicas_.log_pins(); },
                    [this](LogOffset offset) { return replicas_.sending_snapshot(offset); },
                    [this] { return replicas_.any(); },
                    [this](LogOffset begin, LogOffset end, std::string bytes) {
                      replicas_.sealed(begin, end, std::move(bytes));
                    },
                    [this] { return why_not_reign(); }}),
      replicas_({options_, persistence_, sessions_, prng_,
                 [this](const std::string& who) { return audit_.differed(who); },
                 [this](const std::string& who) { replica_synced_in_full(who); },
                 [this] { return switchover_.state() == Switchover::State::HandedOver; }}),
      beside_(options_, host_, store_),
      upstream_(*this, *setup.files, prng_),
      ahead_(ahead_max) {
  store_.set_observer(this);
  store_.set_loader(store::Type::Task, task::load_task);
  timer_client_.internal = timer_client_.authenticated = true;
  executor_.gate.refuse_all = "LOADING Holdfast is loading the dataset in memory";
  apply_options();
  executor_.on_internal_record = [this](std::span<const Bytes> args) {
    if (applying_stream_ && args[0].starts_with(replication::audit_mark)) return hear_audit(args);
    if (args.size() != 3 || args[0] != "HOLDFAST.UPSTREAM") return;
    import_unfinished_ = args[1] == "?";
    foreign_place_ = {std::string(args[1] == "?" ? Bytes() : args[1]), parse_uint(args[2]).value_or(0)};
  };
  if (options_.replicaof.empty()) return;
  const size_t blank = options_.replicaof.find(' ');
  begin_following(options_.replicaof.substr(0, blank), static_cast<int>(parse_int(Bytes(options_.replicaof).substr(blank + 1)).value_or(0)));
}

void ServerNode::Impl::apply_options() {
  store_.options().hash_packed_entries_max = static_cast<size_t>(options_.hash_max_listpack_entries);
  store_.options().hash_packed_value_bytes_max = static_cast<size_t>(options_.hash_max_listpack_value);
  task::Options& tasks = tasks_.options();
  tasks.runs_keep = static_cast<uint32_t>(options_.task_runs_keep);
  tasks.final_keep_ms = options_.task_final_keep_ms;
  tasks.retries = static_cast<uint32_t>(options_.task_retries_default);
  tasks.backoff = options_.task_backoff == config::Backoff::Exponential ? task::Backoff::Exponential
                  : options_.task_backoff == config::Backoff::Fixed     ? task::Backoff::Fixed
                                                                        : task::Backoff::None;
  tasks.backoff_base_ms = options_.task_backoff_base_ms;
  tasks.backoff_cap_ms = options_.task_backoff_cap_ms;
  tasks.timeout_ms = options_.task_timeout_ms;
  tasks.lease_ms = options_.task_lease_ms_default;
  tasks.checkpoint_keep = static_cast<uint32_t>(options_.checkpoint_keep);
  tasks.checkpoint_full_every = static_cast<uint32_t>(options_.checkpoint_full_every);
  tasks.checkpoint_bytes_max = static_cast<size_t>(options_.checkpoint_max_bytes);
}

// ---- the turn ------------------------------------------------------------------------------------------------------

void ServerNode::Impl::turn(Now now, Effects& effects) {
  if (started_at_ < 0) {
    started_at_ = now.mono_us;
    next_second_ = now.mono_us + second_us;
    persistence_.start(now);
  }
  now_ = persistence_.never_backwards(now);
  beside_.turn(now_, executor_.statistics.commands);
  bool more = false;

  turn_need_ = persistence_.need_of_this_turn();  // what is loaded touches keys, too
  more |= persistence_.recover_some(now_);
  turn_need_ = persistence_.need_of_this_turn();
  settle_role();
  executor_.gate.refuse_writes = persistence_.refuse_writes();

  look_at_memory();
  if (std::exchange(pause_ended_, false)) end_pause(false);
  std::vector<ConnId> batch;
  batch.swap(runnable_);
  for (const ConnId id : batch) {
    Session* session = sessions_.find(id);
    if (session == nullptr) continue;
    session->runnable = false;
    run_session(*session, more);
  }
  // Not while closing: nothing may follow the record of the clean end.
  if (persistence_.phase() == Persistence::Phase::Serving) {
    if (persistence_.take_snapshot_finished()) everyone_ready(save_key);
    if (persistence_.take_notes_written()) everyone_ready(noted_key);
    const bool own_clock = !executor_.gate.follows && !switchover_.pausing();
    if (own_clock) run_timers();
    serve_waiters();
    if (own_clock || planted(Bug::ReplicaExpires)) expire_some();
  }
  speak_to_stock_replicas();
  if (foreign_) note_foreign_place();
  write_audit();
  if (!journal_.empty()) {
    persistence_.seal(now_, journal_);
    journal_.clear();
  }
  if (audit_.sealed(persistence_.end(), now_)) {
    everyone_ready(audit_key);
    more = true;
  }
  backups_.sealed(now_);
  if (now_.mono_us >= next_second_) once_a_second(effects);
  if (walk_some(!batch.empty())) more = true;
  if (store_.free_some(limits::freed_entries_a_turn)) more = true;
  if (tasks_.free_some(limits::freed_entries_a_turn)) more = true;
  act_on_audit();
  if (shutdown_asked_) step_shutdown(effects);
  step_switchover();
  more |= pause_ended_;
  measure_commit();
  follow_upstream(effects);
  backups_.pump(effects);
  for (std::string& line : closings_.take(now_, shutdown_asked_ || persistence_.dead()))
    persistence_.say(LogLevel::Warning, std::move(line));
  persistence_.pump(now_, effects);
  feed_replicas(effects);
  for (const ConnId id : kill_)
    if (Session* session = sessions_.find(id)) drop(*session, effects);
  kill_.clear();
  collect_output(effects);
  more |= !runnable_.empty();
  effects.again = effects.again || more;
  effects.wake_at = std::min({effects.wake_at, next_wake(more), upstream_.next_wake(), replicas_.next_wake(),
                              switchover_.next_wake(), audit_.next_wake()});
}

/// A slice of each walk; of one that comes with every turn a smaller one while clients want something.
bool ServerNode::Impl::walk_some(bool busy) {
  bool more = persistence_.walk_some(now_, walk_entries_a_slice_, busy || !held_.empty());
  more |= persistence_.verify_some();
  const size_t entries = std::max<size_t>(1, walk_entries_a_slice_ / (busy ? 16 : 4));
  more |= backups_.walk_some(entries);
  if (audit_.walking()) {
    audit_.walk_some(now_, busy);
    more |= !audit_.walking();  // what was found is acted on at once, what was summed is logged in the next turn
  }
  if (digest_walk_ != 0) {
    if (store_.walk_some(digest_walk_, entries)) digest_walk_ = 0;
    if (digest_walk_ == 0) everyone_ready(digest_key);
    more = true;
  }
  if (persistence_.take_verify_finished()) everyone_ready(verify_key);
  return more;
}

/// Parses up to `ahead_max` requests and starts fetching what the first key of each will need, so that the cache
/// misses of a pipeline overlap. True when at least one request is ready.
bool ServerNode::Impl::parse_ahead(Session& session) {
  using Outcome = resp::RequestParser::Outcome;
  resp::RequestLimits limits;
  limits.bulk_bytes_max = options_.proto_max_bulk_len;
  limits.authenticated = session.client.authenticated;
  const size_t max = session.client.authenticated ? ahead_max : 1;
  const Bytes all = session.input.view();
  size_t at = 0;
  ahead_count_ = 0;
  ahead_end_ = Outcome::Request;
  while (ahead_count_ < max && at < all.size()) {
    Parsed& parsed = ahead_[ahead_count_];
    ahead_end_ = session.parser.next(all.substr(at), parsed.args, limits);
    if (ahead_end_ == Outcome::Incomplete || ahead_end_ == Outcome::Invalid) break;
    parsed.raw = all.substr(at, session.parser.used());
    at += session.parser.used();
    if (ahead_end_ == Outcome::Empty) parsed.args.clear();
    ++ahead_count_;
    parsed.is_inline = session.parser.was_inline();
    if (parsed.is_inline) break;  // its arguments live in the parser, until the next call
  }
  if (ahead_count_ < 2) return ahead_count_ > 0;
  for (size_t i = 0; i < ahead_count_; ++i) {
    Parsed& parsed = ahead_[i];
    parsed.prefetched = parsed.args.size() > 1;
    if (!parsed.prefetched) continue;
    parsed.hash = store_.key(parsed.args[1]).hash;
    store_.prefetch_bucket(session.client.db, parsed.hash);
  }
  for (size_t i = 0; i < ahead_count_; ++i)
    if (ahead_[i].prefetched) store_.prefetch_entry(session.client.db, ahead_[i].hash);
  return true;
}

void ServerNode::Impl::run_session(Session& session, bool& more) {
  using Outcome = resp::RequestParser::Outcome;
  if (session.upstream) {
    const uint64_t before = session.outbox.stream_end();
    if (upstream_.consume(now_, session.input, session.outbox.buffer())) {
      make_runnable(session);
      more = true;
    }
    if (session.outbox.stream_end() != before) touch(session);
    return;
  }
  session.client.last_active_at = now_.mono_us;
  size_t executed = 0;
  const uint64_t output_before = session.outbox.stream_end();
  while (!session.closing && !session.blocked) {
    if (session.output_bytes() > limits::session_output_pause_bytes) {
      session.stalled = true;  // it does not read what it asked for: `sent` lets it go on
      break;
    }
    if (executed >= limits::commands_per_session_turn_max ||
        session.outbox.stream_end() - output_before > limits::session_output_turn_bytes) {
      make_runnable(session);
      more = true;
      break;
    }
    const bool ready = parse_ahead(session);
    const Outcome end = ahead_end_;
    size_t used = 0, done = 0;
    for (size_t i = 0; ready && i < ahead_count_; ++i) {
      const Parsed& parsed = ahead_[i];
      if (!parsed.args.empty()) {
        const Bytes first = parsed.args[0];
        if (parsed.is_inline && (equal_nocase(first, "POST") || equal_nocase(first, "Host:"))) {
          closings_.add(session.client.peer_address,
                        ": HTTP was spoken (POST or Host:), which may be an attack by way of a browser", now_);
          session.closing = true;
          kill_.push_back(session.id);
          return;
        }
        run_one(session, parsed.args, parsed.is_inline ? Bytes() : parsed.raw);
        ++executed;
      }
      used += parsed.raw.size();
      ++done;
      if (session.closing || session.blocked) break;
      if (session.outbox.stream_end() - output_before > limits::session_output_turn_bytes) break;
    }
    session.input.consume(used);
    if (done < ahead_count_) session.parser.restart();  // it had read further than was executed
    if (session.closing || session.blocked) break;
    if (end == Outcome::Invalid) {
      resp::Writer(session.outbox.buffer(), session.client.protocol).error("ERR " + session.parser.error());
      session.closing = true;
      touch(session);
      break;
    }
    if (end == Outcome::Incomplete || session.input.empty()) break;
  }
  if (session.input.size() > static_cast<size_t>(options_.client_query_buffer_limit)) {
    closings_.add(session.client.peer_address, ": a query buffer passed client-query-buffer-limit", now_);
    kill_.push_back(session.id);
  }
  if (session.closing) session.input.clear();
  session.input.shrink(limits::read_chunk_bytes * 4);
}

void ServerNode::Impl::run_one(Session& session, std::span<const Bytes> args, Bytes raw) {
  if (switchover_.pausing() && postponed_by_pause(session, args)) return;
  command::ClientState& client = session.client;
  resp::Writer reply(session.outbox.buffer(), client.protocol);
  const size_t reply_at = session.outbox.size();
  const Executor::Outcome outcome = executor_.run(client, args, raw, reply, now_);
  ++client.commands;
  if (outcome.blocked) {
    session.blocked = client.blocked = true;
    if (Bytes(outcome.spec->name).starts_with("wait")) acks_wanted_ = true;
    waiters_.add(session.id, client.db, outcome.block.keys, std::vector<std::string>(args.begin(), args.end()),
                 outcome.block.deadline);
    return;
  }
  gate_reply(session, outcome, args, reply_at);
  if (client.close_after_reply) session.closing = true;
}

void ServerNode::Impl::note_grants(Session& session) {
  if (tasks_.grants().empty()) return;
  session.grants.insert(session.grants.end(), tasks_.grants().begin(), tasks_.grants().end());
  session.grants_end = session.outbox.stream_end();
  tasks_.grants().clear();
}

void ServerNode::Impl::gate_reply(Session& session, const Executor::Outcome& outcome, std::span<const Bytes> args,
                                  size_t reply_at) {
  touch(session);
  note_grants(session);
  if (outcome.spec == nullptr) return;
  session.client.last_command = outcome.spec->name;
  if (outcome.wrote) session.client.last_write = turn_need_;
  if (!outcome.ran || !persistence_.logging()) return;
  if (executor_.gate.follows) return hold_on_replica(session, outcome, args);
  Need need{{}, persistence_.replies_wait_for_sync()};
  need.copies = static_cast<uint8_t>(std::max(session.client.copies, copies_of_server()));
  if (need.copies > 0) copies_asked_us_ = now_.mono_us;
  if (outcome.wrote) {
    need.offset = turn_need_;
  } else if (!Need{dirty_.last(), need.synced || outcome.waits_for_sync, need.copies}.met(persistence_.safe())) {
    if (outcome.spec->flags & command::WholeKeyspace) {
      need.offset = dirty_.last();
    } else {
      command::for_each_key(*outcome.spec, args, [&](Bytes key) {
        need.offset = std::max(need.offset, dirty_.of(store_.key(key).hash));
      });
      // What EXEC revealed is not in its own arguments.
      if (Bytes(outcome.spec->name) == "exec") need.offset = dirty_.last();
    }
  }
  if (outcome.waits_for_sync && persistence_.tasks_wait_for_sync()) need.synced = true;
  if (planted(outcome.wrote ? Bug::ReplyEarly : Bug::ReadEarly)) return;
  if (need.offset.value == 0 || need.met(persistence_.safe())) return;
  if (!outcome.wrote && !persistence_.refuse_reads_in_doubt().empty()) {
    // What it would show may never come to be, and nobody knows when that is settled: say so instead of hanging.
    session.outbox.buffer().truncate(reply_at);
    resp::Writer(session.outbox.buffer(), session.client.protocol).error(persistence_.refuse_reads_in_doubt());
    return;
  }
  if (need.synced || need.copies > 0) persistence_.reply_wants_sync(need.offset);
  session.outbox.hold(need);
}

void ServerNode::Impl::rerun(Session& session, Executor::Again again) {
  const Waiters::Waiter* waiter = waiters_.find(session.id);
  if (waiter == nullptr) return;
  std::vector<Bytes> args(waiter->args.begin(), waiter->args.end());
  command::ClientState& client = session.client;
  resp::Writer reply(session.outbox.buffer(), client.protocol);
  const DbIndex db_now = client.db;
  client.db = waiter->db;
  const size_t reply_at = session.outbox.size();
  const Executor::Outcome outcome =
      executor_.run(client, args, Bytes(), reply, now_, session.postponed ? Executor::Again::First : again);
  client.db = db_now;
  if (outcome.blocked && session.postponed) {  // only now it waits for what it asked for
    session.postponed = false;
    std::vector<std::string> kept(args.begin(), args.end());  // they live in the waiter that goes
    waiters_.remove(session.id);
    waiters_.add(session.id, client.db, outcome.block.keys, std::move(kept), outcome.block.deadline);
    return;
  }
  if (outcome.blocked) return;  // it keeps its place
  session.postponed = false;
  gate_reply(session, outcome, args, reply_at);
  waiters_.remove(session.id);
  session.blocked = client.blocked = false;
  make_runnable(session);
}

void ServerNode::Impl::serve_waiters() {
  if (waiters_.empty()) {
    ready_keys_.clear();
    tasks_.take_ready(ready_keys_);
    return;
  }
  ConnId id;
  for (;;) {
    ready_keys_.clear();
    tasks_.take_ready(ready_keys_);
    for (const auto& [db, key] : ready_keys_) waiters_.key_ready(db, key);
    if (!waiters_.next_ready(id)) break;
    if (Session* session = sessions_.find(id)) rerun(*session, Executor::Again::Retried);
  }
  while (waiters_.next_expired(now_.mono_us, id)) {
    Session* session = sessions_.find(id);
    HF_CHECK(session != nullptr);
    rerun(*session, Executor::Again::TimedOut);
    if (session->blocked) {  // a handler that blocks again at its deadline would hold the loop for ever
      waiters_.remove(id);
      resp::Writer(session->outbox.buffer(), session->client.protocol).null_array();
      session->blocked = session->client.blocked = false;
      touch(*session);
      make_runnable(*session);
    }
  }
}

void ServerNode::Impl::run_timers() {
  if (!persistence_.refuse_writes().empty()) return;
  if (undelivered_.empty() && tasks_.next_due(now_) > now_.mono_us) return;
  resp::Writer reply(timer_reply_, 2);
  command::Context ctx = executor_.own_context(timer_client_, reply, now_, command::Mode::Live);
  const size_t given_back = std::min(undelivered_.size(), limits::due_tasks_a_turn);
  if (given_back > 0) {
    command::release_undelivered(ctx, std::span(undelivered_).first(given_back));
    undelivered_.erase(undelivered_.begin(), undelivered_.begin() + static_cast<ptrdiff_t>(given_back));
  }
  command::run_due_tasks(ctx, limits::due_tasks_a_turn - given_back);
  timer_reply_.clear();
}

/// Asking the allocator costs some microseconds: every ten milliseconds is often enough.
void ServerNode::Impl::look_at_memory() {
  if (options_.maxmemory == 0 || host_ == nullptr) {
    executor_.gate.memory_full = false;
    return;
  }
  if (now_.mono_us < next_memory_look_) return;
  next_memory_look_ = now_.mono_us + second_us / 100;
  executor_.gate.memory_full = host_->used_memory() > static_cast<uint64_t>(options_.maxmemory) + store_.idle_bytes();
}

/// Active expiry: a circular sweep, a part of each database every tick. What a tick sweeps is spread over as many turns
/// as it takes, since each bucket may cost some cache misses; and over more of them while it finds many.
void ServerNode::Impl::expire_some() {
  if (now_.mono_us < next_expire_ || !persistence_.refuse_writes().empty()) return;
  const auto buckets_left = [&](DbIndex db) {  // a database has no more buckets than keys
    const size_t tick_max = 2048 * static_cast<size_t>(std::max<int64_t>(1, options_.active_expire_effort));
    return store_.size_with_expiry(db) == 0 ? 0 : std::min(tick_max, store_.size(db));
  };
  if (sweep_.db >= store_.databases()) {  // the tick before is done: the next begins
    const MonoUs tick = second_us / std::max<int64_t>(1, options_.hz);
    sweep_ = {.db = 0, .buckets = buckets_left(0), .next_tick = now_.mono_us + tick};
  }
  while (sweep_.db < store_.databases() && sweep_.buckets == 0)
    if (++sweep_.db < store_.databases()) sweep_.buckets = buckets_left(sweep_.db);
  if (sweep_.db >= store_.databases()) {
    next_expire_ = sweep_.next_tick;
    return;
  }
  const size_t buckets = std::min(sweep_.buckets, limits::swept_buckets_a_turn);
  std::vector<std::string> keys;
  store_.collect_expired(sweep_.db, now_.wall_ms, buckets, limits::expired_keys_a_turn, keys);
  for (const std::string& name : keys) {
    const store::Key key = store_.key(name);
    if (!store_.remove(sweep_.db, key)) continue;
    ++counters_.expired_keys;
    journal_.append(sweep_.db, {"DEL", name});
  }
  if (keys.size() < limits::expired_keys_a_turn) sweep_.buckets -= buckets;  // else there is more where it stopped
  next_expire_ = now_.mono_us;
}

// ---- time ----------------------------------------------------------------------------------------------------------

void ServerNode::Impl::once_a_second(Effects& effects) {
  next_second_ = now_.mono_us + second_us;
  ops_per_second_ = executor_.statistics.commands - ops_last_;
  ops_last_ = executor_.statistics.commands;
  persistence_.once_a_second(now_);
  if (!shutdown_asked_) backups_.once_a_second(now_);
  audit_when_due(effects);
  const MonoUs idle_us = options_.timeout * second_us;
  sessions_.for_each([&](Session& session) {
    if (idle_us > 0 && !session.blocked && !session.upstream && !session.client.replica && now_.mono_us - session.client.last_active_at > idle_us)
      kill_.push_back(session.id);
    if (session.over_soft_since_us != 0) touch(session);
  });
}

MonoUs ServerNode::Impl::next_wake(bool more) const {
  if (more) return now_.mono_us;
  MonoUs wake = std::min(next_second_, persistence_.next_wake(now_, !held_.empty()));
  // Waiters and timers rest while closing, and timers while the log refuses writes and while the role is on
  // the move: no waking for them then.
  if (persistence_.phase() != Persistence::Phase::Serving) return wake;
  wake = std::min(wake, waiters_.next_deadline());
  if (!persistence_.refuse_writes().empty() || executor_.gate.follows || switchover_.pausing()) return wake;
  if (!undelivered_.empty()) return now_.mono_us;
  bool any_expiry = false;
  for (DbIndex db = 0; db < store_.databases() && !any_expiry; ++db) any_expiry = store_.size_with_expiry(db) > 0;
  if (any_expiry) wake = std::min(wake, next_expire_);
  return std::min(wake, std::max(now_.mono_us, tasks_.next_due(now_)));
}

// ---- shutting down -------------------------------------------------------------------------------------------------

void ServerNode::Impl::request_shutdown() {
  if (shutdown_asked_) return;
  shutdown_asked_ = true;
  shutdown_save_ = options_.snapshot_on_shutdown || (!options_.save.empty() && !options_.appendonly);
  persistence_.say(LogLevel::Notice, "Shutting down: finishing what is acknowledged");
}

void ServerNode::Impl::step_shutdown(Effects& effects) {
  if (!persistence_.serving() && !persistence_.dead()) {
    effects.exit = 0;  // still loading: nothing was acknowledged, nothing to write
    return;
  }
  if (shutdown_save_ && !shutdown_snapshot_begun_) {
    const Status begun = persistence_.begin_snapshot(now_, {.reason = Persistence::shutdown_reason});
    if (!begun.ok() && persistence_.snapshot_running()) return;
    shutdown_snapshot_begun_ = true;
    if (!begun.ok()) shutdown_save_ = false;
  }
  if (shutdown_snapshot_begun_ && persistence_.snapshot_running()) return;
  if (shutdown_save_ && !shutdown_forced_ && !persistence_.last_snapshot_status().ok()) {
    persistence_.say(LogLevel::Warning, "Not shutting down: the snapshot that was asked for failed. SHUTDOWN NOSAVE or "
                                        "SHUTDOWN FORCE end without it.");
    return give_up_shutdown();
  }
  executor_.gate.refuse_all = "ERR Holdfast is shutting down";
  if (persistence_.close_log() && !persistence_.dead()) effects.exit = 0;
}

void ServerNode::Impl::give_up_shutdown() {
  shutdown_asked_ = shutdown_forced_ = shutdown_snapshot_begun_ = false;
  everyone_ready(shutdown_key);
}

ServerNode::LogPlace ServerNode::Impl::log_place() const {
  LogPlace place;
  place.following = persistence_.following();
  place.linked = upstream_.up();
  const log::Writer* writer = persistence_.writer();
  if (writer == nullptr) return place;
  place.epoch = persistence_.epoch();
  if (!writer->history().empty()) place.reign_begin = writer->history().last().first;
  place.end = writer->end(), place.begin = writer->begin();
  place.written = writer->written(), place.synced = writer->synced();
  place.back_to = persistence_.can_go_back_to();
  place.last_sum = writer->last_sum();
  place.settled = persistence_.serving() && unapplied_.empty();
  place.cluster_id = persistence_.cluster_id();
  return place;
}

// ---- the outside ---------------------------------------------------------------------------------------------------

ServerNode::ServerNode(Setup setup) : impl_(std::make_unique<Impl>(std::move(setup))) {}
ServerNode::~ServerNode() = default;
ConnId ServerNode::connected(const Peer& peer) { return impl_->connected(peer); }
char* ServerNode::read_space(ConnId conn, size_t& room) { return impl_->read_space(conn, room); }
void ServerNode::received(ConnId conn, size_t bytes) { impl_->received(conn, bytes); }
bool ServerNode::owes_reply(ConnId conn) { return impl_->owes_reply(conn); }
void ServerNode::disconnected(ConnId conn) { impl_->disconnected(conn); }
void ServerNode::dialed(ConnId conn, bool ok, const std::string& why) { impl_->dialed(conn, ok, why); }
void ServerNode::job_done(const FileJobDone& done) { impl_->job_done(done); }
void ServerNode::backup_report(const BackupReport& report) { impl_->backup_report(report); }
void ServerNode::request_shutdown() { impl_->request_shutdown(); }
void ServerNode::turn(Now now, Effects& effects) { impl_->turn(now, effects); }
void ServerNode::turn_took(int64_t us) { impl_->turn_took(us); }
Buffer ServerNode::take_output(ConnId conn) { return impl_->take_output(conn); }
ServerNode::AfterSend ServerNode::sent(ConnId conn, size_t bytes, Buffer spare) {
  return impl_->sent(conn, bytes, std::move(spare));
}
const config::Options& ServerNode::options() const { return impl_->options(); }
bool ServerNode::wants_turn() const { return impl_->wants_turn(); }
bool ServerNode::serving() const { return impl_->serving(); }
ServerNode::Progress ServerNode::loading_progress() const { return impl_->loading_progress(); }
std::string ServerNode::digest() const { return impl_->digest(); }
ServerNode::LogPlace ServerNode::log_place() const { return impl_->log_place(); }

}  // namespace hf::node
