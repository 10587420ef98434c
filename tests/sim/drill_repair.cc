// holdfast-check --repair: the originals are somewhere at every moment, the folder is refused until it is
// mended, and a second repair finishes the first.
#include "drill.h"
#include "log/manifest.h"
#include "log/repair.h"
#include "log/segment.h"
#include "node/verify.h"

namespace hf::sim {
namespace {

constexpr int repairs_max = 4;

class RepairDrill final : public Drill {
 public:
  /// `promised`: the end of the log afterwards; 0: where the repair says that it cuts.
  RepairDrill(std::string name, Contents damaged, const Oracle& oracle, uint64_t promised)
      : Drill(std::move(name)), damaged_(std::move(damaged)), oracle_(oracle), promised_(promised) {}

  void set_up(Run& run) override {
    run.source.fill(damaged_);
    must(!start_on(damaged_, false).refusal.empty(), "the damage does not keep the server from starting");
  }

  void perform(Run& run) override { repair(run.stage, run.source, 17); }

  Left judge(Run& run, bool) override {
    const Contents left = run.source.contents();
    originals_are_in(left);
    const Started started = start_on(left, true);
    if (!started.refusal.empty())
      must(started.refusal.find("holdfast-check") != std::string::npos,
           "refused without a way out: " + started.refusal);
    else check(started);
    Run again(1);
    again.source.fill(left);
    repair(again.stage, again.source, 18);
    originals_are_in(again.source.contents());
    const Started second = start_on(again.source.contents(), true);
    must(second.refusal.empty(), "after a second repair: " + second.refusal);
    check(second);
    return started.refusal.empty() ? Left::Whole : Left::Incomplete;
  }

 private:
  void repair(Stage& stage, SimDisk& disk, WallMs now_ms) {
    for (int i = 0; i < repairs_max; ++i) {
      auto plan = log::plan_repair(disk, *node::newest_whole(disk), now_ms + i);
      must(bool(plan), plan ? "" : "the repair is refused: " + plan.error().message);
      if (plan->steps.empty()) return;
      if (plan->end && promised_ == 0) promised_ = plan->end->value;
      must(!plan->end || promised_ == plan->end->value, "the second repair saves less than the first announced");
      const Status done = carry_out(stage, disk, std::move(plan->steps));
      must(bool(done), done ? "" : "the repair failed: " + done.error().message);
    }
    must(false, "there is always more to repair");
  }

  void originals_are_in(const Contents& left) const {
    for (const auto& [name, bytes] : damaged_) {
      bool kept = false;
      for (const auto& [other, there] : left) kept = kept || there == bytes;
      must(kept, "no file holds what " + name + " held");
    }
  }

  void check(const Started& started) const {
    must(started.offset == promised_, "the repaired log ends at another offset than announced");
    const std::string* digest = oracle_.digest_at(started.offset);
    must(digest != nullptr && *digest == started.digest, "the repaired folder holds a state that never was");
  }

  Contents damaged_;
  Oracle oracle_;
  uint64_t promised_;
};

std::vector<std::string> names_of(const Contents& disk, std::string_view prefix) {
  std::vector<std::string> names;
  for (const auto& [name, bytes] : disk)
    if (name.starts_with(prefix)) names.push_back(name);
  return names;
}

void flip(std::string& bytes, size_t at) { bytes[at] = static_cast<char>(bytes[at] ^ 4); }

}  // namespace

void add_repair_drills(Drills& drills) {
  static const Life life = long_life();
  const std::vector<std::string> segments = names_of(life.disk, "log-"),
                                 snapshots = names_of(life.disk, "snapshot-");
  must(segments.size() >= 6 && snapshots.size() == 2,
       "the life before the drills has another shape than they need");
  const auto add = [&](std::string name, Contents damaged, uint64_t promised = 0) {
    drills.push_back(std::make_unique<RepairDrill>(std::move(name), std::move(damaged), life.oracle, promised));
  };
  Contents damaged = life.disk;
  std::string& bytes = damaged[segments[segments.size() - 2]];
  flip(bytes, bytes.size() / 2);
  add("repair of a damaged segment", damaged);

  damaged = life.disk;
  damaged.erase(segments[segments.size() - 2]);
  add("repair of a missing segment", damaged);

  damaged = life.disk;
  std::string& newest = damaged[snapshots.back()];
  flip(newest, newest.size() / 2);
  const LogOffset cut = *log::parse_snapshot_name(snapshots.back());
  std::string before = segments.front();
  for (const std::string& name : segments)
    if (*log::parse_segment_name(name) < cut) before = name;
  std::string& holed = damaged[before];
  flip(holed, log::segment_header_bytes + 200);
  add("repair with a damaged snapshot", damaged);

  damaged = life.disk;
  flip(damaged[before], log::segment_header_bytes + 200);
  add("repair of damage before a snapshot", damaged, life.end);

  damaged = life.disk;
  damaged.erase(log::manifest_name);
  add("repair of a lost MANIFEST", damaged, life.end);

  damaged = life.disk;
  flip(damaged[log::manifest_name], 40);
  flip(damaged[before], log::segment_header_bytes + 200);
  add("repair of a MANIFEST and of damage", damaged, life.end);
}

}  // namespace hf::sim
