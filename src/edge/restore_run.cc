// One thread, one node, no sockets: turns until the node says that it is done.
#include "edge/restore_run.h"

#include <cstdio>
#include <ctime>
#include <filesystem>

#include "edge/bar.h"
#include "edge/data_folder.h"
#include "edge/file_lanes.h"
#include "edge/posix_files.h"
#include "edge/process_host.h"
#include "log/incomplete.h"
#include "node/server_node.h"

namespace hf::edge {
namespace {

Now sample_time() {
  timespec wall{}, mono{};
  clock_gettime(CLOCK_REALTIME, &wall);
  clock_gettime(CLOCK_MONOTONIC, &mono);
  return {wall.tv_sec * 1000 + wall.tv_nsec / 1'000'000, mono.tv_sec * 1'000'000 + mono.tv_nsec / 1000};
}

int complain(const std::string& what) {
  std::fprintf(stderr, "holdfast-server: %s\n", what.c_str());
  return 1;
}

/// Empty, or why nothing may be put there. (An unfinished restore may be begun again; log::begin_restore
/// knows one.)
std::string why_not(const std::string& from, const std::string& into) {
  namespace fs = std::filesystem;
  std::error_code failed;
  if (!fs::is_directory(from, failed)) return "there is no data folder " + from + " (--dir names it)";
  if (!fs::exists(into, failed)) return "";
  if (!fs::is_directory(into, failed)) return into + " is no folder";
  for (const auto& entry : fs::directory_iterator(into, failed))
    if (!entry.is_regular_file(failed)) return into + " is not empty; a restore makes a fresh data folder";
  if (failed) return into + ": " + failed.message();
  PosixFiles files(into);
  const auto begin = log::begin_restore(files);
  return begin ? "" : into + ": " + begin.error().message;
}

/// Nothing is read from the source before the target tells that it is unfinished.
Status make_ready(const std::string& folder, FileLanes& lanes) {
  PosixFiles target(folder);
  auto begin = log::begin_restore(target);
  if (!begin) return begin.error();
  lanes.submit({.id = 1, .lane = Lane::Log, .steps = std::move(*begin)});
  lanes.drain();
  for (const FileJobDone& done : lanes.take_done())
    if (!done.ok) return Error{done.message};
  return ok();
}

}  // namespace

int restore_into(const config::Options& options, const log::RestorePoint& point, const std::string& into) {
  if (const std::string why = why_not(options.dir, into); !why.empty()) return complain(why);
  auto folder = DataFolder::open(into);
  if (!folder) return complain(folder.error().message);

  PosixFiles files(options.dir);
  FileLanes lanes(folder->path(), [] {});
  if (Status begun = make_ready(folder->path(), lanes); !begun)
    return complain(into + ": " + begun.error().message);
  node::Setup setup{.options = options, .seed = random_seed(), .files = &files};
  setup.walk_entries_a_slice = 4096;
  setup.restore = point;
  node::ServerNode node(std::move(setup));
  Bar bar;
  node::Effects effects;
  for (;;) {
    effects.clear();
    const Now now = sample_time();
    node.turn(now, effects);
    for (FileJob& job : effects.jobs) lanes.submit(std::move(job));
    for (const node::LogLine& line : effects.lines) {
      bar.clear();
      std::fprintf(effects.exit.value_or(0) == 0 ? stdout : stderr, "%s\n", line.text.c_str());
    }
    std::fflush(stdout);
    const auto progress = node.loading_progress();
    bar.show(progress.done, progress.total, now.mono_us);
    if (effects.exit) break;
    if (!effects.again) lanes.drain();
    for (const FileJobDone& done : lanes.take_done()) node.job_done(done);
  }
  bar.clear();
  lanes.drain();
  if (*effects.exit == 0) std::printf("Start a server on it with: holdfast-server --dir %s\n", into.c_str());
  return *effects.exit;
}

}  // namespace hf::edge
