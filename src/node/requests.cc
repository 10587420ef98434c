// A client's requests, from their bytes to their replies: run in the order in which they came, each reply
// held until what it shows is as safe as the policy in force promises; and who had to wait for a key, run
// again once it is there.
#include <algorithm>

#include "base/limits.h"
#include "base/planted.h"
#include "node/inside.h"

namespace hf::node {

namespace {

/// A web page can make a browser send this to a port of the machine it runs on.
bool speaks_http(const RequestBatch::Request& request) {
  if (!request.is_inline) return false;
  return equal_nocase(request.args[0], "POST") || equal_nocase(request.args[0], "Host:");
}

}  // namespace

void ServerNode::Impl::run_session(Session& session, bool& more) {
  if (session.upstream) return run_upstream(session, more);
  session.client.last_active_at = now_.mono_us;
  size_t executed = 0;
  const uint64_t output_before = session.outbox.stream_end();
  while (!session.closing && !session.blocked) {
    if (session.output_bytes() > limits::session_output_pause_bytes) {
      session.stalled = true;  // it does not read what it asked for: `sent` lets it go on
      break;
    }
    if (executed >= limits::commands_per_session_turn_max || has_had_its_turn(session, output_before)) {
      make_runnable(session);
      more = true;
      break;
    }
    batch_.parse(session, store_, static_cast<size_t>(options_.proto_max_bulk_len));
    const RequestBatch::Outcome end = batch_.end();
    if (!run_batch(session, output_before, executed)) return;
    if (session.closing || session.blocked) break;
    if (end == RequestBatch::Outcome::Invalid) {
      resp::Writer(session.outbox.buffer(), session.client.protocol).error("ERR " + session.parser.error());
      session.closing = true;
      touch(session);
      break;
    }
    if (end == RequestBatch::Outcome::Incomplete || session.input.empty()) break;
  }
  if (session.input.size() > static_cast<size_t>(options_.client_query_buffer_limit)) {
    closings_.add(session.client.peer_address, ": a query buffer passed client-query-buffer-limit", now_);
    kill_.push_back(session.id);
  }
  if (session.closing) session.input.clear();
  session.input.shrink(limits::read_chunk_bytes * 4);
}

/// What the primary sent, and what there is to say to it.
void ServerNode::Impl::run_upstream(Session& session, bool& more) {
  const uint64_t before = session.outbox.stream_end();
  if (upstream_.consume(now_, session.input, session.outbox.buffer())) {
    make_runnable(session);
    more = true;
  }
  if (session.outbox.stream_end() != before) touch(session);
}

bool ServerNode::Impl::has_had_its_turn(const Session& session, uint64_t output_before) {
  return session.outbox.stream_end() - output_before > limits::session_output_turn_bytes;
}

/// Runs the batch as far as its client may go in this turn, and takes that off its input. False: it is cut
/// off.
bool ServerNode::Impl::run_batch(Session& session, uint64_t output_before, size_t& executed) {
  size_t used = 0, done = 0;
  for (const RequestBatch::Request& request : batch_.requests()) {
    if (!request.args.empty()) {
      if (speaks_http(request)) {
        closings_.add(session.client.peer_address,
                      ": HTTP was spoken (POST or Host:), which may be an attack by way of a browser", now_);
        session.closing = true;
        kill_.push_back(session.id);
        return false;
      }
      run_one(session, request.args, request.is_inline ? Bytes() : request.raw);
      ++executed;
    }
    used += request.raw.size();
    ++done;
    if (session.closing || session.blocked || has_had_its_turn(session, output_before)) break;
  }
  session.input.consume(used);
  if (done < batch_.requests().size()) session.parser.restart();  // it had read further than was executed
  return true;
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
    waiters_.add(session.id, client.db, outcome.block.keys,
                 std::vector<std::string>(args.begin(), args.end()), outcome.block.deadline);
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

void ServerNode::Impl::gate_reply(Session& session, const Executor::Outcome& outcome,
                                  std::span<const Bytes> args, size_t reply_at) {
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
  const Need of_all{dirty_.last(), need.synced || outcome.waits_for_sync, need.copies};
  if (outcome.wrote) {
    need.offset = turn_need_;
  } else if (!of_all.met(persistence_.safe())) {
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
    // What it would show may never come to be, and nobody knows when that is settled: say so instead of
    // hanging.
    session.outbox.buffer().truncate(reply_at);
    resp::Writer(session.outbox.buffer(), session.client.protocol)
        .error(persistence_.refuse_reads_in_doubt());
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

}  // namespace hf::node
