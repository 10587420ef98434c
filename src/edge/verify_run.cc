// A restore that writes nothing: what counts is the digest of what it came to.
#include "edge/verify_run.h"

#include <cstdio>
#include <ctime>

#include "edge/bar.h"
#include "edge/posix_files.h"
#include "edge/process_host.h"
#include "log/backup_record.h"
#include "node/server_node.h"

namespace hf::edge {
namespace {

constexpr int exit_differs = 1, exit_no_backup = 2;

int complain(const std::string& what, int code) {
  std::fprintf(stderr, "holdfast-server: %s\n", what.c_str());
  return code;
}

MonoUs mono_now() {
  timespec mono{};
  clock_gettime(CLOCK_MONOTONIC, &mono);
  return mono.tv_sec * 1'000'000 + mono.tv_nsec / 1000;
}

}  // namespace

int verify_backup(const config::Options& options, const std::string& folder) {
  PosixFiles files(folder);
  const auto record = log::read_backup_record(files);
  if (!record) return complain(folder + ": " + record.error().message, exit_no_backup);
  node::Setup setup{.options = options, .seed = random_seed(), .files = &files};
  setup.options.databases = static_cast<int64_t>(record->databases);
  setup.restore = log::RestorePoint{.offset = record->offset};
  setup.restore_nothing_written = true;
  node::ServerNode node(std::move(setup));
  Bar bar;
  node::Effects effects;
  do {
    effects.clear();
    node.turn({record->wall_ms, mono_now()}, effects);
    const auto progress = node.loading_progress();
    bar.show(progress.done, progress.total, mono_now());
    for (const node::LogLine& line : effects.lines) {
      if (line.level < node::LogLevel::Warning) continue;
      bar.clear();
      std::fprintf(stderr, "holdfast-server: %s\n", line.text.c_str());
    }
  } while (!effects.exit);
  bar.clear();
  if (*effects.exit != 0) return complain(folder + " can't be restored to its last backup", exit_differs);
  const std::string digest = node.digest();
  const std::string at = " at offset " + std::to_string(record->offset.value);
  if (digest != record->digest)
    return complain(folder + ": the digest" + at + " is " + digest + ", and was " + record->digest +
                        " on the server; don't rely on this backup, make another in a fresh folder",
                    exit_differs);
  std::printf("%s: verified, digest %s%s\n", folder.c_str(), digest.c_str(), at.c_str());
  return 0;
}

}  // namespace hf::edge
