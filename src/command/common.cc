// Shared pieces of handlers.
#include "command/common.h"

#include <climits>

#include "base/number.h"

namespace hf::command {

bool ranged_arg(Context& ctx, size_t i, int64_t lo, int64_t hi, int64_t& value) {
  if (!ctx.integer_arg(i, value)) return false;
  if (value >= lo && value <= hi) return true;
  ctx.error("ERR value is out of range, value must between " + to_text(lo) + " and " + to_text(hi));
  return false;
}

bool db_arg(Context& ctx, size_t i, DbIndex& db) {
  int64_t value;
  if (!ranged_arg(ctx, i, INT_MIN, INT_MAX, value)) return false;
  if (value < 0 || value >= static_cast<int64_t>(ctx.store.databases())) {
    ctx.error("ERR DB index is out of range");
    return false;
  }
  db = static_cast<DbIndex>(value);
  return true;
}

void reply_status(Context& ctx, const Status& status) {
  if (status) ctx.reply.ok();
  else ctx.error("ERR " + status.error().message);
}

void reply_help(Context& ctx, const Spec& container) {
  ctx.reply.array(1 + 2 * container.subcommands.size());
  ctx.reply.simple(to_upper(container.name) + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
  for (const Spec& spec : container.subcommands) {
    const std::string name = to_upper(spec.name);
    ctx.reply.simple(*spec.syntax == '\0' ? name : name + " " + spec.syntax);
    ctx.reply.simple(std::string("    ") + spec.summary);
  }
}

}  // namespace hf::command
