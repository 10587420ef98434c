// DUMP and RESTORE: one value as bytes that Redis 7 reads and writes, too. A task travels in a type of our
// own, which Redis refuses.
#include "base/number.h"
#include "command/common.h"
#include "command/expiry.h"
#include "command/table.h"
#include "command/task_common.h"
#include "rdb/payload.h"

namespace hf::command {
namespace {

using store::Entry;

void dump(Context& ctx) {
  const Entry* entry = ctx.find_counted(ctx.key(1));
  if (entry == nullptr) return ctx.reply.null();
  const store::Options& options = ctx.store.options();
  std::string payload;
  rdb::encode_payload(*entry,
                      {.listpack_entries_max = options.hash_packed_entries_max,
                       .listpack_value_bytes_max = options.hash_packed_value_bytes_max},
                      payload);
  ctx.reply.bulk(payload);
}

struct RestoreRequest {
  bool replace = false;
  bool absolute = false;
  int64_t ttl_ms = 0;
};

/// IDLETIME and FREQ are checked as Redis does, and then forgotten: neither is kept here.
bool read_options(Context& ctx, RestoreRequest& request) {
  bool idle = false, frequency = false;
  for (size_t i = 4; i < ctx.args.size(); ++i) {
    const bool more = i + 1 < ctx.args.size();
    int64_t value = 0;
    if (equal_nocase(ctx.args[i], "replace")) {
      request.replace = true;
    } else if (equal_nocase(ctx.args[i], "absttl")) {
      request.absolute = true;
    } else if (equal_nocase(ctx.args[i], "idletime") && more && !frequency) {
      if (!ctx.integer_arg(++i, value)) return false;
      if (value < 0) return ctx.error("ERR Invalid IDLETIME value, must be >= 0"), false;
      idle = true;
    } else if (equal_nocase(ctx.args[i], "freq") && more && !idle) {
      if (!ctx.integer_arg(++i, value)) return false;
      if (value < 0 || value > 255)
        return ctx.error("ERR Invalid FREQ value, must be >= 0 and <= 255"), false;
      frequency = true;
    } else {
      return ctx.syntax_error(), false;
    }
  }
  return true;
}

bool is_task(Bytes value) { return value[0] == static_cast<char>(store::Type::Task); }

/// The payload's value for load_value, which will take it. False: the error is replied.
bool read_payload(Context& ctx, std::string& value) {
  if (!rdb::payload_is_intact(ctx.args[3]))
    return ctx.error("ERR DUMP payload version or checksum are wrong"), false;
  auto decoded = rdb::decode_payload(ctx.args[3]);
  if (!decoded) return ctx.error("ERR Bad data format: " + decoded.error().message), false;
  if (const Status sound = ctx.store.check_value(*decoded); !sound)
    return ctx.error("ERR Bad data format: " + sound.error().message), false;
  if (const std::string bad_name = is_task(*decoded) ? task::name_error(ctx.args[1]) : ""; !bad_name.empty())
    return ctx.error(bad_name), false;
  value = std::move(*decoded);
  return true;
}

/// A running task was somebody's elsewhere, or before: here nobody holds it, and it is free to be claimed.
void free_restored_run(Context& ctx, const store::Key& key) {
  const task::TaskObject* object = task::as_task(ctx.store.find(ctx.db(), key)->object());
  const task::Run* run = object == nullptr ? nullptr : object->active();
  if (run == nullptr || run->state != task::State::Running) return;
  task::Change change = task::decide_release(*run, 0, ctx.now);
  change.reason = "restored: the lease stayed with the record that was dumped";
  commit(ctx, ctx.db(), key, change);
}

/// A stock replica is sent no task: it sees the old value go, and nothing come.
void log_restored(Context& ctx, bool task, WallMs at) {
  const Digits expiry(at == store::no_expiry ? 0 : at);
  const Bytes command[] = {"RESTORE", ctx.args[1], expiry, ctx.args[3], "REPLACE", "ABSTTL"};
  if (task) ctx.log_about_task(command);
  else ctx.log(command);
}

void restore(Context& ctx) {
  RestoreRequest request;
  if (!read_options(ctx, request)) return;
  const store::Key key = ctx.key(1);
  const Entry* old = ctx.find(key);
  if (old != nullptr && !request.replace) return ctx.error("BUSYKEY Target key name already exists.");
  if (!ctx.integer_arg(2, request.ttl_ms)) return;
  if (request.ttl_ms < 0) return ctx.error("ERR Invalid TTL value, must be >= 0");
  std::string value;
  if (!read_payload(ctx, value)) return;
  const store::Object* object = old == nullptr ? nullptr : old->object();
  if (object != nullptr && task::active(*object) && !ctx.replaying())
    return ctx.error(task::active_error(key.bytes, *object));
  WallMs at = store::no_expiry;
  if (request.ttl_ms > 0 &&
      !absolute_ms(request.ttl_ms, {.seconds = false, .absolute = request.absolute}, ctx.now.wall_ms, at))
    return invalid_expire_time(ctx);
  const bool task = is_task(value);
  if (already_expired(ctx, at)) {
    ctx.remove_and_log(ctx.db(), key);
    return ctx.reply.ok();
  }
  if (task && !ctx.replaying()) ctx.remove_and_log(ctx.db(), key);
  else ctx.store.remove(ctx.db(), key);
  const Status loaded = ctx.store.load_value(ctx.db(), key, value, at);
  HF_CHECK(loaded.ok());  // check_value said so
  log_restored(ctx, task, at);
  if (task && !ctx.replaying()) free_restored_run(ctx, key);
  ctx.reply.ok();
}

// clang-format off
const Spec rows[] = {
    {"dump", 2, Readonly, first_key, CatKeyspace, "generic", "2.6.0", "O(N), N the size of the value",
     "Returns the value as bytes that RESTORE takes, here or in a Redis.", "key", dump, {},
     "nondeterministic_output", {UseReadOnly | UseAccess}},
    {"restore", -4, Write | DenyOom, first_key, CatKeyspace | CatDangerous, "generic", "2.6.0",
     "O(N), N the size of the value", "Makes a key out of what DUMP returned, here or in a Redis.",
     "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]", restore, {}, "",
     {UseOverwrite | UseUpdate}},
};
// clang-format on

}  // namespace

std::span<const Spec> dump_commands() { return rows; }

}  // namespace hf::command
