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
#include "task/event_log.h"
#include "task/packed_time.h"
#include "task/payload.h"
#include "task/run_list.h"
#include "task/text.h"
#include "task/transitions.h"
#include "task/types.h"

namespace hf::task {

struct Change;
class TaskObject;
struct QueueIndex;  // tasks.cc's

/// Progress that a beat brought and the log has not seen yet (it is logged once a second).
struct LiveProgress {
  int64_t progress = 0, total = 0;
  Text note;
};

using Tags = std::vector<std::pair<Text, Text>>;

constexpr uint32_t no_place = UINT32_MAX;

/// What most live runs have nothing of: kept apart, and not at all while all of it is as here.
struct RareFields {
  int64_t timeout_ms = 0;  ///< of an attempt; 0: none
  int64_t progress = 0, total = 0;
  Text request, note, reason, trace, unique;
  Payload result;
  std::unique_ptr<Tags> tags;  ///< null: none
  std::unique_ptr<Checkpoints> checkpoints;
  // This process's own
  size_t checkpoint_bytes = 0;  ///< heap held by `checkpoints`
  mutable MonoUs progress_logged_at = never_logged;
  static constexpr MonoUs never_logged = INT64_MIN / 2;

  /// All of it is as it is when nothing was ever given.
  bool blank() const;
  std::unique_ptr<RareFields> clone() const;
  size_t memory_bytes() const;
};

/// The rare fields of a run: read as if they were always there, made when first written.
class Rare {
 public:
  const RareFields* operator->() const { return fields_ != nullptr ? fields_.get() : &none_; }
  const RareFields& operator*() const { return *operator->(); }
  RareFields& edit() {
    if (fields_ == nullptr) fields_ = std::make_unique<RareFields>();
    return *fields_;
  }
  bool present() const { return fields_ != nullptr; }
  void copy(const Rare& other) { fields_ = other.fields_ ? other.fields_->clone() : nullptr; }
  size_t memory_bytes() const { return fields_ ? fields_->memory_bytes() : 0; }

 private:
  static const RareFields none_;
  std::unique_ptr<RareFields> fields_;
};

/// One run. The upper part and `rare` are saved, logged, and equal on every node; the lower part is this
/// process's own. A million of them are live at once: a field more is a megabyte or eight.
struct Run {
  uint64_t number = 0;
  uint64_t order = 0;  ///< place in the order of submission, over all tasks
  Token token;         ///< of the lease in force, or the last one; 0: never claimed
  int32_t priority = 0;
  uint32_t attempt = 0, retry_count = 0, retries = 0;
  uint32_t lease_ms = 0;      ///< as submitted
  uint32_t lease_now_ms = 0;  ///< of the lease in force, or the last one
  uint32_t backoff_base_ms = 0, backoff_cap_ms = 0;
  Text queue, worker;
  Payload payload;
  EventLog events;
  Rare rare;

  // ---- of this process only, and no part of the value (hence mutable) ----------------------------------
  TaskObject* task = nullptr;
  QueueIndex* queue_index = nullptr;
  mutable std::unique_ptr<LiveProgress> live;
  uint32_t place = no_place;       ///< in the queue's heap (claimable) or the lease heap (RUNNING)
  uint32_t time_place = no_place;  ///< in the heap of wall times, or of ages

  // ---- the value's again: what is no multiple of a word stands together
  PackedTime submitted_at, status_since, updated_at, claimed_at;
  PackedTime due_at;  ///< DELAYED (and PAUSED out of it): when it ends. RUNNING: its timeout. 0: none
  State state : 3 = State::Pending;
  Event closed_by : 5 = Event::Submit;  ///< what ended the last attempt; Submit: none, or it is under way
  Backoff backoff : 2 = Backoff::Exponential;
  bool held : 1 = false;                ///< claimable by name only
  bool pause_asked : 1 = false;
  bool checkpoint_asked : 1 = false;
  bool loss_counted : 1 = false;    ///< the lost lease that ended the last attempt raised retry_count
  mutable bool beaten : 1 = false;  ///< this process's own: the lease in force was beaten for

  bool claimable() const { return state == State::Pending && !held; }
  const Checkpoint* last_checkpoint() const {
    const auto& all = rare->checkpoints;
    return all && !all->empty() ? all->back().get() : nullptr;
  }
  uint64_t next_version() const { return last_checkpoint() != nullptr ? last_checkpoint()->version + 1 : 1; }
  /// A copy of the saved part; large bytes are shared.
  std::unique_ptr<Run> clone() const;
  /// Beside the checkpoints it takes the same few steps whatever the run holds; those are counted as they
  /// come and go.
  size_t memory_bytes() const;
  void count_checkpoint_bytes();
};
static_assert(sizeof(Run) <= 160, "160 bytes are a size class of the allocator; the next one is 192");
static_assert(state_count <= 1 << 3 && event_count <= 1 << 5);

class TaskObject final : public store::Object {
 public:
  store::Type type() const override { return store::Type::Task; }
  const char* encoding() const override { return "task"; }
  void save(std::string& out) const override;
  void save_parts(store::SavedParts& out) const override;
  std::unique_ptr<store::Object> clone() const override;
  size_t memory_bytes() const override;
  static Result<std::unique_ptr<TaskObject>> load(Bytes saved);

  /// Oldest first, numbers rising; only the newest can be other than final.
  const RunList& runs() const { return runs_; }
  /// By number; 0 is the newest. Null when not there (any more).
  const Run* find(uint64_t number) const;
  Run* find(uint64_t number) { return const_cast<Run*>(std::as_const(*this).find(number)); }
  const Run* newest() const { return runs_.empty() ? nullptr : runs_.back(); }
  /// The run that is not final, or null.
  const Run* active() const { return newest() != nullptr && !is_final(newest()->state) ? newest() : nullptr; }
  const Run* find_unique(Bytes token) const;
  uint64_t next_number() const { return next_number_; }
  uint64_t trimmed() const { return trimmed_; }  ///< runs dropped so far
  uint32_t keep() const {
    return static_cast<uint32_t>(home.keep);
  }  ///< SUBMIT KEEP; 0: the server's task-runs-keep

  /// Carries a change out, on the saved part only. Error: it does not fit; nothing was changed.
  Status apply(const Change& change);
  /// What Tasks keeps here while the task is in a store; not saved.
  struct Home {
    uint64_t told_ready : 44 = 0;  ///< the round of Tasks::take_ready that has the key already
    uint64_t keep : 20 = 0;        ///< keep(), for the room
  } home;

 private:
  template <class S>
  void save_with(S& saver) const;
  Status apply_submit(const Change& change);
  Status apply_restart(const Change& change);
  Status apply_to(Run& run, const Change& change);
  Status apply_move(Run& run, const Change& change);
  Status apply_checkpoint(Run& run, const Change& change);
  void add(std::unique_ptr<Run> run, const Change& change);
  void trim_below(uint64_t number);

  RunList runs_;
  size_t run_bytes_ = 0;  // of all runs: the store asks at every change
  uint64_t next_number_ = 1, trimmed_ = 0;
};

/// The object as a task, or null.
inline const TaskObject* as_task(const store::Object* object) {
  return object != nullptr && object->type() == store::Type::Task ? static_cast<const TaskObject*>(object)
                                                                  : nullptr;
}

}  // namespace hf::task
