// Lives before a drill, and starts after one.
#include "drill.h"

#include "log/check.h"
#include "node/verify.h"

namespace hf::sim {
namespace {

constexpr uint64_t node_seed = 7;

node::Setup setup_of(SimDisk& disk, const config::Options& options) {
  node::Setup setup{.options = options, .seed = node_seed, .files = &disk};
  setup.walk_entries_a_slice = 3;
  return setup;
}

void check_folder_is_sound(SimDisk& disk) {
  for (const auto& [name, bytes] : disk.contents())
    must(!name.ends_with(".tmp"), name + " is left over after a start, a snapshot and a clean end");
  const log::FolderReport report = log::check_folder(disk, node::verify_snapshots(disk));
  must(report.soundness == log::Soundness::Sound,
       "holdfast-check finds the folder unsound: " + report.verdict);
}

}  // namespace

config::Options drill_options() {
  config::Options options;
  options.appendfsync = config::FsyncPolicy::Always;
  options.log_segment_bytes = 1400;
  options.log_preallocate_bytes = 500;
  options.save.clear();
  return options;
}

Life live_on(const Life& life, const config::Options& options, const std::vector<std::string>& lines) {
  Life now = life;
  Stage stage;
  FaultCounts faults;
  SimDisk disk(stage, faults, 3);
  disk.fill(life.disk);
  Player player(stage, disk, setup_of(disk, options), &now.oracle);
  player.settle();
  for (const std::string& line : lines) {
    player.tell(line);
    player.settle();
    now.marks.push_back({player.node().log_place().end.value, player.node().digest()});
  }
  player.shut_down();
  now.end = player.node().log_place().end.value;
  now.digest = player.node().digest();
  now.disk = disk.contents();
  return now;
}

Life long_life() {
  std::vector<std::string> lines;
  const auto write = [&](int from, int upto) {
    for (int i = from; i < upto; ++i)
      lines.push_back("SET key" + std::to_string(i % 9) + " " +
                      std::string(static_cast<size_t>(60 + i * 17 % 200), 'v') + std::to_string(i));
  };
  write(0, 12);
  lines.push_back("BGSAVE TAG one");
  write(12, 20);
  lines.push_back("MULTI");
  lines.push_back("INCR n");
  lines.push_back("HSET h f 1");
  lines.push_back("EXEC");
  lines.push_back("TASK.SUBMIT t QUEUE q");
  lines.push_back("BGSAVE");
  write(20, 36);
  return live_on({}, drill_options(), lines);
}

Started start_on(const Contents& contents, bool use) {
  Started started;
  Stage stage;
  FaultCounts faults;
  SimDisk disk(stage, faults, 5);
  disk.fill(contents);
  {
    Player player(stage, disk, setup_of(disk, drill_options()));
    player.settle();
    if (player.exit()) {
      started.refusal = player.said();
      must(disk.contents() == contents, "a folder that was refused was changed: " + player.said());
      return started;
    }
    must(player.node().serving(), "the node neither serves nor ends: " + player.said());
    started.offset = player.node().log_place().reign_begin.value;
    started.digest = player.node().digest();
    started.snapshots = player.ask("SNAPSHOT LIST");
    if (use) {
      player.tell("SET after-the-cut " + std::string(900, 'x'));
      player.tell("BGSAVE");
      player.settle();
      player.tell("SET after-the-snapshot " + std::string(900, 'y'));
    }
    player.shut_down();
    started.end = player.node().log_place().end.value;
    started.disk = disk.contents();
    if (!use) return started;
  }
  check_folder_is_sound(disk);
  const Started again = start_on(started.disk, false);
  must(again.refusal.empty() && again.offset == started.end, "the second start: " + again.refusal);
  return started;
}

}  // namespace hf::sim
