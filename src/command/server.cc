// The server as a whole: INFO, CONFIG, saving, shutting down, the time. DEBUG is in debug.cc.
#include <algorithm>
#include <set>

#include "base/number.h"
#include "base/version.h"
#include "command/common.h"
#include "command/debug.h"
#include "command/object.h"
#include "command/table.h"

namespace hf::command {
namespace {

void info(Context& ctx) {
  std::vector<std::string> sections;
  for (const Bytes section : ctx.args.subspan(1)) sections.push_back(to_lower(section));
  ctx.reply.verbatim(ctx.server.info(sections));
}

void time(Context& ctx) {
  ctx.reply.array(2);
  ctx.reply.bulk_int(ctx.now.wall_ms / 1000);
  ctx.reply.bulk_int(ctx.now.wall_ms % 1000 * 1000 + ctx.now.mono_us % 1000);
}

// ---- CONFIG ---------------------------------------------------------------------------------------------

void config_get(Context& ctx) {
  std::set<std::string, std::less<>> seen;  // patterns may overlap
  const auto list = ctx.reply.begin_map();
  size_t count = 0;
  for (const Bytes pattern : ctx.args.subspan(2)) {
    ctx.server.config_get(pattern, [&](Bytes name, Bytes value) {
      if (!seen.emplace(name).second) return;
      ctx.reply.bulk(name);
      ctx.reply.bulk(value);
      ++count;
    });
  }
  ctx.reply.end(list, count);
}

void config_set(Context& ctx) {
  if (ctx.args.size() % 2 != 0) return ctx.syntax_error();
  std::vector<std::pair<std::string, std::string>> pairs;
  for (size_t i = 2; i < ctx.args.size(); i += 2) pairs.emplace_back(ctx.args[i], ctx.args[i + 1]);
  reply_status(ctx, ctx.server.config_set(pairs));
}

void config_rewrite(Context& ctx) {
  reply_status(ctx, ctx.server.config_rewrite());
}

void config_resetstat(Context& ctx) {
  ctx.server.config_reset_statistics();
  ctx.reply.ok();
}

void config_help(Context& ctx) { reply_help(ctx, *find_command("config")); }

// ---- saving and the end ---------------------------------------------------------------------------------

/// SAVE begins the same snapshot as BGSAVE; only its caller waits. Nobody else is held up.
void save(Context& ctx) {
  if (!ctx.retried) {
    const Status begun = ctx.server.begin_snapshot({});
    if (!begun) return ctx.error("ERR " + begun.error().message);
  }
  if (ctx.server.snapshot_running()) return ctx.block_on({Server::save_key}, 0);
  reply_status(ctx, ctx.server.last_snapshot_status());
}

void bgsave(Context& ctx) {
  Bytes tag;
  if (ctx.args.size() == 3 && equal_nocase(ctx.args[1], "tag")) tag = ctx.args[2];
  else if (ctx.args.size() > 2 || (ctx.args.size() == 2 && !equal_nocase(ctx.args[1], "schedule")))
    return ctx.syntax_error();
  const bool follows = ctx.args.size() == 2 && ctx.server.snapshot_running();  // SCHEDULE
  const Status begun = ctx.server.begin_snapshot(tag);
  if (begun) ctx.reply.simple(follows ? "Background saving scheduled" : "Background saving started");
  else ctx.error("ERR " + begun.error().message);
}

/// The log is not rewritten: it is cut off where a new snapshot makes it unnecessary.
void bgrewriteaof(Context& ctx) {
  const bool follows = ctx.server.snapshot_running();
  const Status begun = ctx.server.begin_rewrite();
  const std::string how = follows ? "scheduled" : "started";
  if (begun) ctx.reply.simple("Background append only file rewriting " + how);
  else ctx.error("ERR " + begun.error().message);
}

void lastsave(Context& ctx) { ctx.reply.integer(ctx.server.last_save_seconds()); }

void shutdown(Context& ctx) {
  // Nobody is told of a shutdown that works: the connection ends with the process. Until then the client
  // waits here, and what it has sent behind SHUTDOWN is not run.
  if (ctx.retried && ctx.server.shutting_down()) return ctx.block_on({Server::shutdown_key}, 0);
  if (ctx.retried) return ctx.error("ERR Errors trying to SHUTDOWN. Check logs.");
  bool save = false, no_save = false, now = false, force = false, abort = false;
  for (const Bytes arg : ctx.args.subspan(1)) {
    if (equal_nocase(arg, "save")) save = true;
    else if (equal_nocase(arg, "nosave")) no_save = true;
    else if (equal_nocase(arg, "now")) now = true;
    else if (equal_nocase(arg, "force")) force = true;
    else if (equal_nocase(arg, "abort")) abort = true;
    else return ctx.syntax_error();
  }
  if ((save && no_save) || (abort && (save || no_save || now || force))) return ctx.syntax_error();
  const SaveMode mode = save ? SaveMode::Save : no_save ? SaveMode::NoSave : SaveMode::Default;
  const Status status = ctx.server.shutdown(mode, now, force, abort);
  if (!status) ctx.error("ERR " + status.error().message);
  else if (abort) ctx.reply.ok();
  else ctx.block_on({Server::shutdown_key}, 0);
}

// ---- LOLWUT ---------------------------------------------------------------------------------------------

/// A holdfast: what kelp clings to the rock with. Stalks drawn afresh at each call.
void lolwut(Context& ctx) {
  constexpr size_t width = 60, height = 12;
  std::string picture;
  std::vector<size_t> stalks;
  for (size_t x = 4; x < width - 4; x += 5 + ctx.prng.below(4)) stalks.push_back(x);
  for (size_t y = 0; y < height; ++y) {
    std::string line(width, ' ');
    for (size_t& x : stalks) {
      const uint64_t drift = ctx.prng.below(3);
      line[x] = drift == 0 ? '(' : drift == 1 ? '|' : ')';
      if (ctx.prng.chance(1, 4)) line[x + (drift == 2 ? 1 : 0) - (drift == 0 ? 1 : 0)] = '~';
    }
    picture += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  picture += std::string(width, '^') + "\n\nHolds fast. Holdfast ver. " + holdfast_version + "\n";
  ctx.reply.verbatim(picture);
}

constexpr uint32_t admin_any = Admin | NoScript | Loading | Stale;

// clang-format off
constexpr Spec config_subcommands[] = {
    {"get", -3, admin_any, no_keys, 0, "server", "2.0.0", "O(N), N the number of patterns",
     "Returns the options that match the patterns.", "parameter [parameter ...]", config_get},
    {"help", 2, Loading | Stale, no_keys, 0, "server", "5.0.0", "O(1)", "Lists these subcommands.", "",
     config_help},
    {"resetstat", 2, admin_any, no_keys, 0, "server", "2.0.0", "O(1)", "Sets the statistics back to zero.",
     "", config_resetstat, {}, "request_policy:all_nodes response_policy:all_succeeded"},
    {"rewrite", 2, admin_any, no_keys, 0, "server", "2.8.0", "O(1)",
     "Writes the options in force to the configuration file.", "", config_rewrite, {},
     "request_policy:all_nodes response_policy:all_succeeded"},
    {"set", -4, admin_any, no_keys, 0, "server", "2.0.0", "O(N), N the number of options",
     "Changes options while running: all of them or none.", "parameter value [parameter value ...]",
     config_set, {}, "request_policy:all_nodes response_policy:all_succeeded"},
};
// clang-format on

// clang-format off
const Spec rows[] = {
    {"info", -1, Loading | Stale, no_keys, CatDangerous, "server", "1.0.0", "O(1)",
     "Reports on the server, by sections.", "[section [section ...]]", info, {},
     "nondeterministic_output request_policy:all_shards response_policy:special"},
    {"config", -2, 0, no_keys, 0, "server", "2.0.0", "depends on the subcommand",
     "Reads and changes options.", "", nullptr, config_subcommands},
    {"time", 1, Loading | Stale | Fast, no_keys, 0, "server", "2.6.0", "O(1)",
     "Returns the server's time: Unix seconds and the microseconds within.", "", time, {},
     "nondeterministic_output"},
    {"save", 1, Admin | NoScript | NoAsyncLoading | NoMulti, no_keys, 0, "server", "1.0.0",
     "O(N), N the number of keys; others are served meanwhile", "Takes a snapshot and waits for it.", "",
     save},
    {"bgsave", -1, Admin | NoScript | NoAsyncLoading, no_keys, 0, "server", "1.0.0", "O(1)",
     "Begins a snapshot.", "[SCHEDULE | TAG name]", bgsave},
    {"bgrewriteaof", 1, Admin | NoScript | NoAsyncLoading, no_keys, 0, "server", "1.0.0", "O(1)",
     "Begins a snapshot, and trims the log to it.", "", bgrewriteaof},
    {"lastsave", 1, Loading | Stale | Fast, no_keys, CatAdmin | CatDangerous, "server", "1.0.0", "O(1)",
     "Returns the Unix time of the last snapshot that succeeded.", "", lastsave, {},
     "nondeterministic_output"},
    {"shutdown", -1, admin_any | NoMulti | AllowBusy, no_keys, 0, "server", "1.0.0",
     "O(N), N the number of keys, when a snapshot is taken", "Ends the server in an orderly way.",
     "[NOSAVE | SAVE] [NOW] [FORCE] [ABORT]", shutdown},
    {"debug", -2, admin_any, no_keys, 0, "server", "1.0.0", "depends on the subcommand",
     "Looks inside; behind the option enable-debug-command.", "subcommand [arg ...]", debug},
    {"lolwut", -1, Readonly | Fast, no_keys, 0, "server", "5.0.0", "O(1)", "Draws something.",
     "[VERSION version]", lolwut},
    {"memory", -2, 0, no_keys, 0, "server", "4.0.0", "depends on the subcommand",
     "Tells what takes how much memory.", "", nullptr, memory_subcommands()},
};
// clang-format on

}  // namespace

std::span<const Spec> server_commands() { return rows; }

}  // namespace hf::command
