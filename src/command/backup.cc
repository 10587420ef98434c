// BACKUP: copies of the data folder, made by the server while it goes on.
#include <algorithm>

#include "base/number.h"
#include "command/common.h"
#include "command/table.h"

namespace hf::command {
namespace {

/// Who may: a client that names no folder gets the configured one; another folder must hold the client's
/// token, so that only who can write there anyway can have the server write there.
void backup_start(Context& ctx) {
  BackupRequest request;
  for (size_t i = 2; i < ctx.args.size(); ++i) {
    const bool more = i + 3 < ctx.args.size();
    if (equal_nocase(ctx.args[i], "full")) {
      request.full = true;
    } else if (equal_nocase(ctx.args[i], "into") && more && equal_nocase(ctx.args[i + 2], "token")) {
      request.folder = std::string(ctx.args[i + 1]);
      request.token = std::string(ctx.args[i + 3]);
      i += 3;
      const auto unprintable = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; };
      if (!request.folder.starts_with('/') || std::ranges::any_of(request.folder, unprintable))
        return ctx.error(
            "ERR the folder is an absolute path on the server's machine, in printable characters");
      if (request.token.empty() || request.token.size() > 128)
        return ctx.error("ERR the token has 1 to 128 bytes");
    } else {
      return ctx.syntax_error();
    }
  }
  if (request.full && !request.folder.empty()) return ctx.syntax_error();
  const auto id = ctx.server.begin_backup(std::move(request));
  if (id) ctx.reply.integer(static_cast<int64_t>(*id));
  else ctx.error(id.error().message);
}

void backup_status(Context& ctx) {
  const BackupState state = ctx.server.backup_state();
  MapReply map(ctx, 12);
  map.number("id", state.id);
  map.text("state", state.phase);
  map.text("folder", state.folder);
  map.number("bytes-done", state.bytes_done);
  map.number("bytes-total", state.bytes_total);
  map.number("offset", state.offset);
  map.text("digest", state.digest);
  map.number("log-begin", state.begin);
  map.number("log-end", state.end);
  map.signed_number("time", state.wall_ms);
  map.signed_number("milliseconds", state.milliseconds);
  map.text("error", state.error);
}

void backup_help(Context& ctx) { reply_help(ctx, *find_command("backup")); }

constexpr uint32_t admin = Admin | NoScript | NoMulti;

// clang-format off
constexpr Spec subcommands[] = {
    {"help", 2, Loading | Stale, no_keys, 0, "server", "1.0.0", "O(1)", "Lists these subcommands.", "",
     backup_help},
    {"start", -2, admin, no_keys, 0, "server", "1.0.0",
     "O(N), N the number of keys and the bytes that are new; others are served meanwhile",
     "Begins a backup and returns its number.", "[FULL | INTO folder TOKEN token]", backup_start},
    {"status", 2, Admin | NoScript, no_keys, 0, "server", "1.0.0", "O(1)",
     "Tells how far the backup is, or how the last one ended.", "", backup_status, {},
     "nondeterministic_output"},
};
const Spec rows[] = {
    {"backup", -2, 0, no_keys, 0, "server", "1.0.0", "depends on the subcommand",
     "Copies the data to another folder.", "", nullptr, subcommands},
};
// clang-format on

}  // namespace

std::span<const Spec> backup_commands() { return rows; }

}  // namespace hf::command
