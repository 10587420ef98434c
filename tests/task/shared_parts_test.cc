// What a walk costs a task with large checkpoints: references, not copies.
#include <catch2/catch.hpp>

#include "store/digest.h"
#include "task/change.h"
#include "task/decide.h"
#include "task/task_object.h"
#include "task/tasks.h"

namespace hf::task {
namespace {

constexpr size_t payload_bytes = 1 << 20;
constexpr uint64_t checkpoints = 8;

std::unique_ptr<TaskObject> task_with_checkpoints() {
  auto task = std::make_unique<TaskObject>();
  const Now now{1'700'000'000'000, 1};
  Change submit;
  submit.has_payload = true;
  const std::string input(payload_bytes, 'p');
  submit.payload = input;
  submit.lease_ms = 15000;
  REQUIRE(task->apply(decide_submit(nullptr, submit, 0, 1, now, Options())).ok());
  REQUIRE(task->apply(decide_lease(*task->newest(), Event::Claim, "w", "", 0, {1}, now)).ok());
  for (uint64_t v = 1; v <= checkpoints; ++v) {
    Change save;
    save.kind = Change::Kind::Checkpoint;
    save.run = 1;
    save.at = now.wall_ms;
    save.version = v;
    save.step = static_cast<int64_t>(v);
    save.keep = checkpoints;
    const std::string payload(payload_bytes, static_cast<char>('a' + v));
    save.payload = payload;
    save.meta = "{}";
    save.sum = checkpoint_sum(save.payload, save.step, save.meta);
    REQUIRE(task->apply(save).ok());
  }
  return task;
}

/// Keeps the bytes of the one large value it is given.
struct Keeper final : store::WalkConsumer {
  void take(DbIndex, const store::Entry&) override { ++entries; }
  void take_large(const store::LargeValue& value) override { size = value.size; }
  void take_field(uint64_t, Bytes, Bytes) override {}
  void take_large_field(uint64_t, Bytes, uint64_t, uint64_t) override {}
  void take_bytes(uint64_t, Bytes piece) override { bytes += piece; }
  size_t entries = 0;
  uint64_t size = 0;
  std::string bytes;
};

}  // namespace

TEST_CASE("a small change to a task with large checkpoints copies less than a piece aside") {
  store::Store store(store::Options{.hash_seed = 1});
  store.set_loader(store::Type::Task, load_task);
  const store::Key key = store.key("job");
  store.insert_object(0, key, task_with_checkpoints());
  std::string before;
  store.find(0, key)->object()->save(before);
  REQUIRE(before.size() > (checkpoints + 1) * payload_bytes);

  Keeper keeper;
  const store::WalkId walk = store.begin_walk(keeper);
  auto& task = static_cast<TaskObject&>(*store.edit_object(0, key));
  Change told;
  told.kind = Change::Kind::Progress;
  told.run = 1;
  told.at = 1'700'000'001'000;
  told.progress = 5;
  told.total = 8;
  CHECK(task.apply(told).ok());
  CHECK(keeper.size == before.size());
  CHECK(keeper.bytes.empty());
  CHECK(store.kept_for_walks_bytes() < store::piece_bytes_max);
  CHECK(store.kept_for_walks_bytes() > 0);

  SECTION("the walk gets the task as it was") {
    while (!store.walk_some(walk, 10)) {}
    CHECK(keeper.bytes == before);
    CHECK(store.kept_for_walks_bytes() == 0);
  }
  SECTION("what is deleted while the walk needs it counts from then on, and the walk still gets it whole") {
    store.remove(0, key);
    while (store.free_some(100)) {}
    CHECK(store.kept_for_walks_bytes() > checkpoints * payload_bytes);
    while (!store.walk_some(walk, 10)) {}
    CHECK(keeper.bytes == before);
    CHECK(store.kept_for_walks_bytes() == 0);
  }
  SECTION("an aborted walk lets go of everything") {
    store.abort_walk(walk);
    CHECK(store.kept_for_walks_bytes() == 0);
  }
}

TEST_CASE("saved in parts, a task is the same bytes as saved whole") {
  const auto task = task_with_checkpoints();
  std::string whole, joined;
  task->save(whole);
  store::SavedParts parts;
  task->save_parts(parts);
  for (const auto& part : parts.parts()) joined += *part;
  CHECK(joined == whole);
  CHECK(parts.size() == whole.size());
  CHECK(parts.held_alone() < 4096);
}

}  // namespace hf::task
