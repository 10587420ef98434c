// A backup beside a running server, the power of both cut at once: the copy knows nothing that the server may
// forget, the backup of yesterday stays one, and the next run brings it up to date.
#include "drill.h"
#include "log/backup.h"

namespace hf::sim {
namespace {

constexpr uint64_t chunk_bytes = 1000;

/// As the edge does it. `between` is called before each action.
void back_up(Stage& stage, SimDisk& source, SimDisk& target, const std::function<void(size_t)>& between) {
  const auto plan = log::plan_backup(source, target);
  must(bool(plan), plan ? "" : "the backup is refused: " + plan.error().message);
  const auto done = [](const Status& status) { must(bool(status), status ? "" : status.error().message); };
  done(carry_out(stage, source, {{.kind = FileStep::Kind::Sync, .name = plan->sync_first}}));
  for (size_t i = 0; i < plan->actions.size(); ++i) {
    const log::BackupAction& action = plan->actions[i];
    between(i);
    for (uint64_t at = action.from; at < action.to; at += chunk_bytes) {
      auto bytes = source.read(action.name, at, std::min(chunk_bytes, action.to - at));
      must(bytes && !bytes->empty(), action.name + " became shorter while it was copied");
      done(carry_out(
          stage, target,
          {{.kind = FileStep::Kind::Write, .name = action.as, .offset = at, .bytes = std::move(*bytes)}}));
    }
    done(carry_out(stage, target, action.steps));
  }
}
void alone(size_t) {}

class BackupDrill final : public Drill {
 public:
  struct Story {
    std::string name;
    const Life* life;
    Contents backup = {};     ///< of an earlier run
    uint64_t backup_end = 0;  ///< what that one promised
    bool gap = false;         ///< the server has trimmed what would join it
  };
  explicit BackupDrill(Story story) : Drill(story.name), story_(std::move(story)) {}

  void set_up(Run& run) override {
    run.source.fill(story_.life->disk);
    run.target.fill(story_.backup);
    run.oracle = story_.life->oracle;
    config::Options options = drill_options();
    options.appendfsync = config::FsyncPolicy::Everysec;  // there is something that a power cut takes
    node::Setup setup{.options = options, .seed = 11, .files = &run.source};
    run.player = std::make_unique<Player>(run.stage, run.source, std::move(setup), &run.oracle);
    run.player->settle();
    for (int i = 0; i < 3; ++i)
      run.player->tell("SET unsynced" + std::to_string(i) + " " + std::string(300, 'u'));
  }

  void perform(Run& run) override {
    back_up(run.stage, run.source, run.target, [&](size_t i) {
      if (i % 2 == 1) run.player->tell("SET meanwhile " + std::string(100, 'm') + std::to_string(i));
    });
  }

  Left judge(Run& run, bool cut) override {
    const Oracle known = run.oracle;
    if (cut) run.oracle.crashed(true);
    const Started source = start_on(run.source.contents(), true);
    must(source.refusal.empty(), "the server's folder is refused: " + source.refusal);
    const std::string wrong = run.oracle.recovered(source.offset, source.digest);
    must(wrong.empty(), "the server's folder: " + wrong);

    const Contents left = run.target.contents();
    const Left state = look_at(left, known, source.offset);
    Run again(1);
    again.source.fill(source.disk);
    again.target.fill(left);
    back_up(again.stage, again.source, again.target, alone);
    const Started original = start_on(source.disk, false), copy = start_on(again.target.contents(), true);
    must(copy.refusal.empty(), "after a second run: " + copy.refusal);
    must(copy.offset == original.offset && copy.digest == original.digest,
         "after a second run the copy is not the original");
    return state;
  }

 private:
  Left look_at(const Contents& left, const Oracle& known, uint64_t source_end) const {
    if (left.empty()) return Left::Nothing;
    const Started copy = start_on(left, true);
    if (!copy.refusal.empty()) {
      must(copy.refusal.find("was not finished") != std::string::npos,
           "refused, but not as unfinished: " + copy.refusal);
      must(story_.backup.empty() || story_.gap, "the earlier backup can't be used any more: " + copy.refusal);
      return Left::Incomplete;
    }
    must(copy.offset >= story_.backup_end, "the backup went back behind what it had");
    must(copy.offset <= source_end, "the backup knows what its server has forgotten");
    const std::string* digest = known.digest_at(copy.offset);
    must(digest != nullptr && *digest == copy.digest, "the backup holds a state that never was");
    return Left::Whole;
  }

  Story story_;
};

Contents backup_of(const Life& life) {
  Run run(1);
  run.source.fill(life.disk);
  back_up(run.stage, run.source, run.target, alone);
  return run.target.contents();
}

}  // namespace

void add_backup_drills(Drills& drills) {
  static const Life life = long_life();
  static const Life later = live_on(
      life, drill_options(),
      {"SET later " + std::string(900, 'l'), "BGSAVE TAG later", "SET last " + std::string(700, 'l')});
  config::Options trimming = drill_options();
  trimming.log_keep_bytes = 0;
  trimming.snapshot_keep = 1;
  static const Life trimmed = live_on(
      life, trimming,
      {"SET a " + std::string(1300, 'a'), "SET b " + std::string(1300, 'b'), "BGREWRITEAOF", "SET c 1"});
  const auto add = [&](BackupDrill::Story story) {
    drills.push_back(std::make_unique<BackupDrill>(std::move(story)));
  };
  add({.name = "backup, the first", .life = &life});
  add({.name = "backup of a trimmed log", .life = &trimmed});
  add({.name = "backup, the next", .life = &later, .backup = backup_of(life), .backup_end = life.end});
  add({.name = "backup after a gap",
       .life = &trimmed,
       .backup = backup_of(life),
       .backup_end = life.end,
       .gap = true});
}

}  // namespace hf::sim
