// The thread that copies backups while the server serves. It starts with the first order; the loop hears of
// it through a wake-up that the owner gives.
#pragma once
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "node/backup_order.h"

namespace hf::edge {

class BackupWorker {
 public:
  /// `data_folder` is what is copied. `wake` is called on the thread; it must be cheap and thread-safe.
  BackupWorker(std::string data_folder, std::function<void()> wake);
  ~BackupWorker() { stop(); }
  BackupWorker(const BackupWorker&) = delete;
  BackupWorker& operator=(const BackupWorker&) = delete;

  void submit(node::BackupOrder order);
  /// Gives up what is under way: the folder stays as far as it got, which starts or goes on next time.
  /// Neither is `wake` called nor may an order be submitted from then on.
  void stop();
  std::vector<node::BackupReport> take_reports();

 private:
  void run();
  node::BackupReport carry_out(const node::BackupOrder& order);
  Status copy(const node::BackupOrder& order, node::BackupReport& report);
  void tell(node::BackupReport report);

  const std::string data_folder_;
  const std::function<void()> wake_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<node::BackupOrder> orders_;
  std::vector<node::BackupReport> reports_;
  std::atomic<bool> stop_ = false;
  std::atomic<uint64_t> cancelled_ = 0;  ///< id of the order
  std::thread thread_;
};

}  // namespace hf::edge
