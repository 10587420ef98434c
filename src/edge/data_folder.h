// The folder of the data: made with 0700, and held by one server at a time.
#pragma once
#include <string>

#include "base/result.h"

namespace hf::edge {

class DataFolder {
 public:
  /// Makes `path` when missing (its parent must exist) and locks it. The error says who holds it.
  static Result<DataFolder> open(const std::string& path);
  DataFolder(DataFolder&& other) noexcept;
  DataFolder& operator=(DataFolder&& other) = delete;
  ~DataFolder();

  /// Absolute, without links.
  const std::string& path() const { return path_; }
  /// Worth telling the user at start; empty when all is well.
  const std::string& warning() const { return warning_; }

 private:
  DataFolder() = default;
  std::string path_, warning_;
  int lock_fd_ = -1;
};

}  // namespace hf::edge
