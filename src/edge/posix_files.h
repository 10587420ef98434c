// The data folder through POSIX calls, read side: what start-up and holdfast-check read with.
#pragma once
#include <string>
#include <vector>

#include "base/files.h"

namespace hf::edge {

class PosixFiles final : public Files {
 public:
  explicit PosixFiles(std::string folder) : folder_(std::move(folder)) {}
  ~PosixFiles() override;
  PosixFiles(const PosixFiles&) = delete;
  PosixFiles& operator=(const PosixFiles&) = delete;

  Result<std::vector<std::string>> list() override;
  Result<std::vector<std::string>> list_in(const std::string& folder) override;
  Result<uint64_t> size(const std::string& name) override;
  bool exists(const std::string& name) override;
  Result<std::string> read(const std::string& name, uint64_t offset, size_t n) override;

  /// From the next read on it is the same file that is read, though another takes over its name meanwhile;
  /// until it is let go, or a file of another name is read.
  void hold(bool held);

 private:
  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  /// Keeps the last file open: a replay reads one file in a row.
  Result<int> descriptor(const std::string& name);

  std::string folder_;
  std::string open_name_;
  int open_fd_ = -1;
  bool held_ = false;
};

}  // namespace hf::edge
