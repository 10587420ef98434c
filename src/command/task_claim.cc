// TASK.CLAIM: how a worker gets a lease. By queue, the best runs that may be claimed; by RUN, exactly that
// one.
#include "command/task_common.h"

#include "command/task.h"

namespace hf::command {
namespace {

struct ClaimRequest {
  std::vector<Bytes> queues;
  Bytes worker, run, request;
  uint32_t lease_ms = 0;  // 0: as submitted
  int64_t block_ms = 0, count = 1;
  bool block = false;
};

bool read_options(Context& ctx, ClaimRequest& r) {
  OptionReader o(ctx, 1);
  size_t n = 0;
  o.number("the number of queues", 0, static_cast<int64_t>(ctx.args.size()), n);
  for (size_t i = 0; i < n && o.ok(); ++i) {
    Bytes queue;
    o.text("a queue's name", limits::queue_name_bytes_max, queue);
    r.queues.push_back(queue);
  }
  while (o.more()) {
    if (o.word("WORKER")) o.text("WORKER", limits::worker_id_bytes_max, r.worker);
    else if (o.word("RUN")) o.text("RUN", limits::task_name_bytes_max + 24, r.run);
    else if (o.word("LEASE")) o.number("LEASE (ms)", limits::lease_ms_min, limits::lease_ms_max, r.lease_ms);
    else if (o.word("BLOCK"))
      o.number("BLOCK (ms)", 0, limits::task_delay_ms_max, r.block_ms), r.block = true;
    else if (o.word("COUNT")) o.number("COUNT", 1, limits::task_claim_count_max, r.count);
    else if (o.word("REQ")) o.text("REQ", limits::task_id_bytes_max, r.request);
    else o.unexpected();
  }
  if (o.ok() && r.worker.empty()) o.fail("ERR TASK.CLAIM needs WORKER and an id that no other worker uses");
  if (o.ok() && r.queues.empty() && r.run.empty()) o.fail("ERR TASK.CLAIM needs a queue, or RUN and a run");
  return o.ok();
}

struct Claimed {
  task::Text task;  // its own copy: outlives a later change to the key
  const task::Run* run;
};

void give(Context& ctx, const store::Key& key, const task::Run& run, task::Event event, const ClaimRequest& r,
          std::vector<Claimed>& claimed) {
  const task::Change change =
      task::decide_lease(run, event, r.worker, r.request, r.lease_ms, ctx.tasks.next_token(), ctx.now);
  commit(ctx, ctx.db(), key, change);
  ctx.tasks.grants().push_back({ctx.db(), std::string(key.bytes), run.number, run.token});
  claimed.push_back({task::Text(key.bytes), &run});
}

/// A run by name. False: an error is replied. Nothing claimed: it may become claimable later.
bool claim_run(Context& ctx, const ClaimRequest& r, RunArg& arg, std::vector<Claimed>& claimed) {
  const std::string error = find_run(ctx, r.run, arg);
  if (!error.empty()) return ctx.error(error), false;
  const task::Run& run = *arg.run;
  if (task::is_final(run.state)) {
    ctx.error("FINAL " + arg.id() + " is " + task::state_name(run.state) + " since " +
              task::when(run.status_since) +
              (run.rare->reason.empty() ? "" : " (" + std::string(run.rare->reason.view()) + ")") +
              "; submit a new run, or TASK.RESTART it from its checkpoint");
    return false;
  }
  if (run.state == task::State::Pending) {
    give(ctx, arg.key, run, task::Event::Claim, r, claimed);
  } else if (run.state == task::State::Running && run.worker.view() == r.worker) {
    // The worker's earlier process is gone, or it would not ask: it is fenced, and this one goes on at once.
    commit_progress(ctx, arg);
    give(ctx, arg.key, run, task::Event::Reissue, r, claimed);
  }
  return true;
}

void claim_from_queues(Context& ctx, const ClaimRequest& r, std::vector<Claimed>& claimed) {
  for (const Bytes queue : r.queues) {
    while (static_cast<int64_t>(claimed.size()) < r.count) {
      const task::Run* run = ctx.tasks.first_pending(ctx.db(), queue);
      if (run == nullptr) break;
      const std::string name(run->task->key());
      const store::Key key = ctx.store.key(name);
      if (ctx.find(key) == nullptr) continue;  // its key had expired: it has left the queue with it
      give(ctx, key, *run, task::Event::Claim, r, claimed);
    }
  }
}

void reply_claimed(Context& ctx, const std::vector<Claimed>& claimed) {
  ctx.reply.array(claimed.size());
  for (const Claimed& c : claimed) reply_record(ctx, c.task.view(), *c.run, RecordView::Full);
}

}  // namespace

void task_claim(Context& ctx) {
  if (!ctx.in_exec) ctx.tasks.grants().clear();
  ClaimRequest r;
  if (!read_options(ctx, r)) return;
  std::vector<Claimed> claimed;
  if (!r.request.empty()) {  // sent twice: the same leases again
    for (const task::Run* run : ctx.tasks.leases_of(ctx.db(), r.worker, r.request)) {
      const task::Text name(run->task->key());
      if (ctx.find(ctx.store.key(name.view())) == nullptr) continue;
      ctx.tasks.grants().push_back({ctx.db(), std::string(name.view()), run->number, run->token});
      claimed.push_back({name, run});
    }
    if (!claimed.empty()) return reply_claimed(ctx, claimed);
  }
  RunArg arg;
  if (r.run.empty()) claim_from_queues(ctx, r, claimed);
  else if (!claim_run(ctx, r, arg, claimed)) return;
  if (!claimed.empty()) return reply_claimed(ctx, claimed);
  if (!r.block || ctx.in_exec || ctx.timed_out) return ctx.reply.null_array();
  std::vector<std::string> keys;
  if (r.run.empty())
    for (const Bytes queue : r.queues) keys.push_back(task::queue_key(queue));
  else keys.emplace_back(arg.task);
  ctx.block_on(std::move(keys), r.block_ms);
}

}  // namespace hf::command
