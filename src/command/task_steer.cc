// TASK.PAUSE, TASK.RESUME, TASK.CANCEL: what people do to runs from outside. No token is needed.
#include "command/task_common.h"

namespace hf::command {
namespace {

void steer(Context& ctx, task::Event event, Bytes reason) {
  RunArg arg;
  if (!find_run(ctx, 1, arg)) return;
  const task::Decision decision = task::decide_steer(arg.task, *arg.run, event, reason, ctx.now);
  if (decision.verdict == task::Decision::Verdict::Refused) return ctx.error(decision.error);
  if (decision.verdict == task::Decision::Verdict::Apply) {
    if (task::is_final(decision.change.to)) commit_progress(ctx, arg);
    commit(ctx, ctx.db(), arg.key, decision.change);
  }
  ctx.reply.ok();
}

}  // namespace

void task_pause(Context& ctx) { steer(ctx, task::Event::Pause, {}); }
void task_resume(Context& ctx) { steer(ctx, task::Event::Resume, {}); }

void task_cancel(Context& ctx) {
  if (ctx.args.size() > 3) return ctx.wrong_arity();
  const Bytes reason = ctx.args.size() > 2 ? ctx.args[2] : Bytes();
  steer(ctx, task::Event::Cancel, reason.substr(0, limits::task_reason_bytes_max));
}

}  // namespace hf::command
