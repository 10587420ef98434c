// Counts a drill's effects in a run without a cut, then cuts at each: before it is done and after it, in as
// many outcomes as asked for. The work is dealt out to processes.
#include "drills.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>

#include "base/check.h"
#include "drill.h"

namespace hf::sim {
namespace {

constexpr size_t drills_max = 64, jobs_max = 64;

struct Tally {
  uint64_t effects = 0, cuts = 0, whole = 0, incomplete = 0, nothing = 0, failed = 0;
  void add(const Tally& other) {
    effects = std::max(effects, other.effects);
    cuts += other.cuts, whole += other.whole, incomplete += other.incomplete;
    nothing += other.nothing, failed += other.failed;
  }
};
/// Of all processes, in memory that they share.
struct Tallies {
  Tally of[jobs_max][drills_max];
};

/// How many effects the procedure has. Throws Wrong when it fails by itself.
uint64_t count_effects(Drill& drill) {
  Run run(1);
  drill.set_up(run);
  run.stage.arm(0, CutWhen::After);
  drill.perform(run);
  const uint64_t effects = run.stage.effects();
  run.player.reset();
  drill.judge(run, false);
  return effects;
}

Left cut_at(Drill& drill, uint64_t effect, CutWhen when, uint64_t outcome) {
  Run run(1);
  drill.set_up(run);
  run.stage.arm(effect, when);
  bool cut = false;
  try {
    drill.perform(run);
  } catch (const PowerCut&) {
    cut = true;
  }
  run.player.reset();
  must(cut, "the story is not the same each time");
  const uint64_t seed = (effect * 2 + (when == CutWhen::After ? 1 : 0)) * 1'000'003 + outcome;
  run.source.reseed(seed);
  run.target.reseed(seed + 500'000);
  run.source.power_cut();
  run.target.power_cut();
  return drill.judge(run, true);
}

void note(Left left, Tally& tally) {
  ++tally.cuts;
  ++(left == Left::Whole ? tally.whole : left == Left::Incomplete ? tally.incomplete : tally.nothing);
}

void say_failed(const Drill& drill, const std::string& where, const std::string& what) {
  std::printf("%s%s FAILED: %s\n", drill.name().c_str(), where.c_str(), what.c_str());
  std::fflush(stdout);
}

/// Every jobs-th cut of one drill.
void run_share(Drill& drill, const DrillFlags& flags, unsigned number, Tally& tally) {
  try {
    tally.effects = count_effects(drill);
  } catch (const Wrong& wrong) {
    ++tally.failed;
    return say_failed(drill, ", undisturbed,", wrong.what);
  }
  uint64_t turn = 0;
  for (uint64_t effect = 1; effect <= tally.effects; ++effect)
    for (const CutWhen when : {CutWhen::Before, CutWhen::After})
      for (uint64_t outcome = 0; outcome < flags.outcomes; ++outcome) {
        if (turn++ % flags.jobs != number) continue;
        try {
          note(cut_at(drill, effect, when, outcome), tally);
        } catch (const Wrong& wrong) {
          ++tally.cuts, ++tally.failed;
          if (tally.failed > 3) continue;
          say_failed(drill,
                     std::string(", cut ") + (when == CutWhen::Before ? "in" : "after") + " effect " +
                         std::to_string(effect) + " of " + std::to_string(tally.effects) + ", outcome " +
                         std::to_string(outcome) + ",",
                     wrong.what);
        }
      }
}

Drills all_drills(const std::string& only) {
  Drills all, chosen;
  add_live_drills(all);
  add_restore_drills(all);
  add_backup_drills(all);
  add_repair_drills(all);
  add_adopt_drills(all);
  add_begin_drills(all);
  for (auto& drill : all)
    if (drill->name().find(only) != std::string::npos) chosen.push_back(std::move(drill));
  HF_CHECK(chosen.size() <= drills_max);
  return chosen;
}

void run_process(const Drills& drills, const DrillFlags& flags, unsigned number, Tallies& tallies) {
  for (size_t i = 0; i < drills.size(); ++i) run_share(*drills[i], flags, number, tallies.of[number][i]);
  std::fflush(stdout);
}

void print_row(const std::string& name, const Tally& t) {
  std::printf("%-32s %8llu %8llu %8llu %11llu %8llu %8llu\n", name.c_str(),
              static_cast<unsigned long long>(t.effects), static_cast<unsigned long long>(t.cuts),
              static_cast<unsigned long long>(t.whole), static_cast<unsigned long long>(t.incomplete),
              static_cast<unsigned long long>(t.nothing), static_cast<unsigned long long>(t.failed));
}

}  // namespace

int run_drills(const DrillFlags& flags) {
  const auto begin = std::chrono::steady_clock::now();
  Drills drills;
  try {
    drills = all_drills(flags.only);
  } catch (const Wrong& wrong) {
    std::printf("before the drills: %s\n0 passed, 1 failed\n", wrong.what.c_str());
    return 1;
  }
  void* memory = mmap(nullptr, sizeof(Tallies), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  HF_CHECK(memory != MAP_FAILED);
  Tallies& tallies = *new (memory) Tallies();
  std::array<pid_t, jobs_max> processes{};
  for (unsigned i = 0; i < flags.jobs; ++i) {
    processes[i] = fork();
    HF_CHECK(processes[i] >= 0);
    if (processes[i] != 0) continue;
    run_process(drills, flags, i, tallies);
    _exit(0);
  }
  uint64_t ended = 0;
  for (unsigned i = 0; i < flags.jobs; ++i) {
    int status = 0;
    waitpid(processes[i], &status, 0);
    ended += !WIFEXITED(status) || WEXITSTATUS(status) != 0 ? 1 : 0;
  }
  std::printf("%-32s %8s %8s %8s %11s %8s %8s\n", "drill", "effects", "cuts", "whole", "incomplete",
              "nothing", "failed");
  uint64_t passed = 0, failed = ended;
  Tally all;
  for (size_t i = 0; i < drills.size(); ++i) {
    Tally sum;
    for (unsigned j = 0; j < flags.jobs; ++j) sum.add(tallies.of[j][i]);
    print_row(drills[i]->name(), sum);
    const bool good = sum.failed == 0 && sum.cuts == sum.effects * 2 * flags.outcomes;
    ++(good ? passed : failed);
    const uint64_t effects = all.effects + sum.effects;
    all.add(sum);
    all.effects = effects;
  }
  print_row("all", all);
  if (ended > 0) std::printf("%llu processes ended by a signal\n", static_cast<unsigned long long>(ended));
  std::printf("%.1f s\n%llu passed, %llu failed\n",
              std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(),
              static_cast<unsigned long long>(passed), static_cast<unsigned long long>(failed));
  return failed == 0 && passed > 0 ? 0 : 1;
}

}  // namespace hf::sim
