// Everything about tasks that is not in the tasks themselves: the indexes (queues, delays, leases, timeouts,
// ages), the token counter, and `apply`, the one door through which a task changes - for a client's command,
// a timer and the log alike. The indexes are derived from the tasks and kept by apply and by the store's
// observer calls, so they are right at any moment, after a snapshot load or a replay too, without a
// rebuilding pass.
//
// Times: lease deadlines are monotonic and live in memory only; everything else (delays, timeouts, ages) is
// wall-clock time out of the tasks. One Tasks per store; not thread-safe.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/types.h"
#include "store/store.h"
#include "task/types.h"

namespace hf::task {

struct Change;
struct Run;
class TaskObject;

/// A lease handed out by a CLAIM whose reply may still be on its way.
struct Grant {
  DbIndex db = 0;
  std::string task;
  uint64_t run = 0;
  Token token;
};

/// How many runs a queue (or a whole database) holds.
struct QueueStats {
  uint64_t by_state[state_count] = {};
  uint64_t held = 0;     ///< of the PENDING ones: claimable by name only
  uint64_t trimmed = 0;  ///< runs dropped by age or number, of tasks that are still there (databases only)
};

/// What is due next.
enum class Due : uint8_t { Nothing, LeaseLost, WallTime, Age };

class Tasks {
 public:
  explicit Tasks(uint32_t databases, Options options = {});
  ~Tasks();
  Tasks(const Tasks&) = delete;
  Tasks& operator=(const Tasks&) = delete;

  /// The configuration; may change at run time.
  Options& options() { return options_; }
  const Options& options() const { return options_; }

  // ---- for the node
  // ---------------------------------------------------------------------------------------------- To be
  // called from the node's store::Observer, which has the same calls. `object` may be of any type: others
  // than tasks are passed over. A task's address must not change between inserted and removed (edit_object
  // keeps it).
  void object_inserted(DbIndex db, Bytes key, store::Object& object);
  void object_removed(DbIndex db, Bytes key, store::Object& object);
  void objects_flushed(DbIndex db);
  void objects_swapped(DbIndex a, DbIndex b);
  // (Indexes of Store::beside are understood; what is there is counted nowhere, but is due as others are:
  // only a node whose timers rest loads beside.)

  /// Gives back some `entries` of what a flush left of the indexes; true when there is more.
  bool free_some(size_t entries);
  /// Tokens from now on are above `epoch << 44`. To be called once a reign, before the first live command.
  void set_epoch(Epoch epoch);
  /// Every lease gets its full length from now: after each start and each promotion, before the first live
  /// command.
  void rearm(Now now);
  /// When command::run_due_tasks has something to do next; INT64_MAX: never, as things are; in the past: at
  /// once.
  MonoUs next_due(Now now) const;
  /// Appends to `ready` what became ready since the last call: "__queue__:<q>" for a queue with a new
  /// claimable run, a task's key for one with a new event. Each once, in the order of happening. Call it
  /// every turn, while replaying too; what happens before the first call is not remembered.
  void take_ready(std::vector<std::pair<DbIndex, std::string>>& ready);
  /// The leases that the latest TASK.CLAIM (of an EXEC: all of them) gave; hand them to
  /// command::release_undelivered when the reply could not be delivered. Valid until the next CLAIM.
  const std::vector<Grant>& grants() const { return grants_; }
  std::vector<Grant>& grants() { return grants_; }

  // ---- for the commands -----------------------------------------------------------------------------------
  /// The next fencing token; each call's is above all before it, replayed ones included.
  Token next_token();
  /// The place of the next run in the order of submission.
  uint64_t next_order() const;
  /// Makes the change in the task at `key`, created by a submit when it is not there (and is no other type:
  /// CHECK). The error says why the change does not fit the task as it is (a damaged or foreign log; never a
  /// live decision).
  Status apply(store::Store& store, DbIndex db, const store::Key& key, const Change& change, Now now);
  /// INT64_MAX: the run holds no lease, or none that runs yet (a node that follows, or has not begun to
  /// serve).
  MonoUs lease_deadline(DbIndex db, const Run& run) const;
  /// Moves the lease's deadline to its full length from now; memory only.
  void beat(DbIndex db, const Run& run, Now now);
  /// `TASK.APPLY <key> ...`: the change as the log holds it. Valid until the next call, as long as the
  /// change's views.
  std::span<const Bytes> encode(Bytes key, const Change& change);
  /// The first claimable run of the queue, or null. The pointers die with the next change.
  const Run* first_pending(DbIndex db, Bytes queue) const;
  /// Calls for every live lease that `worker` was given under `req`, oldest token first.
  std::vector<const Run*> leases_of(DbIndex db, Bytes worker, Bytes req) const;
  /// What is due at `now` in any database: the run and why, or Nothing. Age: `run` is a final run past its
  /// keep time.
  Due due(Now now, DbIndex& db, const Run*& run) const;

  QueueStats stats(DbIndex db) const;
  QueueStats stats(DbIndex db, Bytes queue) const;

  /// A sum over everything the indexes hold but monotonic deadlines: equal for equal tasks (tests compare
  /// them).
  uint64_t index_digest() const;

 private:
  struct Inside;
  Options options_;
  std::vector<Grant> grants_;
  std::unique_ptr<Inside> in_;
};

/// True when the object is a task with a run that is not final: RENAME, MOVE, COPY and an overwriting RESTORE
/// of it must answer `active_error` instead.
bool active(const store::Object& object);
/// "ACTIVE nlp is RUNNING as nlp#6 by worker w1 since ...; ...". CHECK: active(object).
std::string active_error(Bytes key, const store::Object& object);

/// For store::Store::set_loader(Type::Task, ...): any bytes give a task or an error.
Result<std::unique_ptr<store::Object>> load_task(Bytes saved);

/// The pseudo key of a queue: what blocked claimers wait on, and what ACL rules see.
std::string queue_key(Bytes queue);

}  // namespace hf::task
