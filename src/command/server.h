// What commands may ask of the node they run in. node/ implements it; command/ does not know how.
#pragma once
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/types.h"
#include "command/client_state.h"

namespace hf::command {

struct Context;

/// The Redis whose commands and replies these are; HELLO and INFO say it, and clients decide by it what they
/// may send.
constexpr const char* redis_version = "7.2.5";

/// A snapshot as SNAPSHOT LIST shows it.
struct SnapshotInfo {
  uint64_t id = 0;  ///< the offset it was cut at
  uint64_t epoch = 0;
  WallMs wall_ms = 0;
  uint64_t bytes = 0, keys = 0;
  int64_t milliseconds = -1;  ///< it took; -1: not known
  std::string reason, tag;
  const char* state = "";  ///< written, unchecked (since the start), verified (loaded by it, too), damaged
  std::string finding;     ///< of damaged
};

/// A replica as ROLE and INFO show it.
struct ReplicaInfo {
  std::string host, state;
  int port = 0;
  uint64_t offset = 0;
};

/// ROLE's answer.
struct RoleInfo {
  bool primary = true;
  uint64_t offset = 0;               ///< Redis-visible
  std::vector<ReplicaInfo> replicas;
  std::string host, link;            ///< of the primary followed
  int port = 0;
};

/// A replica in an audit, as REPLICATION AUDIT STATUS shows it.
struct AuditedReplica {
  std::string host;
  int port = 0;
  /// agrees, differs, skipped, healed; awaited, behind, missed (its link begins behind the audit's offset),
  /// not-audited (a stock Redis), none
  std::string finding;
  DbIndex db = 0;  ///< of differs and healed: the lowest database and slice, and how many slices in all
  uint32_t slice = 0;
  uint64_t slices = 0;
};
/// The audit under way, or the last one.
struct AuditState {
  uint64_t offset = 0;      ///< 0: none yet
  const char* phase = "";   ///< idle, asked, walking, waiting
  const char* result = "";  ///< none, running; agrees, differs, healed, skipped, unanswered, given-up
  WallMs wall_ms = 0;
  int64_t milliseconds = 0;
  uint64_t keys = 0;
  std::string digest;
  uint64_t divergences = 0;  ///< that this node has found in itself, as a replica, since it started
  std::vector<AuditedReplica> replicas;
};

/// What BACKUP START asks for.
struct BackupRequest {
  bool full = false;   ///< begin a new folder below backup-dir
  std::string folder;  ///< absolute; empty: below backup-dir, by the schedule's rules
  std::string token;   ///< of `folder`: the content of its file BACKUP-TOKEN
};
/// The backup under way, or the last one, as BACKUP STATUS shows it.
struct BackupState {
  uint64_t id = 0;         ///< 0: none since the start
  const char* phase = "";  ///< digest, sync, copy; done, failed; idle
  std::string folder, digest, error;
  uint64_t bytes_done = 0, bytes_total = 0;
  uint64_t offset = 0, begin = 0, end = 0;  ///< of the cut; of the log in the folder
  WallMs wall_ms = 0;
  int64_t milliseconds = 0;
};

enum class SaveMode : uint8_t { Default, Save, NoSave };

class Server {
 public:
  virtual ~Server() = default;

  // Introspection
  /// INFO's text for the named sections (lower case; empty: the default ones; "all", "everything", "default"
  /// too).
  virtual std::string info(const std::vector<std::string>& sections) = 0;
  virtual bool loading() const = 0;

  // CONFIG
  virtual void config_get(Bytes pattern, const std::function<void(Bytes name, Bytes value)>& each) = 0;
  /// All or nothing. The error is a whole Redis error text without "ERR ".
  virtual Status config_set(const std::vector<std::pair<std::string, std::string>>& pairs) = 0;
  virtual Status config_rewrite() = 0;
  virtual void config_reset_statistics() = 0;
  /// Value of an option by name, as CONFIG GET shows it ("" when unknown).
  virtual std::string option(Bytes name) const = 0;
  /// True when `password` is the one required (compared in constant time); `required` says whether one is set
  /// at all.
  virtual bool password_required() const = 0;
  virtual bool password_matches(Bytes user, Bytes password) const = 0;

  // Persistence
  /// Begins a snapshot; `tag` may be empty. Error: one is running already, or what stands in the way (without
  /// "ERR ").
  virtual Status begin_snapshot(Bytes tag) = 0;
  /// Oldest first.
  virtual std::vector<SnapshotInfo> snapshots() const = 0;
  /// An empty tag takes it off.
  virtual Status tag_snapshot(uint64_t id, Bytes tag) = 0;
  virtual Status delete_snapshot(uint64_t id) = 0;
  /// A tag given or taken is not on disk yet; `noted_key` is ready when it is.
  virtual bool noting_snapshots() const = 0;
  static constexpr const char* noted_key = "__noted__";
  /// Begins to read a snapshot's file through; its state tells, once `verifying` is over.
  virtual Status begin_verify(uint64_t id) = 0;
  virtual bool verifying() const = 0;
  static constexpr const char* verify_key = "__verify__";
  /// Begins the digest of the data set as it is now, made a slice a turn; writes go on. Error: one is being
  /// made.
  virtual Status begin_digest() = 0;
  virtual std::optional<std::string> digest_result() const = 0;  ///< none: it is being made
  static constexpr const char* digest_key = "__digest__";
  /// The id of the backup that begins. Error: one is running, or why it can't.
  virtual Result<uint64_t> begin_backup(BackupRequest request) = 0;
  virtual BackupState backup_state() const = 0;
  virtual bool snapshot_running() const = 0;
  /// BGREWRITEAOF: a snapshot, then a log that begins there.
  virtual Status begin_rewrite() = 0;
  /// Null error: the last snapshot succeeded. The key blocked on while SAVE waits is `save_key`.
  virtual Status last_snapshot_status() const = 0;
  virtual int64_t last_save_seconds() const = 0;  ///< Unix time
  static constexpr const char* save_key = "__save__";
  /// Ends the process in an orderly way after the replies of this turn; no reply to the caller when it works.
  virtual bool shutting_down() const = 0;
  static constexpr const char* shutdown_key = "__shutdown__";  ///< ready when a shutdown was given up
  virtual Status shutdown(SaveMode save, bool now, bool force, bool abort) = 0;

  // Replication
  virtual RoleInfo role() = 0;
  /// Follows host:port from now on. The error is a whole one without "ERR ".
  virtual Status follow(Bytes host, int port) = 0;
  /// The primary followed is asked for once more: a link that waits for its next attempt is dialled at once.
  virtual void follow_now() = 0;
  /// Ends following. `role_settled` turns true when this node may be written to; `role_key` is ready then.
  virtual Status follow_nobody() = 0;
  virtual bool role_settled() const = 0;
  static constexpr const char* role_key = "__role__";
  /// REPLCONF name value, from a connection that is or means to become a replica.
  virtual Status replica_says(uint64_t client, Bytes name, Bytes value) = 0;
  virtual void replica_acknowledges(uint64_t client, std::span<const Bytes> numbers) = 0;
  /// The connection becomes a replica; everything it is sent from now on is the node's doing, the answer too.
  /// `args`: PSYNC id offset, or SYNC.
  virtual void begin_sync(uint64_t client, std::span<const Bytes> args) = 0;
  /// REPLCONF ACK of a Redis, whose offsets are the Redis-visible ones; `synced` may be empty.
  virtual void redis_replica_acknowledges(uint64_t client, Bytes received, Bytes synced) = 0;
  virtual bool follows() const = 0;
  /// How many replicas hold the log up to `offset`: received, or synced.
  virtual size_t replicas_having(LogOffset offset, bool synced) const = 0;
  virtual bool synced_here(LogOffset offset) = 0;
  /// Changes are logged; without, nothing here is ever synced.
  virtual bool logging() const = 0;
  /// FAILOVER: gives the role to the replica there (an empty host: to the one that has the most).
  virtual Status fail_over(Bytes host, int port, int64_t timeout_ms) = 0;
  virtual Status abort_failover() = 0;
  virtual void replica_promoted(uint64_t client) = 0;
  /// Names an offset that all replicas compare their state at. Error: why none can be named now.
  virtual Status begin_audit() = 0;
  virtual AuditState audit_state() = 0;
  static constexpr const char* audit_key = "__audit__";  ///< ready when the offset is named, or given up
  /// REPLCONF hfaudit: a replica's report, its words unchecked.
  virtual void replica_audited(uint64_t client, std::span<const Bytes> words) = 0;
  /// write-concern: members that must have a change; 0 in async mode.
  virtual int copies_of_server() const = 0;
  static constexpr const char* wait_key = "__wait__";

  // Connections
  virtual void for_each_client(const std::function<void(const ClientState&)>& each) = 0;
  /// "id=3 addr=... " as CLIENT LIST prints it, without a line end.
  virtual std::string describe_client(const ClientState& client) = 0;
  virtual void kill_client(uint64_t id) = 0;

  // Transactions
  virtual void watch(Context& ctx, Bytes key) = 0;
  virtual void unwatch_all(ClientState& client) = 0;
  /// Runs one queued command of EXEC within `ctx`'s client; the reply goes to ctx.reply.
  virtual void run_queued(Context& ctx, std::span<const Bytes> args) = 0;

  // Waiting
  /// Whoever is blocked on this key (or pseudo key) in `db` is run again, the longest-waiting first.
  virtual void key_ready(DbIndex db, Bytes key) = 0;
  /// Ends a blocked client's wait as if its time was up (CLIENT UNBLOCK) or with -UNBLOCKED. False: not
  /// blocked.
  virtual bool unblock_client(uint64_t id, bool with_error) = 0;
};

}  // namespace hf::command
