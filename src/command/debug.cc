// DEBUG: what tests need to see of the inside. Off unless the option enable-debug-command says otherwise.
#include "command/debug.h"

#include "base/number.h"

namespace hf::command {
namespace {

/// WALK: the same sum of the state as it is now, made a slice a turn while others are served.
void debug_digest(Context& ctx) {
  if (ctx.args.size() == 2) return ctx.reply.simple(to_hex(ctx.store.digest()));
  if (ctx.args.size() != 3 || !equal_nocase(ctx.args[2], "walk") || ctx.in_exec) return ctx.syntax_error();
  if (!ctx.retried) {
    if (const Status begun = ctx.server.begin_digest(); !begun)
      return ctx.error("ERR " + begun.error().message);
  }
  const auto result = ctx.server.digest_result();
  if (!result) return ctx.block_on({Server::digest_key}, 0);
  ctx.reply.simple(*result);
}

void debug_digest_value(Context& ctx) {
  ctx.reply.array(ctx.args.size() - 2);
  for (size_t i = 2; i < ctx.args.size(); ++i) {
    const store::Entry* entry = ctx.find(ctx.key(i));
    ctx.reply.simple(to_hex(entry == nullptr ? Sum128{} : ctx.store.digest_of(*entry)));
  }
}

void debug_object(Context& ctx) {
  if (ctx.args.size() != 3) return ctx.error("ERR wrong number of arguments for 'debug|object' command");
  const store::Entry* entry = ctx.find(ctx.key(2));
  if (entry == nullptr) return ctx.no_such_key();
  std::string encoded;
  store::encode_entry(*entry, encoded);
  ctx.reply.simple("Value at:0x0 refcount:1 encoding:" + std::string(entry->encoding()) +
                   " serializedlength:" + to_text(static_cast<int64_t>(encoded.size())) +
                   " lru:0 lru_seconds_idle:0");
}

/// On a replica only: on a primary the next write to that key would make it everybody's, and nothing would
/// differ.
void debug_plant(Context& ctx) {
  if (ctx.args.size() != 4) return ctx.error("ERR wrong number of arguments for 'debug|plant' command");
  if (!ctx.server.follows())
    return ctx.error("ERR DEBUG PLANT is for replicas: it makes one differ from its primary");
  ctx.store.set_string(ctx.db(), ctx.key(2), ctx.args[3]);
  ctx.reply.ok();
}

void debug_help(Context& ctx);

struct Subcommand {
  const char* name;
  size_t args_min;
  const char* syntax;
  const char* summary;
  Handler handler;
};
constexpr Subcommand subcommands[] = {
    {"DIGEST", 2, "[WALK]", "Sum over all keys of all databases, expiries included.", debug_digest},
    {"DIGEST-VALUE", 3, "<key> [<key> ...]", "Sum over each of the keys.", debug_digest_value},
    {"HELP", 2, "", "Lists these subcommands.", debug_help},
    {"OBJECT", 3, "<key>", "How the value of a key is kept.", debug_object},
    {"PLANT", 4, "<key> <value>", "Sets a string on this replica alone, for REPLICATION AUDIT to find.",
     debug_plant},
};

void debug_help(Context& ctx) {
  ctx.reply.array(1 + 2 * std::size(subcommands));
  ctx.reply.simple("DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
  for (const Subcommand& subcommand : subcommands) {
    const std::string name = subcommand.name;
    ctx.reply.simple(*subcommand.syntax == '\0' ? name : name + " " + subcommand.syntax);
    ctx.reply.simple(std::string("    ") + subcommand.summary);
  }
}

bool allowed(const Context& ctx) {
  const std::string option = ctx.server.option("enable-debug-command");
  return option == "yes" || (option == "local" && ctx.client.local);
}

}  // namespace

void debug(Context& ctx) {
  if (!allowed(ctx))
    return ctx.error(
        "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run "
        "it from a "
        "local connection, otherwise you need to set this option in the configuration file, and then restart "
        "the "
        "server.");
  for (const Subcommand& subcommand : subcommands)
    if (equal_nocase(ctx.args[1], subcommand.name) && ctx.args.size() >= subcommand.args_min)
      return subcommand.handler(ctx);
  ctx.error("ERR unknown subcommand or wrong number of arguments for '" +
            std::string(ctx.args[1].substr(0, 128)) + "'. Try DEBUG HELP.");
}

}  // namespace hf::command
