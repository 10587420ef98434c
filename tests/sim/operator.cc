// Who runs this world: the operator's commands, bad luck drawn from the seed, and the end of the story.
#include <cerrno>

#include "base/check.h"
#include "kv_client.h"
#include "worker.h"
#include "world.h"

namespace hf::sim {
namespace {

constexpr int64_t ms = 1'000;
constexpr int64_t second = 1'000 * ms;
constexpr const char* policies[] = {"always", "everysec", "no"};

}  // namespace

/// A person with an admin's connection.
class World::Operator final : public Actor {
 public:
  explicit Operator(World& world) : Actor(world) {}

  void wake() override {
    Prng& prng = world_.prng();
    if (world_.winding_down()) return;
    if (link_ == nullptr) link_ = world_.connect(*this);
    if (link_ != nullptr && !said_goodbye_) {
      std::vector<Request> out(1);
      Request& request = out[0];
      switch (prng.below(40) == 0 ? 8 : prng.below(8)) {
        case 8: {
          constexpr const char* modes[] = {"SAVE", "NOSAVE", "NOW"};
          request.args = {"SHUTDOWN", modes[prng.below(3)]};
          request.kind = shutdown_kind;
          request.blocks = said_goodbye_ = true;  // it is answered only when it fails
          break;
        }
        case 0:
        case 1: {
          const size_t policy = prng.below(3);
          request.args = {"CONFIG", "SET", "appendfsync", policies[policy]};
          request.kind = policy_kind;
          request.a = policy == 0;
          break;
        }
        case 2: request.args = {"DBSIZE"}; break;
        case 3: request.args = {"INFO"}; break;
        case 4:
          request.args = {"SELECT", std::to_string(2 + prng.below(2))};
          out.resize(2);
          out[1].args = {"FLUSHDB"};
          break;
        default: request.args = {"BGSAVE"};
      }
      world_.send(*link_, std::move(out));
    }
    wake_in(prng.between(20 * ms, 500 * ms));
  }
  void left(Request& request, const resp::Value& value) override {
    if (request.kind == shutdown_kind) {
      world_.shutdown_refused();
      said_goodbye_ = false;
    }
    if (request.kind != policy_kind) return;
    if (value.is_error()) return world_.policy_stays();
    world_.policy_is(request.a == 1);
  }
  void reply(Request&, resp::Value&) override {}
  void lost(std::deque<Request>&) override {
    link_ = nullptr;
    said_goodbye_ = false;
  }

 private:
  Link* link_ = nullptr;
  bool said_goodbye_ = false;
};

World::World(WorldOptions options)
    : options_(options), prng_(options.seed * 2 + 1), disk_(*this, faults_, options.seed ^ 0xd15c) {
  disk_.on_done = [this](const FileJobDone& done) {
    if (!node_) return;
    idle_turns_ = 0;
    node_->job_done(done);
    schedule_turn(prng_.between(0, 40));
  };
  disk_.after_step = [this] { effect_done(); };
  disk_.on_renamed = [this](const std::string& name) { check_snapshot(name); };
  large_values_ = prng_.chance(1, 10);
  wall_base_ms_ = 1'700'000'000'000 + prng_.between(0, 1'000'000'000);
}

World::~World() = default;

void World::build_actors() {
  actors_.push_back(std::make_unique<Operator>(*this));
  const int64_t clients = prng_.between(2, 5);
  for (int i = 0; i < clients; ++i) actors_.push_back(std::make_unique<KvClient>(*this, i));
  add_workers(*this, actors_);
  for (auto& actor : actors_) wake(*actor, prng_.between(0, 5 * ms));
}

config::Options World::draw_options() {
  config::Options options;
  options.databases = 4;
  options.hash_seed = static_cast<int64_t>(prng_.between(1, 1'000'000));
  options.appendfsync = static_cast<config::FsyncPolicy>(prng_.below(3));
  if (segment_bytes_ == 0) segment_bytes_ = int64_t{2048} << (2 * prng_.below(5));
  options.log_segment_bytes = segment_bytes_;
  options.save.clear();
  if (prng_.chance(1, 3)) options.save.push_back({1, 10});
  options.snapshot_keep = prng_.between(1, 3);
  options.hz = prng_.between(5, 50);
  options.hash_max_listpack_entries = prng_.chance(1, 2) ? 4 : 128;
  options.task_lease_ms_default = prng_.between(200, 1'500);
  options.task_backoff_base_ms = 20;
  options.task_backoff_cap_ms = 500;
  options.task_runs_keep = 10'000;
  return options;
}

// ---- bad luck -----------------------------------------------------------------------------------

void World::fuse(uint64_t effects, bool power) {
  fuse_ = effects;
  fuse_power_ = power;
}

void World::begin_shutdown() {
  if (!node_ || shutting_down_) return;
  count(Fault::CleanShutdown);
  node_->request_shutdown();
  schedule_turn(0);
  shutdown_begins();
}

void World::shutdown_begins() {
  shutting_down_ = true;
  trace([] { return std::string("clean shutdown asked"); });
  // One that does not end: with a disk that fails it may; a person would then kill it.
  after(20 * second, [this, life = life_] {
    if (life != life_) return;
    check(disk_.failures() > disk_failures_at_start_,
          [] { return std::string("a clean shutdown does not end"); });
    crash(false);
  });
}

void World::plan_disk_fault() {
  using Kind = FileStep::Kind;
  const uint64_t nth = static_cast<uint64_t>(prng_.between(1, 12));
  switch (prng_.below(12)) {
    case 0:
    case 1:
    case 2: disk_.fail_step(Kind::Write, nth, prng_.chance(1, 2) ? EIO : ENOSPC); break;
    case 3: disk_.fail_step(Kind::Sync, nth, EIO); break;
    case 4: disk_.fail_step(Kind::SyncDir, 1, EIO); break;
    case 5:
      disk_.fail_step(Kind::Write, 1, EIO);
      disk_.fail_step(Kind::Truncate, 1, EIO);
      break;
    case 6: disk_.fail_step(Kind::Rename, static_cast<uint64_t>(prng_.between(1, 3)), EIO); break;
    case 7:
    case 8:
      disk_.set_full(true);
      after(prng_.between(5 * ms, 2'500 * ms), [this] { disk_.set_full(false); });
      break;
    default: disk_.stall(static_cast<Lane>(prng_.below(3)), prng_.between(20 * ms, 4'000 * ms));
  }
}

void World::bad_luck() {
  if (winding_down_) return;
  switch (prng_.below(16)) {
    case 0:
    case 1:
      if (node_) count(Fault::Kill), crash(false);
      break;
    case 2:
    case 3:
      if (node_) count(Fault::PowerCut), crash(true);
      break;
    case 4:
    case 5:
    case 6: fuse(static_cast<uint64_t>(prng_.between(1, 60)), prng_.chance(1, 2)); break;
    case 7: begin_shutdown(); break;
    case 8:
      count(Fault::ClockForward);
      wall_base_ms_ += prng_.between(1, 5'000);
      break;
    case 9:
      count(Fault::ClockBackward);
      wall_base_ms_ -= prng_.between(1, 5'000);
      break;
    case 10:
      if (node_) {
        count(Fault::SlowTurn);
        paused_until_ = now_us_ + prng_.between(20 * ms, 2'000 * ms);
      }
      break;
    case 11: disk_.set_slowness(prng_.chance(1, 2) ? 1 : prng_.between(2, 20)); break;
    default: plan_disk_fault();
  }
  after(prng_.between(30 * ms, 900 * ms), [this] { bad_luck(); });
}

// ---- the story ----------------------------------------------------------------------------------

std::optional<Failure> World::run() {
  try {
    start_node();
    build_actors();
    after(prng_.between(50 * ms, 600 * ms), [this] { bad_luck(); });
    run_until([&] { return commands_ >= options_.commands_min && crashes_ >= options_.crashes_min; },
              600 * second, "enough of a history");
    wind_down();
    last_act();
  } catch (const Broken& broken) {
    return Failure{steps_, now_us_, broken.what};
  }
  return {};
}

/// The faults are over: the node has to serve again, and everything begun has to come to its end.
void World::wind_down() {
  trace([] { return std::string("no more faults from here on"); });
  winding_down_ = true;
  fuse_ = 0;
  paused_until_ = 0;
  disk_.clear_faults();
  disk_.set_slowness(1);
  if (shutting_down_) run_until([&] { return !shutting_down_; }, 30 * second, "the end of a clean shutdown");
  run_until([&] { return serving(); }, 20 * second, "serving after the faults ended");
  for (auto& actor : actors_) wake(*actor, prng_.between(0, 5 * ms));
  run_until(
      [&] {
        for (auto& actor : actors_)
          if (!actor->finished()) return false;
        return true;
      },
      120 * second, "the end of all work begun");
}

/// A clean end and a power cut behind it; then a byte on the platter flips, and the node must notice or not
/// need it.
void World::last_act() {
  begin_shutdown();
  run_until([&] { return !node_; }, 10 * second, "the end of a clean shutdown");
  oracle_.crashed(true);
  disk_.power_cut();
  run_until([&] { return serving(); }, 20 * second, "serving after a clean shutdown");
  begin_shutdown();
  run_until([&] { return !node_; }, 10 * second, "the end of a clean shutdown");
  const auto names = disk_.list();
  const std::string& name = (*names)[prng_.below(names->size())];
  const uint64_t size = *disk_.size(name);
  if (size == 0) return;
  const uint64_t byte = prng_.below(size);
  trace([&] { return "a bit of " + name + ", byte " + std::to_string(byte) + ", flips"; });
  disk_.flip(name, byte, static_cast<int>(prng_.below(8)));
  expect_refusal_ = true;
  run_until([&] { return refused_ || serving(); }, 20 * second, "a verdict on a folder with a flipped bit");
}

}  // namespace hf::sim
