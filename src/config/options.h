// The values of every option, as the node reads them. What an option is called, may be set to and means is in
// the table (config/table.h); the defaults are the initialisers here, so that a plain `Options{}` is a
// default server.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace hf::config {

enum class FsyncPolicy : uint8_t { Always, Everysec, No };
enum class TaskSync : uint8_t { Always, Policy };
enum class LogLevel : uint8_t { Debug, Verbose, Notice, Warning };
enum class LogFormat : uint8_t { Text, Json };
enum class DebugCommand : uint8_t { No, Local, Yes };
enum class Backoff : uint8_t { Exponential, Fixed, None };
enum class WriteConcern : uint8_t { Async, Quorum };
enum class ReplicaLoad : uint8_t { Auto, Beside, DropFirst };
enum class MaxmemoryPolicy : uint8_t { Noeviction };

/// A snapshot is due when `seconds` have passed since the last one and `changes` were made.
struct SavePoint {
  int64_t seconds = 0;
  int64_t changes = 0;
  bool operator==(const SavePoint&) const = default;
};

/// A client is closed when its unsent output passes `hard_bytes`, or stays above `soft_bytes` for
/// `soft_seconds`. 0 is no limit.
struct BufferLimit {
  int64_t hard_bytes = 0;
  int64_t soft_bytes = 0;
  int64_t soft_seconds = 0;
  bool operator==(const BufferLimit&) const = default;
};
enum class ClientClass : uint8_t { Normal, Replica, Pubsub };
constexpr size_t client_classes = 3;

struct Options {
  // Network
  int64_t port = 6379;                            ///< 0: no TCP
  std::vector<std::string> bind = {"127.0.0.1"};  ///< a leading '-' marks an address that may be missing
  std::string unixsocket;                         ///< empty: none
  int64_t unixsocketperm = 0600;
  int64_t tcp_backlog = 511;
  int64_t tcp_keepalive = 300;  ///< seconds; 0: off
  int64_t maxclients = 10000;
  int64_t timeout = 0;  ///< seconds of idleness before a client is closed; 0: never
  std::array<BufferLimit, client_classes> client_output_buffer_limit = {  // by ClientClass
      BufferLimit{}, BufferLimit{256ll << 20, 64ll << 20, 60}, BufferLimit{32ll << 20, 8ll << 20, 60}};
  int64_t client_query_buffer_limit = 1ll << 30;
  int64_t proto_max_bulk_len = 512ll << 20;

  // Security
  bool protected_mode = true;
  std::string requirepass;  ///< empty: no password
  DebugCommand enable_debug_command = DebugCommand::No;

  // Keyspace
  int64_t databases = 16;
  int64_t maxmemory = 0;  ///< bytes; 0: no limit
  MaxmemoryPolicy maxmemory_policy = MaxmemoryPolicy::Noeviction;
  int64_t hash_max_listpack_entries = 512;
  int64_t hash_max_listpack_value = 64;
  int64_t hz = 10;
  int64_t active_expire_effort = 1;
  int64_t hash_seed = 0;  ///< 0: drawn at start

  // Durability
  std::string dir = "data";
  bool appendonly = true;
  FsyncPolicy appendfsync = FsyncPolicy::Everysec;
  TaskSync task_sync = TaskSync::Always;
  int64_t log_segment_bytes = 64ll << 20;
  std::vector<SavePoint> save = {{3600, 1}, {300, 100}, {60, 10000}};
  int64_t snapshot_interval = 0;  ///< seconds; 0: only the save points
  int64_t snapshot_keep = 2;
  int64_t snapshot_log_bytes = 0;  ///< 0: off
  double snapshot_completion_target = 0.9;
  int64_t snapshot_copy_bytes_max = 256ll << 20;
  bool snapshot_on_shutdown = false;
  int64_t log_keep_bytes = 256ll << 20;
  int64_t log_keep_seconds = 0;
  int64_t log_preallocate_bytes = 1ll << 20;
  std::string backup_dir;                   ///< empty: no scheduled backups
  int64_t backup_full_at_s = 3 * 3600;      ///< second of the day, UTC; -1: only the first is full
  int64_t backup_incremental_every = 3600;  ///< seconds; 0: none
  int64_t backup_keep = 7;

  // Replication
  std::string replicaof;  ///< "host port"; empty: a primary
  std::string masterauth, masteruser;
  bool replica_read_only = true;
  bool replica_serve_stale_data = true;
  ReplicaLoad replica_load = ReplicaLoad::Auto;
  std::string replica_announce_ip;
  int64_t replica_announce_port = 0;
  int64_t replica_priority = 100;
  int64_t replica_keep_bytes = 1ll << 30;
  int64_t replica_memory_max = 256ll << 20;
  int64_t rescue_warn_bytes = 1ll << 30;
  int64_t replication_max_bytes_per_second = 0;
  int64_t repl_timeout = 60;
  int64_t repl_ping_replica_period = 10;
  int64_t heartbeat_interval_ms = 250;
  int64_t min_replicas_to_write = 0;
  int64_t min_replicas_max_lag = 10;
  WriteConcern write_concern = WriteConcern::Async;
  int64_t min_copies = 2;
  int64_t commit_timeout_ms = 5000;
  int64_t audit_interval = 3600;  ///< seconds; 0: only REPLICATION AUDIT

  // Tasks
  int64_t task_lease_ms_default = 15'000;
  int64_t task_retries_default = 5;
  Backoff task_backoff = Backoff::Exponential;
  int64_t task_backoff_base_ms = 1'000;
  int64_t task_backoff_cap_ms = 300'000;
  int64_t task_timeout_ms = 0;  ///< of one attempt; 0: none
  int64_t task_runs_keep = 100;
  int64_t task_final_keep_ms = 7ll * 24 * 3600 * 1000;
  int64_t checkpoint_keep = 3;
  int64_t checkpoint_full_every = 16;
  int64_t checkpoint_max_bytes = 1ll << 20;

  // Logging
  LogLevel loglevel = LogLevel::Notice;
  std::string logfile;  ///< empty: standard output
  LogFormat log_format = LogFormat::Text;

  const BufferLimit& output_limit(ClientClass c) const {
    return client_output_buffer_limit[static_cast<size_t>(c)];
  }
};

}  // namespace hf::config
