// The connection itself: greeting, protocol, authentication, database, and the end. CLIENT is in client.cc.
#include <optional>

#include "base/number.h"
#include "base/version.h"
#include "command/client_name.h"
#include "command/common.h"
#include "command/table.h"

namespace hf::command {
namespace {

void ping(Context& ctx) {
  if (ctx.args.size() > 2) return ctx.wrong_arity();
  if (ctx.args.size() == 2) return ctx.reply.bulk(ctx.args[1]);
  ctx.reply.simple("PONG");
}

void echo(Context& ctx) { ctx.reply.bulk(ctx.args[1]); }

/// False: WRONGPASS is replied.
bool authenticate(Context& ctx, Bytes user, Bytes password) {
  const bool open = !ctx.server.password_required() && user == "default";  // then every password will do
  if (!open && !ctx.server.password_matches(user, password)) {
    ctx.error("WRONGPASS invalid username-password pair or user is disabled.");
    return false;
  }
  ctx.client.authenticated = true;
  ctx.client.user = user;
  return true;
}

void auth(Context& ctx) {
  if (ctx.args.size() > 3) return ctx.syntax_error();
  if (ctx.args.size() == 2 && !ctx.server.password_required())
    return ctx.error(
        "ERR AUTH <password> called without any password configured for the default user. "
        "Are you sure your configuration is correct?");
  const Bytes user = ctx.args.size() == 3 ? ctx.args[1] : Bytes("default");
  if (authenticate(ctx, user, ctx.args.back())) ctx.reply.ok();
}

// ---- HELLO ----------------------------------------------------------------------------------------------

struct Greeting {
  int protocol = 0;  // 0: stays as it is
  bool with_auth = false;
  Bytes user, password;
  std::optional<Bytes> name;
};

bool parse_hello(Context& ctx, Greeting& greeting) {
  if (ctx.args.size() < 2) return true;
  const auto version = parse_int(ctx.args[1]);
  if (!version) return ctx.error("ERR Protocol version is not an integer or out of range"), false;
  if (*version != 2 && *version != 3) return ctx.error("NOPROTO unsupported protocol version"), false;
  greeting.protocol = static_cast<int>(*version);
  for (size_t i = 2; i < ctx.args.size(); ++i) {
    const size_t more = ctx.args.size() - 1 - i;
    if (equal_nocase(ctx.args[i], "auth") && more >= 2) {
      greeting.with_auth = true;
      greeting.user = ctx.args[i + 1];
      greeting.password = ctx.args[i + 2];
      i += 2;
    } else if (equal_nocase(ctx.args[i], "setname") && more >= 1) {
      greeting.name = ctx.args[++i];
      if (!is_client_name(*greeting.name)) return ctx.error(invalid_client_name), false;
    } else {
      ctx.error("ERR Syntax error in HELLO option '" + std::string(ctx.args[i].substr(0, 128)) + "'");
      return false;
    }
  }
  return true;
}

void hello(Context& ctx) {
  Greeting greeting;
  if (!parse_hello(ctx, greeting)) return;
  if (greeting.with_auth && !authenticate(ctx, greeting.user, greeting.password)) return;
  if (!ctx.client.authenticated)
    return ctx.error(
        "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH "
        "<user> "
        "<pass> option can be used to authenticate the client and select the RESP protocol version at the "
        "same time");
  if (greeting.name) ctx.client.name = *greeting.name;
  if (greeting.protocol != 0) {
    ctx.client.protocol = greeting.protocol;
    ctx.reply.set_protocol(greeting.protocol);
  }
  ctx.reply.map(7);
  ctx.reply.bulk("server");
  ctx.reply.bulk("redis");  // clients look for this word
  ctx.reply.bulk("version");
  ctx.reply.bulk(redis_version);
  ctx.reply.bulk("proto");
  ctx.reply.integer(ctx.client.protocol);
  ctx.reply.bulk("id");
  ctx.reply.integer(static_cast<int64_t>(ctx.client.id));
  ctx.reply.bulk("mode");
  ctx.reply.bulk("standalone");
  ctx.reply.bulk("role");
  ctx.reply.bulk("master");
  ctx.reply.bulk("modules");
  ctx.reply.array(0);
}

void select(Context& ctx) {
  DbIndex db;
  if (!db_arg(ctx, 1, db)) return;
  ctx.client.db = db;
  ctx.reply.ok();
}

void quit(Context& ctx) {
  ctx.client.close_after_reply = true;
  ctx.reply.ok();
}

/// The connection as it was when it was new.
void reset(Context& ctx) {
  ctx.server.unwatch_all(ctx.client);
  ctx.client.transaction = Transaction{};
  ctx.client.db = 0;
  ctx.client.protocol = 2;
  ctx.reply.set_protocol(2);
  ctx.client.name.clear();
  ctx.client.user = "default";
  ctx.client.authenticated = !ctx.server.password_required();
  ctx.reply.simple("RESET");
}

constexpr uint32_t greeting = NoScript | Loading | Stale | Fast | NoAuth | AllowBusy;

// clang-format off
constexpr Spec rows[] = {
    {"ping", -1, Fast, no_keys, CatConnection, "connection", "1.0.0", "O(1)",
     "Answers PONG, or the message it was given.", "[message]", ping, {},
     "request_policy:all_shards response_policy:all_succeeded"},
    {"echo", 2, Loading | Stale | Fast, no_keys, CatConnection, "connection", "1.0.0", "O(1)",
     "Answers with the message it was given.", "message", echo},
    {"hello", -1, greeting, no_keys, CatConnection, "connection", "6.0.0", "O(1)",
     "Tells about the server; chooses the protocol's version, authenticates and names the connection.",
     "[protover [AUTH username password] [SETNAME clientname]]", hello},
    {"auth", -2, greeting, no_keys, CatConnection, "connection", "1.0.0", "O(1)",
     "Authenticates the connection.", "[username] password", auth},
    {"select", 2, Loading | Stale | Fast, no_keys, CatConnection, "connection", "1.0.0", "O(1)",
     "Chooses the connection's database.", "index", select},
    {"quit", -1, greeting, no_keys, CatConnection, "connection", "1.0.0", "O(1)", "Closes the connection.",
     "", quit},
    {"reset", 1, greeting, no_keys, CatConnection, "connection", "6.2.0", "O(1)",
     "Makes the connection as it was when it was new.", "", reset},
};
// clang-format on

}  // namespace

std::span<const Spec> connection_commands() { return rows; }

}  // namespace hf::command
