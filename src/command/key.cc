// Keys whatever they hold: deleting, renaming, moving, listing, and whole databases. OBJECT is in object.cc.
#include "base/glob.h"
#include "base/number.h"
#include "command/common.h"
#include "command/object.h"
#include "command/scan.h"
#include "command/table.h"
#include "task/tasks.h"

namespace hf::command {
namespace {

using store::Entry;
using store::Key;

void del(Context& ctx) {
  int64_t removed = 0;
  for (size_t i = 1; i < ctx.args.size(); ++i) {
    const Key key = ctx.key(i);
    if (ctx.find(key) != nullptr && ctx.store.remove(ctx.db(), key)) ++removed;
  }
  if (removed > 0) ctx.changed();
  ctx.reply.integer(removed);
}

/// EXISTS and TOUCH: how many of the keys are there, repeats counted.
void count_existing(Context& ctx) {
  int64_t found = 0;
  for (size_t i = 1; i < ctx.args.size(); ++i) found += ctx.find_counted(ctx.key(i)) != nullptr ? 1 : 0;
  ctx.reply.integer(found);
}

void type(Context& ctx) {
  const Entry* entry = ctx.find_counted(ctx.key(1));
  ctx.reply.simple(entry == nullptr ? "none" : store::type_name(entry->type()));
}

// ---- to another name or database ------------------------------------------------------------------------

/// A task with a run under way keeps its name: -ACTIVE is replied, and true returned.
bool refused_as_active(Context& ctx, const Entry& entry) {
  const store::Object* object = entry.object();
  if (ctx.replaying() || object == nullptr || !task::active(*object)) return false;
  ctx.error(task::active_error(entry.key(), *object));
  return true;
}

/// Logs that the request made `to` out of another key, which holds a task or not. A stock replica has no
/// tasks: it sees what it had at `to` go (`stock_has_to`), and nothing come.
void log_made(Context& ctx, bool task, DbIndex to_db, const Key& to, bool stock_has_to) {
  if (!task) return ctx.changed();
  if (stock_has_to) ctx.journal.append(to_db, {"DEL", to.bytes});
  ctx.log_about_task(ctx.args);
}

bool holds_task(const Entry* entry) { return entry != nullptr && entry->type() == store::Type::Task; }
bool holds_plain(const Entry* entry) { return entry != nullptr && !holds_task(entry); }

/// Renames; false when an error is replied. `unless_taken`: not when the new name exists (`renamed` says so).
bool rename_key(Context& ctx, bool unless_taken, bool& renamed) {
  const Key from = ctx.key(1), to = ctx.key(2);
  const Entry* entry = ctx.find(from);
  renamed = false;
  if (entry == nullptr) return ctx.no_such_key(), false;
  if (from.bytes == to.bytes) return true;
  if (unless_taken && ctx.find(to) != nullptr) return true;
  if (refused_as_active(ctx, *entry)) return false;
  const bool task = holds_task(entry), plain = holds_plain(ctx.store.find(ctx.db(), to));
  ctx.store.rename(ctx.db(), from, to);
  log_made(ctx, task, ctx.db(), to, plain);
  renamed = true;
  return true;
}

void rename(Context& ctx) {
  bool renamed;
  if (rename_key(ctx, false, renamed)) ctx.reply.ok();
}

void renamenx(Context& ctx) {
  bool renamed;
  if (rename_key(ctx, true, renamed)) ctx.reply.integer(renamed ? 1 : 0);
}

constexpr const char* same_objects = "ERR source and destination objects are the same";

void copy(Context& ctx) {
  DbIndex to_db = ctx.db();
  bool replace = false;
  for (size_t i = 3; i < ctx.args.size(); ++i) {
    if (equal_nocase(ctx.args[i], "replace")) {
      replace = true;
    } else if (equal_nocase(ctx.args[i], "db") && i + 1 < ctx.args.size()) {
      if (!db_arg(ctx, ++i, to_db)) return;
    } else {
      return ctx.syntax_error();
    }
  }
  const Key from = ctx.key(1), to = ctx.key(2);
  if (to_db == ctx.db() && from.bytes == to.bytes) return ctx.error(same_objects);
  const Entry* entry = ctx.find_counted(from);
  if (entry == nullptr) return ctx.reply.integer(0);
  if (ctx.find_in(to_db, to) != nullptr && !replace) return ctx.reply.integer(0);
  if (refused_as_active(ctx, *entry)) return;
  const bool task = holds_task(entry), plain = holds_plain(ctx.store.find(to_db, to));
  ctx.store.copy(ctx.db(), from, to_db, to);
  log_made(ctx, task, to_db, to, plain);
  ctx.reply.integer(1);
}

void move(Context& ctx) {
  DbIndex to_db;
  if (!db_arg(ctx, 2, to_db)) return;
  if (to_db == ctx.db()) return ctx.error(same_objects);
  const Key key = ctx.key(1);
  const Entry* entry = ctx.find(key);
  if (entry == nullptr || ctx.find_in(to_db, key) != nullptr) return ctx.reply.integer(0);
  if (refused_as_active(ctx, *entry)) return;
  const bool task = holds_task(entry);
  ctx.store.move(ctx.db(), key, to_db);
  log_made(ctx, task, to_db, key, false);
  ctx.reply.integer(1);
}

// ---- the whole database ---------------------------------------------------------------------------------

/// Listings pass over what is past its time; removing it is for find and active expiry.
bool listed(const Context& ctx, const Entry& entry) {
  return ctx.replaying() || !entry.expired(ctx.now.wall_ms);
}

void keys(Context& ctx) {
  const Bytes pattern = ctx.args[1];
  const bool any = pattern == "*";
  size_t count = 0;
  const auto list = ctx.reply.begin_array();
  ctx.store.for_each(ctx.db(), [&](const Entry& entry) {
    if (!listed(ctx, entry) || (!any && !glob_match(pattern, entry.key()))) return;
    ctx.reply.bulk(entry.key());
    ++count;
  });
  ctx.reply.end(list, count);
}

void randomkey(Context& ctx) {
  int tries = 100;  // a replica removes nothing: where everything is past its time, one of that will do
  while (const Entry* entry = ctx.store.random(ctx.db(), ctx.prng)) {
    if (listed(ctx, *entry) || (ctx.follows && --tries == 0)) return ctx.reply.bulk(entry->key());
    const std::string expired(entry->key());
    ctx.find(ctx.store.key(expired));  // removes it
  }
  ctx.reply.null();
}

void scan(Context& ctx) {
  uint64_t cursor;
  if (!parse_cursor(ctx, ctx.args[1], cursor)) return;
  ScanOptions options;
  if (!parse_scan_options(ctx, 2, true, options)) return;
  ScanReply reply(ctx);
  const auto count = static_cast<size_t>(options.count);
  const uint64_t next = ctx.store.scan(ctx.db(), cursor, count, [&](const Entry& entry) {
    if (!listed(ctx, entry)) return;
    if (!options.any && !glob_match(options.pattern, entry.key())) return;
    if (!options.type.empty() && !equal_nocase(options.type, store::type_name(entry.type()))) return;
    reply.add(entry.key());
  });
  reply.finish(next);
}

void dbsize(Context& ctx) { ctx.reply.integer(static_cast<int64_t>(ctx.store.size(ctx.db()))); }

/// Freeing is always done later, a little at a time, so ASYNC and SYNC are one.
bool flush_arguments(Context& ctx) {
  if (ctx.args.size() == 1) return true;
  if (ctx.args.size() == 2 && (equal_nocase(ctx.args[1], "async") || equal_nocase(ctx.args[1], "sync")))
    return true;
  ctx.syntax_error();
  return false;
}

void flushdb(Context& ctx) {
  if (!flush_arguments(ctx)) return;
  if (ctx.store.size(ctx.db()) > 0) {
    ctx.store.flush(ctx.db());
    ctx.log({"FLUSHDB"});
  }
  ctx.reply.ok();
}

void flushall(Context& ctx) {
  if (!flush_arguments(ctx)) return;
  bool any = false;
  for (DbIndex db = 0; db < ctx.store.databases(); ++db) any |= ctx.store.size(db) > 0;
  if (any) {
    ctx.store.flush_all();
    ctx.log({"FLUSHALL"});
  }
  ctx.reply.ok();
}

void swapdb(Context& ctx) {
  const auto a = parse_int(ctx.args[1]), b = parse_int(ctx.args[2]);
  const auto fits = [](const std::optional<int64_t>& n) { return n && *n >= INT32_MIN && *n <= INT32_MAX; };
  if (!fits(a)) return ctx.error("ERR invalid first DB index");
  if (!fits(b)) return ctx.error("ERR invalid second DB index");
  const auto databases = static_cast<int64_t>(ctx.store.databases());
  if (*a < 0 || *b < 0 || *a >= databases || *b >= databases)
    return ctx.error("ERR DB index is out of range");
  if (*a != *b) {
    ctx.store.swap(static_cast<DbIndex>(*a), static_cast<DbIndex>(*b));
    ctx.changed();
  }
  ctx.reply.ok();
}

constexpr KeyRange each_key{1, -1, 1};
constexpr KeyRange two_keys{1, 2, 1};
constexpr KeyUses examines{UseReadOnly};
constexpr KeyUses removes{UseRemove | UseDelete};
constexpr KeyUses takes{UseReadWrite | UseAccess | UseDelete, UseOverwrite | UseUpdate};
constexpr KeyUses takes_new{UseReadWrite | UseAccess | UseDelete, UseOverwrite | UseInsert};
constexpr const char* summed = "request_policy:multi_shard response_policy:agg_sum";

// clang-format off
const Spec rows[] = {
    {"del", -2, Write, each_key, CatKeyspace, "generic", "1.0.0", "O(N), N the number of keys",
     "Deletes keys; returns how many there were.", "key [key ...]", del, {}, summed, removes},
    {"unlink", -2, Write | Fast, each_key, CatKeyspace, "generic", "4.0.0", "O(1) a key",
     "Deletes keys like DEL; large values are freed later, as DEL's are here too.", "key [key ...]", del, {},
     summed, removes},
    {"exists", -2, Readonly | Fast, each_key, CatKeyspace, "generic", "1.0.0", "O(N), N the number of keys",
     "Counts which of the keys exist; a key named twice counts twice.", "key [key ...]", count_existing, {},
     summed, examines},
    {"type", 2, Readonly | Fast, first_key, CatKeyspace, "generic", "1.0.0", "O(1)",
     "Returns what a key holds: string, hash, task, ... or none.", "key", type, {}, "", examines},
    {"touch", -2, Readonly | Fast, each_key, CatKeyspace, "generic", "3.2.1", "O(N), N the number of keys",
     "Counts which of the keys exist, as EXISTS does; access times are not kept.", "key [key ...]",
     count_existing, {}, summed, examines},
    {"rename", 3, Write, two_keys, CatKeyspace, "generic", "1.0.0", "O(1)",
     "Gives a key another name; what had that name is gone.", "key newkey", rename, {}, "", takes},
    {"renamenx", 3, Write | Fast, two_keys, CatKeyspace, "generic", "1.0.0", "O(1)",
     "Gives a key another name unless that name is taken.", "key newkey", renamenx, {}, "", takes_new},
    {"keys", 2, Readonly | WholeKeyspace, no_keys, CatKeyspace | CatDangerous, "generic", "1.0.0",
     "O(N), N the number of keys in the database", "Returns all keys that match a pattern.", "pattern", keys,
     {}, "request_policy:all_shards nondeterministic_output_order"},
    {"randomkey", 1, Readonly | WholeKeyspace, no_keys, CatKeyspace, "generic", "1.0.0", "O(1)",
     "Returns a random key of the database.", "", randomkey, {},
     "request_policy:all_shards response_policy:special nondeterministic_output"},
    {"scan", -2, Readonly | WholeKeyspace, no_keys, CatKeyspace, "generic", "2.8.0",
     "O(1) a call, O(N) for all of it", "Walks the keys of the database, a few at a call.",
     "cursor [MATCH pattern] [COUNT count] [TYPE type]", scan, {},
     "nondeterministic_output request_policy:special response_policy:special"},
    {"dbsize", 1, Readonly | Fast | WholeKeyspace, no_keys, CatKeyspace, "server", "1.0.0", "O(1)",
     "Returns the number of keys in the database.", "", dbsize, {},
     "request_policy:all_shards response_policy:agg_sum"},
    {"flushdb", -1, Write | WholeKeyspace, no_keys, CatKeyspace | CatDangerous, "server", "1.0.0",
     "O(1), freed later a little at a time", "Removes all keys of the database.", "[ASYNC | SYNC]", flushdb,
     {}, "request_policy:all_shards response_policy:all_succeeded"},
    {"flushall", -1, Write | WholeKeyspace, no_keys, CatKeyspace | CatDangerous, "server", "1.0.0",
     "O(1), freed later a little at a time", "Removes all keys of all databases.", "[ASYNC | SYNC]", flushall,
     {}, "request_policy:all_shards response_policy:all_succeeded"},
    {"swapdb", 3, Write | Fast | WholeKeyspace, no_keys, CatKeyspace | CatDangerous, "server", "4.0.0",
     "O(1)", "Lets two databases change places, for all clients at once.", "index1 index2", swapdb},
    {"copy", -3, Write | DenyOom, two_keys, CatKeyspace, "generic", "6.2.0", "O(N), N the size of the value",
     "Copies a value and its expiry to another key.", "source destination [DB destination-db] [REPLACE]",
     copy, {}, "", {UseReadOnly | UseAccess, UseOverwrite | UseUpdate}},
    {"move", 3, Write | Fast, first_key, CatKeyspace, "generic", "1.0.0", "O(1)",
     "Moves a key to another database, unless it exists there.", "key db", move, {}, "",
     {UseReadWrite | UseAccess | UseUpdate}},
    {"object", -2, 0, no_keys, 0, "generic", "2.2.3", "depends on the subcommand",
     "Tells how a value is kept.", "", nullptr, object_subcommands()},
};
// clang-format on

}  // namespace

std::span<const Spec> key_commands() { return rows; }

}  // namespace hf::command
