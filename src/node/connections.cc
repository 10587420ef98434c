// Connections seen from the node: who may come in, where their bytes go, and when their replies leave.
#include <algorithm>

#include "base/limits.h"
#include "node/inside.h"

namespace hf::node {

namespace {

constexpr MonoUs second_us = 1'000'000;
constexpr MonoUs look_at_held_every_us = 10'000;

}  // namespace

// ---- events -----------------------------------------------------------------------------------------------

ConnId ServerNode::Impl::connected(const Peer& peer) {
  Session& session = sessions_.add();
  command::ClientState& client = session.client;
  client.id = next_client_id_++;
  client.peer_address = peer.peer_address;
  client.local_address = peer.local_address;
  client.unix_socket = peer.unix_socket;
  client.local = peer.local;
  client.authenticated = options_.requirepass.empty();
  client.connected_at = client.last_active_at = now_.mono_us;
  by_client_id_.emplace(client.id, session.id);
  ++executor_.statistics.connections;
  if (sessions_.size() > static_cast<size_t>(options_.maxclients)) {
    refuse_connection(session, "ERR max number of clients reached");
  } else if (options_.protected_mode && options_.requirepass.empty() && !peer.local) {
    refuse_connection(
        session,
        "DENIED Holdfast is running in protected mode because no password is set. Connections from other "
        "hosts are refused. To accept them: set `requirepass` (better) or `protected-mode no` (only in a "
        "network you trust) in the config file or with CONFIG SET from this host.");
  }
  return session.id;
}

void ServerNode::Impl::refuse_connection(Session& session, Bytes why) {
  ++executor_.statistics.rejected_connections;
  resp::Writer(session.outbox.buffer(), 2).error(why);
  session.closing = true;
  touch(session);
}

char* ServerNode::Impl::read_space(ConnId conn, size_t& room) {
  Session* session = sessions_.find(conn);
  room = 0;
  if (session == nullptr || session->closing) return nullptr;
  const size_t limit = static_cast<size_t>(options_.client_query_buffer_limit);
  if (session->input.size() > limit) return nullptr;
  if (session->upstream && upstream_.stopped() && session->input.size() > limits::read_chunk_bytes * 64)
    return nullptr;  // it waits in the socket, and the primary keeps it on disk
  if (session->blocked && session->input.size() > limits::inline_request_bytes_max) return nullptr;
  // A large request grows the buffer with what arrives, never with what its header claims.
  size_t want = limits::read_chunk_bytes;
  if (session->parser.missing() > want)
    want = std::min(session->parser.missing(), std::max(want, session->input.size()));
  char* space = session->input.reserve(want);
  room = session->input.room();
  return space;
}

void ServerNode::Impl::received(ConnId conn, size_t bytes) {
  Session* session = sessions_.find(conn);
  if (session == nullptr) return;
  session->input.commit(bytes);
  executor_.statistics.input_bytes += bytes;
  make_runnable(*session);
}

bool ServerNode::Impl::owes_reply(ConnId conn) {
  const Session* session = sessions_.find(conn);
  if (session == nullptr || session->blocked) return false;
  if (session->upstream) return session->runnable;  // nobody waits there: only what can be taken still is
  return session->runnable || !session->outbox.empty() || session->unsent_bytes > 0;
}

void ServerNode::Impl::disconnected(ConnId conn) {
  Session* session = sessions_.find(conn);
  if (session == nullptr) return;
  if (session->blocked) waiters_.remove(conn);
  undelivered_.insert(undelivered_.end(), session->grants.begin(), session->grants.end());
  unwatch_all(session->client);
  if (session->client.replica) replicas_.lost(*session);
  if (session->upstream) upstream_.lost(conn, now_);
  by_client_id_.erase(session->client.id);
  sessions_.remove(conn);
}

void ServerNode::Impl::make_runnable(Session& session) {
  if (session.runnable || session.blocked || session.stalled || session.closing) return;
  session.runnable = true;
  runnable_.push_back(session.id);
}

void ServerNode::Impl::touch(Session& session) {
  if (session.touched) return;
  session.touched = true;
  touched_.push_back(session.id);
}

// ---- output -----------------------------------------------------------------------------------------------

void ServerNode::Impl::collect_output(Effects& effects) {
  const Safe safe = persistence_.safe();
  const auto offer = [&](Session& session) {
    if (session.outbox.empty()) {
      if (session.closing && session.unsent_bytes == 0) drop(session, effects);
      return;
    }
    if (session.outbox.releasable(safe) > 0) effects.send.push_back(session.id);
    if (session.outbox.holding() && !session.held) {
      session.held = true;
      held_.push_back(session.id);
    }
    if (!session.outbox.holding() || session.outbox.releasable(safe) > 0) session.held_since_us = 0;
    else if (session.held_since_us == 0 && session.outbox.waits_for_others())
      session.held_since_us = now_.mono_us;
    if (session.held_since_us > 0 &&
        now_.mono_us - session.held_since_us > options_.commit_timeout_ms * 1000) {
      ++executor_.statistics.closed_in_doubt;
      closings_.add(session.client.peer_address,
                    " without a reply: what is waited for was not committed within commit-timeout-ms, and may or "
                    "may not be",
                    now_);
      return drop(session, effects);
    }
    enforce_output_limit(session, effects);
  };
  std::vector<ConnId> list;
  if (safe != safe_looked_at_ || now_.mono_us >= next_look_at_held_) {
    safe_looked_at_ = safe;
    next_look_at_held_ = now_.mono_us + look_at_held_every_us;
    list.swap(held_);
    for (const ConnId id : list) {
      Session* session = sessions_.find(id);
      if (session == nullptr) continue;
      session->held = false;
      if (!session->touched) offer(*session);
    }
    list.clear();
  }
  list.swap(touched_);
  for (const ConnId id : list) {
    Session* session = sessions_.find(id);
    if (session == nullptr) continue;
    session->touched = false;
    offer(*session);
  }
}

void ServerNode::Impl::enforce_output_limit(Session& session, Effects& effects) {
  if (session.client.replica) return;  // replica-memory-max: it gets no more than it may hold
  const config::BufferLimit& limit = options_.output_limit(config::ClientClass::Normal);
  const int64_t bytes = static_cast<int64_t>(session.output_bytes());
  const bool above_soft = limit.soft_bytes > 0 && bytes > limit.soft_bytes;
  if (!above_soft) session.over_soft_since_us = 0;
  else if (session.over_soft_since_us == 0) session.over_soft_since_us = static_cast<uint64_t>(now_.mono_us);
  const bool too_long = above_soft && now_.mono_us - static_cast<MonoUs>(session.over_soft_since_us) >
                                          limit.soft_seconds * second_us;
  if (!too_long && (limit.hard_bytes == 0 || bytes <= limit.hard_bytes)) return;
  closings_.add(session.client.peer_address, ": unsent output passed client-output-buffer-limit", now_);
  drop(session, effects);
}

Buffer ServerNode::Impl::take_output(ConnId conn) {
  Session* session = sessions_.find(conn);
  if (session == nullptr) return Buffer();
  const size_t n = session->outbox.releasable(persistence_.safe());
  session->unsent_bytes += n;
  return session->outbox.take(n);
}

ServerNode::AfterSend ServerNode::Impl::sent(ConnId conn, size_t bytes, Buffer spare) {
  Session* session = sessions_.find(conn);
  if (session == nullptr) return AfterSend::KeepOpen;
  HF_CHECK(bytes <= session->unsent_bytes);
  session->unsent_bytes -= bytes;
  session->sent_total += bytes;
  if (!session->grants.empty() && session->sent_total >= session->grants_end) session->grants.clear();
  executor_.statistics.output_bytes += bytes;
  if (session->stalled && session->output_bytes() < limits::session_output_pause_bytes / 2) {
    session->stalled = false;
    make_runnable(*session);
  }
  session->outbox.reuse(std::move(spare));
  const bool done = session->closing && session->unsent_bytes == 0 && session->outbox.empty();
  return done ? AfterSend::Close : AfterSend::KeepOpen;
}

void ServerNode::Impl::drop(Session& session, Effects& effects) {
  const ConnId id = session.id;
  effects.close.push_back(id);
  disconnected(id);
}

}  // namespace hf::node
