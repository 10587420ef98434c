// The turn: run what has arrived, wake who waits, let timers act, seal the log's frame, and release the
// replies whose offset is safe. Everything that happens to a node happens in this order.
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
      expiry_sweep_(options_, store_) {
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
  const auto port = parse_int(Bytes(options_.replicaof).substr(blank + 1));
  begin_following(options_.replicaof.substr(0, blank), static_cast<int>(port.value_or(0)));
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

// ---- the turn ---------------------------------------------------------------------------------------------

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
    // What was found is acted on at once, what was summed is logged in the next turn.
    more |= !audit_.walking();
  }
  if (digest_walk_ != 0) {
    if (store_.walk_some(digest_walk_, entries)) digest_walk_ = 0;
    if (digest_walk_ == 0) everyone_ready(digest_key);
    more = true;
  }
  if (persistence_.take_verify_finished()) everyone_ready(verify_key);
  return more;
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
  executor_.gate.memory_full =
      host_->used_memory() > static_cast<uint64_t>(options_.maxmemory) + store_.idle_bytes();
}

void ServerNode::Impl::expire_some() {
  if (!persistence_.refuse_writes().empty()) return;
  std::vector<std::string> keys;
  const std::optional<DbIndex> db = expiry_sweep_.next_slice(now_, keys);
  for (const std::string& name : keys) {
    if (!store_.remove(*db, store_.key(name))) continue;
    ++counters_.expired_keys;
    journal_.append(*db, {"DEL", name});
  }
}

// ---- time -------------------------------------------------------------------------------------------------

void ServerNode::Impl::once_a_second(Effects& effects) {
  next_second_ = now_.mono_us + second_us;
  ops_per_second_ = executor_.statistics.commands - ops_last_;
  ops_last_ = executor_.statistics.commands;
  persistence_.once_a_second(now_);
  if (!shutdown_asked_) backups_.once_a_second(now_);
  audit_when_due(effects);
  const MonoUs idle_us = options_.timeout * second_us;
  sessions_.for_each([&](Session& session) {
    const bool may_idle = idle_us == 0 || session.blocked || session.upstream || session.client.replica;
    if (!may_idle && now_.mono_us - session.client.last_active_at > idle_us) kill_.push_back(session.id);
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
  for (DbIndex db = 0; db < store_.databases() && !any_expiry; ++db)
    any_expiry = store_.size_with_expiry(db) > 0;
  if (any_expiry) wake = std::min(wake, expiry_sweep_.next_wake());
  return std::min(wake, std::max(now_.mono_us, tasks_.next_due(now_)));
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

// ---- the outside ------------------------------------------------------------------------------------------

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
