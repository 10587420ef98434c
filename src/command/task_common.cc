// See task_common.h.
#include "command/task_common.h"

#include "base/number.h"
#include "base/planted.h"
#include "task/change.h"

namespace hf::command {

bool find_task(Context& ctx, const store::Key& key, const task::TaskObject*& object) {
  bool wrong;
  const store::Entry* entry = ctx.find_typed(key, store::Type::Task, wrong);
  object = entry == nullptr || wrong ? nullptr : task::as_task(entry->object());
  return !wrong;
}

std::string find_run(Context& ctx, Bytes id, RunArg& out) {
  uint64_t number = 0;
  if (!task::parse_run_id(id, out.task, number))
    return "ERR " + quoted(id) + " names no run; a run is written task#number";
  out.key = ctx.store.key(out.task);
  const store::Entry* entry = ctx.find(out.key);
  if (entry == nullptr)
    return "NORUN there is no task " + std::string(out.task) + "; TASK.LIST shows what there is";
  out.object = task::as_task(entry->object());
  if (out.object == nullptr) return "WRONGTYPE Operation against a key holding the wrong kind of value";
  out.run = out.object->find(number);
  if (out.run == nullptr)
    return "NORUN there is no run " + std::string(id) + " (any more); TASK.RUNS " + std::string(out.task) +
           " shows what there is";
  return {};
}

bool find_run(Context& ctx, size_t arg, RunArg& out) {
  const std::string error = find_run(ctx, ctx.args[arg], out);
  if (!error.empty()) ctx.error(error);
  return error.empty();
}

void commit(Context& ctx, DbIndex db, const store::Key& key, const task::Change& change) {
  ctx.journal.append(db, ctx.tasks.encode(key.bytes, change), false);
  const Status status = ctx.tasks.apply(ctx.store, db, key, change, ctx.now);
  HF_CHECK(status.ok());  // it was decided on this very task
  ctx.dirty = ctx.rewritten = true;
}

void commit_progress(Context& ctx, const RunArg& arg) {
  if (!arg.run->live) return;
  const auto live = std::move(arg.run->live);
  task::Change change;
  change.kind = task::Change::Kind::Progress;
  change.run = arg.run->number;
  change.at = ctx.now.wall_ms;
  change.progress = live->progress;
  change.total = live->total;
  change.note = live->note.view();
  commit(ctx, ctx.db(), arg.key, change);
  if (arg.run->rare.present()) arg.run->rare->progress_logged_at = ctx.now.mono_us;
}

bool token_arg(Context& ctx, size_t arg, Token& token) {
  const auto value = parse_uint(ctx.args[arg]);
  if (value) token.value = *value;
  else
    ctx.error("ERR " + quoted(ctx.args[arg].substr(0, 64)) +
              " is no token; it is the number that TASK.CLAIM returned");
  return value.has_value();
}

bool hold(Context& ctx, const RunArg& arg, Token token, std::string& error) {
  switch (task::hold_of(*arg.run, token)) {
    case task::Hold::Holder: return true;
    case task::Hold::Readopts:
      commit(ctx, ctx.db(), arg.key, task::decide_readopt(*arg.run, ctx.now));
      return true;
    case task::Hold::None: break;
  }
  if (planted(Bug::NotFenced) && arg.run->state == task::State::Running) return true;
  error = task::fenced_error(arg.task, *arg.run, token);
  return false;
}

bool OptionReader::word(const char* name) {
  if (!more() || !equal_nocase(ctx_.args[at_], name)) return false;
  ++at_;
  return true;
}

void OptionReader::fail(const std::string& error) {
  if (ok_) ctx_.error(error);
  ok_ = false;
}

void OptionReader::text(const char* what, size_t max, Bytes& out) {
  if (!ok_) return;
  if (at_ >= ctx_.args.size())
    return fail(std::string("ERR syntax error: ") + what + " is missing at the end");
  out = ctx_.args[at_++];
  if (out.size() > max)
    fail(std::string("ERR ") + what + " has " + to_text(static_cast<int64_t>(out.size())) +
         " bytes; at most " + to_text(static_cast<int64_t>(max)) + " are allowed");
}

void OptionReader::number(const char* what, int64_t lo, int64_t hi, int64_t& out) {
  Bytes word;
  text(what, 64, word);
  if (!ok_) return;
  const auto value = parse_int(word);
  if (value && *value >= lo && *value <= hi) out = *value;
  else
    fail(std::string("ERR ") + what + " is " + quoted(word) + "; an integer from " + to_text(lo) + " to " +
         to_text(hi) + " is needed");
}

void OptionReader::unexpected() {
  if (!more()) return;
  fail("ERR syntax error: unexpected " + quoted(ctx_.args[at_].substr(0, 64)) + "; " +
       to_upper(ctx_.spec->name) + " " + ctx_.spec->syntax);
}

bool OptionReader::next_is_integer() const { return more() && parse_int(ctx_.args[at_]).has_value(); }

}  // namespace hf::command
