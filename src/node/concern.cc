// The node among others: how many of them must hold a write before its reply leaves, and the role given to
// one of them.
#include <algorithm>

#include "base/planted.h"
#include "command/table.h"
#include "node/inside.h"

namespace hf::node {

// ---- write concern ----------------------------------------------------------------------------------------

/// How far each number of members has come; the commit offset never goes back.
void ServerNode::Impl::measure_commit() {
  if (!persistence_.logging()) return;
  std::array<LogOffset, copies_max + 1> on_copies{};
  for (size_t copies = 1; copies <= copies_max; ++copies) on_copies[copies] = replicas_.synced_on(copies);
  const auto wanted = static_cast<size_t>(std::clamp<int64_t>(options_.min_copies, 1, copies_max));
  if (quorum() && !persistence_.following()) {
    // Also of what no reply waits for: replicas show what timers changed, too.
    persistence_.want_sync(persistence_.end());
    commit_ = std::max(commit_, on_copies[wanted]);
    for (size_t copies = 1; copies <= wanted; ++copies)
      on_copies[copies] = std::max(on_copies[copies], commit_);
  } else {
    commit_ = {};
    // Committed is what the server's own concern asks for: who asked for more copies is not answered by it.
    if (persistence_.following()) {
      on_copies.fill({});
      std::fill_n(on_copies.begin(), wanted + 1, committed_here_);
    }
  }
  persistence_.set_copies(on_copies, commit_);
  const bool asked = copies_asked_us_ >= 0 && now_.mono_us - copies_asked_us_ < 10'000'000;
  const bool sync = asked || quorum() || switchover_.pausing();
  // Who relays gives on what it has heard: to those behind it, too, what is not committed stays unshown.
  if (persistence_.following()) replicas_.set_commit(heard_quorum_.value_or(quorum()), sync, committed_here_);
  else replicas_.set_commit(quorum(), sync, commit_);
}

/// A replica applies what is committed, and no more. But a restart loads its whole log, and who gave the role
/// up, or followed in async mode, had applied all of it: until that is known to be committed, nobody is shown
/// any of it.
void ServerNode::Impl::hold_on_replica(Session& session, const Executor::Outcome& outcome,
                                       std::span<const Bytes> args) {
  if (foreign_ || planted(Bug::UncommittedShown) || !heard_quorum_.value_or(quorum())) return;
  const LogOffset applied = progress().applied;
  if (applied <= committed_here_) return;
  bool shows = (outcome.spec->flags & command::WholeKeyspace) != 0 || Bytes(outcome.spec->name) == "exec";
  command::for_each_key(*outcome.spec, args, [&](Bytes) { shows = true; });
  if (!shows) return;
  const auto copies = static_cast<uint8_t>(std::clamp<int64_t>(options_.min_copies, 1, copies_max));
  session.outbox.hold({applied, true, copies});
}

// ---- switchover -------------------------------------------------------------------------------------------

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

/// What a person can find out, and this node can't.
std::string ServerNode::Impl::ask_target() const {
  const std::string port = std::to_string(switchover_.port());
  return "look at the ROLE of " + switchover_.host() + ":" + port + ". If it is the primary, REPLICAOF " +
         switchover_.host() + " " + port +
         " ends the failover here. If it is not, was not in between (its log " +
         "would say \"Taking over\") and can't become it any more (it was restarted, or follows another), " +
         "REPLICAOF NO ONE takes the role back";
}

/// A word of the operator's about a role that was handed over: they know how that ended.
void ServerNode::Impl::end_handed_over(const char* how, bool elsewhere) {
  if (switchover_.state() != Switchover::State::HandedOver) return;
  taking_back_ = false;
  switchover_.give_up(how);
  end_pause(elsewhere);
}

Status ServerNode::Impl::abort_failover() {
  if (!switchover_.pausing()) return Error{"No failover in progress."};
  // The target may reign already: writes acknowledged here from now on would be lost to its history.
  if (switchover_.state() == Switchover::State::HandedOver && !planted(Bug::WritesBehindHandOver))
    return Error{"the role has been handed over, and may have been taken: " + ask_target()};
  switchover_.give_up("aborted");
  end_pause(false);
  return ok();
}

/// Behind the sealing: the log's end is what the target has to reach.
void ServerNode::Impl::step_switchover() {
  const auto place = replicas_.place_of(switchover_.target());
  if (switchover_.state() == Switchover::State::HandedOver && !place && switchover_.take_lost())
    persistence_.say(LogLevel::Warning,
                     "The link of the replica that was given the role is lost before it said that "
                     "it reigns. Writes wait: " +
                         ask_target());
  if (switchover_.state() != Switchover::State::Draining) return;
  persistence_.want_sync(persistence_.end());
  const auto step =
      switchover_.step(now_, persistence_.end(), place ? std::optional(place->synced) : std::nullopt);
  if (step == Switchover::Step::HandOver) {
    replicas_.hand_over(switchover_.target());
    if (Session* session = sessions_.find(switchover_.target())) touch(*session);
  } else if (step == Switchover::Step::GiveUp) {
    persistence_.say(LogLevel::Warning, "The failover to " + switchover_.host() + " is given up: " +
                                            switchover_.last_error() + ". This node goes on as the primary.");
    pause_ended_ = true;  // this turn's frame is sealed: what was held runs in the next one
    if (planted(Bug::HeldRunUnlogged)) end_pause(false);
  }
}

void ServerNode::Impl::replica_promoted(uint64_t client) {
  const Session* session = session_of(client);
  if (session == nullptr || switchover_.state() != Switchover::State::HandedOver || taking_back_ ||
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

}  // namespace hf::node
