// What the task commands share: finding a run, reading options, and the one way in which a decided change is
// carried out and logged.
#pragma once
#include <string>

#include "command/context.h"
#include "command/spec.h"
#include "task/decide.h"
#include "task/task_object.h"
#include "task/tasks.h"

namespace hf::command {

/// A run as an argument names it. The views and pointers die with the next change to the key; `run` stays
/// good across `commit`, which changes it in place.
struct RunArg {
  Bytes task;
  store::Key key;
  const task::TaskObject* object = nullptr;
  const task::Run* run = nullptr;
  std::string id() const { return task::run_id(task, run->number); }
};

/// Finds the run that args[arg] names. False: the error is replied (not a name, not a task, no such run).
bool find_run(Context& ctx, size_t arg, RunArg& out);
/// The same without a reply: the error's text, or empty.
std::string find_run(Context& ctx, Bytes id, RunArg& out);
/// The task at a key, null when there is none. False: another type is there, WRONGTYPE is replied.
bool find_task(Context& ctx, const store::Key& key, const task::TaskObject*& object);

/// Carries the change out and logs it as TASK.APPLY, in place of the request.
void commit(Context& ctx, DbIndex db, const store::Key& key, const task::Change& change);
/// Logs progress that only memory knows, before something else is logged about the run.
void commit_progress(Context& ctx, const RunArg& arg);

/// args[arg] as a token. False: the error is replied.
bool token_arg(Context& ctx, size_t arg, Token& token);
/// Makes sure that the token is the run's lease, adopting the run again where that is allowed. False: `error`
/// says why not.
bool hold(Context& ctx, const RunArg& arg, Token token, std::string& error);

/// Reads options one after the other. The first that is wrong is replied to, and `ok()` is false from then
/// on.
class OptionReader {
 public:
  OptionReader(Context& ctx, size_t from) : ctx_(ctx), at_(from) {}
  bool ok() const { return ok_; }
  bool more() const { return ok_ && at_ < ctx_.args.size(); }
  /// True when the next argument is this word (in any case), which is then behind us.
  bool word(const char* name);
  /// The next argument, at most `max` bytes long.
  void text(const char* what, size_t max, Bytes& out);
  void number(const char* what, int64_t lo, int64_t hi, int64_t& out);
  template <class N>
  void number(const char* what, int64_t lo, int64_t hi, N& out) {
    int64_t value = 0;
    number(what, lo, hi, value);
    if (ok_) out = static_cast<N>(value);
  }
  /// The next argument is none of the words known here.
  void unexpected();
  void fail(const std::string& error);
  bool next_is_integer() const;

 private:
  Context& ctx_;
  size_t at_;
  bool ok_ = true;
};

/// Which records carry the large fields (payload, result).
enum class RecordView : uint8_t { Brief, Full };
/// Replies the record of a run: a map with the fields of one table.
void reply_record(Context& ctx, Bytes task, const task::Run& run, RecordView view);
void reply_checkpoint(Context& ctx, const task::Checkpoint& checkpoint);

// The handlers, by file
void task_submit(Context& ctx);  // task_submit.cc
void task_restart(Context& ctx);
void task_pause(Context& ctx);  // task_steer.cc
void task_resume(Context& ctx);
void task_cancel(Context& ctx);
void task_claim(Context& ctx);  // task_claim.cc
void task_beat(Context& ctx);   // task_work.cc
void task_beats(Context& ctx);
void task_done(Context& ctx);
void task_fail(Context& ctx);
void task_release(Context& ctx);
void task_checkpoint(Context& ctx);  // task_checkpoint.cc
void task_checkpoints(Context& ctx);
void task_restore(Context& ctx);
void task_payload(Context& ctx);
void task_checkpoint_request(Context& ctx);
void task_get(Context& ctx);  // task_read.cc
void task_runs(Context& ctx);
void task_list(Context& ctx);
void task_events(Context& ctx);
void task_stats(Context& ctx);
void task_apply(Context& ctx);  // task_timers.cc
void task_key(Context& ctx);

}  // namespace hf::command
