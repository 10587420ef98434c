// MULTI ... EXEC. Queuing is the executor's: it keeps commands while a transaction is open; here they are run
// or dropped.
#include "base/number.h"
#include "command/common.h"
#include "command/table.h"

namespace hf::command {
namespace {

void multi(Context& ctx) {
  if (ctx.client.transaction.open) return ctx.error("ERR MULTI calls can not be nested");
  ctx.client.transaction.open = true;
  ctx.reply.ok();
}

/// Nothing open, queued or watched any more.
void forget(Context& ctx) {
  ctx.server.unwatch_all(ctx.client);
  ctx.client.transaction = Transaction{};
}

void discard(Context& ctx) {
  if (!ctx.client.transaction.open) return ctx.error("ERR DISCARD without MULTI");
  forget(ctx);
  ctx.reply.ok();
}

/// A watched key whose time came after WATCH counts as changed, though nobody has removed it yet.
bool watched_key_expired(Context& ctx) {
  for (const Transaction::Watched& watched : ctx.client.transaction.watched) {
    if (watched.existed_expired) continue;
    const store::Entry* entry = ctx.store.find(watched.db, ctx.store.key(watched.key));
    if (entry != nullptr && entry->expired(ctx.now.wall_ms)) return true;
  }
  return false;
}

void exec(Context& ctx) {
  Transaction& transaction = ctx.client.transaction;
  if (!transaction.open) return ctx.error("ERR EXEC without MULTI");
  const bool failed = transaction.failed;
  const bool dirty = transaction.dirty || watched_key_expired(ctx);
  const auto queued = std::move(transaction.queued);
  forget(ctx);
  if (failed) return ctx.error("EXECABORT Transaction discarded because of previous errors.");
  if (dirty) return ctx.reply.null_array();
  ctx.reply.array(queued.size());
  ctx.journal.begin_transaction();
  std::vector<Bytes> args;
  for (const auto& command : queued) {
    args.assign(command.begin(), command.end());
    ctx.server.run_queued(ctx, args);
  }
  ctx.journal.end_transaction();
}

void watch(Context& ctx) {
  if (ctx.client.transaction.open) return ctx.error("ERR WATCH inside MULTI is not allowed");
  if (!ctx.client.transaction.dirty)  // else EXEC will fail anyway
    for (size_t i = 1; i < ctx.args.size(); ++i) ctx.server.watch(ctx, ctx.args[i]);
  ctx.reply.ok();
}

void unwatch(Context& ctx) {
  ctx.server.unwatch_all(ctx.client);
  ctx.client.transaction.dirty = false;
  ctx.reply.ok();
}

constexpr uint32_t any = NoScript | Loading | Stale;

// clang-format off
constexpr Spec rows[] = {
    {"multi", 1, any | Fast | AllowBusy, no_keys, CatTransaction, "transactions", "1.2.0", "O(1)",
     "Begins a transaction: what follows is queued.", "", multi},
    {"exec", 1, any | SkipSlowlog, no_keys, CatTransaction, "transactions", "1.2.0",
     "that of the queued commands",
     "Runs the transaction's commands in one piece, unless a watched key has changed.", "", exec},
    {"discard", 1, any | Fast | AllowBusy, no_keys, CatTransaction, "transactions", "2.0.0",
     "O(N), N the number of queued commands", "Drops the transaction.", "", discard},
    {"watch", -2, any | Fast | AllowBusy, {1, -1, 1}, CatTransaction, "transactions", "2.2.0", "O(1) a key",
     "Lets the next EXEC fail if any of the keys changes before it.", "key [key ...]", watch, {}, "",
     {UseReadOnly}},
    {"unwatch", 1, any | Fast | AllowBusy, no_keys, CatTransaction, "transactions", "2.2.0", "O(1)",
     "Forgets the watched keys.", "", unwatch},
};
// clang-format on

}  // namespace

std::span<const Spec> transaction_commands() { return rows; }

}  // namespace hf::command
