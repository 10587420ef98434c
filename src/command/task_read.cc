// Looking at tasks: GET, RUNS, LIST, EVENTS, STATS.
#include <algorithm>

#include "base/glob.h"
#include "base/number.h"
#include "command/task_common.h"

namespace hf::command {
namespace {

struct ListRequest {
  bool by_state = false, by_queue = false, by_worker = false, by_tag = false, by_pattern = false,
       has_cursor = false;
  task::State state{};
  Bytes queue, worker, tag_key, tag_value, pattern;
  uint64_t cursor = 0;
  int64_t count = 100;
};

bool read_options(Context& ctx, ListRequest& r) {
  OptionReader o(ctx, 1);
  while (o.more()) {
    Bytes word;
    if (o.word("STATE")) {
      o.text("STATE", 64, word);
      if (o.ok() && !task::parse_state(word, r.state))
        o.fail("ERR STATE is " + quoted(word) +
               "; BLOCKED, DELAYED, PENDING, RUNNING, PAUSED, SUCCESS, FAILED or CANCELLED is needed");
      r.by_state = true;
    } else if (o.word("QUEUE")) {
      o.text("QUEUE", limits::queue_name_bytes_max, r.queue), r.by_queue = true;
    } else if (o.word("TAG")) {
      o.text("TAG's key", limits::task_tag_bytes_max, r.tag_key);
      o.text("TAG's value", limits::task_tag_bytes_max, r.tag_value), r.by_tag = true;
    } else if (o.word("WORKER")) {
      o.text("WORKER", limits::worker_id_bytes_max, r.worker), r.by_worker = true;
    } else if (o.word("MATCH")) {
      o.text("MATCH", limits::task_name_bytes_max * 2, r.pattern), r.by_pattern = true;
    } else if (o.word("COUNT")) {
      o.number("COUNT", 1, limits::task_list_count_max, r.count);
    } else if (o.word("CURSOR")) {
      o.text("CURSOR", 32, word);
      const auto cursor = parse_uint(word);
      if (o.ok() && !cursor) o.fail("ERR invalid cursor");
      r.cursor = cursor.value_or(0), r.has_cursor = true;
    } else {
      o.unexpected();
    }
  }
  if (o.ok() && !r.has_cursor)
    o.fail("ERR TASK.LIST needs CURSOR: 0 at first, then what the last call returned");
  return o.ok();
}

bool fits(const ListRequest& r, Bytes name, const task::Run& run) {
  if (r.by_state && run.state != r.state) return false;
  if (r.by_queue && run.queue.view() != r.queue) return false;
  if (r.by_worker && run.worker.view() != r.worker) return false;
  if (r.by_pattern && !glob_match(r.pattern, name)) return false;
  if (!r.by_tag) return true;
  return run.rare->tags && std::any_of(run.rare->tags->begin(), run.rare->tags->end(), [&](const auto& tag) {
           return tag.first.view() == r.tag_key && tag.second.view() == r.tag_value;
         });
}

void reply_event(Context& ctx, const task::Run& run, uint64_t id, const task::RunEvent& e) {
  resp::Writer& out = ctx.reply;
  out.map(9);
  out.bulk("id");
  out.integer(static_cast<int64_t>(id));
  out.bulk("time");
  out.integer(e.at);
  out.bulk("event");
  out.bulk(task::event_name(e.what));
  out.bulk("before");  // null: the run was not there before
  if (e.what == task::Event::Submit) out.null();
  else out.bulk(task::state_name(e.before));
  out.bulk("after");
  out.bulk(task::state_name(e.after));
  out.bulk("worker");
  if (e.worker.empty()) out.null();
  else out.bulk(e.worker);
  out.bulk("token");
  if (e.token.value == 0) out.null();
  else out.bulk_int(static_cast<int64_t>(e.token.value));
  out.bulk("trace");
  if (run.rare->trace.empty()) out.null();
  else out.bulk(run.rare->trace.view());
  out.bulk("reason");
  out.bulk(e.reason);
}

}  // namespace

void task_get(Context& ctx) {
  RunArg arg;
  const std::string error = find_run(ctx, ctx.args[1], arg);
  if (error.starts_with("NORUN")) return ctx.reply.null();
  if (!error.empty()) return ctx.error(error);
  reply_record(ctx, arg.task, *arg.run, RecordView::Full);
}

void task_runs(Context& ctx) {
  if (ctx.args.size() != 2 && ctx.args.size() != 4) return ctx.wrong_arity();
  int64_t start = 0, stop = -1;
  if (ctx.args.size() == 4 && (!ctx.integer_arg(2, start) || !ctx.integer_arg(3, stop))) return;
  const store::Key key = ctx.key(1);
  const task::TaskObject* object;
  if (!find_task(ctx, key, object)) return;
  if (object == nullptr) return ctx.reply.array(0);
  // As LRANGE: both ends included, negative ones count from the newest.
  const auto size = static_cast<int64_t>(object->runs().size());
  start = std::max<int64_t>(start < 0 ? start + size : start, 0);
  stop = std::min(stop < 0 ? stop + size : stop, size - 1);
  if (start > stop) return ctx.reply.array(0);
  ctx.reply.array(static_cast<size_t>(stop - start + 1));
  for (int64_t i = start; i <= stop; ++i)
    reply_record(ctx, key.bytes, *object->runs()[static_cast<size_t>(i)], RecordView::Brief);
}

void task_list(Context& ctx) {
  ListRequest r;
  if (!read_options(ctx, r)) return;
  struct Found {
    Bytes name;
    const task::Run* run;
  };
  std::vector<Found> found;
  const uint64_t next =
      ctx.store.scan(ctx.db(), r.cursor, static_cast<size_t>(r.count), [&](const store::Entry& entry) {
        if (entry.type() != store::Type::Task || entry.expired(ctx.now.wall_ms)) return;
        const task::Run* run = task::as_task(entry.object())->newest();
        if (run != nullptr && fits(r, entry.key(), *run)) found.push_back({entry.key(), run});
      });
  ctx.reply.array(2);
  ctx.reply.bulk(std::to_string(next));
  ctx.reply.array(found.size());
  for (const Found& f : found) reply_record(ctx, f.name, *f.run, RecordView::Brief);
}

void task_events(Context& ctx) {
  int64_t from = 1, count = limits::task_list_count_max, block_ms = 0;
  bool block = false;
  OptionReader o(ctx, 2);
  while (o.more()) {
    if (o.word("FROM")) o.number("FROM", 0, INT64_MAX, from);
    else if (o.word("COUNT")) o.number("COUNT", 1, limits::task_list_count_max, count);
    else if (o.word("BLOCK")) o.number("BLOCK (ms)", 0, limits::task_delay_ms_max, block_ms), block = true;
    else o.unexpected();
  }
  RunArg arg;
  if (!o.ok() || !find_run(ctx, 1, arg)) return;
  const task::Run& run = *arg.run;
  const uint64_t first = std::max(static_cast<uint64_t>(from), run.events.first_id());
  const uint64_t end = run.events.first_id() + run.events.size();
  const uint64_t n = first < end ? std::min(end - first, static_cast<uint64_t>(count)) : 0;
  if (n == 0 && block && !ctx.in_exec) {
    if (ctx.timed_out) return ctx.reply.null_array();
    return ctx.block_on({std::string(arg.task)}, block_ms);
  }
  ctx.reply.array(n);
  uint64_t id = run.events.first_id();
  run.events.for_each([&](const task::RunEvent& event) {
    if (id >= first && id - first < n) reply_event(ctx, run, id, event);
    ++id;
  });
}

void task_stats(Context& ctx) {
  const bool by_queue = ctx.args.size() == 3 && equal_nocase(ctx.args[1], "QUEUE");
  if (ctx.args.size() != 1 && !by_queue) return ctx.syntax_error();
  const task::QueueStats stats =
      by_queue ? ctx.tasks.stats(ctx.db(), ctx.args[2]) : ctx.tasks.stats(ctx.db());
  ctx.reply.map(task::state_count + (by_queue ? 1 : 2));
  for (size_t i = 0; i < task::state_count; ++i) {
    ctx.reply.bulk(to_lower(task::state_name(static_cast<task::State>(i))));
    ctx.reply.integer(static_cast<int64_t>(stats.by_state[i]));
  }
  ctx.reply.bulk("held");
  ctx.reply.integer(static_cast<int64_t>(stats.held));
  if (by_queue) return;
  ctx.reply.bulk("trimmed");
  ctx.reply.integer(static_cast<int64_t>(stats.trimmed));
}

}  // namespace hf::command
