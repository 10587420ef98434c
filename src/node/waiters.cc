// Plain ordered maps: waiting is rare and long, finding the oldest must be right.
#include "node/waiters.h"

namespace hf::node {

void Waiters::add(ConnId who, DbIndex db, std::vector<std::string> keys, std::vector<std::string> args,
                  MonoUs deadline) {
  const uint64_t key = id(who);
  const uint64_t order = next_order_++;
  for (const std::string& k : keys) by_key_[{db, k}].emplace(order, key);
  if (deadline != INT64_MAX) deadlines_.emplace(deadline, key);
  waiters_.emplace(key, Waiter{who, order, db, std::move(keys), std::move(args), deadline});
}

const Waiters::Waiter* Waiters::find(ConnId who) const {
  const auto it = waiters_.find(id(who));
  return it == waiters_.end() ? nullptr : &it->second;
}

void Waiters::remove(ConnId who) {
  const auto it = waiters_.find(id(who));
  if (it == waiters_.end()) return;
  const Waiter& waiter = it->second;
  for (const std::string& k : waiter.keys) {
    const auto place = by_key_.find({waiter.db, k});
    if (place == by_key_.end()) continue;
    place->second.erase(waiter.order);
    if (place->second.empty()) by_key_.erase(place);
  }
  deadlines_.erase({waiter.deadline, it->first});
  ready_.erase(waiter.order);
  waiters_.erase(it);
}

void Waiters::key_ready(DbIndex db, Bytes key) {
  if (by_key_.empty()) return;
  const auto place = by_key_.find({db, std::string(key)});
  if (place != by_key_.end()) ready_.insert(place->second.begin(), place->second.end());
}

void Waiters::database_ready(DbIndex db) {
  for (auto it = by_key_.lower_bound({db, std::string()}); it != by_key_.end() && it->first.first == db; ++it)
    ready_.insert(it->second.begin(), it->second.end());
}

bool Waiters::next_ready(ConnId& who) {
  if (ready_.empty()) return false;
  who = conn(ready_.begin()->second);
  ready_.erase(ready_.begin());
  return true;
}

bool Waiters::next_expired(MonoUs now, ConnId& who) const {
  if (deadlines_.empty() || deadlines_.begin()->first > now) return false;
  who = conn(deadlines_.begin()->second);
  return true;
}

}  // namespace hf::node
