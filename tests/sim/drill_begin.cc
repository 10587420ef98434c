// A server without a log begins one while it serves. Wherever the power is cut, the next start finds what it
// would have found without: the old state, or a snapshot's. From the moment that the log is there, it finds
// what was acknowledged.
#include <algorithm>

#include "drill.h"

namespace hf::sim {
namespace {

class BeginDrill final : public Drill {
 public:
  enum class Asks : uint8_t { Option, Replica };
  BeginDrill(std::string name, const Life* life, Asks asks) : Drill(std::move(name)), life_(life), asks_(asks) {}

  void set_up(Run& run) override {
    if (life_ != nullptr) run.source.fill(life_->disk);
    config::Options options = drill_options();
    options.appendonly = false;
    node::Setup setup{.options = options, .seed = 11, .files = &run.source};
    setup.walk_entries_a_slice = 3;
    run.player = std::make_unique<Player>(run.stage, run.source, std::move(setup));
    run.player->settle();
    run.oracle = {};
    states_ = {run.player->node().digest()};
    promised_ = 0;
  }

  void perform(Run& run) override {
    Player& player = *run.player;
    write(player, 4, 40);
    if (asks_ == Asks::Option) {
      player.tell("CONFIG SET appendonly yes");
      run.stage.pass(1'100'000);
    } else {
      const node::ConnId replica = player.node().connected({"127.0.0.1:3", "127.0.0.1:2", false, true});
      player.feed(replica, "REPLCONF capa holdfast1\r\nPSYNC ? -1\r\n");
    }
    write(player, 12, 300);
    player.settle();
    write(player, 12, 300);
    must(promised_ + 10 > states_.size(), "undisturbed, no log is begun");
  }

  Left judge(Run& run, bool cut) override {
    const Started started = start_on(run.source.contents(), true);
    must(started.refusal.empty(), "the start is refused: " + started.refusal);
    // The latest that it can be: states return, and what was on its way may have arrived.
    const auto at = std::find(states_.rbegin(), states_.rend(), started.digest);
    if (at == states_.rend()) {
      must(cut && started.digest == in_doubt_, "the folder holds a state that never was");
      return Left::Whole;
    }
    const auto index = static_cast<size_t>(states_.rend() - at) - 1;
    must(index >= promised_, "state " + std::to_string(index) + " is back, promised was " + std::to_string(promised_));
    return index == 0 ? Left::Nothing : Left::Whole;
  }

 private:
  void write(Player& player, int n, size_t bytes) {
    for (int i = 0; i < n; ++i) {
      const bool logged = player.node().log_place().end.value > 0;
      in_doubt_ = expected(states_.size());
      player.tell("SET w" + std::to_string(i % 5) + " " + std::string(bytes, 'w') + std::to_string(states_.size()));
      states_.push_back(player.node().digest());
      if (all_.size() < states_.size()) all_.push_back(states_.back());
      if (logged) promised_ = states_.size() - 1;
    }
  }
  /// As the performance without a cut, which comes first, had it.
  std::string expected(size_t index) const { return index < all_.size() ? all_[index] : std::string(); }

  const Life* life_;
  Asks asks_;
  std::vector<std::string> states_, all_{""};
  std::string in_doubt_;  ///< behind the write that is under way
  size_t promised_ = 0;
};

}  // namespace

void add_begin_drills(Drills& drills) {
  static const Life life = long_life();
  const auto add = [&](const char* name, const Life* before, BeginDrill::Asks asks) {
    drills.push_back(std::make_unique<BeginDrill>(name, before, asks));
  };
  add("a log begun over an older one", &life, BeginDrill::Asks::Option);
  add("a log begun in an empty folder", nullptr, BeginDrill::Asks::Option);
  add("a log begun for a replica", &life, BeginDrill::Asks::Replica);
}

}  // namespace hf::sim
