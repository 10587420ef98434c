// A backup by hand, without the server's help: from folder to folder.
#include "edge/backup_run.h"

#include <cstdio>
#include <ctime>
#include <filesystem>

#include "edge/backup_copy.h"
#include "edge/bar.h"
#include "edge/data_folder.h"

namespace hf::edge {
namespace {

MonoUs mono_now() {
  timespec mono{};
  clock_gettime(CLOCK_MONOTONIC, &mono);
  return mono.tv_sec * 1'000'000 + mono.tv_nsec / 1000;
}

int complain(const std::string& what) {
  std::fprintf(stderr, "holdfast-server: %s\n", what.c_str());
  return 1;
}

}  // namespace

int backup_to(const std::string& from, const std::string& into) {
  namespace fs = std::filesystem;
  std::error_code failed;
  if (!fs::is_directory(from, failed))
    return complain("there is no data folder " + from + " (--dir names it)");
  if (fs::equivalent(from, into, failed)) return complain("a folder can't be its own backup");
  auto folder = DataFolder::open(into);
  if (!folder) return complain(folder.error().message);
  Bar bar;
  BackupCopy copy(from, folder->path(), [&](uint64_t done, uint64_t total) {
    bar.show(done, total, mono_now());
    return true;
  });
  const auto plan = copy.run();
  bar.clear();
  if (!plan) return complain("the backup failed: " + plan.error().message);
  std::printf("Copied %.1f MB: the backup in %s holds the log from offset %llu to %llu\n",
              static_cast<double>(copy.bytes()) / 1e6, into.c_str(),
              static_cast<unsigned long long>(plan->begin.value),
              static_cast<unsigned long long>(plan->end.value));
  return 0;
}

}  // namespace hf::edge
