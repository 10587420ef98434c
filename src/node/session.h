// One connection inside the node: what it has sent and not yet been executed, what it is owed, and what it
// has said about itself.
#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "base/buffer.h"
#include "command/client_state.h"
#include "node/effects.h"
#include "node/outbox.h"
#include "replication/verdict.h"
#include "resp/parser.h"
#include "task/tasks.h"

namespace hf::node {

/// What a connection has said in REPLCONF, before its PSYNC and after.
struct ReplicaIntroduction {
  int port = 0;
  std::string host;  ///< announced; empty: the connection's
  bool native = false;
  bool takes_marked_dumps = false;  ///< capa eof: a dump's length need not be known ahead
  bool dump_only = false;           ///< it wants no stream behind the dump (redis-cli --rdb)
  bool dump_empty = false;          ///< it wants only the stream (redis-cli --replica)
  std::optional<replication::Holding> holding;
};

struct Session {
  ConnId id;
  command::ClientState client;
  Buffer input;
  resp::RequestParser parser;
  Outbox outbox;
  size_t unsent_bytes = 0;  ///< taken by the driver, not yet sent
  bool runnable = false;    ///< stands in the list of sessions with input to execute
  bool touched = false;     ///< stands in the list of sessions that may have output to send
  bool held = false;        ///< stands in the list of sessions whose output waits for the log
  bool closing = false;     ///< no more commands; closes when everything is sent
  bool stalled = false;     ///< has too much unsent output: input is kept, not executed
  bool upstream = false;    ///< the link to the node's own primary: its input is no requests
  bool postponed = false;   ///< blocked because writes are paused: it is run then as if it came then
  MonoUs held_since_us = 0;  ///< its output waits for other members since; 0: it does not
  bool blocked = false;     ///< waits for a key: input is not executed
  uint64_t over_soft_since_us = 0;  ///< output above the soft limit since, 0 when below

  std::unique_ptr<ReplicaIntroduction> introduction;  ///< once it has sent REPLCONF

  /// Leases in replies that have not all left: given back if the connection goes first.
  std::vector<task::Grant> grants;
  uint64_t grants_end = 0;  ///< position in the stream of replies behind the last of them
  uint64_t sent_total = 0;

  size_t output_bytes() const { return outbox.size() + unsent_bytes; }
};

/// Sessions by slot; a slot's generation rises with each reuse.
class Sessions {
 public:
  Session& add();
  /// Null when that connection is gone.
  Session* find(ConnId id) {
    if (id.slot >= slots_.size() || !slots_[id.slot].session) return nullptr;
    Session* session = slots_[id.slot].session.get();
    return session->id == id ? session : nullptr;
  }
  void remove(ConnId id);
  size_t size() const { return count_; }
  template <class Each>
  void for_each(Each&& each) {
    for (size_t i = 0; i < slots_.size(); ++i)
      if (slots_[i].session) each(*slots_[i].session);
  }

 private:
  struct Slot {
    std::unique_ptr<Session> session;
    uint32_t generation = 0;
  };
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  size_t count_ = 0;
};

inline Session& Sessions::add() {
  uint32_t slot;
  if (free_.empty()) {
    slot = static_cast<uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  slots_[slot].session = std::make_unique<Session>();
  slots_[slot].session->id = {slot, ++slots_[slot].generation};
  ++count_;
  return *slots_[slot].session;
}

inline void Sessions::remove(ConnId id) {
  if (find(id) == nullptr) return;
  slots_[id.slot].session.reset();
  free_.push_back(id.slot);
  --count_;
}

}  // namespace hf::node
