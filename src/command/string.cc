// Strings: SET and what reads or replaces a value whole, and the counters. Ranges, APPEND and LCS are in
// string_more.cc.
#include "command/string_more.h"

#include <cmath>

#include "base/number.h"
#include "command/expiry.h"
#include "command/table.h"

namespace hf::command {
namespace {

using store::Entry;
using store::Key;
using store::Scratch;
using store::Type;

/// The value, null or WRONGTYPE as the reply. False: WRONGTYPE. `entry` is null when absent.
bool reply_value(Context& ctx, const Key& key, const Entry*& entry) {
  bool wrong;
  entry = ctx.find_typed(key, Type::String, wrong);
  if (wrong) return false;
  if (entry == nullptr) {
    ctx.reply.null();
    return true;
  }
  Scratch scratch;
  ctx.reply.bulk(entry->string(scratch));
  return true;
}

void get(Context& ctx) {
  const Entry* entry;
  reply_value(ctx, ctx.key(1), entry);
}

// ---- SET and GETEX: one grammar of options --------------------------------------------------------------

enum class OptionsOf : uint8_t { Set, GetEx };

struct Options {
  bool nx = false, xx = false, get = false, keep_ttl = false, persist = false;
  size_t expire_arg = 0;  // 0: none
  TimeUnit unit{};
  char expire_option = 0;  // its id below: one may be repeated, two different ones may not meet
};

struct ExpireOption {
  const char* name;
  char id;
  TimeUnit unit;
};
constexpr ExpireOption expire_options[] = {{"ex", 'e', {true, false}},
                                           {"px", 'p', {false, false}},
                                           {"exat", 'E', {true, true}},
                                           {"pxat", 'P', {false, true}}};

bool parse_expire_option(const Context& ctx, size_t& i, Options& options) {
  for (const ExpireOption& option : expire_options) {
    if (!equal_nocase(ctx.args[i], option.name)) continue;
    if (i + 1 >= ctx.args.size() || options.keep_ttl || options.persist) return false;
    if (options.expire_option != 0 && options.expire_option != option.id) return false;
    options.expire_option = option.id;
    options.unit = option.unit;
    options.expire_arg = ++i;
    return true;
  }
  return false;
}

bool parse_options(Context& ctx, size_t first, OptionsOf of, Options& options) {
  for (size_t i = first; i < ctx.args.size(); ++i) {
    const Bytes arg = ctx.args[i];
    const bool set = of == OptionsOf::Set;
    if (set && equal_nocase(arg, "nx") && !options.xx) options.nx = true;
    else if (set && equal_nocase(arg, "xx") && !options.nx) options.xx = true;
    else if (set && equal_nocase(arg, "get")) options.get = true;
    else if (set && equal_nocase(arg, "keepttl") && options.expire_option == 0) options.keep_ttl = true;
    else if (!set && equal_nocase(arg, "persist") && options.expire_option == 0) options.persist = true;
    else if (!parse_expire_option(ctx, i, options)) return ctx.syntax_error(), false;
  }
  return true;
}

/// The time in args[i], which must be above 0; false: the error is replied.
bool positive_time(Context& ctx, size_t i, TimeUnit unit, WallMs& at) {
  int64_t value;
  if (!ctx.integer_arg(i, value)) return false;
  if (value > 0 && absolute_ms(value, unit, ctx.now.wall_ms, at)) return true;
  invalid_expire_time(ctx);
  return false;
}

void log_set(Context& ctx, Bytes key, Bytes value, WallMs expire_at) {
  if (expire_at == store::no_expiry) return ctx.log({"SET", key, value});
  ctx.log({"SET", key, value, "PXAT", Digits(expire_at)});
}

void set_with_options(Context& ctx) {
  Options options;
  if (!parse_options(ctx, 3, OptionsOf::Set, options)) return;
  WallMs expire_at = store::no_expiry;
  if (options.expire_arg != 0 && !positive_time(ctx, options.expire_arg, options.unit, expire_at)) return;

  const Key key = ctx.key(1);
  const Entry* entry = nullptr;
  if (options.get) {
    if (!reply_value(ctx, key, entry)) return;
  } else if (options.nx || options.xx || options.keep_ttl) {
    entry = ctx.find(key);
  }
  if ((options.nx && entry != nullptr) || (options.xx && entry == nullptr)) {
    if (!options.get) ctx.reply.null();
    return;
  }
  if (options.keep_ttl && entry != nullptr) expire_at = entry->expire_at();
  ctx.store.set_string(ctx.db(), key, ctx.args[2], expire_at);
  log_set(ctx, key.bytes, ctx.args[2], expire_at);
  if (!options.get) ctx.reply.ok();
}

void set(Context& ctx) {
  if (ctx.args.size() > 3) return set_with_options(ctx);
  ctx.store.set_string(ctx.db(), ctx.key(1), ctx.args[2]);
  ctx.changed();
  ctx.reply.ok();
}

void setnx(Context& ctx) {
  const Key key = ctx.key(1);
  if (ctx.find(key) != nullptr) return ctx.reply.integer(0);
  ctx.store.set_string(ctx.db(), key, ctx.args[2]);
  log_set(ctx, key.bytes, ctx.args[2], store::no_expiry);
  ctx.reply.integer(1);
}

void set_expiring(Context& ctx, bool seconds) {
  WallMs at;
  if (!positive_time(ctx, 2, {seconds, false}, at)) return;
  const Key key = ctx.key(1);
  ctx.store.set_string(ctx.db(), key, ctx.args[3], at);
  log_set(ctx, key.bytes, ctx.args[3], at);
  ctx.reply.ok();
}
void setex(Context& ctx) { set_expiring(ctx, true); }
void psetex(Context& ctx) { set_expiring(ctx, false); }

void getset(Context& ctx) {
  const Key key = ctx.key(1);
  const Entry* entry;
  if (!reply_value(ctx, key, entry)) return;
  ctx.store.set_string(ctx.db(), key, ctx.args[2]);
  log_set(ctx, key.bytes, ctx.args[2], store::no_expiry);
}

void getdel(Context& ctx) {
  const Key key = ctx.key(1);
  const Entry* entry;
  if (reply_value(ctx, key, entry) && entry != nullptr) ctx.remove_and_log(ctx.db(), key);
}

void getex(Context& ctx) {
  Options options;
  if (!parse_options(ctx, 2, OptionsOf::GetEx, options)) return;
  const Key key = ctx.key(1);
  bool wrong;
  const Entry* entry = ctx.find_typed(key, Type::String, wrong);
  if (wrong) return;
  if (entry == nullptr) return ctx.reply.null();
  WallMs at = store::no_expiry;
  if (options.expire_arg != 0 && !positive_time(ctx, options.expire_arg, options.unit, at)) return;
  Scratch scratch;
  ctx.reply.bulk(entry->string(scratch));
  if (options.expire_arg != 0 && already_expired(ctx, at)) {
    ctx.remove_and_log(ctx.db(), key);
  } else if (options.expire_arg != 0) {
    ctx.store.set_expiry(ctx.db(), key, at);
    ctx.log({"PEXPIREAT", key.bytes, Digits(at)});
  } else if (options.persist && entry->expire_at() != store::no_expiry) {
    ctx.store.set_expiry(ctx.db(), key, store::no_expiry);
    ctx.log({"PERSIST", key.bytes});
  }
}

// ---- several keys ---------------------------------------------------------------------------------------

void mget(Context& ctx) {
  ctx.reply.array(ctx.args.size() - 1);
  Scratch scratch;
  for (size_t i = 1; i < ctx.args.size(); ++i) {
    const Entry* entry = ctx.find_counted(ctx.key(i));
    if (entry == nullptr || entry->type() != Type::String) ctx.reply.null();
    else ctx.reply.bulk(entry->string(scratch));
  }
}

void set_pairs(Context& ctx) {
  for (size_t i = 1; i < ctx.args.size(); i += 2) ctx.store.set_string(ctx.db(), ctx.key(i), ctx.args[i + 1]);
  ctx.changed();
}

void mset(Context& ctx) {
  if (ctx.args.size() % 2 == 0) return ctx.wrong_arity();
  set_pairs(ctx);
  ctx.reply.ok();
}

void msetnx(Context& ctx) {
  if (ctx.args.size() % 2 == 0) return ctx.wrong_arity();
  for (size_t i = 1; i < ctx.args.size(); i += 2)
    if (ctx.find(ctx.key(i)) != nullptr) return ctx.reply.integer(0);
  set_pairs(ctx);
  ctx.reply.integer(1);
}

// ---- counters -------------------------------------------------------------------------------------------

void add_integer(Context& ctx, int64_t increment) {
  const Key key = ctx.key(1);
  const Entry* entry = ctx.find(key);
  int64_t value = 0;
  if (entry != nullptr) {
    if (entry->type() != Type::String) return ctx.wrong_type();
    auto integer = entry->integer();
    Scratch scratch;
    if (!integer) integer = parse_int(entry->string(scratch));
    if (!integer) return ctx.not_an_integer();
    value = *integer;
  }
  if (__builtin_add_overflow(value, increment, &value))
    return ctx.error("ERR increment or decrement would overflow");
  ctx.store.set_integer(ctx.db(), key, value);
  ctx.changed();
  ctx.reply.integer(value);
}

void incr(Context& ctx) { add_integer(ctx, 1); }
void decr(Context& ctx) { add_integer(ctx, -1); }
void incrby(Context& ctx) {
  int64_t increment;
  if (ctx.integer_arg(2, increment)) add_integer(ctx, increment);
}
void decrby(Context& ctx) {
  int64_t decrement;
  if (!ctx.integer_arg(2, decrement)) return;
  if (decrement == INT64_MIN) return ctx.error("ERR decrement would overflow");
  add_integer(ctx, -decrement);
}

void incrbyfloat(Context& ctx) {
  const Key key = ctx.key(1);
  const Entry* entry = ctx.find(key);
  long double value = 0;
  if (entry != nullptr) {
    if (entry->type() != Type::String) return ctx.wrong_type();
    Scratch scratch;
    const auto parsed = parse_long_double(entry->string(scratch));
    if (!parsed) return ctx.not_a_float();
    value = *parsed;
  }
  const auto increment = parse_long_double(ctx.args[2]);
  if (!increment) return ctx.not_a_float();
  value += *increment;
  if (std::isnan(value) || std::isinf(value)) return ctx.error("ERR increment would produce NaN or Infinity");
  const std::string text = to_text_fixed(value);
  const WallMs expire_at = entry != nullptr ? entry->expire_at() : store::no_expiry;
  ctx.store.set_string(ctx.db(), key, text, expire_at);
  ctx.log({"SET", key.bytes, text, "KEEPTTL"});  // the sum, so that no other machine's arithmetic can differ
  ctx.reply.bulk(text);
}

constexpr KeyRange one{1, 1, 1};
constexpr KeyUses reads{UseReadOnly | UseAccess};
constexpr KeyUses examines{UseReadOnly};
constexpr KeyUses replaces{UseOverwrite | UseUpdate};
constexpr KeyUses updates{UseReadWrite | UseAccess | UseUpdate};

// clang-format off
constexpr Spec rows[] = {
    {"set", -3, Write | DenyOom, one, CatString, "string", "1.0.0", "O(1)",
     "Sets a key to a string, whatever it held; options say when, until when, and whether to return the old.",
     "key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | "
     "PXAT unix-time-milliseconds | KEEPTTL]", set, {}, "",
     {UseReadWrite | UseAccess | UseUpdate | UseVariable}},
    {"setnx", 3, Write | DenyOom | Fast, one, CatString, "string", "1.0.0", "O(1)",
     "Sets a key to a string unless the key exists.", "key value", setnx, {}, "", {UseOverwrite | UseInsert}},
    {"setex", 4, Write | DenyOom, one, CatString, "string", "2.0.0", "O(1)",
     "Sets a key to a string that expires after some seconds.", "key seconds value", setex, {}, "", replaces},
    {"psetex", 4, Write | DenyOom, one, CatString, "string", "2.6.0", "O(1)",
     "Sets a key to a string that expires after some milliseconds.", "key milliseconds value", psetex, {}, "",
     replaces},
    {"get", 2, Readonly | Fast, one, CatString, "string", "1.0.0", "O(1)", "Returns the string at a key.",
     "key", get, {}, "", reads},
    {"getset", 3, Write | DenyOom | Fast, one, CatString, "string", "1.0.0", "O(1)",
     "Sets a key to a string and returns the string it held.", "key value", getset, {}, "", updates},
    {"getdel", 2, Write | Fast, one, CatString, "string", "6.2.0", "O(1)",
     "Returns the string at a key and deletes the key.", "key", getdel, {}, "",
     {UseReadWrite | UseAccess | UseDelete}},
    {"getex", -2, Write | Fast, one, CatString, "string", "6.2.0", "O(1)",
     "Returns the string at a key and sets or removes the key's expiry.",
     "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]",
     getex, {}, "", updates},
    {"mget", -2, Readonly | Fast, {1, -1, 1}, CatString, "string", "1.0.0", "O(N), N the number of keys",
     "Returns the strings at several keys, null for those that hold none.", "key [key ...]", mget, {},
     "request_policy:multi_shard", reads},
    {"mset", -3, Write | DenyOom, {1, -1, 2}, CatString, "string", "1.0.1", "O(N), N the number of keys",
     "Sets several keys to strings at once.", "key value [key value ...]", mset, {},
     "request_policy:multi_shard response_policy:all_succeeded", replaces},
    {"msetnx", -3, Write | DenyOom, {1, -1, 2}, CatString, "string", "1.0.1", "O(N), N the number of keys",
     "Sets several keys to strings at once, unless any of them exists.", "key value [key value ...]", msetnx,
     {}, "request_policy:multi_shard response_policy:agg_min", {UseOverwrite | UseInsert}},
    {"append", 3, Write | DenyOom | Fast, one, CatString, "string", "2.0.0", "O(1) amortized",
     "Adds bytes to the end of the string at a key, which is created when missing.", "key value", append, {},
     "", {UseReadWrite | UseInsert}},
    {"strlen", 2, Readonly | Fast, one, CatString, "string", "2.2.0", "O(1)",
     "Returns the length of the string at a key, 0 when missing.", "key", strlen, {}, "", examines},
    {"setrange", 4, Write | DenyOom, one, CatString, "string", "2.2.0", "O(M), M the length of the value",
     "Writes over part of the string at a key, from an offset on; a gap is filled with zero bytes.",
     "key offset value", setrange, {}, "", {UseReadWrite | UseUpdate}},
    {"getrange", 4, Readonly, one, CatString, "string", "2.4.0", "O(N), N the length returned",
     "Returns part of the string at a key; negative positions count from its end.", "key start end", getrange,
     {}, "", reads},
    {"substr", 4, Readonly, one, CatString, "string", "1.0.0", "O(N), N the length returned",
     "The old name of GETRANGE.", "key start end", getrange, {}, "", reads},
    {"incr", 2, Write | DenyOom | Fast, one, CatString, "string", "1.0.0", "O(1)",
     "Adds one to the integer at a key; a missing key counts as 0.", "key", incr, {}, "", updates},
    {"decr", 2, Write | DenyOom | Fast, one, CatString, "string", "1.0.0", "O(1)",
     "Takes one from the integer at a key; a missing key counts as 0.", "key", decr, {}, "", updates},
    {"incrby", 3, Write | DenyOom | Fast, one, CatString, "string", "1.0.0", "O(1)",
     "Adds to the integer at a key; a missing key counts as 0.", "key increment", incrby, {}, "", updates},
    {"decrby", 3, Write | DenyOom | Fast, one, CatString, "string", "1.0.0", "O(1)",
     "Takes from the integer at a key; a missing key counts as 0.", "key decrement", decrby, {}, "", updates},
    {"incrbyfloat", 3, Write | DenyOom | Fast, one, CatString, "string", "2.6.0", "O(1)",
     "Adds to the number at a key; a missing key counts as 0.", "key increment", incrbyfloat, {}, "",
     updates},
    {"lcs", -3, Readonly, {1, 2, 1}, CatString, "string", "7.0.0",
     "O(N*M), N and M the lengths of the strings",
     "Finds the longest common subsequence of the strings at two keys.",
     "key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]", lcs, {}, "", reads},
};
// clang-format on

}  // namespace

std::span<const Spec> string_commands() { return rows; }

}  // namespace hf::command
