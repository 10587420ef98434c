// The disk as the node sees it. Reading is a call while starting up; later, as writing always, it is a job: a
// list of steps handed to a lane, done in order, answered by an event. The edge runs jobs on threads, the
// simulator in virtual time.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace hf {

/// The data folder, read side. Names are relative to it ("log-00000000000000000000.aof", "rescue/1-0-9.aof").
class Files {
 public:
  virtual ~Files() = default;
  /// Plain files of the folder itself, sorted by name.
  virtual Result<std::vector<std::string>> list() = 0;
  /// The same of a folder in it, each name with the folder's ("rescue/1-0-9.aof"); none where there is no such folder.
  virtual Result<std::vector<std::string>> list_in(const std::string& folder) = 0;
  virtual Result<uint64_t> size(const std::string& name) = 0;
  virtual bool exists(const std::string& name) = 0;
  /// Up to `n` bytes from `offset`; shorter only at the end of the file.
  virtual Result<std::string> read(const std::string& name, uint64_t offset, size_t n) = 0;
};

/// One step on the disk. A failing step ends its job: later steps are not begun.
struct FileStep {
  enum class Kind : uint8_t {
    Write,   ///< `bytes` at `offset` of `name`, which is created when missing
    Append,  ///< what `produce` returns (called on the lane: compression happens there), at the end of `name`
    Sync,    ///< data and size of `name` are on disk
    SyncDir,   ///< the folder's names are on disk ("" is the data folder, "rescue" the one below)
    Truncate,  ///< `name` is cut to `offset` bytes
    Rename,    ///< `name` becomes `to`, replacing it
    Remove,    ///< missing is fine
    MakeDir,   ///< present is fine
    Read,      ///< up to `length` bytes from `offset` of `name`, shorter only at its end: FileJobDone::bytes
  };
  Kind kind;
  std::string name;
  uint64_t offset = 0;
  std::string bytes;
  std::string to;
  std::function<std::string()> produce;
  uint64_t length = 0;
};

/// Which thread does a job. Jobs of one lane run in order; lanes do not wait for one another.
enum class Lane : uint8_t {
  Log,       ///< appends to the log (with their syncs under `always`), MANIFEST
  Sync,      ///< the syncs of `everysec`: a slow one must not hold the Log lane
  Snapshot,  ///< compressing and writing snapshots, at low priority
  Transfer,  ///< what replicas are sent, and what comes from a primary in full
};

constexpr size_t lane_count = 4;

/// `id` is the sender's; it comes back in the answer. Ids of one lane rise.
struct FileJob {
  uint64_t id = 0;
  Lane lane = Lane::Log;
  std::vector<FileStep> steps;
};

/// How a job ended. On failure: the first step that failed, what the system said (errno) and a sentence.
struct FileJobDone {
  uint64_t id = 0;
  Lane lane = Lane::Log;
  bool ok = true;
  size_t failed_step = 0;
  FileStep::Kind failed_kind = FileStep::Kind::Write;
  int code = 0;
  std::string message;
  int64_t cpu_us = 0;  ///< processor time that it took; 0 where nobody knows
  std::string bytes;  ///< of its Read steps, one behind the other
};

}  // namespace hf
