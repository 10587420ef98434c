// Back in time, into a fresh folder: the folder left is read only, the new one is whole or known to be
// unfinished.
#include "drill.h"
#include "log/incomplete.h"
#include "log/manifest.h"

namespace hf::sim {
namespace {

class RestoreDrill final : public Drill {
 public:
  RestoreDrill(std::string name, const Life& life, const std::string& point, const Life::Mark& promised)
      : Drill(std::move(name)), life_(life), point_(*log::parse_restore_point(point)), promised_(promised) {}

  void set_up(Run& run) override { run.source.fill(life_.disk); }

  void perform(Run& run) override { restore(run.stage, run.source, run.target); }

  Left judge(Run& run, bool) override {
    must(run.source.contents() == life_.disk, "the folder that was restored from has changed");
    const Contents left = run.target.contents();
    const Started started = start_on(left, true);
    const bool unfinished = started.refusal.find("was not finished") != std::string::npos;
    const bool whole = started.refusal.empty() && !left.empty();
    must(started.refusal.empty() || unfinished, "refused, but not as unfinished: " + started.refusal);
    if (whole) check(started);
    // Once more, from where it stopped.
    Run again(1);
    again.source.fill(life_.disk);
    again.target.fill(left);
    if (whole) {
      must(!log::begin_restore(again.target), "a finished restore is begun anew");
      return Left::Whole;
    }
    restore(again.stage, again.source, again.target);
    const Started second = start_on(again.target.contents(), true);
    must(second.refusal.empty(), "after a second run: " + second.refusal);
    check(second);
    return left.empty() ? Left::Nothing : Left::Incomplete;
  }

 private:
  void check(const Started& started) const {
    must(started.offset == promised_.offset && started.digest == promised_.digest,
         "the restored folder holds another state than asked for (offset " + std::to_string(started.offset) +
             ")");
  }

  void restore(Stage& stage, SimDisk& source, SimDisk& target) const {
    auto begin = log::begin_restore(target);
    must(bool(begin), begin ? "" : "the restore is refused: " + begin.error().message);
    const Status ready = carry_out(stage, target, std::move(*begin));
    must(bool(ready), "the target can't be made ready");
    node::Setup setup{.options = drill_options(), .seed = 13, .files = &source};
    setup.walk_entries_a_slice = 2;
    setup.restore = point_;
    Player player(stage, target, std::move(setup));
    player.settle();
    must(player.exit() == 0, "the restore failed: " + player.said());
  }

  const Life& life_;
  log::RestorePoint point_;
  Life::Mark promised_;
};

}  // namespace

void add_restore_drills(Drills& drills) {
  static const Life life = long_life();
  constexpr size_t tagged = 12, middle = 22;  // lines of the story
  const auto add = [&](std::string name, const std::string& point, const Life::Mark& mark) {
    drills.push_back(std::make_unique<RestoreDrill>(std::move(name), life, point, mark));
  };
  add("restore of a tag", "tag:one", life.marks[tagged]);
  add("restore of an offset", std::to_string(life.marks[middle].offset), life.marks[middle]);
}

}  // namespace hf::sim
