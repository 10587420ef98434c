// What a worker says about the runs it holds: BEAT, BEATS, DONE, FAIL, RELEASE. Each needs the lease's token.
#include "base/number.h"
#include "command/task_common.h"

namespace hf::command {
namespace {

constexpr MonoUs progress_interval_us = 1000 * 1000;  // the log sees progress this often at most

struct Progress {
  bool given = false, note_given = false;
  int64_t progress = 0, total = 0;
  Bytes note;
};

void take_progress(Context& ctx, const RunArg& arg, const Progress& p) {
  const task::Run& run = *arg.run;
  if (p.given || p.note_given) {
    if (!run.live)
      run.live.reset(new task::LiveProgress{run.rare->progress, run.rare->total, run.rare->note});
    if (p.given) run.live->progress = p.progress, run.live->total = p.total;
    if (p.note_given && run.live->note.view() != p.note) run.live->note = task::Text(p.note);
    if (run.live->progress == run.rare->progress && run.live->total == run.rare->total &&
        run.live->note.view() == run.rare->note.view())
      run.live.reset();
  }
  if (run.live && ctx.now.mono_us - run.rare->progress_logged_at >= progress_interval_us)
    commit_progress(ctx, arg);
}

const char* advice(const Context& ctx, const task::Run& run) {
  if (run.pause_asked) return "PAUSE";
  const uint32_t every = ctx.tasks.options().checkpoint_full_every;
  const bool full_is_due =
      every > 0 && run.rare->checkpoints && task::deltas_since_full(*run.rare->checkpoints) >= every;
  return run.checkpoint_asked || full_is_due ? "CHECKPOINT" : "OK";
}

/// The beat's status, or false and the error.
bool beat(Context& ctx, const RunArg& arg, Token token, const Progress& progress, const char*& status,
          std::string& error) {
  if (!hold(ctx, arg, token, error)) return false;
  ctx.tasks.beat(ctx.db(), *arg.run, ctx.now);
  take_progress(ctx, arg, progress);
  ctx.rewritten = true;  // a bare beat is not logged
  status = advice(ctx, *arg.run);
  return true;
}

/// The end of an attempt: finds the run, checks the token (`events`: what it may have been ended with
/// already, which is OK again), and readies it. True: go on with `arg`.
bool begin_end(Context& ctx, RunArg& arg, std::initializer_list<task::Event> events) {
  Token token;
  if (!find_run(ctx, 1, arg) || !token_arg(ctx, 2, token)) return false;
  std::string error;
  if (hold(ctx, arg, token, error)) {
    commit_progress(ctx, arg);
    return true;
  }
  for (const task::Event event : events)
    if (task::closed_with(*arg.run, token, event)) return ctx.reply.ok(), false;
  ctx.error(error);
  return false;
}

}  // namespace

void task_beat(Context& ctx) {
  Progress progress;
  OptionReader o(ctx, 3);
  while (o.more()) {
    if (o.word("PROGRESS")) {
      o.number("PROGRESS", 0, INT64_MAX, progress.progress);
      o.number("PROGRESS's total", 0, INT64_MAX, progress.total);
      progress.given = true;
    } else if (o.word("NOTE")) {
      o.text("NOTE", limits::task_note_bytes_max, progress.note);
      progress.note_given = true;
    } else {
      o.unexpected();
    }
  }
  RunArg arg;
  Token token;
  if (!o.ok() || !find_run(ctx, 1, arg) || !token_arg(ctx, 2, token)) return;
  const char* status = "";
  std::string error;
  if (beat(ctx, arg, token, progress, status, error)) ctx.reply.simple(status);
  else ctx.error(error);
}

void task_beats(Context& ctx) {
  const auto n = parse_uint(ctx.args[1]);
  if (!n || *n * 2 != ctx.args.size() - 2)
    return ctx.error("ERR TASK.BEATS takes the number of runs, then as many pairs of run and token");
  ctx.reply.array(*n);
  for (size_t i = 2; i + 1 < ctx.args.size(); i += 2) {
    RunArg arg;
    std::string error = find_run(ctx, ctx.args[i], arg);
    const auto token = parse_uint(ctx.args[i + 1]);
    if (error.empty() && !token) error = "ERR " + quoted(ctx.args[i + 1].substr(0, 64)) + " is no token";
    const char* status = "";
    if (error.empty() && beat(ctx, arg, {*token}, {}, status, error)) ctx.reply.bulk(status);
    else ctx.reply.bulk(error);
  }
}

void task_done(Context& ctx) {
  bool has_result = false;
  Bytes result;
  OptionReader o(ctx, 3);
  while (o.more()) {
    if (o.word("RESULT")) o.text("RESULT", limits::task_payload_bytes_max, result), has_result = true;
    else o.unexpected();
  }
  RunArg arg;
  if (!o.ok() || !begin_end(ctx, arg, {task::Event::Done})) return;
  commit(ctx, ctx.db(), arg.key, task::decide_done(*arg.run, has_result, result, ctx.now));
  ctx.reply.ok();
}

void task_fail(Context& ctx) {
  const bool permanent = equal_nocase(ctx.args[3], "PERMANENT");
  if (!permanent && !equal_nocase(ctx.args[3], "TRANSIENT"))
    return ctx.error("ERR syntax error: " + quoted(ctx.args[3].substr(0, 64)) +
                     " is neither TRANSIENT nor PERMANENT");
  RunArg arg;
  if (!begin_end(ctx, arg, {task::Event::FailTransient, task::Event::FailPermanent})) return;
  const Bytes reason = ctx.args[4].substr(0, limits::task_reason_bytes_max);
  commit(ctx, ctx.db(), arg.key,
         permanent ? task::decide_fail_permanent(*arg.run, reason, ctx.now)
                   : task::decide_retry(*arg.run, task::Event::FailTransient, std::string(reason), true,
                                        ctx.now, ctx.prng));
  ctx.reply.ok();
}

void task_release(Context& ctx) {
  int64_t delay_ms = 0;
  OptionReader o(ctx, 3);
  while (o.more()) {
    if (o.word("DELAY")) o.number("DELAY (ms)", 0, limits::task_delay_ms_max, delay_ms);
    else o.unexpected();
  }
  RunArg arg;
  if (!o.ok() || !begin_end(ctx, arg, {task::Event::Release})) return;
  commit(ctx, ctx.db(), arg.key, task::decide_release(*arg.run, delay_ms, ctx.now));
  ctx.reply.ok();
}

}  // namespace hf::command
