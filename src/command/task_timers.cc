// What happens to tasks without a client: due times, leases nobody received, and the log's own record of a
// change.
#include "command/task.h"

#include <algorithm>

#include "base/number.h"
#include "command/table.h"
#include "command/task_common.h"
#include "task/change.h"

namespace hf::command {
namespace {

/// The client's database while something is done in another one.
class InDb {
 public:
  InDb(Context& ctx, DbIndex db) : ctx_(ctx), before_(ctx.client.db) { ctx.client.db = db; }
  ~InDb() { ctx_.client.db = before_; }
  InDb(const InDb&) = delete;
  InDb& operator=(const InDb&) = delete;

 private:
  Context& ctx_;
  DbIndex before_;
};

/// Drops the final runs that are past their time; the whole task when none is left.
void trim(Context& ctx, const RunArg& arg) {
  const WallMs bound = ctx.now.wall_ms - ctx.tasks.options().final_keep_ms;
  const auto old = [&](const task::Run& run) {
    return task::is_final(run.state) && run.status_since <= bound;
  };
  uint64_t below = 0;
  for (const auto& run : arg.object->runs()) {
    if (!old(*run)) break;
    below = run->number + 1;
  }
  // A clock that was set back can leave a younger run before an old one: it then goes with it.
  below = std::max(below, arg.run->number + 1);
  if (below > arg.object->newest()->number) {
    ctx.remove_and_log(ctx.db(), arg.key);
    return;
  }
  task::Change change;
  change.kind = task::Change::Kind::Trim;
  change.run = arg.object->newest()->number;
  change.at = ctx.now.wall_ms;
  change.trim_below = below;
  commit(ctx, ctx.db(), arg.key, change);
}

void carry_out(Context& ctx, task::Due due, const RunArg& arg) {
  const task::Run& run = *arg.run;
  switch (due) {
    case task::Due::LeaseLost:
      commit_progress(ctx, arg);
      commit(ctx, ctx.db(), arg.key, task::decide_lease_lost(run, ctx.now, ctx.prng));
      break;
    case task::Due::WallTime:
      if (run.state == task::State::Running) {
        commit_progress(ctx, arg);
        commit(ctx, ctx.db(), arg.key, task::decide_timeout(run, ctx.now, ctx.prng));
      } else {
        commit(ctx, ctx.db(), arg.key, task::decide_time_comes(run, ctx.now));
      }
      break;
    case task::Due::Age: trim(ctx, arg); break;
    case task::Due::Nothing: break;
  }
}

}  // namespace

size_t run_due_tasks(Context& ctx, size_t max) {
  size_t done = 0;
  for (; done < max; ++done) {
    DbIndex db = 0;
    const task::Run* run = nullptr;
    const task::Due due = ctx.tasks.due(ctx.now, db, run);
    if (due == task::Due::Nothing) break;
    const InDb in_db(ctx, db);
    const std::string name(run->task->key());  // its own: what is done may remove the key
    const store::Key key = ctx.store.key(name);
    const store::Entry* entry = ctx.find(key);
    if (entry == nullptr) continue;  // the key had expired: the run has left the indexes with it
    carry_out(ctx, due, {name, key, task::as_task(entry->object()), run});
  }
  return done;
}

void release_undelivered(Context& ctx, std::span<const task::Grant> grants) {
  for (const task::Grant& grant : grants) {
    const InDb in_db(ctx, grant.db);
    const store::Key key = ctx.store.key(grant.task);
    const store::Entry* entry = ctx.find(key);
    const task::TaskObject* object = entry == nullptr ? nullptr : task::as_task(entry->object());
    const task::Run* run = object == nullptr ? nullptr : object->find(grant.run);
    if (run == nullptr || run->state != task::State::Running || run->token != grant.token || run->beaten)
      continue;
    task::Change change = task::decide_release(*run, 0, ctx.now);
    change.reason = "the reply to its claim could not be delivered";
    commit(ctx, ctx.db(), key, change);
  }
}

void task_key(Context& ctx) {
  const Spec* spec = find_command(ctx.args[1]);
  const auto args = ctx.args.subspan(1);
  const bool known = spec != nullptr && spec->handler != nullptr && (spec->flags & Write) &&
                     !(spec->flags & Internal) && arity_fits(*spec, args.size());
  if (!known) return ctx.error("ERR TASK.KEY of " + quoted(args[0].substr(0, 64)));
  ctx.args = args;
  ctx.spec = spec;
  spec->handler(ctx);
}

void task_apply(Context& ctx) {
  const auto change = task::decode_change(ctx.args.subspan(2));
  if (!change.ok()) return ctx.error("ERR " + change.error().message);
  const Status status = ctx.tasks.apply(ctx.store, ctx.db(), ctx.key(1), *change, ctx.now);
  if (!status.ok()) return ctx.error("ERR " + status.error().message);
  ctx.reply.ok();
}

}  // namespace hf::command
