// The threads that write: one for each lane, so that a slow sync or a large snapshot never holds the log
// back. Jobs of a lane run in order; their ends come back to the loop through a wake-up that the owner gives.
#pragma once
#include <array>
#include <condition_variable>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/files.h"

namespace hf::edge {

/// Open files of the data folder, known to all lanes: a rename or removal in one must not leave another
/// writing to a file that has lost its name. Each lane has descriptors of its own, because the system reports
/// a failed write-back once a descriptor: on a shared one the first lane to sync would take the error away
/// from the other. Thread-safe.
class OpenFiles {
 public:
  /// `folder` must exist.
  explicit OpenFiles(const std::string& folder);
  ~OpenFiles();
  OpenFiles(const OpenFiles&) = delete;
  OpenFiles& operator=(const OpenFiles&) = delete;

  /// A descriptor closes when the last user lets go of it.
  struct Descriptor {
    explicit Descriptor(int number) : fd(number) {}
    ~Descriptor();
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    const int fd;
  };
  using Handle = std::shared_ptr<Descriptor>;

  /// Null with errno set when it can't be opened. Made (0600) when missing, if `create`.
  Handle open(Lane lane, const std::string& name, bool create);
  void forget(const std::string& name);
  int folder_fd() const { return folder_fd_; }

 private:
  static constexpr size_t open_max = 64;
  std::mutex mutex_;
  struct Open {
    Lane lane;
    std::string name;
    Handle handle;
  };
  std::list<Open> recent_;  // most recently used first
  int folder_fd_ = -1;
};

class FileLanes {
 public:
  /// `wake` is called on a lane's thread whenever `take_done` has something; it must be cheap and
  /// thread-safe.
  FileLanes(const std::string& folder, std::function<void()> wake);
  /// Finishes what was submitted, then stops.
  ~FileLanes();
  FileLanes(const FileLanes&) = delete;
  FileLanes& operator=(const FileLanes&) = delete;

  void submit(FileJob job);
  /// Jobs that have ended since the last call, in each lane's order.
  std::vector<FileJobDone> take_done();
  /// Waits until every job submitted so far has ended.
  void drain();

 private:
  struct LaneState {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<FileJob> queue;
    bool busy = false, stop = false;
    bool share_needed = false;  ///< the next job is for `with_a_share`
    std::thread thread, with_a_share;
  };
  void run(Lane lane, LaneState& state, bool share);
  FileJobDone perform(FileJob& job);

  OpenFiles files_;
  std::function<void()> wake_;
  std::array<LaneState, lane_count> lanes_;
  std::mutex done_mutex_;
  std::vector<FileJobDone> done_;
};

}  // namespace hf::edge
