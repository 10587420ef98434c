// Expiry: when a key goes, asked and set. What is logged is the moment itself, never a distance from now.
#include "command/expiry.h"
#include "command/table.h"

namespace hf::command {
namespace {

using store::Entry;
using store::Key;

struct Conditions {
  bool nx = false, xx = false, gt = false, lt = false;
};

bool parse_conditions(Context& ctx, Conditions& conditions) {
  for (size_t i = 3; i < ctx.args.size(); ++i) {
    const Bytes arg = ctx.args[i];
    if (equal_nocase(arg, "nx")) conditions.nx = true;
    else if (equal_nocase(arg, "xx")) conditions.xx = true;
    else if (equal_nocase(arg, "gt")) conditions.gt = true;
    else if (equal_nocase(arg, "lt")) conditions.lt = true;
    else return ctx.error("ERR Unsupported option " + std::string(arg)), false;
  }
  if (conditions.nx && (conditions.xx || conditions.gt || conditions.lt)) {
    ctx.error("ERR NX and XX, GT or LT options at the same time are not compatible");
    return false;
  }
  if (conditions.gt && conditions.lt) {
    ctx.error("ERR GT and LT options at the same time are not compatible");
    return false;
  }
  return true;
}

/// A key without expiry counts as one that lives for ever.
bool allowed(const Conditions& conditions, WallMs current, WallMs wanted) {
  const bool none = current == store::no_expiry;
  if (conditions.nx && !none) return false;
  if (conditions.xx && none) return false;
  if (conditions.gt && (none || wanted <= current)) return false;
  if (conditions.lt && !none && wanted >= current) return false;
  return true;
}

void expire_in(Context& ctx, TimeUnit unit) {
  Conditions conditions;
  if (!parse_conditions(ctx, conditions)) return;
  int64_t value;
  if (!ctx.integer_arg(2, value)) return;
  WallMs at;
  if (!absolute_ms(value, unit, ctx.now.wall_ms, at)) return invalid_expire_time(ctx);
  const Key key = ctx.key(1);
  const Entry* entry = ctx.find(key);
  if (entry == nullptr || !allowed(conditions, entry->expire_at(), at)) return ctx.reply.integer(0);
  if (already_expired(ctx, at)) {
    ctx.remove_and_log(ctx.db(), key);
  } else {
    ctx.store.set_expiry(ctx.db(), key, at);
    ctx.log({"PEXPIREAT", key.bytes, Digits(at)});
  }
  ctx.reply.integer(1);
}

void expire(Context& ctx) { expire_in(ctx, {true, false}); }
void pexpire(Context& ctx) { expire_in(ctx, {false, false}); }
void expireat(Context& ctx) { expire_in(ctx, {true, true}); }
void pexpireat(Context& ctx) { expire_in(ctx, {false, true}); }

/// -2 no key, -1 no expiry, else `answer(its moment)`.
template <class Answer>
void reply_expiry(Context& ctx, Answer&& answer) {
  const Entry* entry = ctx.find_counted(ctx.key(1));
  if (entry == nullptr) return ctx.reply.integer(-2);
  if (entry->expire_at() == store::no_expiry) return ctx.reply.integer(-1);
  ctx.reply.integer(answer(entry->expire_at()));
}

int64_t left_ms(const Context& ctx, WallMs at) { return at > ctx.now.wall_ms ? at - ctx.now.wall_ms : 0; }
int64_t to_seconds(int64_t ms) { return ms / 1000 + (ms % 1000 >= 500 ? 1 : 0); }

void ttl(Context& ctx) {
  reply_expiry(ctx, [&](WallMs at) { return to_seconds(left_ms(ctx, at)); });
}
void pttl(Context& ctx) {
  reply_expiry(ctx, [&](WallMs at) { return left_ms(ctx, at); });
}
void expiretime(Context& ctx) {
  reply_expiry(ctx, [](WallMs at) { return to_seconds(at); });
}
void pexpiretime(Context& ctx) {
  reply_expiry(ctx, [](WallMs at) { return at; });
}

void persist(Context& ctx) {
  const Key key = ctx.key(1);
  const Entry* entry = ctx.find(key);
  if (entry == nullptr || entry->expire_at() == store::no_expiry) return ctx.reply.integer(0);
  ctx.store.set_expiry(ctx.db(), key, store::no_expiry);
  ctx.changed();
  ctx.reply.integer(1);
}

constexpr KeyRange one{1, 1, 1};
constexpr KeyUses reads{UseReadOnly | UseAccess};
constexpr KeyUses updates{UseReadWrite | UseUpdate};

// clang-format off
constexpr Spec rows[] = {
    {"expire", -3, Write | Fast, one, CatKeyspace, "generic", "1.0.0", "O(1)",
     "Lets a key expire after some seconds.", "key seconds [NX | XX | GT | LT]", expire, {}, "", updates},
    {"pexpire", -3, Write | Fast, one, CatKeyspace, "generic", "2.6.0", "O(1)",
     "Lets a key expire after some milliseconds.", "key milliseconds [NX | XX | GT | LT]", pexpire, {}, "",
     updates},
    {"expireat", -3, Write | Fast, one, CatKeyspace, "generic", "1.2.0", "O(1)",
     "Lets a key expire at a Unix time in seconds.", "key unix-time-seconds [NX | XX | GT | LT]", expireat,
     {}, "", updates},
    {"pexpireat", -3, Write | Fast, one, CatKeyspace, "generic", "2.6.0", "O(1)",
     "Lets a key expire at a Unix time in milliseconds.", "key unix-time-milliseconds [NX | XX | GT | LT]",
     pexpireat, {}, "", updates},
    {"ttl", 2, Readonly | Fast, one, CatKeyspace, "generic", "1.0.0", "O(1)",
     "Returns how many seconds a key has left.", "key", ttl, {}, "nondeterministic_output", reads},
    {"pttl", 2, Readonly | Fast, one, CatKeyspace, "generic", "2.6.0", "O(1)",
     "Returns how many milliseconds a key has left.", "key", pttl, {}, "nondeterministic_output", reads},
    {"expiretime", 2, Readonly | Fast, one, CatKeyspace, "generic", "7.0.0", "O(1)",
     "Returns the Unix time in seconds at which a key expires.", "key", expiretime, {}, "", reads},
    {"pexpiretime", 2, Readonly | Fast, one, CatKeyspace, "generic", "7.0.0", "O(1)",
     "Returns the Unix time in milliseconds at which a key expires.", "key", pexpiretime, {}, "", reads},
    {"persist", 2, Write | Fast, one, CatKeyspace, "generic", "2.2.0", "O(1)", "Removes a key's expiry.",
     "key", persist, {}, "", updates},
};
// clang-format on

}  // namespace

std::span<const Spec> expire_commands() { return rows; }

}  // namespace hf::command
