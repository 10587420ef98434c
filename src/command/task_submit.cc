// TASK.SUBMIT and TASK.RESTART: how runs come to be.
#include <algorithm>

#include "command/task_common.h"

namespace hf::command {
namespace {

namespace limits = hf::limits;
using task::Change;

struct SubmitRequest {
  Change change;
  int64_t delay_ms = 0;
  bool force = false;
};

void read_backoff(OptionReader& options, Change& c) {
  const bool none = options.word("NONE");
  if (none) c.backoff = task::Backoff::None;
  else if (options.word("FIXED")) c.backoff = task::Backoff::Fixed;
  else if (options.word("EXPONENTIAL")) c.backoff = task::Backoff::Exponential;
  else return options.fail("ERR BACKOFF is EXPONENTIAL, FIXED or NONE, then base and cap in ms");
  if (!none || options.next_is_integer())
    options.number("BACKOFF's base (ms)", 0, limits::task_backoff_ms_max, c.backoff_base_ms);
  if (!none || options.next_is_integer())
    options.number("BACKOFF's cap (ms)", 0, limits::task_backoff_ms_max, c.backoff_cap_ms);
}

void read_tags(OptionReader& options, Change& c) {
  size_t n = 0;
  options.number("the number of TAGS", 0, static_cast<int64_t>(limits::task_tags_max), n);
  for (size_t i = 0; i < 2 * n && options.ok(); ++i) {
    Bytes word;
    options.text(i % 2 == 0 ? "a tag's key" : "a tag's value", limits::task_tag_bytes_max, word);
    c.tags.push_back(word);
  }
}

void read_identity(OptionReader& options, const char* what, Bytes& out) {
  options.text(what, limits::task_id_bytes_max, out);
  if (options.ok() && out.empty())
    options.fail(std::string("ERR ") + what + " is empty; leave the option out instead");
}

bool read_options(Context& ctx, SubmitRequest& request) {
  Change& c = request.change;
  const task::Options& defaults = ctx.tasks.options();
  c.queue = "default";
  c.retries = defaults.retries;
  c.backoff = defaults.backoff;
  c.backoff_base_ms =
      static_cast<uint32_t>(std::clamp<int64_t>(defaults.backoff_base_ms, 0, limits::task_backoff_ms_max));
  c.backoff_cap_ms =
      static_cast<uint32_t>(std::clamp<int64_t>(defaults.backoff_cap_ms, 0, limits::task_backoff_ms_max));
  c.lease_ms =
      static_cast<uint32_t>(std::clamp(defaults.lease_ms, limits::lease_ms_min, limits::lease_ms_max));
  c.timeout_ms = std::clamp<int64_t>(defaults.timeout_ms, 0, limits::task_delay_ms_max);
  OptionReader o(ctx, 2);
  while (o.more()) {
    if (o.word("QUEUE")) read_identity(o, "QUEUE", c.queue);
    else if (o.word("PAYLOAD"))
      o.text("PAYLOAD", limits::task_payload_bytes_max, c.payload), c.has_payload = true;
    else if (o.word("PRIORITY")) o.number("PRIORITY", INT32_MIN, INT32_MAX, c.priority);
    else if (o.word("DELAY")) o.number("DELAY (ms)", 0, limits::task_delay_ms_max, request.delay_ms);
    else if (o.word("RETRIES")) o.number("RETRIES", 0, INT32_MAX, c.retries);
    else if (o.word("BACKOFF")) read_backoff(o, c);
    else if (o.word("LEASE")) o.number("LEASE (ms)", limits::lease_ms_min, limits::lease_ms_max, c.lease_ms);
    else if (o.word("TIMEOUT")) o.number("TIMEOUT (ms)", 0, limits::task_delay_ms_max, c.timeout_ms);
    else if (o.word("TAGS")) read_tags(o, c);
    else if (o.word("TRACE")) read_identity(o, "TRACE", c.trace);
    else if (o.word("UNIQUE")) read_identity(o, "UNIQUE", c.unique);
    else if (o.word("KEEP")) o.number("KEEP", 1, static_cast<int64_t>(limits::task_runs_max), c.keep);
    else if (o.word("HELD")) c.held = true;
    else if (o.word("FORCE")) request.force = true;
    else o.unexpected();
  }
  return o.ok();
}

}  // namespace

void task_submit(Context& ctx) {
  SubmitRequest request;
  const std::string bad_name = task::name_error(ctx.args[1]);
  if (!bad_name.empty()) return ctx.error(bad_name);
  if (!read_options(ctx, request)) return;
  const store::Key key = ctx.key(1);
  const task::TaskObject* object;
  if (!find_task(ctx, key, object)) return;
  if (object != nullptr && !request.change.unique.empty())
    if (const task::Run* same = object->find_unique(request.change.unique))
      return ctx.reply.bulk(task::run_id(key.bytes, same->number));
  if (object != nullptr && object->active() != nullptr) {
    if (!request.force) return ctx.error(task::active_error(key.bytes, *object));
    const task::Run& old = *object->active();
    commit_progress(ctx, {key.bytes, key, object, &old});
    commit(
        ctx, ctx.db(), key,
        task::decide_steer(key.bytes, old, task::Event::Cancel, "a submit with FORCE took its place", ctx.now)
            .change);
  }
  const Change change = task::decide_submit(object, std::move(request.change), request.delay_ms,
                                            ctx.tasks.next_order(), ctx.now, ctx.tasks.options());
  commit(ctx, ctx.db(), key, change);
  ctx.reply.bulk(task::run_id(key.bytes, change.run));
}

void task_restart(Context& ctx) {
  Bytes unique;
  OptionReader o(ctx, 2);
  while (o.more()) {
    if (o.word("UNIQUE")) read_identity(o, "UNIQUE", unique);
    else o.unexpected();
  }
  RunArg from;
  if (!o.ok() || !find_run(ctx, 1, from)) return;
  if (!unique.empty())
    if (const task::Run* same = from.object->find_unique(unique))
      return ctx.reply.bulk(task::run_id(from.task, same->number));
  if (from.object->active() != nullptr) return ctx.error(task::active_error(from.task, *from.object));
  const Change change = task::decide_restart(*from.object, *from.run, unique, ctx.tasks.next_order(), ctx.now,
                                             ctx.tasks.options());
  commit(ctx, ctx.db(), from.key, change);
  ctx.reply.bulk(task::run_id(from.task, change.run));
}

}  // namespace hf::command
