// A task: the value type, its runs, and how a change is carried out on them. Saved format: FORMAT.md.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "store/object.h"
#include "task/checkpoint.h"
#include "task/text.h"
#include "task/transitions.h"
#include "task/types.h"

namespace hf::task {

struct Change;
class TaskObject;
struct QueueIndex;  // tasks.cc's

/// One transition of a run, as TASK.EVENTS shows it. Its id is its place: Run::first_event + index.
struct RunEvent {
  WallMs at = 0;
  Token token;
  Text worker, reason;
  Event what = Event::Submit;
  State before = State::Pending, after = State::Pending;
};

/// Progress that a beat brought and the log has not seen yet (it is logged once a second).
struct LiveProgress {
  int64_t progress = 0, total = 0;
  Text note;
};

using Tags = std::vector<std::pair<Text, Text>>;

constexpr uint32_t no_place = UINT32_MAX;

/// One run. The upper part is saved, logged, and equal on every node; the lower part is this process's own.
struct Run {
  uint64_t number = 0;
  uint64_t order = 0;  ///< place in the order of submission, over all tasks
  int64_t priority = 0;
  State state = State::Pending;
  Backoff backoff = Backoff::Exponential;
  Event closed_by = Event::Submit;  ///< what ended the last attempt; Submit: none, or it is under way
  bool held = false;                ///< claimable by name only
  bool pause_asked = false;
  bool checkpoint_asked = false;
  bool loss_counted = false;  ///< the lost lease that ended the last attempt raised retry_count
  uint32_t attempt = 0, retry_count = 0, retries = 0;
  uint32_t lease_ms = 0;      ///< as submitted
  uint32_t lease_now_ms = 0;  ///< of the lease in force, or the last one
  uint32_t backoff_base_ms = 0, backoff_cap_ms = 0;
  int64_t timeout_ms = 0;  ///< of an attempt; 0: none
  WallMs submitted_at = 0, status_since = 0, updated_at = 0, claimed_at = 0;
  WallMs due_at = 0;  ///< DELAYED (and PAUSED out of it): when it ends. RUNNING: its timeout. 0: none
  Token token;        ///< of the lease in force, or the last one; 0: never claimed
  int64_t progress = 0, total = 0;
  Text queue, worker, request, note, reason, trace, unique;
  Blob payload, result;        ///< null: none given
  std::unique_ptr<Tags> tags;  ///< null: none
  std::unique_ptr<Checkpoints> checkpoints;
  std::vector<RunEvent> events;
  uint64_t first_event = 1;  ///< id of events[0]

  // ---- of this process only, and no part of the value (hence mutable)
  // -------------------------------------------
  TaskObject* task = nullptr;
  QueueIndex* queue_index = nullptr;
  mutable MonoUs lease_deadline = INT64_MAX;  ///< RUNNING only; INT64_MAX: not armed yet
  mutable MonoUs progress_logged_at = INT64_MIN / 2;
  mutable std::unique_ptr<LiveProgress> live;
  uint32_t place = no_place;       ///< in the queue's heap (claimable) or the lease heap (RUNNING)
  uint32_t time_place = no_place;  ///< in the heap of wall times, or of ages
  size_t checkpoint_bytes = 0;     ///< heap held by `checkpoints`
  mutable bool beaten = false;     ///< the lease in force was beaten for

  bool claimable() const { return state == State::Pending && !held; }
  uint64_t next_version() const {
    return checkpoints && !checkpoints->empty() ? checkpoints->back()->version + 1 : 1;
  }
  const Checkpoint* last_checkpoint() const {
    return checkpoints && !checkpoints->empty() ? checkpoints->back().get() : nullptr;
  }
  /// A copy of the saved part; large bytes are shared.
  std::unique_ptr<Run> clone() const;
  /// Beside the checkpoints it takes the same few steps whatever the run holds; those are counted as they
  /// come and go.
  size_t memory_bytes() const;
  void count_checkpoint_bytes();
};

class TaskObject final : public store::Object {
 public:
  store::Type type() const override { return store::Type::Task; }
  const char* encoding() const override { return "task"; }
  void save(std::string& out) const override;
  std::unique_ptr<store::Object> clone() const override;
  size_t memory_bytes() const override;
  static Result<std::unique_ptr<TaskObject>> load(Bytes saved);

  /// Oldest first, numbers rising; only the newest can be other than final.
  const std::vector<std::unique_ptr<Run>>& runs() const { return runs_; }
  /// By number; 0 is the newest. Null when not there (any more).
  const Run* find(uint64_t number) const;
  Run* find(uint64_t number) { return const_cast<Run*>(std::as_const(*this).find(number)); }
  const Run* newest() const { return runs_.empty() ? nullptr : runs_.back().get(); }
  /// The run that is not final, or null.
  const Run* active() const { return newest() != nullptr && !is_final(newest()->state) ? newest() : nullptr; }
  const Run* find_unique(Bytes token) const;
  uint64_t next_number() const { return next_number_; }
  uint64_t trimmed() const { return trimmed_; }  ///< runs dropped so far
  uint32_t keep() const { return keep_; }        ///< SUBMIT KEEP; 0: the server's task-runs-keep

  /// Carries a change out, on the saved part only. Error: it does not fit; nothing was changed.
  Status apply(const Change& change);
  /// The key, and the rest of what Tasks keeps here while the task is in a store; not saved.
  struct Home {
    Text name;
    uint64_t told_ready = 0;  ///< the round of Tasks::take_ready that has the key already
  } home;

 private:
  Status apply_submit(const Change& change);
  Status apply_restart(const Change& change);
  Status apply_to(Run& run, const Change& change);
  Status apply_move(Run& run, const Change& change);
  Status apply_checkpoint(Run& run, const Change& change);
  void add(std::unique_ptr<Run> run, const Change& change);
  void trim_below(uint64_t number);

  std::vector<std::unique_ptr<Run>> runs_;
  size_t run_bytes_ = 0;  // of all runs: the store asks at every change
  uint64_t next_number_ = 1, trimmed_ = 0;
  uint32_t keep_ = 0;
};

/// The object as a task, or null.
inline const TaskObject* as_task(const store::Object* object) {
  return object != nullptr && object->type() == store::Type::Task ? static_cast<const TaskObject*>(object)
                                                                  : nullptr;
}

}  // namespace hf::task
