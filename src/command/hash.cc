// Hashes.
#include <algorithm>
#include <cmath>
#include <unordered_set>
#include <vector>

#include "base/glob.h"
#include "base/limits.h"
#include "base/number.h"
#include "command/expiry.h"
#include "command/scan.h"
#include "command/table.h"

namespace hf::command {
namespace {

using store::Entry;
using store::Key;
using store::Type;

/// The hash at args[1] for reading; null when absent. `wrong`: WRONGTYPE is replied.
const Entry* read_hash(Context& ctx, bool& wrong) { return ctx.find_typed(ctx.key(1), Type::Hash, wrong); }

/// True: args[1] is free or a hash, and what was past its time is gone. False: WRONGTYPE is replied.
bool writable_hash(Context& ctx, const Key& key) {
  const Entry* entry = ctx.find(key);
  if (entry == nullptr || entry->type() == Type::Hash) return true;
  ctx.wrong_type();
  return false;
}

int64_t set_fields(Context& ctx, const Key& key) {
  int64_t added = 0;
  size_t room_bytes = 0;
  for (size_t i = 2; i < ctx.args.size(); i += 2)
    room_bytes += store::HashEdit::packed_size(ctx.args[i], ctx.args[i + 1]);
  auto edit = ctx.store.edit_hash(ctx.db(), key, room_bytes);
  for (size_t i = 2; i < ctx.args.size(); i += 2) added += edit.set(ctx.args[i], ctx.args[i + 1]) ? 1 : 0;
  ctx.changed();
  return added;
}

void hset(Context& ctx) {
  if (ctx.args.size() % 2 != 0) return ctx.wrong_arity();
  const Key key = ctx.key(1);
  if (writable_hash(ctx, key)) ctx.reply.integer(set_fields(ctx, key));
}

void hmset(Context& ctx) {
  if (ctx.args.size() % 2 != 0) return ctx.wrong_arity();
  const Key key = ctx.key(1);
  if (!writable_hash(ctx, key)) return;
  set_fields(ctx, key);
  ctx.reply.ok();
}

void hsetnx(Context& ctx) {
  const Key key = ctx.key(1);
  if (!writable_hash(ctx, key)) return;
  auto edit = ctx.store.edit_hash(ctx.db(), key);
  if (edit.get(ctx.args[2])) return ctx.reply.integer(0);
  edit.set(ctx.args[2], ctx.args[3]);
  ctx.changed();
  ctx.reply.integer(1);
}

void reply_field(Context& ctx, const Entry* entry, Bytes field) {
  const auto value = entry == nullptr ? std::nullopt : entry->hash_get(field);
  if (value) ctx.reply.bulk(*value);
  else ctx.reply.null();
}

void hget(Context& ctx) {
  bool wrong;
  const Entry* entry = read_hash(ctx, wrong);
  if (!wrong) reply_field(ctx, entry, ctx.args[2]);
}

void hmget(Context& ctx) {
  bool wrong;
  const Entry* entry = read_hash(ctx, wrong);
  if (wrong) return;
  ctx.reply.array(ctx.args.size() - 2);
  for (size_t i = 2; i < ctx.args.size(); ++i) reply_field(ctx, entry, ctx.args[i]);
}

void hgetall(Context& ctx) {
  bool wrong;
  const Entry* entry = read_hash(ctx, wrong);
  if (wrong) return;
  ctx.reply.map(entry == nullptr ? 0 : entry->hash_size());
  if (entry == nullptr) return;
  entry->hash_for_each([&](Bytes field, Bytes value) {
    ctx.reply.bulk(field);
    ctx.reply.bulk(value);
  });
}

void hkeys(Context& ctx) {
  bool wrong;
  const Entry* entry = read_hash(ctx, wrong);
  if (wrong) return;
  ctx.reply.array(entry == nullptr ? 0 : entry->hash_size());
  if (entry != nullptr) entry->hash_for_each([&](Bytes field, Bytes) { ctx.reply.bulk(field); });
}

void hvals(Context& ctx) {
  bool wrong;
  const Entry* entry = read_hash(ctx, wrong);
  if (wrong) return;
  ctx.reply.array(entry == nullptr ? 0 : entry->hash_size());
  if (entry != nullptr) entry->hash_for_each([&](Bytes, Bytes value) { ctx.reply.bulk(value); });
}

void hlen(Context& ctx) {
  bool wrong;
  const Entry* entry = read_hash(ctx, wrong);
  if (!wrong) ctx.reply.integer(entry == nullptr ? 0 : static_cast<int64_t>(entry->hash_size()));
}

void hstrlen(Context& ctx) {
  bool wrong;
  const Entry* entry = read_hash(ctx, wrong);
  if (wrong) return;
  const auto value = entry == nullptr ? std::nullopt : entry->hash_get(ctx.args[2]);
  ctx.reply.integer(value ? static_cast<int64_t>(value->size()) : 0);
}

void hexists(Context& ctx) {
  bool wrong;
  const Entry* entry = read_hash(ctx, wrong);
  if (!wrong) ctx.reply.integer(entry != nullptr && entry->hash_get(ctx.args[2]) ? 1 : 0);
}

void hdel(Context& ctx) {
  const Key key = ctx.key(1);
  const Entry* entry = ctx.find(key);
  if (entry == nullptr) return ctx.reply.integer(0);
  if (entry->type() != Type::Hash) return ctx.wrong_type();
  int64_t removed = 0;
  {
    auto edit = ctx.store.edit_hash(ctx.db(), key);
    for (size_t i = 2; i < ctx.args.size(); ++i) removed += edit.erase(ctx.args[i]) ? 1 : 0;
  }
  if (removed > 0) ctx.changed();
  ctx.reply.integer(removed);
}

// ---- counters -------------------------------------------------------------------------------------------

void hincrby(Context& ctx) {
  int64_t increment;
  if (!ctx.integer_arg(3, increment)) return;
  const Key key = ctx.key(1);
  if (!writable_hash(ctx, key)) return;
  auto edit = ctx.store.edit_hash(ctx.db(), key);
  int64_t value = 0;
  if (const auto old = edit.get(ctx.args[2])) {
    const auto parsed = parse_int(*old);
    if (!parsed) return ctx.error("ERR hash value is not an integer");
    value = *parsed;
  }
  if (__builtin_add_overflow(value, increment, &value))
    return ctx.error("ERR increment or decrement would overflow");
  edit.set(ctx.args[2], Digits(value));
  ctx.changed();
  ctx.reply.integer(value);
}

void hincrbyfloat(Context& ctx) {
  const auto increment = parse_long_double(ctx.args[3]);
  if (!increment) return ctx.not_a_float();
  if (std::isinf(*increment)) return ctx.error("ERR value is NaN or Infinity");
  const Key key = ctx.key(1);
  if (!writable_hash(ctx, key)) return;
  auto edit = ctx.store.edit_hash(ctx.db(), key);
  long double value = 0;
  if (const auto old = edit.get(ctx.args[2])) {
    const auto parsed = parse_long_double(*old);
    if (!parsed) return ctx.error("ERR hash value is not a float");
    value = *parsed;
  }
  value += *increment;
  if (std::isnan(value) || std::isinf(value)) return ctx.error("ERR increment would produce NaN or Infinity");
  const std::string text = to_text_fixed(value);
  edit.set(ctx.args[2], text);
  ctx.log({"HSET", key.bytes, ctx.args[2], text});
  ctx.reply.bulk(text);
}

// ---- HRANDFIELD, HSCAN ----------------------------------------------------------------------------------

/// Writes fields, with their values where asked, in the shape of the protocol in force.
class FieldsReply {
 public:
  FieldsReply(Context& ctx, bool with_values) : ctx_(ctx), with_values_(with_values) {}
  void begin(size_t fields) {
    const bool flat = with_values_ && ctx_.reply.protocol() < 3;
    ctx_.reply.array(flat ? fields * 2 : fields);
  }
  void add(Bytes field, Bytes value) {
    if (with_values_ && ctx_.reply.protocol() >= 3) ctx_.reply.array(2);
    ctx_.reply.bulk(field);
    if (with_values_) ctx_.reply.bulk(value);
  }

 private:
  Context& ctx_;
  bool with_values_;
};

void reply_distinct_fields(Context& ctx, const Entry& entry, size_t count, FieldsReply& reply) {
  const size_t size = entry.hash_size();
  reply.begin(std::min(count, size));
  if (count >= size) {
    entry.hash_for_each([&](Bytes field, Bytes value) { reply.add(field, value); });
    return;
  }
  if (count * 3 > size) {  // most of them: draw from the whole list, without a second try
    std::vector<std::pair<Bytes, Bytes>> all;
    all.reserve(size);
    entry.hash_for_each([&](Bytes field, Bytes value) { all.emplace_back(field, value); });
    for (size_t i = 0; i < count; ++i) {
      std::swap(all[i], all[i + ctx.prng.below(size - i)]);
      reply.add(all[i].first, all[i].second);
    }
    return;
  }
  std::unordered_set<Bytes> drawn;  // few of many: draw until enough differ
  while (drawn.size() < count) {
    Bytes field, value;
    entry.hash_random(ctx.prng, field, value);
    if (drawn.insert(field).second) reply.add(field, value);
  }
}

void reply_random_fields(Context& ctx, const Entry* entry, int64_t count, bool with_values) {
  FieldsReply reply(ctx, with_values);
  if (entry == nullptr || count == 0) return ctx.reply.array(0);
  if (count > 0) return reply_distinct_fields(ctx, *entry, static_cast<size_t>(count), reply);
  if (-count > limits::random_picks_max) return ctx.error("ERR value is out of range");
  reply.begin(static_cast<size_t>(-count));
  for (int64_t i = 0; i < -count; ++i) {
    Bytes field, value;
    entry->hash_random(ctx.prng, field, value);
    reply.add(field, value);
  }
}

void hrandfield(Context& ctx) {
  bool wrong;
  if (ctx.args.size() == 2) {
    const Entry* entry = read_hash(ctx, wrong);
    if (wrong) return;
    if (entry == nullptr) return ctx.reply.null();
    Bytes field, value;
    entry->hash_random(ctx.prng, field, value);
    return ctx.reply.bulk(field);
  }
  int64_t count;
  if (!ctx.integer_arg(2, count)) return;
  if (count == INT64_MIN)
    return ctx.error(
        "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807");
  const bool with_values = ctx.args.size() > 3;
  if (ctx.args.size() > 4 || (with_values && !equal_nocase(ctx.args[3], "withvalues")))
    return ctx.syntax_error();
  if (with_values && (count < -INT64_MAX / 2 || count > INT64_MAX / 2))
    return ctx.error("ERR value is out of range");
  const Entry* entry = read_hash(ctx, wrong);
  if (!wrong) reply_random_fields(ctx, entry, count, with_values);
}

void hscan(Context& ctx) {
  uint64_t cursor;
  if (!parse_cursor(ctx, ctx.args[2], cursor)) return;
  bool wrong;
  const Entry* entry = read_hash(ctx, wrong);
  if (wrong) return;
  ScanReply reply(ctx);
  if (entry == nullptr) return reply.finish(0);
  ScanOptions options;
  if (!parse_scan_options(ctx, 3, false, options)) return;
  const uint64_t next =
      entry->hash_scan(cursor, static_cast<size_t>(options.count), [&](Bytes field, Bytes value) {
        if (!options.any && !glob_match(options.pattern, field)) return;
        reply.add(field);
        reply.add(value);
      });
  reply.finish(next);
}

constexpr KeyRange one{1, 1, 1};
constexpr KeyUses reads{UseReadOnly | UseAccess};
constexpr KeyUses examines{UseReadOnly};
constexpr KeyUses updates{UseReadWrite | UseUpdate};
constexpr KeyUses counts{UseReadWrite | UseAccess | UseUpdate};

// clang-format off
constexpr Spec rows[] = {
    {"hset", -4, Write | DenyOom | Fast, one, CatHash, "hash", "2.0.0", "O(N), N the number of fields",
     "Sets fields of a hash, which is created when missing; returns how many are new.",
     "key field value [field value ...]", hset, {}, "", updates},
    {"hsetnx", 4, Write | DenyOom | Fast, one, CatHash, "hash", "2.0.0", "O(1)",
     "Sets a field of a hash unless the field exists.", "key field value", hsetnx, {}, "",
     {UseReadWrite | UseInsert}},
    {"hmset", -4, Write | DenyOom | Fast, one, CatHash, "hash", "2.0.0", "O(N), N the number of fields",
     "The old form of HSET, which answers OK.", "key field value [field value ...]", hmset, {}, "", updates},
    {"hget", 3, Readonly | Fast, one, CatHash, "hash", "2.0.0", "O(1)",
     "Returns the value of a field of a hash.", "key field", hget, {}, "", reads},
    {"hmget", -3, Readonly | Fast, one, CatHash, "hash", "2.0.0", "O(N), N the number of fields",
     "Returns the values of several fields of a hash, null for those missing.", "key field [field ...]",
     hmget, {}, "", reads},
    {"hgetall", 2, Readonly, one, CatHash, "hash", "2.0.0", "O(N), N the size of the hash",
     "Returns all fields of a hash with their values.", "key", hgetall, {}, "nondeterministic_output_order",
     reads},
    {"hkeys", 2, Readonly, one, CatHash, "hash", "2.0.0", "O(N), N the size of the hash",
     "Returns all fields of a hash.", "key", hkeys, {}, "nondeterministic_output_order", reads},
    {"hvals", 2, Readonly, one, CatHash, "hash", "2.0.0", "O(N), N the size of the hash",
     "Returns all values of a hash.", "key", hvals, {}, "nondeterministic_output_order", reads},
    {"hlen", 2, Readonly | Fast, one, CatHash, "hash", "2.0.0", "O(1)",
     "Returns the number of fields of a hash.", "key", hlen, {}, "", examines},
    {"hstrlen", 3, Readonly | Fast, one, CatHash, "hash", "3.2.0", "O(1)",
     "Returns the length of the value of a field of a hash.", "key field", hstrlen, {}, "", examines},
    {"hexists", 3, Readonly | Fast, one, CatHash, "hash", "2.0.0", "O(1)", "Says whether a hash has a field.",
     "key field", hexists, {}, "", examines},
    {"hdel", -3, Write | Fast, one, CatHash, "hash", "2.0.0", "O(N), N the number of fields",
     "Deletes fields of a hash; a hash left empty goes too.", "key field [field ...]", hdel, {}, "",
     {UseReadWrite | UseDelete}},
    {"hincrby", 4, Write | DenyOom | Fast, one, CatHash, "hash", "2.0.0", "O(1)",
     "Adds to the integer in a field of a hash; a missing one counts as 0.", "key field increment", hincrby,
     {}, "", counts},
    {"hincrbyfloat", 4, Write | DenyOom | Fast, one, CatHash, "hash", "2.6.0", "O(1)",
     "Adds to the number in a field of a hash; a missing one counts as 0.", "key field increment",
     hincrbyfloat, {}, "", counts},
    {"hrandfield", -2, Readonly, one, CatHash, "hash", "6.2.0", "O(N), N the number of fields returned",
     "Returns random fields of a hash: distinct ones, or with repeats when count is negative.",
     "key [count [WITHVALUES]]", hrandfield, {}, "nondeterministic_output", reads},
    {"hscan", -3, Readonly, one, CatHash, "hash", "2.8.0", "O(1) a call, O(N) for all of it",
     "Walks the fields and values of a hash, a few at a call.", "key cursor [MATCH pattern] [COUNT count]",
     hscan, {}, "nondeterministic_output", reads},
};
// clang-format on

}  // namespace

std::span<const Spec> hash_commands() { return rows; }

}  // namespace hf::command
