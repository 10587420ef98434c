// What hangs on changes of keys: WATCH, blocked clients, the offsets that replies wait for, and the tasks'
// indexes.
#include <algorithm>

#include "node/inside.h"

namespace hf::node {

// ---- watching ---------------------------------------------------------------------------------------------

void ServerNode::Impl::key_changed(DbIndex db, const store::Key& key) {
  persistence_.note_change();
  dirty_.touched(key.hash, turn_need_);
  waiters_.key_ready(db, key.bytes);
  if (!watchers_.empty()) flag_watchers(db, key.bytes);
}

void ServerNode::Impl::database_changed(DbIndex db) {
  persistence_.note_change();
  dirty_.touched_all(turn_need_);
  waiters_.database_ready(db);
  if (watchers_.empty()) return;
  // A key that was not there before and is not there now has not changed. (One that came since has been
  // flagged.)
  sessions_.for_each([&](Session& session) {
    command::Transaction& transaction = session.client.transaction;
    for (const auto& watched : transaction.watched)
      if (watched.db == db && (watched.existed || store_.find(db, store_.key(watched.key)) != nullptr))
        transaction.dirty = true;
  });
}

void ServerNode::Impl::object_inserted(DbIndex db, Bytes key, store::Object& object) {
  tasks_.object_inserted(db, key, object);
}
void ServerNode::Impl::object_removed(DbIndex db, Bytes key, store::Object& object) {
  tasks_.object_removed(db, key, object);
}

void ServerNode::Impl::flag_watchers(DbIndex db, Bytes key) {
  const auto it = watchers_.find(std::to_string(db) + ":" + std::string(key));
  if (it == watchers_.end()) return;
  for (const uint64_t id : it->second) {
    Session* session = session_of(id);
    if (session == nullptr) continue;
    command::Transaction& transaction = session->client.transaction;
    const auto watched = std::find_if(transaction.watched.begin(), transaction.watched.end(),
                                      [&](const auto& w) { return w.db == db && w.key == key; });
    const bool only_expired = watched != transaction.watched.end() && watched->existed_expired &&
                              store_.find(db, store_.key(key)) == nullptr;
    if (!only_expired) transaction.dirty = true;
  }
}

Session* ServerNode::Impl::session_of(uint64_t client_id) {
  const auto it = by_client_id_.find(client_id);
  return it == by_client_id_.end() ? nullptr : sessions_.find(it->second);
}

// ---- WATCH ------------------------------------------------------------------------------------------------

void ServerNode::Impl::watch(command::Context& ctx, Bytes key) {
  command::Transaction& transaction = ctx.client.transaction;
  for (const auto& watched : transaction.watched)
    if (watched.db == ctx.db() && watched.key == key) return;
  const store::Entry* entry = store_.find(ctx.db(), store_.key(key));
  const bool expired = entry != nullptr && entry->expired(ctx.now.wall_ms);
  transaction.watched.push_back({ctx.db(), std::string(key), entry != nullptr && !expired, expired});
  watchers_[std::to_string(ctx.db()) + ":" + std::string(key)].push_back(ctx.client.id);
}

void ServerNode::Impl::unwatch_all(command::ClientState& client) {
  for (const auto& watched : client.transaction.watched) {
    const auto it = watchers_.find(std::to_string(watched.db) + ":" + watched.key);
    if (it == watchers_.end()) continue;
    std::erase(it->second, client.id);
    if (it->second.empty()) watchers_.erase(it);
  }
  client.transaction.watched.clear();
  client.transaction.dirty = false;
}

}  // namespace hf::node
