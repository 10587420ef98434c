// CLIENT: the connections there are, their names, and their ends.
#include <algorithm>
#include <optional>

#include "base/number.h"
#include "command/client_name.h"
#include "command/common.h"
#include "command/table.h"

namespace hf::command {
namespace {

void client_id(Context& ctx) { ctx.reply.integer(static_cast<int64_t>(ctx.client.id)); }

void client_info(Context& ctx) { ctx.reply.verbatim(ctx.server.describe_client(ctx.client) + "\n"); }

/// Client types as CLIENT LIST and KILL name them. Connections that replicate or subscribe are kinds of their
/// own.
enum class ClientType : uint8_t { Normal, Replica, Master, PubSub };

bool type_arg(Context& ctx, size_t i, ClientType& type) {
  const Bytes name = ctx.args[i];
  if (equal_nocase(name, "normal")) type = ClientType::Normal;
  else if (equal_nocase(name, "slave") || equal_nocase(name, "replica")) type = ClientType::Replica;
  else if (equal_nocase(name, "master")) type = ClientType::Master;
  else if (equal_nocase(name, "pubsub")) type = ClientType::PubSub;
  else return ctx.error("ERR Unknown client type '" + std::string(name) + "'"), false;
  return true;
}

ClientType type_of(const ClientState& client) {
  if (client.primary) return ClientType::Master;
  return client.replica ? ClientType::Replica : ClientType::Normal;
}

void client_list(Context& ctx) {
  std::string list;
  const auto add = [&](const ClientState& client) { list += ctx.server.describe_client(client) + "\n"; };
  if (ctx.args.size() == 2) {
    ctx.server.for_each_client(add);
  } else if (ctx.args.size() == 4 && equal_nocase(ctx.args[2], "type")) {
    ClientType type;
    if (!type_arg(ctx, 3, type)) return;
    ctx.server.for_each_client([&](const ClientState& client) {
      if (type_of(client) == type) add(client);
    });
  } else if (ctx.args.size() > 3 && equal_nocase(ctx.args[2], "id")) {
    for (size_t i = 3; i < ctx.args.size(); ++i) {
      const auto id = parse_int(ctx.args[i]);
      if (!id) return ctx.error("ERR Invalid client ID");
      ctx.server.for_each_client([&](const ClientState& client) {
        if (client.id == static_cast<uint64_t>(*id)) add(client);
      });
    }
  } else {
    return ctx.syntax_error();
  }
  ctx.reply.verbatim(list);
}

// ---- KILL -----------------------------------------------------------------------------------------------

struct KillFilter {
  std::optional<uint64_t> id;
  std::optional<ClientType> type;
  std::optional<Bytes> user, address, local_address;
  bool skip_me = true;

  bool matches(const ClientState& client) const {
    return (!id || client.id == *id) && (!type || type_of(client) == *type) &&
           (!user || client.user == *user) && (!address || client.peer_address == *address) &&
           (!local_address || client.local_address == *local_address);
  }
};

/// One "option value" of the filter.
bool parse_kill_option(Context& ctx, size_t i, KillFilter& filter) {
  const Bytes name = ctx.args[i], value = ctx.args[i + 1];
  if (equal_nocase(name, "id")) {
    const auto id = parse_int(value);
    if (!id || *id <= 0) return ctx.error("ERR client-id should be greater than 0"), false;
    filter.id = static_cast<uint64_t>(*id);
  } else if (equal_nocase(name, "type")) {
    ClientType type;
    if (!type_arg(ctx, i + 1, type)) return false;
    filter.type = type;
  } else if (equal_nocase(name, "addr")) {
    filter.address = value;
  } else if (equal_nocase(name, "laddr")) {
    filter.local_address = value;
  } else if (equal_nocase(name, "user")) {
    if (value != "default") return ctx.error("ERR No such user '" + std::string(value) + "'"), false;
    filter.user = value;
  } else if (equal_nocase(name, "skipme") && (equal_nocase(value, "yes") || equal_nocase(value, "no"))) {
    filter.skip_me = equal_nocase(value, "yes");
  } else {
    return ctx.syntax_error(), false;
  }
  return true;
}

int64_t kill_matching(Context& ctx, const KillFilter& filter) {
  std::vector<uint64_t> ids;
  ctx.server.for_each_client([&](const ClientState& client) {
    if (filter.matches(client) && !(filter.skip_me && client.id == ctx.client.id)) ids.push_back(client.id);
  });
  for (const uint64_t id : ids) {
    if (id == ctx.client.id) ctx.client.close_after_reply = true;  // it is owed this reply
    else ctx.server.kill_client(id);
  }
  return static_cast<int64_t>(ids.size());
}

void client_kill(Context& ctx) {
  KillFilter filter;
  if (ctx.args.size() == 3) {  // the old form: an address
    filter.address = ctx.args[2];
    filter.skip_me = false;
    if (kill_matching(ctx, filter) == 0) return ctx.error("ERR No such client");
    return ctx.reply.ok();
  }
  if (ctx.args.size() % 2 != 0) return ctx.syntax_error();
  for (size_t i = 2; i < ctx.args.size(); i += 2)
    if (!parse_kill_option(ctx, i, filter)) return;
  ctx.reply.integer(kill_matching(ctx, filter));
}

// ---- names and switches ---------------------------------------------------------------------------------

void client_setname(Context& ctx) {
  if (!is_client_name(ctx.args[2])) return ctx.error(invalid_client_name);
  ctx.client.name = ctx.args[2];
  ctx.reply.ok();
}

void client_getname(Context& ctx) {
  if (ctx.client.name.empty()) ctx.reply.null();
  else ctx.reply.bulk(ctx.client.name);
}

void client_setinfo(Context& ctx) {
  const Bytes option = ctx.args[2];
  std::string* info = nullptr;
  if (equal_nocase(option, "lib-name")) info = &ctx.client.lib_name;
  else if (equal_nocase(option, "lib-ver")) info = &ctx.client.lib_version;
  else return ctx.error("ERR Unrecognized option '" + std::string(option.substr(0, 128)) + "'");
  if (!is_client_name(ctx.args[3]))
    return ctx.error("ERR " + std::string(option) +
                     " cannot contain spaces, newlines or special characters.");
  *info = ctx.args[3];
  ctx.reply.ok();
}

void client_unblock(Context& ctx) {
  bool with_error = false;
  if (ctx.args.size() > 4)
    return ctx.error("ERR unknown subcommand or wrong number of arguments for '" + std::string(ctx.args[1]) +
                     "'. Try CLIENT HELP.");
  if (ctx.args.size() == 4) {
    if (equal_nocase(ctx.args[3], "error")) with_error = true;
    else if (!equal_nocase(ctx.args[3], "timeout"))
      return ctx.error("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
  }
  int64_t id;
  if (!ctx.integer_arg(2, id)) return;
  ctx.reply.integer(id > 0 && ctx.server.unblock_client(static_cast<uint64_t>(id), with_error) ? 1 : 0);
}

/// NO-EVICT and NO-TOUCH: clients are never evicted here and access times never kept, so either setting
/// holds.
void client_switch(Context& ctx) {
  if (!equal_nocase(ctx.args[2], "on") && !equal_nocase(ctx.args[2], "off")) return ctx.syntax_error();
  ctx.reply.ok();
}

/// How many members must have a change before its reply leaves: for this connection, never fewer than the
/// server asks.
void client_write_concern(Context& ctx) {
  int64_t copies = 0;
  if (equal_nocase(ctx.args[2], "quorum")) {
    copies = std::max(2, ctx.server.copies_of_server());
    if (const auto wanted = parse_int(ctx.server.option("min-copies"))) copies = std::max(copies, *wanted);
  } else if (!equal_nocase(ctx.args[2], "async")) {
    if (!ctx.integer_arg(2, copies)) return;
    if (copies < 1 || copies > 7) return ctx.error("ERR copies must be between 1 and 7");
  }
  if (copies < ctx.server.copies_of_server())
    return ctx.error("ERR the server asks for " + std::to_string(ctx.server.copies_of_server()) +
                     " copies (min-copies): a connection may ask for more, never for less");
  ctx.client.copies = static_cast<int>(copies);
  ctx.reply.ok();
}

/// Capabilities this server knows: redirect (-REDIRECT host:port instead of a closed connection). Others
/// pass.
void client_capa(Context& ctx) {
  for (const Bytes name : ctx.args.subspan(2))
    if (equal_nocase(name, "redirect")) ctx.client.redirect = true;
  ctx.reply.ok();
}

void client_help(Context& ctx) { reply_help(ctx, *find_command("client")); }

constexpr uint32_t any = NoScript | Loading | Stale;

// clang-format off
constexpr Spec subcommands[] = {
    {"capa", -3, any, no_keys, CatConnection, "connection", "8.0.0", "O(1)",
     "Tells what this client understands: redirect.", "capability [capability ...]", client_capa},
    {"getname", 2, any, no_keys, CatConnection, "connection", "2.6.9", "O(1)",
     "Returns this connection's name.", "", client_getname},
    {"help", 2, Loading | Stale, no_keys, CatConnection, "connection", "5.0.0", "O(1)",
     "Lists these subcommands.", "", client_help},
    {"id", 2, any, no_keys, CatConnection, "connection", "5.0.0", "O(1)", "Returns this connection's number.",
     "", client_id},
    {"info", 2, any, no_keys, CatConnection, "connection", "6.2.0", "O(1)", "Describes this connection.", "",
     client_info, {}, "nondeterministic_output"},
    {"kill", -3, any | Admin, no_keys, CatConnection, "connection", "2.4.0",
     "O(N), N the number of connections", "Closes connections, by address or by a filter.",
     "<ip:port | [ID client-id] [TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] [USER username] [ADDR ip:port] "
     "[LADDR ip:port] [SKIPME <YES | NO>]>", client_kill},
    {"list", -2, any | Admin, no_keys, CatConnection, "connection", "2.4.0",
     "O(N), N the number of connections", "Describes all connections, or those of a type, or those named.",
     "[TYPE <NORMAL | MASTER | REPLICA | PUBSUB>] [ID client-id [client-id ...]]", client_list, {},
     "nondeterministic_output"},
    {"no-evict", 3, any | Admin, no_keys, CatConnection, "connection", "7.0.0", "O(1)",
     "Keeps this connection from being evicted; none ever is.", "<ON | OFF>", client_switch},
    {"no-touch", 3, any, no_keys, CatConnection, "connection", "7.2.0", "O(1)",
     "Keeps this connection's commands from changing access times; none are kept.", "<ON | OFF>",
     client_switch},
    {"setinfo", 4, any, no_keys, CatConnection, "connection", "7.2.0", "O(1)",
     "Names the client library and its version.", "<LIB-NAME libname | LIB-VER libver>", client_setinfo, {},
     "request_policy:all_nodes response_policy:all_succeeded"},
    {"setname", 3, any, no_keys, CatConnection, "connection", "2.6.9", "O(1)", "Names this connection.",
     "connection-name", client_setname, {}, "request_policy:all_nodes response_policy:all_succeeded"},
    {"write-concern", 3, any, no_keys, CatConnection, "connection", "0.2.0", "O(1)",
     "Sets how many members must have this connection's changes on disk before their replies leave.",
     "<QUORUM | ASYNC | copies>", client_write_concern},
    {"unblock", -3, any | Admin, no_keys, CatConnection, "connection", "5.0.0", "O(1)",
     "Ends a connection's wait in a blocking command.", "client-id [TIMEOUT | ERROR]", client_unblock},
};
// clang-format on

// clang-format off
const Spec rows[] = {
    {"client", -2, 0, no_keys, 0, "connection", "2.4.0", "depends on the subcommand",
     "The connections there are: lists, names and closes them.", "", nullptr, subcommands},
};
// clang-format on

}  // namespace

std::span<const Spec> client_commands() { return rows; }

}  // namespace hf::command
