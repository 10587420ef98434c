// Everything a handler needs for one call: the request, the client, the store, the time, and where the reply
// and the log go. A handler reads, changes through the store's door, replies, and says what the log must
// hold.
#pragma once
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "base/prng.h"
#include "base/types.h"
#include "command/client_state.h"
#include "command/journal.h"
#include "command/server.h"
#include "command/spec.h"
#include "resp/writer.h"
#include "store/store.h"

namespace hf::task {
class Tasks;
}

namespace hf::command {

/// Live: a client's call on a writable node. Replay: the log (later the primary's stream) speaks: everything
/// in it happened, nothing expires by itself, nothing is refused, nothing is recorded again.
enum class Mode : uint8_t { Live, Replay };

struct BlockRequest {
  bool wanted = false;
  std::vector<std::string> keys;  ///< keys or pseudo keys in the client's database
  MonoUs deadline = INT64_MAX;
};

struct Counters {
  uint64_t keyspace_hits = 0, keyspace_misses = 0, expired_keys = 0;
};

struct Context {
  std::span<const Bytes> args;  ///< args[0] is the name as sent; a subcommand's name is args[1]
  Bytes raw;                    ///< the request's own RESP text, empty when it has none (inline, EXEC)
  const Spec* spec;
  ClientState& client;
  store::Store& store;
  task::Tasks& tasks;
  Server& server;
  Journal& journal;
  Prng& prng;
  Counters& counters;
  Now now;
  Mode mode;
  resp::Writer& reply;
  bool follows = false;    ///< of a replica: nothing is removed by its own clock
  bool in_exec = false;    ///< inside MULTI/EXEC: never block
  bool retried = false;    ///< run again because a key it blocked on may be ready
  bool timed_out = false;  ///< run again because its time is up: write the reply for that

  // what the handler did
  BlockRequest block;
  bool dirty = false;      ///< something changed
  bool rewritten = false;  ///< the log got something else than the request itself

  DbIndex db() const { return client.db; }
  bool replaying() const { return mode == Mode::Replay; }
  store::Key key(size_t arg) const { return store.key(args[arg]); }

  /// The entry, or null when absent or expired. On a live node an expired one is removed first, and the log
  /// told: readers and writers alike never see it.
  const store::Entry* find(const store::Key& key) { return find_in(db(), key); }
  const store::Entry* find_in(DbIndex db, const store::Key& key);
  /// The same, counted in keyspace_hits / keyspace_misses: for commands that read.
  const store::Entry* find_counted(const store::Key& key);
  /// find_counted, and the type checked: on another type replies WRONGTYPE and sets `wrong`.
  const store::Entry* find_typed(const store::Key& key, store::Type type, bool& wrong);

  /// The request changed something: it is logged as it came, unless `log` says what else.
  void changed() { dirty = true; }
  /// Logs this instead of the request; may be called several times.
  void log(std::initializer_list<Bytes> command) {
    log(std::span<const Bytes>(command.begin(), command.size()));
  }
  void log(std::span<const Bytes> command);
  /// Logs a command about keys, one of which holds a task, in a form that no stock Redis replica is sent: it
  /// has no tasks, and would refuse it. (TASK.KEY <command>)
  void log_about_task(std::span<const Bytes> command);
  /// The request changed something that the log need not hold, or that it holds already.
  void log_nothing() { rewritten = true; }
  /// Removes a key and logs DEL for it (not the request).
  bool remove_and_log(DbIndex db, const store::Key& key);

  /// No reply now: run this request again when one of `keys` is ready, or at the deadline with `timed_out`.
  /// `timeout_ms` 0 waits for ever.
  void block_on(std::vector<std::string> keys, int64_t timeout_ms);

  // Replies that many handlers need; the texts are Redis's
  void error(Bytes text) { reply.error(text); }
  void wrong_type();
  void syntax_error();
  void not_an_integer();
  void not_a_float();
  void no_such_key();
  void wrong_arity();
  /// args[i] as an integer, or the error replied and false.
  bool integer_arg(size_t i, int64_t& value);
};

}  // namespace hf::command
