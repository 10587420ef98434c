// The folder of a wrapped task, $HOLDFAST_DIR: where program and wrapper hand checkpoints to each other.
//
//   lock        held (flock) by the wrapper and the program's first process; holds the wrapper's pid
//   run         "nlp#6": whose leftovers these are
//   checkpoint  what to go on from, restored before each attempt (file or folder)
//   deltas/     what came on top, if any
//   tmp/        where the program writes; emptied before each attempt
//   out/        step-<N> (or delta-<N>): complete checkpoints, handed over by rename
//   sending/    the one that is being sent; gone once the server has acknowledged it
//   progress    "n total note", written by the program
//   finished    made by the program to say that a signal did not keep it from finishing
//   ended       "nlp#6 0": the program ended well, the server has not been told yet
//   store/      checkpoints too large for the server, where no --store was given
//
// It is its owner's alone, and a checkpoint keeps its modes and its links: META holds the mode of the
// checkpoint itself, the archive those of what is in it.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace hf::cli {

/// A checkpoint ready to be sent.
struct Prepared {
  std::string name;  ///< in sending/
  int64_t step = 0;
  bool delta = false;
  std::string payload;  ///< empty when it lies in the store
  std::string meta;     ///< JSON
  uint64_t size = 0;
  std::string stored_at;  ///< where it lies when it was too large for the server
};

/// One version of a chain, verified, as the server gave it.
struct Restorable {
  uint64_t version = 0;
  int64_t step = 0;
  std::string payload, meta;
};

struct Progress {
  int64_t n = 0, total = 0;
  std::string note;
  bool operator==(const Progress&) const = default;
};

class RunFolder {
 public:
  /// `store` empty: <path>/store. Paths are absolute.
  RunFolder(std::string path, std::string store, uint64_t payload_bytes_max)
      : path_(std::move(path)),
        store_(store.empty() ? path_ + "/store" : std::move(store)),
        payload_bytes_max_(payload_bytes_max) {}
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  const std::string& path() const { return path_; }
  const std::string& store() const { return store_; }
  int lock_fd() const { return lock_fd_; }

  /// Makes the folder and what is in it.
  Status create();
  /// True: the lock is ours. False: somebody holds it; `holder` is the wrapper's pid, 0 when it is not known.
  Result<bool> try_lock(int& holder);

  /// From now on the folder belongs to `run`. What another run left is removed; what this run left stays.
  /// Returns the exit code the program ended with when that was still to be told.
  Result<std::optional<int>> adopt(const std::string& run);
  /// Empties tmp/, removes finished and progress: before each attempt.
  Status before_attempt();
  /// Notes durably that the program of `run` ended well.
  Status remember_end(const std::string& run, int code);
  /// After a success: nothing of the run is needed here any more.
  void clear();
  bool finished_marked() const;
  Progress progress() const;

  /// The next checkpoint to send, oldest first, moved to sending/ and packed, or synced and hashed into the
  /// store as `version` of `run`. Full ones that a newer full one follows, and those not above `newer_than`,
  /// are dropped. Nothing: there is none. Error: `failed` names it; it stays where it is until settle().
  Result<std::optional<Prepared>> collect(const std::string& run, uint64_t version, int64_t newer_than,
                                          std::string& failed);
  /// Removes `name` from sending/: it was acknowledged, or will never be taken.
  void settle(const std::string& name);
  /// Drops full checkpoints in out/ that a newer full one follows: they pile up while the server is away.
  void coalesce();
  /// How many wait in out/ and sending/.
  size_t waiting() const;

  /// Puts the chain in place as `checkpoint` (and deltas/). Large ones are verified against size and SHA-256
  /// of their META first. An empty chain removes what is there.
  Status restore(const std::vector<Restorable>& chain);
  /// Removes stored versions of `run` that are not in `keep`, up to the newest in it; an empty `keep`: all.
  void prune_store(const std::string& run, const std::vector<uint64_t>& keep);

 private:
  struct Item {
    std::string name;
    int64_t step;
    bool delta;
  };
  std::string in(Bytes name) const { return path_ + "/" + std::string(name); }
  std::vector<Item> items(const std::string& folder) const;
  std::string version_folder(const std::string& run, uint64_t version) const;
  Result<Prepared> prepare(const Item& item, const std::string& run, uint64_t version);
  Status to_store(const std::string& source, const std::string& target);
  Status put_in_place(const Restorable& version, const std::string& target);

  std::string path_, store_;
  uint64_t payload_bytes_max_;
  int lock_fd_ = -1;
};

/// A name as one part of a path: '/', '%', control characters and a leading dot are written as %XX.
std::string path_part(Bytes name);

}  // namespace hf::cli
