// Another data set takes the place of a server's own: a full sync from a Holdfast of another cluster, the
// dump of a Redis. Wherever the power is cut, the next start finds the old state or the new one, whole; or,
// between a Redis's dump and the snapshot that holds it, says that there is nothing to serve.
#include <algorithm>

#include "drill.h"

namespace hf::sim {
namespace {

/// What a primary says to a replica that has nothing of its: the answer to PSYNC, the snapshot or dump, and
/// what is written behind it. Its states from the snapshot on.
struct Primary {
  std::string said;
  std::vector<std::string> digests;
};

Primary record_primary(bool stock) {
  Primary out;
  Stage stage;
  FaultCounts faults;
  SimDisk disk(stage, faults, 31);
  node::Setup setup{.options = drill_options(), .seed = 33, .files = &disk};
  setup.walk_entries_a_slice = 3;
  Player player(stage, disk, std::move(setup));
  player.settle();
  for (int i = 0; i < 15; ++i)
    player.tell("SET theirs" + std::to_string(i) + " " + std::string(static_cast<size_t>(40 + i * 9), 't'));
  if (!stock) player.tell("TASK.SUBMIT theirs QUEUE q");
  const node::ConnId replica = player.node().connected({"127.0.0.1:3", "127.0.0.1:2", false, true});
  const auto take = [&] {
    Buffer bytes = player.node().take_output(replica);
    if (!bytes.empty()) player.node().sent(replica, bytes.size(), Buffer());
    return std::string(bytes.view());
  };
  player.feed(replica, stock ? "REPLCONF capa eof\r\n" : "REPLCONF capa holdfast1\r\n");
  take();
  player.feed(replica, "PSYNC ? -1\r\n");
  for (int i = 0; i < 6; ++i) {
    out.said += take();
    player.settle();
    stage.pass(300'000);
  }
  out.digests.push_back(player.node().digest());
  if (stock) player.feed(replica, "REPLCONF ACK 0\r\n");  // it has the dump, and may be sent what follows
  for (int i = 0; i < 3; ++i) {
    player.tell("SET behind" + std::to_string(i) + " value");
    player.settle();
    out.said += take();
    out.digests.push_back(player.node().digest());
  }
  return out;
}

class AdoptDrill final : public Drill {
 public:
  struct Story {
    std::string name;
    const Life* life;
    const Primary* primary;
    bool stock = false;
    config::ReplicaLoad load = config::ReplicaLoad::Auto;
  };
  explicit AdoptDrill(Story story) : Drill(story.name), story_(std::move(story)) {}

  void set_up(Run& run) override {
    run.source.fill(story_.life->disk);
    config::Options options = drill_options();
    options.replicaof = "there 6379";
    options.replica_load = story_.load;
    node::Setup setup{.options = options, .seed = 11, .files = &run.source};
    setup.walk_entries_a_slice = 3;
    run.player = std::make_unique<Player>(run.stage, run.source, std::move(setup));
    run.player->settle();
    must(!run.player->dialed().empty(), "the replica does not dial");
    link_ = run.player->dialed().front().conn;
    run.player->node().dialed(link_, true, "");
    run.player->feed(link_,
                     story_.stock ? "+PONG\r\n+OK\r\n+OK\r\n" : "+PONG\r\n+OK\r\n+OK holdfast1\r\n+OK\r\n");
  }

  void perform(Run& run) override {
    run.player->feed(link_, story_.primary->said);
    run.player->settle();
    const std::string now = run.player->node().digest();
    must(now == story_.primary->digests.back(),
         "undisturbed, the replica does not get where the primary is: " + run.player->said());
  }

  Left judge(Run& run, bool cut) override {
    const Started started = start_on(run.source.contents(), true);
    if (!started.refusal.empty()) {
      must(story_.stock && started.refusal.find("is not here") != std::string::npos,
           "the start is refused: " + started.refusal);
      return Left::Incomplete;
    }
    const auto& theirs = story_.primary->digests;
    const bool is_new = std::find(theirs.begin(), theirs.end(), started.digest) != theirs.end();
    must(is_new || started.digest == story_.life->digest,
         "the folder holds neither the old state nor the new");
    must(cut || is_new, "undisturbed, the old state is back");
    return is_new ? Left::Whole : Left::Nothing;
  }

 private:
  Story story_;
  node::ConnId link_;
};

}  // namespace

void add_adopt_drills(Drills& drills) {
  static const Life life = long_life();
  static const Primary native = record_primary(false), stock = record_primary(true);
  const auto add = [&](AdoptDrill::Story story) {
    drills.push_back(std::make_unique<AdoptDrill>(std::move(story)));
  };
  add({.name = "full sync, loaded beside", .life = &life, .primary = &native});
  add({.name = "full sync, old data dropped first",
       .life = &life,
       .primary = &native,
       .load = config::ReplicaLoad::DropFirst});
  add({.name = "dump of a Redis, beside", .life = &life, .primary = &stock, .stock = true});
  add({.name = "dump of a Redis, dropped first",
       .life = &life,
       .primary = &stock,
       .stock = true,
       .load = config::ReplicaLoad::DropFirst});
}

}  // namespace hf::sim
