// Looks, copies, removes: one order after the other, each ended by a report.
#include "edge/backup_worker.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "edge/backup_copy.h"
#include "edge/data_folder.h"
#include "edge/leftover.h"

namespace hf::edge {
namespace {

namespace fs = std::filesystem;
using node::BackupOrder;
using node::BackupReport;

constexpr size_t token_bytes_max = 128;

/// The folder says itself who may have a backup written there; its word is taken once.
Status check_token(const std::string& folder, const std::string& token) {
  const std::string path = folder + "/" + log::backup_token_name;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0)
    return Error{
        "can't read " + path + " (" + std::strerror(errno) +
        "): the client must have put its token there, on the server's machine, readable by the server"};
  std::string there(token_bytes_max + 1, '\0');
  const ssize_t n = ::read(fd, there.data(), there.size());
  ::close(fd);
  there.resize(n < 0 ? 0 : static_cast<size_t>(n));
  if (there != token) return Error{"the token in " + path + " is another one than the client gave"};
  ::unlink(path.c_str());
  return ok();
}

/// Folders below `root`, ascending, and what the finished ones say of themselves.
Status look(const std::string& root, BackupReport& report) {
  std::error_code failed;
  for (fs::directory_iterator at(root, failed), end; !failed && at != end; at.increment(failed)) {
    std::error_code ignored;
    const std::string name = at->path().filename().string();
    if (log::is_backup_folder_name(name) && at->symlink_status(ignored).type() == fs::file_type::directory)
      report.names.push_back(name);
  }
  if (failed) return Error{"can't list " + root + ": " + failed.message()};
  std::sort(report.names.begin(), report.names.end());
  for (const std::string& name : report.names) {
    PosixFiles files(root + "/" + name);
    if (const auto record = log::read_backup_record(files))
      report.known.push_back({name, record->full_ms, record->wall_ms, record->bytes});
  }
  return ok();
}

Status make_root(const std::string& root) {
  if (mkdir(root.c_str(), 0700) == 0 || errno == EEXIST) return ok();
  return Error{"can't make the folder " + root + ": " + std::strerror(errno)};
}

Status remove_all(const BackupOrder& order) {
  for (const std::string& name : order.remove) {
    std::error_code failed;
    // The record goes first: half of a backup must not pass for one.
    fs::remove(order.root + "/" + name + "/" + log::backup_record_name, failed);
    fs::remove_all(order.root + "/" + name, failed);
    if (failed) return Error{"can't remove the old backup " + name + ": " + failed.message()};
  }
  return ok();
}

}  // namespace

BackupWorker::BackupWorker(std::string data_folder, std::function<void()> wake)
    : data_folder_(std::move(data_folder)), wake_(std::move(wake)) {}

void BackupWorker::stop() {
  stop_ = true;
  { const std::lock_guard lock(mutex_); }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void BackupWorker::submit(BackupOrder order) {
  if (order.kind == BackupOrder::Kind::Cancel) {
    cancelled_ = order.id;
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    orders_.push_back(std::move(order));
  }
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  changed_.notify_all();
}

std::vector<BackupReport> BackupWorker::take_reports() {
  const std::lock_guard lock(mutex_);
  return std::exchange(reports_, {});
}

void BackupWorker::tell(BackupReport report) {
  {
    const std::lock_guard lock(mutex_);
    // Progress that nobody has fetched yet is out of date.
    std::erase_if(reports_, [&](const BackupReport& r) { return r.id == report.id && !r.over; });
    reports_.push_back(std::move(report));
  }
  wake_();
}

void BackupWorker::run() {
  pthread_setname_np(pthread_self(), "backup");
  take_a_small_share();
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return stop_ || !orders_.empty(); });
    if (stop_) return;
    const BackupOrder order = std::move(orders_.front());
    orders_.pop_front();
    lock.unlock();
    tell(carry_out(order));
    lock.lock();
  }
}

BackupReport BackupWorker::carry_out(const BackupOrder& order) {
  BackupReport report{.id = order.id};
  Status status = order.root.empty() ? ok() : make_root(order.root);
  if (status && order.kind == BackupOrder::Kind::Copy) status = copy(order, report);
  if (status && order.kind == BackupOrder::Kind::Remove) status = remove_all(order);
  if (!order.root.empty()) {
    const Status listed = look(order.root, report);
    if (status) status = listed;
  }
  if (!status) report.error = status.error().message;
  report.over = true;
  return report;
}

Status BackupWorker::copy(const BackupOrder& order, BackupReport& report) {
  const std::string path = order.root.empty() ? order.folder : order.root + "/" + order.folder;
  if (!order.token.empty())
    if (Status known = check_token(path, order.token); !known) return known;
  std::error_code failed;
  if (fs::equivalent(data_folder_, path, failed)) return Error{"a folder can't be its own backup"};
  auto folder = DataFolder::open(path);
  if (!folder) return folder.error();
  PosixFiles files(folder->path());
  const auto before = log::read_backup_record(files);
  BackupCopy copy(data_folder_, folder->path(), [&](uint64_t done, uint64_t total) {
    report.bytes_done = done, report.bytes_total = total;
    tell(report);
    return !stop_ && cancelled_ != order.id;
  });
  const auto plan = copy.run();
  if (!plan) return plan.error();
  report.bytes_done = report.bytes_total = copy.bytes();
  report.record = order.record;
  report.record.begin = plan->begin, report.record.end = plan->end;
  report.record.bytes = copy.bytes();
  if (before) report.record.full_ms = before->full_ms;
  // Behind this line the copy has all that it needs, whatever becomes of the data folder.
  if (cancelled_ == order.id) return Error{"it was called off"};
  if (plan->end < order.record.offset)
    return Error{"the log in the data folder ends at offset " + std::to_string(plan->end.value) +
                 ", before the cut at " + std::to_string(order.record.offset.value)};
  return copy.leave(report.record);
}

}  // namespace hf::edge
