// Pieces that several families' handlers share: numbers with bounds, database numbers, HELP out of the rows.
#pragma once
#include "command/context.h"

namespace hf::command {

/// args[i] as an integer in [lo, hi], or the error replied and false.
bool ranged_arg(Context& ctx, size_t i, int64_t lo, int64_t hi, int64_t& value);
/// args[i] as the number of a database that exists, or the error replied and false.
bool db_arg(Context& ctx, size_t i, DbIndex& db);
/// The container's subcommands with their syntax and summaries, as redis-cli users know them.
void reply_help(Context& ctx, const Spec& container);

/// OK, or the error.
void reply_status(Context& ctx, const Status& status);

/// A reply's map of `pairs` named values, which follow in its order.
class MapReply {
 public:
  MapReply(Context& ctx, size_t pairs) : reply_(ctx.reply) { reply_.map(pairs); }
  void number(Bytes name, uint64_t value) { signed_number(name, static_cast<int64_t>(value)); }
  void signed_number(Bytes name, int64_t value) {
    reply_.bulk(name);
    reply_.integer(value);
  }
  void text(Bytes name, Bytes value) {
    reply_.bulk(name);
    reply_.bulk(value);
  }

 private:
  resp::Writer& reply_;
};

/// Key use of rows that look at one key.
constexpr KeyRange first_key{1, 1, 1};
constexpr KeyRange second_key{2, 2, 1};
constexpr KeyRange no_keys{};

}  // namespace hf::command
