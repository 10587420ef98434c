// The rows of the task commands. AFTER, NEEDS and the commands around dependencies, resources and queues are
// not here.
#include "command/common.h"
#include "command/table.h"
#include "command/task_common.h"

namespace hf::command {
namespace {

constexpr uint32_t writes = Write | WaitsForSync | RunKeys;
constexpr uint32_t reads = Readonly | RunKeys;
constexpr const char* since = "1.0.0";
constexpr KeyRange pairs{2, -1, 2};

constexpr Spec rows[] = {
    {"task.submit", -2, Write | DenyOom | WaitsForSync, first_key, CatTask, "task", since, "O(1)",
     "Submits a new run of a task and returns its id. The same UNIQUE gives the same run; FORCE cancels an "
     "active one.",
     "task [QUEUE queue] [PAYLOAD bytes] [PRIORITY n] [DELAY ms] [RETRIES n] [BACKOFF EXPONENTIAL|FIXED|NONE "
     "base cap] "
     "[LEASE ms] [TIMEOUT ms] [TAGS n key value [key value ...]] [TRACE id] [UNIQUE token] [KEEP runs] "
     "[HELD] [FORCE]",
     task_submit},
    {"task.claim", -4, Write | Blocking | WaitsForSync | WholeKeyspace, no_keys, CatTask, "task", since,
     "O(log N) a run, N the size of the queue",
     "Leases the first claimable runs of the queues, or exactly RUN (whatever its queue), to a worker, and "
     "returns their "
     "records. The same WORKER and REQ give the same leases again.",
     "numqueues [queue ...] WORKER id [RUN run] [LEASE ms] [BLOCK ms] [COUNT n] [REQ nonce]", task_claim},
    {"task.beat", -3, Write | Fast | WaitsForSync | RunKeys, first_key, CatTask, "task", since, "O(log N)",
     "Keeps a lease alive. Answers OK, PAUSE or CHECKPOINT, or why the run is not the caller's any more.",
     "run token [PROGRESS n total] [NOTE text]", task_beat},
    {"task.beats", -4, Write | WaitsForSync | RunKeys, pairs, CatTask, "task", since,
     "O(N log M), N the number of runs",
     "Keeps several leases alive; returns a status or an error text for each.",
     "numruns run token [run token ...]", task_beats},
    {"task.checkpoint", -5, writes | DenyOom, first_key, CatTask, "task", since,
     "O(N), N the size of the payload",
     "Stores a version of the run's progress and returns its number. SUM is XXH3-128, as 32 hex digits, over "
     "payload, "
     "step (8 bytes, little endian) and META.",
     "run token step payload [DELTA version] [META json] [TAG name] [SUM xxh3hex]", task_checkpoint},
    {"task.checkpoints", 2, reads, first_key, CatTask, "task", since, "O(N), N the number of versions",
     "Returns what is known of each version that is kept, oldest first.", "run", task_checkpoints},
    {"task.restore", -2, reads, first_key, CatTask, "task", since, "O(N), N the bytes to verify",
     "Verifies the latest (or the named) version and returns the chain it takes, the full one first; null "
     "when there is "
     "none.",
     "run [VERSION version | STEP step | TAG tag] [EXPECT key value]", task_restore},
    {"task.payload", -4, reads, first_key, CatTask, "task", since, "O(N), N the bytes returned",
     "Returns the bytes of one version, or a range of them.", "run VERSION version [RANGE start end]",
     task_payload},
    {"task.done", -3, writes, first_key, CatTask, "task", since, "O(log N)", "Ends a run with success.",
     "run token [RESULT bytes]", task_done},
    {"task.fail", 5, writes, first_key, CatTask, "task", since, "O(log N)",
     "Ends an attempt: TRANSIENT is tried again while retries are left, PERMANENT ends the run.",
     "run token TRANSIENT|PERMANENT reason", task_fail},
    {"task.release", -3, writes, first_key, CatTask, "task", since, "O(log N)",
     "Gives a lease back without counting the attempt.", "run token [DELAY ms]", task_release},
    {"task.pause", 2, writes, first_key, CatTask, "task", since, "O(log N)",
     "Pauses a run; one that is RUNNING goes on until its worker gives it back.", "run", task_pause},
    {"task.resume", 2, writes, first_key, CatTask, "task", since, "O(log N)",
     "Ends a pause, or takes back one asked for.", "run", task_resume},
    {"task.cancel", -2, writes, first_key, CatTask, "task", since, "O(log N)",
     "Cancels a run; its worker is told at its next beat.", "run [reason]", task_cancel},
    {"task.restart", -2, writes | DenyOom, first_key, CatTask, "task", since,
     "O(N), N the number of checkpoints",
     "Makes a new run out of one that has ended, with its record and its checkpoints, and returns its id.",
     "run [UNIQUE token]", task_restart},
    {"task.checkpoint-request", 2, writes, first_key, CatTask, "task", since, "O(1)",
     "Asks the worker of a RUNNING run for a checkpoint, at its next beat.", "run", task_checkpoint_request},
    {"task.get", 2, reads | Fast, first_key, CatTask, "task", since, "O(1)",
     "Returns the record of a run, or null.", "run", task_get},
    {"task.runs", -2, Readonly, first_key, CatTask, "task", since, "O(N), N the number of runs returned",
     "Returns the records of a task's runs, oldest first, without payloads and results.", "task [start stop]",
     task_runs},
    {"task.list",
     -3,
     Readonly | WholeKeyspace,
     no_keys,
     CatTask,
     "task",
     since,
     "O(1) a call, O(N) for all of it",
     "Walks the tasks, a few at a call, and returns the newest run of each that fits.",
     "[STATE state] [QUEUE queue] [TAG key value] [WORKER id] [MATCH pattern] CURSOR cursor [COUNT n]",
     task_list,
     {},
     "nondeterministic_output"},
    {"task.events", -2, reads | Blocking, first_key, CatTask, "task", since,
     "O(N), N the number of events returned",
     "Returns the transitions of a run from an id on, or waits for the next.",
     "run [FROM id] [COUNT n] [BLOCK ms]", task_events},
    {"task.stats", -1, Readonly | WholeKeyspace, no_keys, CatTask, "task", since,
     "O(N), N the number of queues", "Counts the runs of a queue, or of the database, by state.",
     "[QUEUE queue]", task_stats},
    {"task.apply", -4, Write | Internal, first_key, CatTask, "task", since, "O(log N)",
     "A decided change to a task, as the log holds it.", "task change numbers [text ...]", task_apply},
    {"task.key", -3, Write | Internal, no_keys, CatTask, "task", since, "that of the command",
     "A command about keys, one of which holds a task, as the log holds it.", "command [argument ...]",
     task_key},
};

}  // namespace

std::span<const Spec> task_commands() { return rows; }

}  // namespace hf::command
