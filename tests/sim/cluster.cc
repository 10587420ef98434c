// A cluster's clock and processes: starts, turns, effects, ends.
#include "cluster.h"

#include <cerrno>

#include <algorithm>

#include "base/check.h"
#include "base/number.h"

namespace hf::sim {
namespace {

constexpr size_t events_kept = 1500;

}  // namespace

void Cluster::after(int64_t delay_us, std::function<void()> what) {
  agenda_.push({now_us_ + std::max<int64_t>(0, delay_us), ++event_number_, std::move(what)});
}

void Cluster::trace(const std::function<std::string()>& text) {
  if (!options_.trace) return;
  events_.push_back("t=" + std::to_string(now_us_) + "us #" + std::to_string(steps_) + " " + text());
  if (events_.size() > events_kept) events_.pop_front();
}

void Cluster::broken(const Node& node, const std::string& what) const {
  throw Broken{"n" + std::to_string(node.number) + ": " + what};
}

void Cluster::run_until(const std::function<bool()>& done, int64_t limit_us,
                        const std::function<std::string()>& what) {
  const int64_t deadline = now_us_ + limit_us;
  while (!done()) {
    if (agenda_.empty() || agenda_.top().at > deadline)
      throw Broken{what() + " (not within " + std::to_string(limit_us / 1000) + " ms)"};
    // The queue's top is const for its order's sake, which moving `what` out leaves as it is.
    Event event = std::move(const_cast<Event&>(agenda_.top()));
    agenda_.pop();
    now_us_ = event.at;
    ++steps_;
    event.what();
  }
}

node::HostFacts Cluster::facts() {
  node::HostFacts facts;
  facts.version = "0";
  return facts;
}

Cluster::Node* Cluster::running(int number) {
  return number >= 0 && nodes_[static_cast<size_t>(number)].process ? &nodes_[static_cast<size_t>(number)]
                                                                    : nullptr;
}

// ---- starting, turning --------------------------------------------------------------------------

void Cluster::start(Node& node) {
  HF_CHECK(!node.process);
  node::Setup setup;
  setup.options = node.options = draw_options(node);
  setup.seed = prng_.next();
  setup.files = node.disk.get();
  setup.host = this;
  setup.walk_entries_a_slice = static_cast<size_t>(prng_.between(1, 40));
  if (setup.options.hash_seed % 3 != 0) setup.snapshot_block_bytes = 100;
  node.came_back = node.served = node.shutting_down = node.loads_again = false;
  node.place = {};
  node.acknowledged = {};
  node.handed_over_at.reset();
  node.failing_over_to = nobody;
  node.reign_limit = 0;
  node.idle_turns = 0;
  node.disk_failures_at_start = node.disk->failures();
  node.mono_base_us = prng_.between(0, 1'000'000'000) - now_us_;
  trace([&] {
    return "n" + std::to_string(node.number) + " starts, life " + std::to_string(node.life) +
           (node.configured == nobody ? "" : ", follows n" + std::to_string(node.configured));
  });
  node.process = std::make_unique<node::ServerNode>(std::move(setup));
  if (!winding_down_ && !options_.calm && node.life > 0 && prng_.chance(1, 5)) {
    node.fuse = static_cast<uint64_t>(prng_.between(1, 14));
    node.fuse_power = prng_.chance(1, 2);
  }
  schedule_turn(node, 0);
}

void Cluster::schedule_turn(Node& node, int64_t delay_us) {
  if (!node.process) return;
  const int64_t at = now_us_ + delay_us;
  if (node.turn_at <= at) return;
  node.turn_at = at;
  const uint64_t ticket = ++node.turn_ticket;
  after(delay_us, [this, ticket, &node] {
    if (ticket != node.turn_ticket || !node.process) return;
    node.turn_at = INT64_MAX;
    if (now_us_ < node.paused_until) return schedule_turn(node, node.paused_until - now_us_);
    run_turn(node);
  });
}

void Cluster::run_turn(Node& node) {
  ++node.turns;
  for (size_t i = 0; i < pipes_.size(); ++i) {
    const PipeRef pipe = pipes_[i];
    for (int s = 0; s < 2; ++s)
      if (pipe->side[s].node == node.number && pipe->side[s].open && !pipe->side[s].inbox.empty())
        read_inbox(pipe, s);
  }
  effects_.clear();
  node.tip_before = node.tip;
  before_turn(node);
  node.process->turn({wall_base_ms_ + node.wall_skew_ms + now_us_ / 1000, node.mono_base_us + now_us_},
                     effects_);
  // What is said comes first: it explains what the checks see.
  for (const node::LogLine& line : effects_.lines) hear(node, line);
  after_turn(node);
  carry_out(node, effects_);
}

void Cluster::hear(Node& node, const node::LogLine& line) {
  const std::string& text = line.text;
  trace([&] { return "n" + std::to_string(node.number) + " says: " + text; });
  const auto has = [&](const char* words) { return text.find(words) != std::string::npos; };
  if (has("a torn tail of")) faults_.add(Fault::TornTailCut);
  if (text.starts_with("Loaded ")) faults_.add(Fault::SnapshotLoaded);
  if (text.starts_with("The snapshot failed")) faults_.add(Fault::SnapshotFailed);
  if (text.starts_with("Following nobody from now on")) node.promoted = true;
  if (text.starts_with("Taking over from the primary")) {
    node.promoted = node.takes_over = true;
    if (life_ == Life::Mixed) leader_ = node.number;
  }
  if (text.starts_with("Failing over to "))
    node.failing_over_to = static_cast<int>(*parse_int(Bytes(text).substr(text.rfind(':') + 1))) - 7000;
  if (has("is given up: ")) node.failing_over_to = nobody;
  if (has("are kept as rescue/")) faults_.add(Fault::TailRescued);
  if (has(": continues at offset")) faults_.add(Fault::PartialSync);
  if (has(": full sync: ")) {
    faults_.add(Fault::FullSync);
    // Some snapshots fail with a part of them sent: behind the first job, whose blocks nobody has before.
    if (!winding_down_ && event_number_ % 4 == 0)
      node.disk->fail_step(FileStep::Kind::Write, 6 + event_number_ % 11, EIO);
  }
  if (has("the snapshot it was being sent has failed")) faults_.add(Fault::FailedWhileSent);
  if (has("loaded beside the old data set")) faults_.add(Fault::LoadedBeside);
  if (has("is dropped before the new one is loaded")) faults_.add(Fault::DroppedFirst);
  if (has("This node's log parts from the primary's")) node.loads_again = true;
  if (has("full sync: the log begins at offset")) faults_.add(Fault::FellOffTheLog);
  if (has(": diverged at offset")) faults_.add(Fault::Diverged);
  hear_audit(node, text);
  if (has("can't be applied")) broken(node, "what a primary sent is refused: " + text);
  if (has("There is a primary: everything is fetched again")) {
    if (!node.rotten) broken(node, "a folder that no disk has damaged is refused: " + text);
    refused_folder(node);
  }
  if (has("was not committed within commit-timeout-ms")) faults_.add(Fault::InDoubt);
  if (has("reigns; writes were paused for")) faults_.add(Fault::SwitchedOver);
  if (has("is given up: the target did not catch up")) faults_.add(Fault::SwitchoverTimedOut);
  if (has("is given up: the target's link was lost")) faults_.add(Fault::SwitchoverTargetLost);
  if (has("is given up: ") && care_.from == node.number) care_.given_up = true;
}

bool Cluster::effect_done(Node& node) {
  if (node.fuse == 0 || --node.fuse > 0) return false;
  faults_.add(node.fuse_power ? Fault::PowerCutAtEffect : Fault::KillAtEffect);
  crash(node, node.fuse_power);
  return true;
}

void Cluster::carry_out(Node& node, node::Effects& effects) {
  if (!node.served && node.process->serving()) {
    node.served = true;
    trace([&] { return "n" + std::to_string(node.number) + " serves"; });
    // It has nothing: what the life before was about to take in, and came to a MANIFEST of, went with it.
    if (node.place.following && node.place.cluster_id.empty()) node.adopts.clear();
  }
  // Jobs first or output first: real loops differ, and it must not matter.
  const bool output_first = prng_.chance(1, 2);
  note_jobs(node, effects.jobs);
  for (int part = 0; part < 2; ++part) {
    if ((part == 0) == output_first) {
      for (const node::ConnId conn : effects.send) {
        take_output(node, conn);
        if (effect_done(node)) return;
      }
    } else {
      for (FileJob& job : effects.jobs) {
        node.disk->submit(std::move(job));
        if (effect_done(node)) return;
      }
    }
  }
  for (const node::ConnId conn : effects.close) {
    int side = 0;
    if (const PipeRef pipe = pipe_of(node, conn, side)) close(pipe, side, true);
    if (effect_done(node)) return;
  }
  for (const node::Dial& to : effects.dial) dial(node, to);
  if (effects.exit) return exited(node, *effects.exit);
  if (effects.again) schedule_turn(node, prng_.between(1, 20));
  if (effects.wake_at != INT64_MAX)
    schedule_turn(node, std::max<int64_t>(1, effects.wake_at - (node.mono_base_us + now_us_)));
}

// ---- ends ---------------------------------------------------------------------------------------

void Cluster::exited(Node& node, int code) {
  trace([&] { return "n" + std::to_string(node.number) + " exits with " + std::to_string(code); });
  const bool disk_failed = node.disk->failures() > node.disk_failures_at_start;
  if (code == 0) {
    if (!node.shutting_down) broken(node, "exit 0 that nobody asked for");
    if (node.served && node.place.settled)
      node.written = node.synced = node.place.end.value;  // a clean end: all of it
  } else if (node.rotten && !disk_failed) {
    refused_folder(node);
    if (life_ != Life::Quorum) node.disk->wipe(), node.rotten = false;
  } else if (!disk_failed) {
    std::string why = "it gave up though its disk did not fail";
    for (const node::LogLine& line : effects_.lines) why += "\n    it says: " + line.text;
    broken(node, why);
  }
  const bool power = code != 0 ? prng_.chance(1, 2) : prng_.chance(1, 4);
  node.disk->clear_faults();
  gone(node, power, prng_.between(1'000, 50'000));
}

void Cluster::crash(Node& node, bool power) {
  if (!node.process) return;
  trace([&] {
    return "n" + std::to_string(node.number) + (power ? " POWER CUT" : " KILL -9") + ", its log at " +
           std::to_string(node.place.end.value);
  });
  ++crashes_;
  if (!node.served) faults_.add(Fault::CrashWhileStarting);
  if (node.served && !node.place.following)
    faults_.add(power ? Fault::PrimaryPowerCut : Fault::PrimaryKilled);
  gone(node, power,
       winding_down_        ? 1'000
       : prng_.chance(1, 5) ? prng_.between(50'000, 1'500'000)
                            : prng_.between(1'000, 30'000));
}

void Cluster::gone(Node& node, bool power, int64_t restart_in_us) {
  node.fuse = 0;
  // What it had in memory it may have spoken of.
  if (node.place.last_sum != 0) node.tips.push_back({node.place.end.value, node.place.last_sum});
  node.power = node.power || power;
  ++node.life;
  node.turn_at = INT64_MAX;
  ++node.turn_ticket;
  node.process.reset();
  node.shutting_down = false;
  node.copies = node.copies_before = 0;
  if (power) node.disk->power_cut();
  else node.disk->kill();
  for (size_t i = 0; i < pipes_.size(); ++i) {
    const PipeRef pipe = pipes_[i];
    for (int s = 0; s < 2; ++s) {
      if (pipe->side[s].node != node.number || !pipe->side[s].open) continue;
      // Without power nobody tells the other end.
      const bool silent = power && prng_.chance(1, 2);
      if (silent) faults_.add(Fault::LinkHalfOpen);
      close(pipe, s, !silent);
    }
  }
  after(restart_in_us, [this, &node, life = node.life] {
    if (!node.process && node.life == life && !node.held) start(node);
  });
}

}  // namespace hf::sim
