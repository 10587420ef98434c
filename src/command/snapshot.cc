// SNAPSHOT: what is kept of the past, by what name, and whether it can be read.
#include "base/number.h"
#include "command/common.h"
#include "command/table.h"

namespace hf::command {
namespace {

/// args[2]: a snapshot's id or its tag.
bool named(Context& ctx, SnapshotInfo& found) {
  const Bytes name = ctx.args[2];
  const auto id = parse_int(name);
  for (const SnapshotInfo& info : ctx.server.snapshots()) {
    const bool by_id = id && *id >= 0 && static_cast<uint64_t>(*id) == info.id;
    if (!by_id && (info.tag.empty() || info.tag != name)) continue;
    found = info;
    return true;
  }
  ctx.error("ERR no such snapshot; SNAPSHOT LIST shows ids and tags");
  return false;
}

void snapshot_list(Context& ctx) {
  const auto list = ctx.server.snapshots();
  ctx.reply.array(list.size());
  for (const SnapshotInfo& info : list) {
    MapReply map(ctx, 9);
    map.number("id", info.id);
    map.number("epoch", info.epoch);
    map.signed_number("time", info.wall_ms);
    map.number("bytes", info.bytes);
    map.number("keys", info.keys);
    map.signed_number("milliseconds", info.milliseconds);
    map.text("reason", info.reason);
    map.text("tag", info.tag);
    map.text("state", info.state);
  }
}

/// The log knows nothing of tags: the caller waits until MANIFEST on disk does, or a power cut would take
/// back what was said.
void change_tag(Context& ctx, Bytes tag) {
  SnapshotInfo info;
  if (!ctx.retried) {
    if (!named(ctx, info)) return;
    if (const Status changed = ctx.server.tag_snapshot(info.id, tag); !changed)
      return reply_status(ctx, changed);
  }
  if (ctx.server.noting_snapshots()) return ctx.block_on({Server::noted_key}, 0);
  ctx.reply.ok();
}

void snapshot_tag(Context& ctx) {
  if (ctx.args[3].empty()) return ctx.error("ERR a tag is not empty; SNAPSHOT UNTAG takes it off");
  change_tag(ctx, ctx.args[3]);
}

void snapshot_untag(Context& ctx) { change_tag(ctx, {}); }

void snapshot_delete(Context& ctx) {
  SnapshotInfo info;
  if (named(ctx, info)) reply_status(ctx, ctx.server.delete_snapshot(info.id));
}

/// The caller waits while the file is read, a block a turn.
void snapshot_verify(Context& ctx) {
  SnapshotInfo info;
  if (!named(ctx, info)) return;
  if (!ctx.retried) {
    if (const Status begun = ctx.server.begin_verify(info.id); !begun)
      return ctx.error("ERR " + begun.error().message);
  }
  if (ctx.server.verifying()) return ctx.block_on({Server::verify_key}, 0);
  if (!named(ctx, info)) return;
  if (info.finding.empty()) ctx.reply.ok();
  else ctx.error("ERR " + info.finding);
}

void snapshot_help(Context& ctx) { reply_help(ctx, *find_command("snapshot")); }

constexpr uint32_t admin = Admin | NoScript;

// clang-format off
constexpr Spec subcommands[] = {
    {"delete", 3, admin, no_keys, 0, "server", "1.0.0", "O(N), N the number of snapshots",
     "Removes a snapshot, tagged or not; the newest stays.", "id-or-tag", snapshot_delete},
    {"help", 2, Loading | Stale, no_keys, 0, "server", "1.0.0", "O(1)", "Lists these subcommands.", "",
     snapshot_help},
    {"list", 2, admin, no_keys, 0, "server", "1.0.0", "O(N), N the number of snapshots",
     "Lists the snapshots that are kept, the oldest first.", "", snapshot_list, {},
     "nondeterministic_output"},
    {"tag", 4, admin | NoMulti, no_keys, 0, "server", "1.0.0", "O(N), N the number of snapshots",
     "Names a snapshot, which is then kept until it is deleted; replies when that is on disk.",
     "id-or-tag tag", snapshot_tag},
    {"untag", 3, admin | NoMulti, no_keys, 0, "server", "1.0.0", "O(N), N the number of snapshots",
     "Takes a snapshot's tag off; replies when that is on disk.", "id-or-tag", snapshot_untag},
    {"verify", 3, admin | NoMulti, no_keys, 0, "server", "1.0.0",
     "O(N), N the bytes of the file; others are served meanwhile", "Reads a snapshot's file through.",
     "id-or-tag", snapshot_verify},
};
const Spec rows[] = {
    {"snapshot", -2, 0, no_keys, 0, "server", "1.0.0", "depends on the subcommand",
     "Lists, names, verifies and removes snapshots.", "", nullptr, subcommands},
};
// clang-format on

}  // namespace

std::span<const Spec> snapshot_commands() { return rows; }

}  // namespace hf::command
