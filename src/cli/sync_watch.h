// How far a replica's sync is, told from what its INFO says from time to time. No connection, no clock: those
// are follow.cc's. Understands a redis-server's INFO as well, where the names are the same.
#pragma once
#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "cli/run_folder.h"

namespace hf::cli {

class SyncWatch {
 public:
  enum class Phase : uint8_t {
    Linking,     ///< no link to the primary: see error()
    Waiting,     ///< the primary takes a snapshot first
    Receiving,   ///< the snapshot's bytes arrive
    Loading,     ///< all of it is here, and is verified and loaded
    CatchingUp,  ///< the log that was written meanwhile follows
    InStep,      ///< it has everything the primary had when the link came up
    Alone,       ///< it follows nobody
  };

  /// The replica's answer to INFO (sections replication and persistence) at `now_ms`, of any clock that
  /// rises.
  void take(Bytes info, int64_t now_ms);

  Phase phase() const { return phase_; }
  /// As in "receiving the snapshot".
  static const char* phase_text(Phase phase);
  /// Bytes of the phase, with its name, a rate and the time left; total 0: nothing is known of them.
  const Progress& progress() const { return progress_; }
  /// "host:port" of the primary; empty: it follows nobody.
  const std::string& primary() const { return primary_; }
  /// Why there is no link, as the server says; empty: nothing is known.
  const std::string& error() const { return error_; }
  /// Of the snapshot that was received; 0: none was needed, as far as was seen.
  int64_t snapshot_bytes() const { return snapshot_bytes_; }
  int64_t offset() const { return offset_; }
  /// When something last changed.
  int64_t moved_ms() const { return moved_ms_; }

 private:
  void rate(int64_t now_ms);

  Phase phase_ = Phase::Linking;
  Progress progress_;
  std::string primary_, error_;
  int64_t snapshot_bytes_ = 0, offset_ = 0, target_ = -1, moved_ms_ = -1;
  int64_t phase_since_ms_ = -1, phase_from_ = 0;  ///< when the phase began, and at which byte
};

}  // namespace hf::cli
