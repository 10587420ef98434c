// Takes one request through its row: the checks every command shares, the handler, what the log gets. Also
// the other way in: frames of the log, which run through the same handlers.
#pragma once
#include <array>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/prng.h"
#include "base/types.h"
#include "command/context.h"
#include "command/journal.h"
#include "command/spec.h"
#include "resp/writer.h"
#include "store/store.h"
#include "task/tasks.h"

namespace hf::node {

/// Why writes are refused at the moment; empty when they are not. The text is a whole error reply.
struct Gate {
  std::string refuse_writes;   ///< "MISCONF ..."
  std::string refuse_all;      ///< "LOADING ..."
  bool follows = false;        ///< a replica: its clients only read
  std::string stale;  ///< the error of a replica that must not answer from what it has; empty: it may
  bool too_few_replicas = false;
  std::string no_quorum;       ///< "NOQUORUM ...": writes can't be committed
  std::string redirect;        ///< of a replica: "REDIRECT host:port"
  bool memory_full = false;    ///< used memory is above maxmemory: what may need more gets -OOM
};

struct Statistics {
  uint64_t commands = 0, connections = 0, rejected_connections = 0, input_bytes = 0, output_bytes = 0;
  uint64_t errors = 0;
  uint64_t closed_in_doubt = 0;  ///< by commit-timeout-ms
  struct PerCommand {
    uint64_t calls = 0, rejected = 0, failed = 0;
  };
  std::unordered_map<const command::Spec*, PerCommand> per_command;
  /// A pipeline mostly repeats its command: the last row is found without a look-up.
  PerCommand& of(const command::Spec* spec) {
    if (spec != last_spec) last = &per_command[spec], last_spec = spec;
    return *last;
  }
  const command::Spec* last_spec = nullptr;
  PerCommand* last = nullptr;
};

class Executor {
 public:
  struct Parts {
    store::Store& store;
    task::Tasks& tasks;
    command::Server& server;
    command::Journal& journal;
    Prng& prng;
    command::Counters& counters;
  };
  explicit Executor(Parts parts) : parts_(parts) {}

  struct Outcome {
    bool wrote = false;    ///< the log got something
    bool blocked = false;  ///< no reply yet: `block` says what it waits for
    bool ran = false;      ///< false: refused or queued; the reply shows nothing of the data
    bool waits_for_sync = false;  ///< the row asks for it, or that of a command inside EXEC
    const command::Spec* spec = nullptr;
    command::BlockRequest block;
  };
  /// Finds the row ahead of the call (for prefetching); null when there is none or it needs a subcommand's.
  static const command::Spec* resolve(std::span<const Bytes> args);

  enum class Again : uint8_t { First, Retried, TimedOut };
  Outcome run(command::ClientState& client, std::span<const Bytes> args, Bytes raw, resp::Writer& reply,
              Now now, Again again = Again::First);
  /// One queued command of EXEC.
  void run_queued(command::Context& exec, std::span<const Bytes> args);
  /// A context of the node's own, for timers.
  command::Context own_context(command::ClientState& client, resp::Writer& reply, Now now,
                               command::Mode mode);

  /// Applies the canonical commands of one frame. Error: what in it made no sense.
  Status replay(Bytes content, WallMs wall_ms);
  /// Called for the log's own records (reigns) during replay instead of a handler.
  std::function<void(std::span<const Bytes>)> on_internal_record;

  Gate gate;
  Statistics statistics;

 private:
  bool admit(const command::Spec* spec, command::ClientState& client, std::span<const Bytes> args,
             resp::Writer& reply);
  const char* refusal(const command::Spec& spec, const command::ClientState& client) const;
  void call(command::Context& ctx);
  void refused(command::ClientState& client, const command::Spec* spec);

  Parts parts_;
  bool exec_waits_for_sync_ = false;
  command::ClientState replay_client_;
  Buffer replay_reply_;
  std::vector<Bytes> replay_args_;
};

}  // namespace hf::node
