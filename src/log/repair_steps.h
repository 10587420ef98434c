// What every repair does with the originals: they are in rescue/, synced, before anything changes.
#pragma once
#include <string>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "base/types.h"

namespace hf::log {

class RepairSteps {
 public:
  RepairSteps(Files& files, WallMs now_ms, std::vector<FileStep>& out);

  Status copy_aside(const std::string& name);
  /// A file that is not there is passed over.
  void move_aside(const std::string& name);
  /// The bytes from `from` on of one file go to byte `at` of another.
  Status copy(const std::string& name, uint64_t from, const std::string& to, uint64_t at);
  /// Behind this line rescue/ and the folder are on disk.
  void settle();

 private:
  std::string rescue_name(const std::string& name) const;

  Files& files_;
  WallMs now_ms_;
  std::vector<FileStep>& out_;
};

/// The system would not let it be read (too many open files, a bad cable): that says nothing about what it
/// holds. A file that is missing is missing.
bool unreadable(const Error& error);

}  // namespace hf::log
