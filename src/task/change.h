// A change to a task, as a value: what a decision yields, what `apply` carries out, and what the log holds.
// It speaks of outcomes (this token, this deadline, this delay), never of intentions, so that every node that
// applies it ends up with the same bytes.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/types.h"
#include "task/checkpoint.h"
#include "task/transitions.h"
#include "task/types.h"

namespace hf::task {

/// Which fields count is said in `fields()` of change.cc. Views must outlive the change.
struct Change {
  enum class Kind : uint8_t {
    Submit,      ///< a new run
    Restart,     ///< a new run out of run `from`: its record and its checkpoints
    Move,        ///< a transition: `event` leads to `to`
    Progress,    ///< progress and note
    Checkpoint,  ///< a new version
    AskCheckpoint,
    Trim,  ///< the runs below `trim_below` go
  };
  Kind kind = Kind::Move;
  Event event = Event::Submit;  ///< Move
  State to = State::Pending;    ///< Move; Submit and Restart: the state it starts in
  Backoff backoff = Backoff::Exponential;
  bool held = false, pause_asked = false, loss_counted = false;
  bool has_payload = false, has_result = false;
  uint64_t run = 0;
  uint64_t order = 0;       ///< Submit, Restart
  uint64_t from = 0;        ///< Restart
  uint64_t trim_below = 0;  ///< Submit, Restart, Trim
  WallMs at = 0;
  WallMs due_at = 0;
  int64_t priority = 0, timeout_ms = 0;
  uint32_t retries = 0, retry_count = 0, lease_ms = 0, backoff_base_ms = 0, backoff_cap_ms = 0, keep = 0;
  Token token;
  int64_t progress = 0, total = 0;
  int64_t step = 0;
  uint64_t version = 0, base = 0;
  Sum128 sum;
  Bytes queue, worker, request, note, trace, unique, meta, tag, payload, result;
  std::string reason;       ///< owned: often made by the decision itself
  std::vector<Bytes> tags;  ///< k v k v
};

/// Writes the change as the arguments behind `TASK.APPLY <task>`: a word for the kind (of a Move: the event),
/// the numbers as one text with blanks between, then the texts. Reused from change to change: it keeps its
/// memory.
class ChangeEncoder {
 public:
  /// Valid until the next call, as long as the change's views live.
  std::span<const Bytes> encode(Bytes task, const Change& change);

 private:
  std::string numbers_;
  std::vector<Bytes> args_;
};

/// Reads what encode wrote: `args` begins with the kind's word. The change's views point into `args`.
Result<Change> decode_change(std::span<const Bytes> args);

}  // namespace hf::task
