// Replication as clients and replicas see it: who follows whom, and how far.
#include "base/number.h"
#include "command/common.h"
#include "command/table.h"

namespace hf::command {
namespace {

/// The answer comes when the new role holds: a write sent behind REPLICAOF NO ONE is taken.
void replicaof(Context& ctx) {
  if (!ctx.retried) {
    Status status = ok();
    if (equal_nocase(ctx.args[1], "no") && equal_nocase(ctx.args[2], "one")) {
      status = ctx.server.follow_nobody();
    } else {
      const auto port = parse_int(ctx.args[2]);
      if (!port || *port < 1 || *port > 65535) return ctx.error("ERR Invalid master port");
      if (ctx.args[1].empty() || ctx.args[1].find(' ') != Bytes::npos)
        return ctx.error("ERR Invalid master host");
      const RoleInfo role = ctx.server.role();
      if (!role.primary && role.host == ctx.args[1] && role.port == *port) {
        ctx.server.follow_now();
        return ctx.reply.simple("OK Already connected to specified master");
      }
      status = ctx.server.follow(ctx.args[1], static_cast<int>(*port));
    }
    if (!status) return ctx.error("ERR " + status.error().message);
  }
  if (!ctx.server.role_settled()) return ctx.block_on({Server::role_key}, 0);
  ctx.reply.ok();
}

void role(Context& ctx) {
  const RoleInfo info = ctx.server.role();
  if (!info.primary) {
    ctx.reply.array(5);
    ctx.reply.bulk("slave");
    ctx.reply.bulk(info.host);
    ctx.reply.integer(info.port);
    ctx.reply.bulk(info.link);
    ctx.reply.integer(static_cast<int64_t>(info.offset));
    return;
  }
  ctx.reply.array(3);
  ctx.reply.bulk("master");
  ctx.reply.integer(static_cast<int64_t>(info.offset));
  size_t online = 0;
  for (const ReplicaInfo& replica : info.replicas) online += replica.state == "online" ? 1 : 0;
  ctx.reply.array(online);
  for (const ReplicaInfo& replica : info.replicas) {
    if (replica.state != "online") continue;
    ctx.reply.array(3);
    ctx.reply.bulk(replica.host);
    ctx.reply.bulk(std::to_string(replica.port));
    ctx.reply.bulk(std::to_string(replica.offset));
  }
}

/// Pairs of name and value. An acknowledgement gets no answer: it comes between frames.
void replconf(Context& ctx) {
  if (ctx.args.size() == 6 && equal_nocase(ctx.args[1], "hfack"))
    return ctx.server.replica_acknowledges(ctx.client.id, ctx.args.subspan(2));
  if (ctx.args.size() == 7 && equal_nocase(ctx.args[1], "hfaudit"))
    return ctx.server.replica_audited(ctx.client.id, ctx.args.subspan(2));
  if (ctx.args.size() == 3 && equal_nocase(ctx.args[1], "hfpromoted"))
    return ctx.server.replica_promoted(ctx.client.id);
  if (ctx.args.size() >= 3 && equal_nocase(ctx.args[1], "ack")) {
    const bool synced = ctx.args.size() == 5 && equal_nocase(ctx.args[3], "fack");
    return ctx.server.redis_replica_acknowledges(ctx.client.id, ctx.args[2], synced ? ctx.args[4] : Bytes());
  }
  // Logged for stock replicas, which answer it; nobody else has to.
  if (ctx.args.size() == 3 && equal_nocase(ctx.args[1], "getack")) return;
  if (ctx.args.size() % 2 == 0) return ctx.syntax_error();
  bool native = false;
  for (size_t i = 1; i < ctx.args.size(); i += 2) {
    const Status said = ctx.server.replica_says(ctx.client.id, ctx.args[i], ctx.args[i + 1]);
    if (!said) return ctx.error(said.error().message);
    native |= equal_nocase(ctx.args[i], "capa") && equal_nocase(ctx.args[i + 1], "holdfast1");
  }
  if (native) ctx.reply.simple("OK holdfast1");
  else ctx.reply.ok();
}

void psync(Context& ctx) { ctx.server.begin_sync(ctx.client.id, ctx.args); }

/// Redis's: the connection's own writes up to now.
void wait(Context& ctx) {
  int64_t wanted, timeout;
  if (!ctx.integer_arg(1, wanted) || !ctx.integer_arg(2, timeout)) return;
  if (timeout < 0) return ctx.error("ERR timeout is negative");
  if (ctx.server.follows())
    return ctx.error(
        "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica "
        "is "
        "configured to be writable (which is not the default) writes to replicas are just local and are not "
        "propagated.");
  const auto have = static_cast<int64_t>(ctx.server.replicas_having(ctx.client.last_write, false));
  if (have >= wanted || ctx.in_exec || ctx.timed_out) return ctx.reply.integer(have);
  ctx.block_on({Server::wait_key}, timeout);
}

void waitaof(Context& ctx) {
  int64_t local, wanted, timeout;
  if (!ctx.integer_arg(1, local) || !ctx.integer_arg(2, wanted) || !ctx.integer_arg(3, timeout)) return;
  if (local < 0 || local > 1) return ctx.error("ERR value is out of range, must be between 0 and 1");
  if (wanted < 0) return ctx.error("ERR value is out of range, must be positive");
  if (timeout < 0) return ctx.error("ERR timeout is negative");
  if (ctx.server.follows())
    return ctx.error(
        "ERR WAITAOF cannot be used with replica instances. Please also note that writes to replicas are "
        "just local and are not propagated.");
  if (local > 0 && !ctx.server.logging())
    return ctx.error("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.");
  const int64_t here = ctx.server.synced_here(ctx.client.last_write) ? 1 : 0;
  const auto have = static_cast<int64_t>(ctx.server.replicas_having(ctx.client.last_write, true));
  if ((here >= local && have >= wanted) || ctx.in_exec || ctx.timed_out) {
    ctx.reply.array(2);
    ctx.reply.integer(here);
    ctx.reply.integer(have);
    return;
  }
  ctx.block_on({Server::wait_key}, timeout);
}

/// FAILOVER [TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds]
void failover(Context& ctx) {
  Bytes host;
  int64_t port = 0, timeout = 0;
  bool abort = false, force = false;
  for (size_t i = 1; i < ctx.args.size(); ++i) {
    const size_t left = ctx.args.size() - i - 1;
    if (equal_nocase(ctx.args[i], "abort")) {
      abort = true;
    } else if (equal_nocase(ctx.args[i], "timeout") && left >= 1) {
      if (!ctx.integer_arg(++i, timeout)) return;
      if (timeout <= 0) return ctx.error("ERR FAILOVER timeout must be greater than 0");
    } else if (equal_nocase(ctx.args[i], "to") && left >= 2) {
      host = ctx.args[i + 1];
      if (!ctx.integer_arg(i + 2, port)) return;
      i += 2;
    } else if (equal_nocase(ctx.args[i], "force") && !host.empty()) {
      force = true;
    } else {
      return ctx.syntax_error();
    }
  }
  if (abort) {
    if (ctx.args.size() > 2) return ctx.syntax_error();
    const Status status = ctx.server.abort_failover();
    return reply_status(ctx, status);
  }
  // Handing the role to a replica that lacks acknowledged writes would lose them: that is not offered.
  if (force)
    return ctx.error(
        "ERR FAILOVER FORCE would lose acknowledged writes; use REPLICAOF NO ONE on the replica if that is "
        "meant");
  reply_status(ctx, ctx.server.fail_over(host, static_cast<int>(port), timeout));
}

void audit_status(Context& ctx) {
  const AuditState state = ctx.server.audit_state();
  MapReply map(ctx, 9);
  map.number("offset", state.offset);
  map.text("state", state.phase);
  map.text("result", state.result);
  map.signed_number("time", state.wall_ms);
  map.signed_number("milliseconds", state.milliseconds);
  map.number("keys", state.keys);
  map.text("digest", state.digest);
  map.number("divergences", state.divergences);
  ctx.reply.bulk("replicas");
  ctx.reply.array(state.replicas.size());
  for (const AuditedReplica& replica : state.replicas) {
    MapReply of_replica(ctx, 6);
    of_replica.text("ip", replica.host);
    of_replica.signed_number("port", replica.port);
    of_replica.text("finding", replica.finding);
    of_replica.number("database", replica.db);
    of_replica.number("slice", replica.slice);
    of_replica.number("slices", replica.slices);
  }
}

/// AUDIT answers with the offset once it is named; what comes of it, AUDIT STATUS tells.
void audit(Context& ctx) {
  if (ctx.args.size() == 3 && equal_nocase(ctx.args[2], "status")) return audit_status(ctx);
  if (ctx.args.size() != 2) return ctx.syntax_error();
  if (!ctx.retried) {
    if (const Status begun = ctx.server.begin_audit(); !begun)
      return ctx.error("ERR " + begun.error().message);
    return ctx.block_on({Server::audit_key}, 0);
  }
  const AuditState state = ctx.server.audit_state();
  if (Bytes(state.phase) == "asked") return ctx.block_on({Server::audit_key}, 0);
  if (Bytes(state.phase) == "idle" && Bytes(state.result) == "given-up")
    return ctx.error("ERR the audit was given up: this node's role or its log changed; ask again");
  ctx.reply.integer(static_cast<int64_t>(state.offset));
}

void replication_help(Context& ctx) { reply_help(ctx, *find_command("replication")); }

constexpr uint32_t link = Admin | NoScript | Stale | NoAsyncLoading | NoMulti;

// clang-format off
constexpr Spec replication_rows[] = {
    {"audit", -2, Admin | NoScript | Stale | NoMulti, no_keys, 0, "server", "1.0.0",
     "O(N), N the number of keys, a slice at a time on every node; others are served meanwhile",
     "Has all replicas compare their data with this node's, at one offset; STATUS tells what came of it.",
     "[STATUS]", audit, {}, "nondeterministic_output"},
    {"help", 2, Loading | Stale, no_keys, 0, "server", "1.0.0", "O(1)", "Lists these subcommands.", "",
     replication_help},
};
const Spec rows[] = {
    {"replication", -2, 0, no_keys, 0, "server", "1.0.0", "depends on the subcommand",
     "What a primary and its replicas do beside the stream.", "", nullptr, replication_rows},
    {"replicaof", 3, Admin | NoAsyncLoading | NoScript | Stale | NoMulti, no_keys, 0, "server", "5.0.0",
     "O(1)", "Follows a primary, or nobody: NO ONE.", "host port", replicaof},
    {"slaveof", 3, Admin | NoAsyncLoading | NoScript | Stale | NoMulti, no_keys, 0, "server", "1.0.0", "O(1)",
     "REPLICAOF by its old name.", "host port", replicaof},
    {"failover", -1, Admin | NoScript | Stale, no_keys, 0, "server", "6.2.0", "O(1)",
     "Gives the primary's role to a replica, in an orderly way.",
     "[TO host port] [ABORT] [TIMEOUT milliseconds]", failover},
    {"role", 1, NoScript | Loading | Stale | Fast, no_keys, CatAdmin | CatDangerous, "server", "2.8.12",
     "O(1)", "Returns the node's role, with its replicas or its primary.", "", role},
    {"replconf", -1, Admin | NoScript | Loading | Stale | AllowBusy, no_keys, 0, "server", "3.0.0", "O(1)",
     "What a replica says of itself to its primary.", "[name value ...]", replconf},
    {"psync", -3, link, no_keys, 0, "server", "2.8.0", "O(1)",
     "Turns the connection into a replica's.", "replicationid offset", psync},
    {"sync", 1, link, no_keys, 0, "server", "1.0.0", "O(N)",
     "PSYNC by its old name: always the whole data set.", "", psync},
    {"wait", 3, Blocking, no_keys, CatConnection, "generic", "3.0.0", "O(1)",
     "Waits until so many replicas have this connection's writes.", "numreplicas timeout", wait, {},
     "request_policy:all_shards response_policy:agg_min"},
    {"waitaof", 4, Blocking, no_keys, CatConnection, "generic", "7.2.0", "O(1)",
     "Waits until this node and so many replicas have this connection's writes on disk.",
     "numlocal numreplicas timeout", waitaof, {}, "request_policy:all_shards response_policy:agg_min"},
};
// clang-format on

}  // namespace

std::span<const Spec> replication_commands() { return rows; }

}  // namespace hf::command
