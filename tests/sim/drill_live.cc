// A serving node's own procedures: its start, the roll of a segment, snapshots, trims, rewrites of MANIFEST,
// its end.
#include "drill.h"

namespace hf::sim {
namespace {

/// Some lines said to a node; the node may also be started within the drill.
class LiveDrill final : public Drill {
 public:
  struct Story {
    std::string name;
    const Life* before = nullptr;
    config::Options options = drill_options();
    std::vector<std::string> lines = {};
    bool start = false;               ///< the start is a part of it
    bool shutdown = false;            ///< so is the end
    std::set<std::string> tags = {};  ///< that the lines' replies promise
  };
  explicit LiveDrill(Story story) : Drill(story.name), story_(std::move(story)) {}

  void set_up(Run& run) override {
    if (story_.before != nullptr) {
      run.source.fill(story_.before->disk);
      run.oracle = story_.before->oracle;
    }
    if (!story_.start) begin(run);
  }

  void perform(Run& run) override {
    if (story_.start) begin(run);
    for (const std::string& line : story_.lines) run.player->tell(line);
    // What the lines promise holds from the last reply on: a cut in what follows must not take it back.
    run.tags = story_.tags;
    run.player->settle();
    if (story_.shutdown) run.player->shut_down();
  }

  Left judge(Run& run, bool cut) override {
    if (cut) run.oracle.crashed(true);
    const Started started = start_on(run.source.contents(), true);
    must(started.refusal.empty(), "the start is refused: " + started.refusal);
    const std::string wrong = run.oracle.recovered(started.offset, started.digest);
    must(wrong.empty(), wrong);
    for (const std::string& tag : run.tags)
      must(started.snapshots.find("\r\n" + tag + "\r\n") != std::string::npos,
           "the tag '" + tag + "' was acknowledged and is gone");
    return Left::Whole;
  }

 private:
  void begin(Run& run) {
    node::Setup setup{.options = story_.options, .seed = 11, .files = &run.source};
    setup.walk_entries_a_slice = 3;
    run.player = std::make_unique<Player>(run.stage, run.source, std::move(setup), &run.oracle);
    run.player->settle();
  }

  Story story_;
};

std::vector<std::string> writes(int n, size_t bytes) {
  std::vector<std::string> lines;
  for (int i = 0; i < n; ++i)
    lines.push_back("SET w" + std::to_string(i % 5) + " " + std::string(bytes, 'w') + std::to_string(i));
  return lines;
}

std::vector<std::string> around(const std::string& line, int before, int behind) {
  std::vector<std::string> lines = writes(before, 40);
  lines.push_back(line);
  for (const std::string& more : writes(behind, 120)) lines.push_back(more);
  return lines;
}

/// A folder as a power cut left it, with a torn tail.
Life torn_life(const Life& before) {
  for (uint64_t seed = 1;; ++seed) {
    Run run(seed);
    run.source.fill(before.disk);
    Life life = before;
    config::Options options = drill_options();
    options.appendfsync = config::FsyncPolicy::No;
    {
      node::Setup setup{.options = options, .seed = 11, .files = &run.source};
      Player player(run.stage, run.source, std::move(setup), &life.oracle);
      player.settle();
      for (const std::string& line : writes(6, 700)) player.tell(line);
      run.source.reseed(seed);
    }
    run.source.power_cut();
    life.disk = run.source.contents();
    life.oracle.crashed(true);
    const Started started = start_on(life.disk, false);
    bool torn = false;
    for (const auto& [name, bytes] : started.disk) torn = torn || name.starts_with("rescue/");
    if (torn) return life;
  }
}

}  // namespace

void add_live_drills(Drills& drills) {
  static const Life life = long_life();
  static const Life torn = torn_life(life);
  using Story = LiveDrill::Story;
  const auto add = [&](Story story) { drills.push_back(std::make_unique<LiveDrill>(std::move(story))); };
  config::Options trimming = drill_options();
  trimming.log_keep_bytes = 0;
  trimming.snapshot_keep = 1;
  add(Story{.name = "first start", .lines = writes(2, 40), .start = true});
  add(Story{.name = "start", .before = &life, .lines = writes(1, 40), .start = true});
  add(Story{.name = "start after a torn tail", .before = &torn, .lines = writes(1, 40), .start = true});
  add(Story{.name = "roll of a segment", .before = &life, .lines = writes(12, 400)});
  add(Story{.name = "snapshot", .before = &life, .lines = around("BGSAVE TAG two", 2, 6)});
  add(Story{.name = "trim", .before = &life, .options = trimming, .lines = around("BGREWRITEAOF", 2, 6)});
  add(Story{.name = "rewrite of MANIFEST",
            .before = &life,
            .lines = {"SNAPSHOT TAG one three"},
            .tags = {"three"}});
  add(Story{.name = "removal of a snapshot", .before = &life, .lines = around("SNAPSHOT DELETE one", 1, 2)});
  add(Story{.name = "clean end", .before = &life, .lines = writes(2, 40), .shutdown = true});
}

}  // namespace hf::sim
