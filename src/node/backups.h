// Backups while the server serves: when one is due, the cut whose digest goes with it, the order to the
// copier, and what its reports mean. The state at the cut is summed by a walk, a slice a turn, as a
// snapshot's is; the copy holds the log up to the cut at least, so that what is restored from it to that
// offset can be compared.
//
//   Idle -> Asked -> Digest -> Sync -> Copy -> Idle        (beside it, when Idle: Look, Remove)
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "command/server.h"
#include "config/options.h"
#include "node/backup_order.h"
#include "node/effects.h"
#include "node/persistence.h"
#include "store/digest.h"
#include "store/store.h"

namespace hf::node {

class Backups {
 public:
  /// All must outlive it.
  Backups(const config::Options& options, store::Store& store, Persistence& persistence)
      : options_(options), store_(store), persistence_(persistence) {}

  Result<uint64_t> begin(command::BackupRequest request, Now now);
  command::BackupState state() const;
  /// Each turn, once its frame is sealed and nothing has changed since.
  void sealed(Now now);
  /// A slice of the digest's walk. True: there is more to walk at once.
  bool walk_some(size_t entries);
  /// Hands out an order; each is answered by reports, the last of which is `over`.
  void pump(Effects& effects);
  void report(const BackupReport& report, Now now);
  void once_a_second(Now now);
  /// The data set and its log are about to be exchanged: a backup under way would hold some of both. It ends
  /// with this reason, unless it has everything already.
  void abort(std::string why, Now now);

  bool running() const { return phase_ != Phase::Idle; }
  // INFO: of backups since the start, and of what the schedule's folder holds
  WallMs last_ms() const { return last_ms_; }
  uint64_t last_bytes() const { return last_bytes_; }
  int64_t last_milliseconds() const { return last_milliseconds_; }
  const std::string& last_error() const { return last_error_; }
  size_t kept() const { return known_.size(); }

 private:
  enum class Phase : uint8_t { Idle, Asked, Digest, Sync, Copy };
  void ask(BackupOrder order, Now now);
  void ended(const BackupReport& report, Now now);
  void send(BackupOrder order);
  log::BackupPolicy policy() const;

  const config::Options& options_;
  store::Store& store_;
  Persistence& persistence_;
  Phase phase_ = Phase::Idle;
  BackupOrder order_;  ///< of the backup under way, or the last one
  BackupReport report_;
  std::string shown_folder_;
  MonoUs begun_us_ = 0;
  std::string called_off_;  ///< why the copier was told to stop
  std::unique_ptr<store::WalkDigest> digest_;
  store::WalkId walk_ = 0;  ///< 0: none
  std::optional<BackupOrder> to_send_;
  uint64_t next_id_ = 1, backup_id_ = 0;
  uint64_t beside_id_ = 0;  ///< of a Look or Remove that is not answered yet
  bool looked_ = false;
  std::vector<log::KnownBackup> known_;
  WallMs failed_ms_ = 0, last_ms_ = 0;
  uint64_t last_bytes_ = 0;
  int64_t last_milliseconds_ = 0;
  std::string last_error_;
};

}  // namespace hf::node
