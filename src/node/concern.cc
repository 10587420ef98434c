// The node among others: how many of them must hold a write before its reply leaves, and the role given to one of them.
#include <algorithm>

#include "command/table.h"
#include "node/inside.h"

namespace hf::node {

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

}  // namespace hf::node
