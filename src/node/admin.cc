// What commands may ask of the node: configuration, snapshots, connections, watching.
#include <algorithm>

#include "base/number.h"
#include "config/settings.h"
#include "config/table.h"
#include "node/inside.h"

namespace hf::node {

// ---- CONFIG -----------------------------------------------------------------------------------------------

void ServerNode::Impl::config_get(Bytes pattern, const std::function<void(Bytes, Bytes)>& each) {
  for (const auto& [name, value] : config::get(options_, pattern)) each(name, value);
}

std::string ServerNode::Impl::option(Bytes name) const {
  const config::Row* row = config::find(name);
  return row == nullptr ? std::string() : row->print(*row, options_);
}

Status ServerNode::Impl::config_set(const std::vector<std::pair<std::string, std::string>>& pairs) {
  Status changed = config::change(options_, pairs);
  if (changed.ok()) apply_options();
  return changed;
}

Status ServerNode::Impl::config_rewrite() {
  if (host_ == nullptr) return Error{"The server is running without a config file"};
  const Result<std::string> text = host_->read_config();
  if (!text.ok()) return Error{text.error().message};
  return host_->write_config(config::rewrite(*text, options_));
}

void ServerNode::Impl::config_reset_statistics() {
  executor_.statistics = Statistics();
  counters_ = command::Counters();
  turn_times_.reset();
  ops_last_ = 0;
}

bool ServerNode::Impl::password_matches(Bytes user, Bytes password) const {
  if (user != "default") return false;
  const std::string& wanted = options_.requirepass;
  // Every byte is compared whatever came before, so that the time taken tells nothing.
  unsigned char difference = password.size() == wanted.size() ? 0 : 1;
  for (size_t i = 0; i < password.size(); ++i)
    difference |= static_cast<unsigned char>(password[i] ^ (wanted.empty() ? 1 : wanted[i % wanted.size()]));
  return difference == 0;
}

// ---- persistence ------------------------------------------------------------------------------------------

Status ServerNode::Impl::begin_snapshot(Bytes tag) {
  return persistence_.begin_snapshot(now_, {.reason = "save", .tag = std::string(tag)});
}

std::vector<command::SnapshotInfo> ServerNode::Impl::snapshots() const {
  constexpr const char* states[] = {"unchecked", "written", "verified", "damaged"};
  std::vector<command::SnapshotInfo> list;
  for (const log::SnapshotNote& note : persistence_.snapshots()) {
    const Persistence::SnapshotFacts facts = persistence_.snapshot_facts(note.offset);
    list.push_back({note.offset.value, note.epoch.value, note.wall_ms, note.bytes, note.keys,
                    note.milliseconds, note.reason, note.tag, states[static_cast<size_t>(facts.state)],
                    facts.finding});
  }
  return list;
}

Status ServerNode::Impl::tag_snapshot(uint64_t id, Bytes tag) {
  return persistence_.tag_snapshot({id}, std::string(tag));
}
Status ServerNode::Impl::delete_snapshot(uint64_t id) { return persistence_.delete_snapshot({id}); }
Status ServerNode::Impl::begin_verify(uint64_t id) { return persistence_.begin_verify({id}); }

Status ServerNode::Impl::begin_digest() {
  if (digest_walk_ != 0) return Error{"a digest is being made already"};
  digest_ = std::make_unique<store::WalkDigest>();
  digest_walk_ = store_.begin_walk(*digest_);
  return ok();
}

std::optional<std::string> ServerNode::Impl::digest_result() const {
  if (digest_walk_ != 0 || !digest_) return std::nullopt;
  return to_hex(digest_->total());
}

Status ServerNode::Impl::begin_rewrite() { return persistence_.begin_rewrite(now_); }

// ---- connections ------------------------------------------------------------------------------------------

void ServerNode::Impl::for_each_client(const std::function<void(const command::ClientState&)>& each) {
  std::vector<Session*> list;
  sessions_.for_each([&](Session& session) { list.push_back(&session); });
  std::sort(list.begin(), list.end(), [](auto* a, auto* b) { return a->client.id < b->client.id; });
  for (Session* session : list) each(session->client);
}

std::string ServerNode::Impl::describe_client(const command::ClientState& client) {
  const Session* session = session_of(client.id);
  std::string flags;
  if (client.replica) flags += 'S';
  if (client.primary) flags += 'M';
  if (client.blocked) flags += 'b';
  if (client.transaction.open) flags += 'x';
  if (client.transaction.dirty) flags += 'd';
  if (client.close_after_reply) flags += 'c';
  if (client.unix_socket) flags += 'U';
  if (flags.empty()) flags = "N";
  const size_t input = session == nullptr ? 0 : session->input.size();
  const size_t output = session == nullptr ? 0 : session->output_bytes();
  const auto field = [](const char* name, int64_t value) {
    return std::string(" ") + name + "=" + to_text(value);
  };
  const auto text = [](const char* name, const std::string& value) {
    return std::string(" ") + name + "=" + value;
  };
  std::string out = "id=" + std::to_string(client.id);
  out += text("addr", client.peer_address) + text("laddr", client.local_address) +
         field("fd", static_cast<int64_t>(session == nullptr ? 0 : session->id.slot));
  out += text("name", client.name) + field("age", (now_.mono_us - client.connected_at) / 1'000'000);
  out += field("idle", (now_.mono_us - client.last_active_at) / 1'000'000) + text("flags", flags);
  out += field("db", client.db) + field("sub", 0) + field("psub", 0) + field("ssub", 0);
  out +=
      field("multi", client.transaction.open ? static_cast<int64_t>(client.transaction.queued.size()) : -1);
  out += field("watch", static_cast<int64_t>(client.transaction.watched.size()));
  out += field("qbuf", static_cast<int64_t>(input));
  out += field("qbuf-free", session == nullptr ? 0 : static_cast<int64_t>(session->input.room()));
  out += field("argv-mem", 0) + field("multi-mem", static_cast<int64_t>(client.transaction.queued_bytes));
  out += field("rbs", 0) + field("rbp", 0) + field("obl", static_cast<int64_t>(output)) + field("oll", 0);
  out += field("omem", static_cast<int64_t>(output));
  out += field("tot-mem", static_cast<int64_t>(sizeof(Session) + input + output));
  out += text("events", "r") + text("cmd", client.last_command.empty() ? "NULL" : client.last_command);
  out += text("user", client.user) + field("redir", -1) + field("resp", client.protocol);
  out += text("lib-name", client.lib_name) + text("lib-ver", client.lib_version);
  return out;
}

void ServerNode::Impl::kill_client(uint64_t id) {
  Session* session = session_of(id);
  if (session == nullptr) return;
  session->closing = true;
  kill_.push_back(session->id);
}

bool ServerNode::Impl::unblock_client(uint64_t id, bool with_error) {
  Session* session = session_of(id);
  if (session == nullptr || !session->blocked) return false;
  if (with_error) {
    waiters_.remove(session->id);
    resp::Writer(session->outbox.buffer(), session->client.protocol)
        .error("UNBLOCKED client unblocked via CLIENT UNBLOCK");
    session->blocked = session->client.blocked = false;
    touch(*session);
    make_runnable(*session);
  } else {
    rerun(*session, Executor::Again::TimedOut);
  }
  return true;
}

}  // namespace hf::node
