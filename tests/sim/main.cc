// The simulator's command line: one seed with its last events, many seeds with a table of the faults they
// met, or the planted bugs, each of which has to be found.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "base/check.h"
#include "base/planted.h"
#include "cluster.h"
#include "drills.h"
#include "world.h"

namespace hf::sim {
namespace {

struct Flags {
  uint64_t seed = 0;  ///< one seed, with its last events
  uint64_t from = 1, count = 500;
  double hours = 0;  ///< soak: new seeds until the time is over
  unsigned jobs = 1;
  std::string seeds_file;  ///< these always run, before the others; empty: those of this kind of life
  bool counts_matter = true;
  bool all_planted = false;
  bool cluster = false;  ///< lives of three nodes instead of one
  bool drills = false;
  DrillFlags drill;
};

struct Plant {
  Bug bug;
  const char* name;
};
constexpr Plant plants[] = {
    {Bug::SyncSkipped, "sync-skipped"},
    {Bug::FailedSyncForgiven, "failed-sync-forgiven"},
    {Bug::TornRefused, "torn-refused"},
    {Bug::DamageCut, "damage-cut"},
    {Bug::ReignResumed, "reign-resumed"},
    {Bug::ReplyEarly, "reply-early"},
    {Bug::ReadEarly, "read-early"},
    {Bug::HandOverForgotten, "hand-over-forgotten"},
    {Bug::GenerationKept, "generation-kept"},
    {Bug::SnapshotTooEarly, "snapshot-too-early"},
    {Bug::TokenNotRaised, "token-not-raised"},
    {Bug::NotFenced, "not-fenced"},
};
/// Those that take more than one node to be seen.
constexpr Plant cluster_plants[] = {
    {Bug::RescueSkipped, "rescue-skipped"},
    {Bug::AckBeforeStored, "ack-before-stored"},
    {Bug::SentBeforeWritten, "sent-before-written"},
    {Bug::MirroredForgotten, "mirrored-forgotten"},
    {Bug::PromotedWithoutReign, "promoted-without-reign"},
    {Bug::ReplicaExpires, "replica-expires"},
    {Bug::ChainNotChecked, "chain-not-checked"},
    {Bug::AdoptedUnsynced, "adopted-unsynced"},
    {Bug::PartialForgotten, "partial-forgotten"},
    {Bug::ReplicaCountedEarly, "replica-counted-early"},
    {Bug::SupersededCounted, "superseded-counted"},
    {Bug::FullRescueSkipped, "full-rescue-skipped"},
    {Bug::ReadEarly, "read-early"},
    {Bug::CommitWithoutSync, "commit-without-sync"},
    {Bug::CommitWithoutSelf, "commit-without-self"},
    {Bug::UncommittedApplied, "uncommitted-applied"},
    {Bug::UncommittedShown, "uncommitted-shown"},
    {Bug::HandedOverEarly, "handed-over-early"},
    {Bug::WritesBehindHandOver, "writes-behind-hand-over"},
    {Bug::HeldRunUnlogged, "held-run-unlogged"},
    {Bug::LateCopyJudges, "late-copy-judges"},
    {Bug::AuditBlind, "audit-blind"},
    {Bug::AuditCutLate, "audit-cut-late"},
    {Bug::AuditServes, "audit-serves"},
};
/// A planted bug that hides longer than this is not found.
constexpr uint64_t seeds_for_a_plant = 4000;

bool plant([[maybe_unused]] Bug bug) {
#ifdef HOLDFAST_PLANTED_BUGS
  planted_bug = bug;
  return true;
#else
  std::fputs("this build has no planted bugs; see `make planted`\n", stderr);
  return false;
#endif
}

/// Shared with the child processes: a seed that aborts takes its process along, and must still be named.
struct Shared {
  struct Child {
    uint64_t seed, passed, failed, commands, crashes;
    FaultCounts faults;
  };
  Child children[64];
};

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string report(uint64_t seed, const Failure& failure, bool cluster) {
  return "seed " + std::to_string(seed) + " FAILED at step " + std::to_string(failure.step) + " (" +
         std::to_string(failure.time_us / 1000) + " ms): " + failure.invariant + "\n  to repeat: make sim" +
         (cluster ? "-cluster" : "") + " SEED=" + std::to_string(seed) + "\n";
}

template <class Life>
auto options_for(uint64_t seed, bool with_events);
template <>
auto options_for<World>(uint64_t seed, bool with_events) {
  return WorldOptions{.seed = seed, .trace = with_events};
}
template <>
auto options_for<Cluster>(uint64_t seed, bool with_events) {
  return ClusterOptions{.seed = seed, .trace = with_events};
}

/// With the events that led there: the same seed lives the same life again.
template <class Life>
int run_one(uint64_t seed) {
  Life world(options_for<Life>(seed, true));
  const auto failure = world.run();
  if (!failure) {
    std::printf("seed %llu passed: %llu commands, %llu crashes\n", static_cast<unsigned long long>(seed),
                static_cast<unsigned long long>(world.commands()),
                static_cast<unsigned long long>(world.crashes()));
    return 0;
  }
  for (const std::string& event : world.last_events()) std::printf("  %s\n", event.c_str());
  std::fputs(report(seed, *failure, std::is_same_v<Life, Cluster>).c_str(), stdout);
  return 1;
}

template <class Life>
void run_and_count(uint64_t seed, Shared::Child& mine) {
  mine.seed = seed;
  Life world(options_for<Life>(seed, false));
  const auto failure = world.run();
  mine.commands += world.commands();
  mine.crashes += world.crashes();
  mine.faults.add(world.faults());
  if (!failure) {
    ++mine.passed;
    return;
  }
  ++mine.failed;
  std::fputs(report(seed, *failure, std::is_same_v<Life, Cluster>).c_str(), stdout);
  std::fflush(stdout);
}

/// One process of `jobs`: every jobs-th seed.
void run_share(const Flags& flags, const std::vector<uint64_t>& kept, unsigned number, Shared::Child& mine) {
  const double end = seconds_now() + flags.hours * 3600;
  uint64_t next = 0;
  for (;; ++next) {
    if (next % flags.jobs != number) continue;
    if (next < kept.size()) {
      flags.cluster ? run_and_count<Cluster>(kept[next], mine) : run_and_count<World>(kept[next], mine);
      continue;
    }
    const uint64_t n = next - kept.size();
    if (flags.hours > 0 ? seconds_now() >= end : n >= flags.count) break;
    flags.cluster ? run_and_count<Cluster>(flags.from + n, mine) : run_and_count<World>(flags.from + n, mine);
  }
  mine.seed = 0;
}

bool print_faults(const FaultCounts& faults, std::span<const FaultName> fault_names, bool counts_matter) {
  bool all = true;
  std::printf("faults by kind:\n");
  for (size_t i = 0; i < fault_names.size(); ++i) {
    const uint64_t n = faults.of(fault_names[i].fault);
    std::printf("  %-34s %10llu%s", fault_names[i].name, static_cast<unsigned long long>(n),
                n == 0 ? "  NEVER" : "");
    std::printf("%s", i % 2 == 1 || n == 0 ? "\n" : "");
    all = all && (n > 0 || !counts_matter);
  }
  std::printf("\n");
  return all;
}

std::vector<uint64_t> read_seeds(const std::string& name) {
  std::vector<uint64_t> out;
  std::ifstream in(name);
  std::string line;
  while (std::getline(in, line))
    if (!line.empty() && line[0] != '#') out.push_back(std::stoull(line));
  return out;
}

int run_many(const Flags& flags) {
  const std::string own = flags.cluster ? "tests/sim/cluster_seeds.txt" : "tests/sim/seeds.txt";
  const std::vector<uint64_t> kept = read_seeds(flags.seeds_file.empty() ? own : flags.seeds_file);
  void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  HF_CHECK(memory != MAP_FAILED);
  Shared& shared = *new (memory) Shared();
  const double begin = seconds_now();
  std::vector<pid_t> processes;
  for (unsigned i = 0; i < flags.jobs; ++i) {
    const pid_t pid = fork();
    HF_CHECK(pid >= 0);
    if (pid == 0) {
      run_share(flags, kept, i, shared.children[i]);
      std::fflush(stdout);
      _exit(0);
    }
    processes.push_back(pid);
  }
  FaultCounts faults;
  uint64_t passed = 0, failed = 0, commands = 0, crashes = 0;
  for (unsigned i = 0; i < flags.jobs; ++i) {
    int status = 0;
    waitpid(processes[i], &status, 0);
    Shared::Child& child = shared.children[i];
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
      ++failed;
      std::printf(
          "seed %llu FAILED: the process ended (signal %d); seeds behind it did not run\n"
          "  to repeat: make sim%s SEED=%llu\n",
          static_cast<unsigned long long>(child.seed), WIFSIGNALED(status) ? WTERMSIG(status) : 0,
          flags.cluster ? "-cluster" : "", static_cast<unsigned long long>(child.seed));
    }
    faults.add(child.faults);
    passed += child.passed, failed += child.failed, commands += child.commands, crashes += child.crashes;
  }
  const bool all_kinds = print_faults(
      faults, flags.cluster ? std::span<const FaultName>(cluster_faults) : node_faults, flags.counts_matter);
  const double took = seconds_now() - begin;
  const uint64_t seeds = passed + failed;
  std::printf("%llu seeds in %.1f s (%.0f a minute), %llu commands, %llu crashes\n",
              static_cast<unsigned long long>(seeds), took, static_cast<double>(seeds) * 60 / took,
              static_cast<unsigned long long>(commands), static_cast<unsigned long long>(crashes));
  if (!all_kinds) {
    ++failed;
    std::printf("a kind of fault never struck: a hole in the test\n");
  }
  std::printf("%llu passed, %llu failed\n", static_cast<unsigned long long>(passed),
              static_cast<unsigned long long>(failed));
  return failed == 0 ? 0 : 1;
}

/// Lives seeds until one fails. Empty: none did. In a process of its own: a planted bug may well end it.
template <class Life>
std::string first_failure(const Plant& what, uint64_t& seeds) {
  int ends[2];
  HF_CHECK(pipe(ends) == 0);
  void* memory = mmap(nullptr, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  HF_CHECK(memory != MAP_FAILED);
  uint64_t& seed = *static_cast<uint64_t*>(memory);
  const pid_t pid = fork();
  HF_CHECK(pid >= 0);
  if (pid == 0) {
    close(ends[0]);
    dup2(ends[1], STDERR_FILENO);  // what an abort says
    plant(what.bug);
    for (seed = 1; seed <= seeds_for_a_plant; ++seed) {
      Life world(options_for<Life>(seed, false));
      const auto failure = world.run();
      if (!failure) continue;
      const std::string& text = failure->invariant;
      (void)!write(ends[1], text.data(), text.size());
      _exit(0);
    }
    _exit(0);
  }
  close(ends[1]);
  std::string said;
  char buffer[4096];
  for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;)
    said.append(buffer, static_cast<size_t>(n));
  close(ends[0]);
  int status = 0;
  waitpid(pid, &status, 0);
  seeds = std::min(seed, seeds_for_a_plant);
  if (said.empty() && WIFSIGNALED(status))
    said = "the process ended, signal " + std::to_string(WTERMSIG(status));
  return said;
}

int run_planted(std::span<const Plant> list, bool cluster) {
  if (!plant(Bug::None)) return 2;
  unsigned found = 0, missed = 0;
  for (const Plant& what : list) {
    uint64_t seeds = 0;
    std::string why = cluster ? first_failure<Cluster>(what, seeds) : first_failure<World>(what, seeds);
    why = why.substr(0, why.find('\n'));
    if (why.empty()) {
      ++missed;
      std::printf("%-22s NOT FOUND in %llu seeds\n", what.name, static_cast<unsigned long long>(seeds));
    } else {
      ++found;
      std::printf("%-22s found by seed %llu: %s\n", what.name, static_cast<unsigned long long>(seeds),
                  why.substr(0, 150).c_str());
    }
    std::fflush(stdout);
  }
  std::printf("planted bugs: %u passed, %u failed\n", found, missed);
  return missed == 0 ? 0 : 1;
}

bool plant_by_name(const std::string& name) {
  for (const Plant& what : plants)
    if (name == what.name) return plant(what.bug);
  for (const Plant& what : cluster_plants)
    if (name == what.name) return plant(what.bug);
  std::fputs("planted bugs:", stderr);
  for (const Plant& what : plants) std::fprintf(stderr, " %s", what.name);
  for (const Plant& what : cluster_plants) std::fprintf(stderr, " %s", what.name);
  std::fputs("\n", stderr);
  return false;
}

int usage() {
  std::fputs(
      "usage: sim [--cluster] [--seed N | --seeds COUNT [--from N] | --hours H] [--jobs N] [--kept FILE] "
      "[--any-faults]\n"
      "           [--plant NAME | --planted]\n"
      "       sim --drills [--drill NAME] [--outcomes N] [--jobs N]\n",
      stderr);
  return 2;
}

}  // namespace
}  // namespace hf::sim

int main(int argc, char** argv) {
  hf::sim::Flags flags;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    const bool more = i + 1 < argc;
    if (flag == "--seed" && more) flags.seed = std::strtoull(argv[++i], nullptr, 10);
    else if (flag == "--from" && more) flags.from = std::strtoull(argv[++i], nullptr, 10);
    else if (flag == "--seeds" && more) flags.count = std::strtoull(argv[++i], nullptr, 10);
    else if (flag == "--hours" && more) flags.hours = std::strtod(argv[++i], nullptr);
    else if (flag == "--jobs" && more)
      flags.jobs = static_cast<unsigned>(std::strtoul(argv[++i], nullptr, 10));
    else if (flag == "--kept" && more) flags.seeds_file = argv[++i];
    else if (flag == "--plant" && more) {
      if (!hf::sim::plant_by_name(argv[++i])) return 2;
    } else if (flag == "--planted") flags.all_planted = true;
    else if (flag == "--cluster") flags.cluster = true;
    else if (flag == "--drills") flags.drills = true;
    else if (flag == "--drill" && more) flags.drills = true, flags.drill.only = argv[++i];
    else if (flag == "--outcomes" && more) flags.drill.outcomes = std::strtoull(argv[++i], nullptr, 10);
    else if (flag == "--any-faults") flags.counts_matter = false;
    else return hf::sim::usage();
  }
  if (flags.all_planted)
    return flags.cluster ? hf::sim::run_planted(hf::sim::cluster_plants, true)
                         : hf::sim::run_planted(hf::sim::plants, false);
  if (flags.jobs < 1 || flags.jobs > 64) return hf::sim::usage();
  if (flags.drills) {
    flags.drill.jobs = flags.jobs;
    return hf::sim::run_drills(flags.drill);
  }
  if (flags.seed == 0) return hf::sim::run_many(flags);
  return flags.cluster ? hf::sim::run_one<hf::sim::Cluster>(flags.seed)
                       : hf::sim::run_one<hf::sim::World>(flags.seed);
}
