// A node in miniature for testing commands: one store, some clients, a clock that stands still until moved,
// and a server that remembers what it was asked. Commands come in as text and go through the table, as a
// client's would.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "command/context.h"
#include "command/table.h"
#include "store/store.h"
#include "task/tasks.h"

namespace hf::test {

class Harness : public command::Server, public store::Observer {
 public:
  explicit Harness(uint64_t seed = 1);

  /// Runs one request, given as a line that is split as redis-cli splits it; returns the reply as redis-cli
  /// shows it, lines joined by "\n".
  std::string run(const std::string& line) { return run(0, line); }
  std::string run(size_t client, const std::string& line);
  /// The reply's bytes.
  std::string run_raw(size_t client, const std::vector<std::string>& args);
  /// Runs everything in `log` as the log's own client would; returns the first refusal, or "".
  std::string replay(Bytes log);
  /// What the journal has got since the last call, one command a line, blanks between arguments.
  std::string take_log();

  command::ClientState& client(size_t number);
  void sleep(int64_t ms) { now.wall_ms += ms, now.mono_us += ms * 1000; }

  Now now{1'700'000'000'000, 1'000'000};
  store::Store store;
  task::Tasks tasks;
  command::Journal journal;
  Prng prng;
  command::Counters counters;
  command::BlockRequest blocked;  ///< of the last request
  std::map<std::string, std::string> options;
  bool saving = false;             ///< a snapshot is under way
  bool requires_password = false;  ///< it is "secret"
  std::vector<uint64_t> killed;
  std::string shut_down;  ///< how SHUTDOWN was called

  // command::Server
  std::string info(const std::vector<std::string>& sections) override;
  bool loading() const override { return false; }
  void config_get(Bytes pattern, const std::function<void(Bytes, Bytes)>& each) override;
  Status config_set(const std::vector<std::pair<std::string, std::string>>& pairs) override;
  Status config_rewrite() override { return ok(); }
  void config_reset_statistics() override {}
  std::string option(Bytes name) const override;
  bool password_required() const override { return requires_password; }
  bool password_matches(Bytes user, Bytes password) const override {
    return user == "default" && password == "secret";
  }
  Status begin_snapshot(Bytes tag) override;
  std::vector<command::SnapshotInfo> snapshots() const override { return known_snapshots; }
  Status tag_snapshot(uint64_t id, Bytes tag) override;
  Status delete_snapshot(uint64_t id) override;
  bool noting_snapshots() const override { return false; }
  Status begin_verify(uint64_t) override { return ok(); }
  bool verifying() const override { return false; }
  Status begin_digest() override { return ok(); }
  std::optional<std::string> digest_result() const override { return "digest"; }
  std::vector<command::SnapshotInfo> known_snapshots;
  Status begin_rewrite() override { return begin_snapshot({}); }
  Result<uint64_t> begin_backup(command::BackupRequest request) override {
    backup_asked = std::move(request);
    return uint64_t{7};
  }
  command::BackupState backup_state() const override { return {.id = 7, .phase = "copy"}; }
  command::BackupRequest backup_asked;
  bool snapshot_running() const override { return saving; }
  Status last_snapshot_status() const override { return ok(); }
  int64_t last_save_seconds() const override { return 1'600'000'000; }
  bool shutting_down() const override { return false; }
  Status shutdown(command::SaveMode save, bool at_once, bool force, bool abort) override;
  void for_each_client(const std::function<void(const command::ClientState&)>& each) override;
  std::string describe_client(const command::ClientState& client) override;
  void kill_client(uint64_t id) override { killed.push_back(id); }
  void watch(command::Context& ctx, Bytes key) override;
  void unwatch_all(command::ClientState& client) override { client.transaction.watched.clear(); }
  void run_queued(command::Context& ctx, std::span<const Bytes> args) override;
  void key_ready(DbIndex, Bytes) override {}
  bool unblock_client(uint64_t, bool) override { return false; }
  command::RoleInfo role() override { return {}; }
  Status follow(Bytes, int) override { return Error{"not in this test"}; }
  Status follow_nobody() override { return ok(); }
  void follow_now() override {}
  bool role_settled() const override { return true; }
  Status replica_says(uint64_t, Bytes, Bytes) override { return ok(); }
  void replica_acknowledges(uint64_t, std::span<const Bytes>) override {}
  void begin_sync(uint64_t, std::span<const Bytes>) override {}
  void redis_replica_acknowledges(uint64_t, Bytes, Bytes) override {}
  bool follows() const override { return false; }
  size_t replicas_having(LogOffset, bool) const override { return 0; }
  bool synced_here(LogOffset) override { return true; }
  bool logging() const override { return true; }
  Status fail_over(Bytes, int, int64_t) override { return Error{"not in this test"}; }
  Status abort_failover() override { return ok(); }
  Status begin_audit() override { return Error{"not in this test"}; }
  command::AuditState audit_state() override { return {}; }
  void replica_audited(uint64_t, std::span<const Bytes>) override {}
  void replica_promoted(uint64_t) override {}
  int copies_of_server() const override { return 0; }

  // store::Observer
  void key_changed(DbIndex db, const store::Key& key) override;
  void database_changed(DbIndex db) override;
  void object_inserted(DbIndex db, Bytes key, store::Object& object) override {
    tasks.object_inserted(db, key, object);
  }
  void object_removed(DbIndex db, Bytes key, store::Object& object) override {
    tasks.object_removed(db, key, object);
  }
  void objects_flushed(DbIndex db) override { tasks.objects_flushed(db); }
  void objects_swapped(DbIndex a, DbIndex b) override { tasks.objects_swapped(a, b); }

 private:
  const command::Spec* resolve(std::span<const Bytes> args, resp::Writer& reply);
  void call(command::ClientState& client, const command::Spec& spec, std::span<const Bytes> args,
            resp::Writer& reply, command::Mode mode, bool in_exec);
  std::vector<std::unique_ptr<command::ClientState>> clients_;
};

/// One reply as redis-cli shows it on a terminal; consumes it from `bytes`.
std::vector<std::string> render(Bytes& bytes);

}  // namespace hf::test
