// The rows. A new option is a member in options.h and a row here.
#include "config/table.h"

#include <limits>
#include <vector>

#include "base/limits.h"
#include "config/shapes.h"

namespace hf::config {
namespace {

constexpr int64_t int_max = std::numeric_limits<int32_t>::max();
constexpr int64_t year_ms = 366ll * 24 * 3600 * 1000;

// Names in the order of their enums.
constexpr Bytes fsync_names[] = {"always", "everysec", "no"};
constexpr Bytes task_sync_names[] = {"always", "policy"};
constexpr Bytes level_names[] = {"debug", "verbose", "notice", "warning"};
constexpr Bytes format_names[] = {"text", "json"};
constexpr Bytes debug_names[] = {"no", "local", "yes"};
constexpr Bytes backoff_names[] = {"exponential", "fixed", "none"};
constexpr Bytes concern_names[] = {"async", "quorum"};
constexpr Bytes load_names[] = {"auto", "beside", "drop-first"};
constexpr Bytes eviction_names[] = {"noeviction"};

// clang-format off: a row a paragraph
std::vector<Row> network() {
  const auto s = Section::Network;
  return {
    number<&Options::port>({"port", s, When::Start, "TCP port; 0 for none"}, 0, 65535),
    value<&Options::bind, parse_addresses, print_words>({"bind", s, When::Start,
      "addresses to listen on; '*' is all of IPv4, '::*' all of IPv6; one with a leading '-' may be "
      "missing on this machine"}, Shape::Words),
    text<&Options::unixsocket>({"unixsocket", s, When::Start, "path of a unix socket; empty for none"}),
    integral<&Options::unixsocketperm>({"unixsocketperm", s, When::Start,
      "permissions of the unix socket"}, Shape::Octal, 0, 0777),
    number<&Options::tcp_backlog>({"tcp-backlog", s, When::Start,
      "connections the system may hold for us"}, 1, int_max),
    number<&Options::tcp_keepalive>({"tcp-keepalive", s, When::Anytime,
      "seconds between probes of a silent connection; 0 for none"}, 0, int_max),
    number<&Options::maxclients>({"maxclients", s, When::Anytime,
      "clients connected at the same time"}, 1, 1'000'000),
    number<&Options::timeout>({"timeout", s, When::Anytime,
      "seconds after which an idle client is closed; 0 for never"}, 0, int_max),
    buffer_limits<&Options::client_output_buffer_limit>({"client-output-buffer-limit", s, When::Anytime,
      "for each class (normal, replica, pubsub): unsent bytes that close a client at once, and unsent "
      "bytes that close it after so many seconds; 0 is no limit"}),
    memory<&Options::client_query_buffer_limit>({"client-query-buffer-limit", s, When::Anytime,
      "unexecuted input that a client may pile up"}, 1 << 20),
    memory<&Options::proto_max_bulk_len>({"proto-max-bulk-len", s, When::Anytime,
      "size of one argument"}, 1 << 20),
  };
}

std::vector<Row> security() {
  const auto s = Section::Security;
  return {
    yes_no<&Options::protected_mode>({"protected-mode", s, When::Anytime,
      "without a password, refuse clients that come from another machine"}),
    text<&Options::requirepass>({"requirepass", s, When::Anytime,
      "password that AUTH asks for; empty for none"}, Shape::Secret),
    choice<&Options::enable_debug_command>({"enable-debug-command", s, When::Protected,
      "who may send DEBUG"}, debug_names),
  };
}

std::vector<Row> keyspace() {
  const auto s = Section::Keyspace;
  return {
    number<&Options::databases>({"databases", s, When::Start,
      "databases that SELECT may choose from"}, 1, 1'000'000),
    memory<&Options::maxmemory>({"maxmemory", s, When::Anytime,
      "bytes of memory after which writes get -OOM; 0 for no limit"}, 0),
    choice<&Options::maxmemory_policy>({"maxmemory-policy", s, When::Anytime,
      "what happens when maxmemory is reached"}, eviction_names),
    number<&Options::hash_max_listpack_entries>({"hash-max-listpack-entries", s, When::Anytime,
      "fields up to which a hash is one packed block", "hash-max-ziplist-entries"}, 0, 65536),
    number<&Options::hash_max_listpack_value>({"hash-max-listpack-value", s, When::Anytime,
      "bytes of a field or value up to which a hash stays packed", "hash-max-ziplist-value"}, 0, 65536),
    number<&Options::hz>({"hz", s, When::Anytime, "rounds of upkeep a second"}, 1, 500),
    number<&Options::active_expire_effort>({"active-expire-effort", s, When::Anytime,
      "how much time goes into finding expired keys"}, 1, 10),
    number<&Options::hash_seed>({"hash-seed", s, When::Start,
      "seed of the keyspace's hash, for tests that must repeat; 0 draws one", "", true}, 0, no_max),
  };
}

std::vector<Row> durability() {
  const auto s = Section::Durability;
  return {
    text<&Options::dir>({"dir", s, When::Protected, "folder of the data; made when missing"}),
    yes_no<&Options::appendonly>({"appendonly", s, When::Anytime,
      "keep a log of every change; without it a crash loses what came after the last snapshot. Whoever "
      "follows or is followed keeps one anyway; yes begins one at once, no takes effect at the next start"}),
    choice<&Options::appendfsync>({"appendfsync", s, When::Anytime,
      "when a reply leaves: always = its change is synced to disk; everysec = it is written, and synced "
      "within two seconds; no = it is written, and synced when the system likes"}, fsync_names),
    choice<&Options::task_sync>({"task-sync", s, When::Anytime,
      "replies to task commands wait for the sync always, or follow the policy of appendfsync"},
      task_sync_names),
    memory<&Options::rescue_warn_bytes>({"rescue-warn-bytes", s, When::Anytime,
      "the log warns when rescue/ holds more: what was cut off, which nothing removes by itself; 0 for never"}, 0),
    memory<&Options::log_segment_bytes>({"log-segment-bytes", s, When::Start,
      "size of one file of the log"}, 64 << 10, 16ll << 30),
    value<&Options::save, parse_save, print_save>({"save", s, When::Anytime,
      "take a snapshot when so many seconds have passed and so many changes were made (pairs); empty for "
      "no snapshots"}, Shape::SavePoints),
    number<&Options::snapshot_interval>({"snapshot-interval", s, When::Anytime,
      "also take a snapshot every so many seconds, if anything changed; 0 leaves it to save"}, 0, int_max),
    memory<&Options::snapshot_log_bytes>({"snapshot-log-bytes", s, When::Anytime,
      "also take a snapshot when the log has grown by so much since the last one; 0: never, but with save "
      "and snapshot-interval off as well one is taken whenever the log has grown by log-keep-bytes (four "
      "segments at least), or nothing could ever be trimmed"}, 0),
    fraction<&Options::snapshot_completion_target>({"snapshot-completion-target", s, When::Anytime,
      "spread a timed snapshot over this part of its interval; 0 takes it as fast as can be"}),
    memory<&Options::snapshot_copy_bytes_max>({"snapshot-copy-bytes-max", s, When::Anytime,
      "memory that a snapshot may hold for what changes while it runs; past it the snapshot fails"}, 1 << 20),
    yes_no<&Options::snapshot_on_shutdown>({"snapshot-on-shutdown", s, When::Anytime,
      "take a snapshot before an orderly end"}),
    number<&Options::snapshot_keep>({"snapshot-keep", s, When::Anytime,
      "newest snapshots that are kept, with the log behind them; tagged ones stay besides"}, 1, 1000),
    memory<&Options::log_keep_bytes>({"log-keep-bytes", s, When::Anytime,
      "so much of the log's end is kept, with the snapshot before it, for --restore-to and for replicas "
      "that catch up"}, 0, 1ll << 50),
    number<&Options::log_keep_seconds>({"log-keep-seconds", s, When::Anytime,
      "so many seconds of the past can be restored, whatever log-keep-bytes says"}, 0, int_max),
    memory<&Options::log_preallocate_bytes>({"log-preallocate-bytes", s, When::Start,
      "zeros are written so far ahead of the log, which makes a sync a third cheaper; 0 for none"},
      0, 64ll << 20),
    text<&Options::backup_dir>({"backup-dir", s, When::Protected,
      "folder of scheduled backups, each in a folder of its own below it; empty for none"}),
    day_time<&Options::backup_full_at_s>({"backup-full-at", s, When::Anytime,
      "time of day (UTC) at which a new full backup begins; empty: only the first is full"}),
    number<&Options::backup_incremental_every>({"backup-incremental-every", s, When::Anytime,
      "seconds between backups that add what is new to the newest full one; 0 for none"}, 0, int_max),
    number<&Options::backup_keep>({"backup-keep", s, When::Anytime,
      "full backups that are kept, each with what was added to it; older ones are removed"}, 1, 1000),
  };
}

std::vector<Row> tasks() {
  const auto s = Section::Tasks;
  return {
    millis<&Options::task_lease_ms_default>({"task-lease-ms-default", s, When::Anytime,
      "lease of a claim that names none"}, limits::lease_ms_min, limits::lease_ms_max),
    number<&Options::task_retries_default>({"task-retries-default", s, When::Anytime,
      "retries of a run that names none"}, 0, int_max),
    choice<&Options::task_backoff>({"task-backoff", s, When::Anytime,
      "how the wait before a retry grows"}, backoff_names),
    millis<&Options::task_backoff_base_ms>({"task-backoff-base-ms", s, When::Anytime,
      "wait before the first retry"}, 0, year_ms),
    millis<&Options::task_backoff_cap_ms>({"task-backoff-cap-ms", s, When::Anytime,
      "longest wait before a retry"}, 0, year_ms),
    millis<&Options::task_timeout_ms>({"task-timeout-ms", s, When::Anytime,
      "longest time of one attempt, where SUBMIT names none; 0 for none"}, 0, year_ms),
    number<&Options::task_runs_keep>({"task-runs-keep", s, When::Anytime,
      "runs that are kept of one task"}, 1, 1'000'000),
    millis<&Options::task_final_keep_ms>({"task-final-keep-ms", s, When::Anytime,
      "how long a finished run is kept"}, 0, 100 * year_ms),
    number<&Options::checkpoint_keep>({"checkpoint-keep", s, When::Anytime,
      "full checkpoints, with their deltas, that are kept of one run"}, 1, 1000),
    number<&Options::checkpoint_full_every>({"checkpoint-full-every", s, When::Anytime,
      "deltas after which a worker is asked for a full checkpoint"}, 1, 1'000'000),
    memory<&Options::checkpoint_max_bytes>({"checkpoint-max-bytes", s, When::Anytime,
      "size of a checkpoint's payload in the store"}, 1024, 512ll << 20),
  };
}

std::vector<Row> replication() {
  const auto s = Section::Replication;
  return {
    text<&Options::replicaof>({"replicaof", s, When::Start,
      "follow the primary at this \"host port\"; empty for a primary; at run time: REPLICAOF", "slaveof"}),
    text<&Options::masterauth>({"masterauth", s, When::Anytime,
      "password that the primary asks for"}, Shape::Secret),
    text<&Options::masteruser>({"masteruser", s, When::Anytime,
      "user to be at the primary; empty for default"}),
    yes_no<&Options::replica_read_only>({"replica-read-only", s, When::Anytime,
      "a replica refuses its clients' writes; it does so in any case, since two histories would part",
      "slave-read-only"}),
    yes_no<&Options::replica_serve_stale_data>({"replica-serve-stale-data", s, When::Anytime,
      "a replica that has lost its primary goes on answering reads", "slave-serve-stale-data"}),
    choice<&Options::replica_load>({"replica-load", s, When::Anytime,
      "a full sync is loaded beside the old data set, which goes on answering reads, or once that is "
      "dropped; auto: beside, when memory (maxmemory, else the machine's) allows both"}, load_names),
    text<&Options::replica_announce_ip>({"replica-announce-ip", s, When::Anytime,
      "address that the primary shows for this replica; empty for the connection's", "slave-announce-ip"}),
    number<&Options::replica_announce_port>({"replica-announce-port", s, When::Anytime,
      "port that the primary shows for this replica; 0 for port", "slave-announce-port"}, 0, 65535),
    number<&Options::replica_priority>({"replica-priority", s, When::Anytime,
      "of replicas that hold the same, the lowest is promoted first; 0 is never",
      "slave-priority"}, 0, int_max),
    memory<&Options::replica_keep_bytes>({"replica-keep-bytes", s, When::Anytime,
      "so much of the log is kept for a connected replica that is behind; past it, it starts again from a "
      "snapshot"}, 0),
    memory<&Options::replica_memory_max>({"replica-memory-max", s, When::Anytime,
      "what all links to replicas together may hold of what they are sent; there is one link for each 256 KiB "
      "at most"}, 16 << 20),
    memory<&Options::replication_max_bytes_per_second>({"replication-max-bytes-per-second", s, When::Anytime,
      "sent to all replicas together; 0 for no limit"}, 0),
    number<&Options::repl_timeout>({"repl-timeout", s, When::Anytime,
      "seconds of silence after which a replication link is given up"}, 1, int_max),
    number<&Options::repl_ping_replica_period>({"repl-ping-replica-period", s, When::Anytime,
      "seconds between pings to replicas that are no Holdfast", "repl-ping-slave-period"}, 1, int_max),
    millis<&Options::heartbeat_interval_ms>({"heartbeat-interval-ms", s, When::Anytime,
      "between heartbeats to replicas"}, 10, 60'000),
    number<&Options::min_replicas_to_write>({"min-replicas-to-write", s, When::Anytime,
      "refuse writes with fewer replicas than this that acknowledge in time; 0 for none",
      "min-slaves-to-write"}, 0, int_max),
    number<&Options::min_replicas_max_lag>({"min-replicas-max-lag", s, When::Anytime,
      "seconds within which a replica must have acknowledged to count for min-replicas-to-write",
      "min-slaves-max-lag"}, 0, int_max),
    choice<&Options::write_concern>({"write-concern", s, When::Anytime,
      "when a reply leaves: async = by appendfsync here; quorum = its change is synced on min-copies "
      "members"}, concern_names),
    number<&Options::min_copies>({"min-copies", s, When::Anytime,
      "members, this one among them, that have a change on disk before a reply leaves (write-concern "
      "quorum)"}, 1, 7),
    millis<&Options::commit_timeout_ms>({"commit-timeout-ms", s, When::Anytime,
      "a connection whose write is not committed by then is closed without a reply: its outcome is unknown"},
      10, year_ms),
    number<&Options::audit_interval>({"audit-interval", s, When::Anytime,
      "seconds from one comparison of all replicas' data with the primary's to the next; 0 for none but "
      "REPLICATION AUDIT"}, 0, int_max),
  };
}

std::vector<Row> logging() {
  const auto s = Section::Logging;
  return {
    choice<&Options::loglevel>({"loglevel", s, When::Anytime, "how much the server says"}, level_names),
    text<&Options::logfile>({"logfile", s, When::Start,
      "file of the server's messages; empty for standard output; SIGHUP reopens it"}),
    choice<&Options::log_format>({"log-format", s, When::Start,
      "messages as text, or one JSON object a line"}, format_names),
  };
}
// clang-format on

}  // namespace

std::span<const Row> table() {
  static const std::vector<Row> rows = [] {
    std::vector<Row> all;
    for (const auto section : {network, security, keyspace, durability, replication, tasks, logging})
      for (const Row& row : section()) all.push_back(row);
    return all;
  }();
  return rows;
}

}  // namespace hf::config
