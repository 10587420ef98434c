// Who waits for which key. A blocked request is kept as it came and simply run again when one of its keys may
// be ready; the longest-waiting goes first.
#pragma once
#include <deque>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/types.h"
#include "node/effects.h"

namespace hf::node {

class Waiters {
 public:
  struct Waiter {
    ConnId conn;
    uint64_t order;  ///< rises with every wait: who is older
    DbIndex db;
    std::vector<std::string> keys;
    std::vector<std::string> args;
    MonoUs deadline;
  };

  bool empty() const { return waiters_.empty(); }
  size_t size() const { return waiters_.size(); }

  void add(ConnId conn, DbIndex db, std::vector<std::string> keys, std::vector<std::string> args,
           MonoUs deadline);
  /// Null when that connection does not wait.
  const Waiter* find(ConnId conn) const;
  void remove(ConnId conn);

  /// `key` may be ready. Cheap when nobody waits for it.
  void key_ready(DbIndex db, Bytes key);
  void database_ready(DbIndex db);
  /// The oldest waiter on a ready key, each at most once for each time one of its keys became ready; false
  /// when none is left.
  bool next_ready(ConnId& conn);
  /// The waiter whose time is up at `now`; false when none is.
  bool next_expired(MonoUs now, ConnId& conn) const;
  MonoUs next_deadline() const { return deadlines_.empty() ? INT64_MAX : deadlines_.begin()->first; }

 private:
  static uint64_t id(ConnId conn) { return (static_cast<uint64_t>(conn.generation) << 32) | conn.slot; }
  static ConnId conn(uint64_t id) { return {static_cast<uint32_t>(id), static_cast<uint32_t>(id >> 32)}; }
  using Place = std::pair<DbIndex, std::string>;
  std::unordered_map<uint64_t, Waiter> waiters_;
  std::map<Place, std::map<uint64_t, uint64_t>> by_key_;  // key -> order -> connection id
  std::set<std::pair<MonoUs, uint64_t>> deadlines_;
  std::map<uint64_t, uint64_t> ready_;  // order -> connection id
  uint64_t next_order_ = 1;
};

}  // namespace hf::node
