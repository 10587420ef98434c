// The saved form of a task: round trips, sharing, and any bytes at all.
#include "task/task_object.h"

#include <catch2/catch.hpp>

#include "base/prng.h"
#include "task/change.h"
#include "task/decide.h"

namespace hf::task {
namespace {

/// A task with some of everything: three runs, checkpoints shared by two of them, tags, results, events.
std::unique_ptr<TaskObject> rich_task() {
  auto task = std::make_unique<TaskObject>();
  const Now now{1'700'000'000'000, 1};
  const Options options;
  const auto apply = [&](const Change& c) { REQUIRE(task->apply(c).ok()); };
  const auto run = [&]() -> const Run& { return *task->newest(); };
  Change submit;
  submit.queue = "gpu";
  submit.has_payload = true;
  submit.payload = "the payload";
  submit.tags = {"team", "core", "empty", ""};
  submit.trace = "trace-1";
  submit.unique = "u";
  submit.lease_ms = 15000;
  submit.retries = 5;
  submit.priority = -4;
  submit.keep = 9;
  apply(decide_submit(nullptr, submit, 0, 1, now, options));
  apply(decide_lease(run(), Event::Claim, "w1", "req", 0, {(1ull << 44) + 1}, now));
  for (uint64_t v = 1; v <= 3; ++v) {
    Change save;
    save.kind = Change::Kind::Checkpoint;
    save.run = 1;
    save.at = now.wall_ms;
    save.version = v;
    save.base = v - 1;
    save.step = static_cast<int64_t>(v) * 10;
    save.keep = 3;
    save.payload = "bytes of a checkpoint";
    save.meta = "{}";
    save.sum = checkpoint_sum(save.payload, save.step, save.meta);
    apply(save);
  }
  apply(decide_fail_permanent(run(), "bad", now));
  apply(decide_restart(*task, run(), "u2", 2, now, options));
  apply(decide_lease(run(), Event::Claim, "w2", "", 500, {(1ull << 44) + 2}, now));
  apply(decide_done(run(), true, "result", now));
  apply(decide_restart(*task, *task->find(1), "", 3, now, options));
  return task;
}

std::string saved(const TaskObject& task) {
  std::string out;
  task.save(out);
  return out;
}

TEST_CASE("a task is the same after save and load, after a clone, and shares what it shared") {
  const auto task = rich_task();
  const std::string bytes = saved(*task);
  auto loaded = TaskObject::load(bytes);
  REQUIRE(loaded.ok());
  CHECK(saved(**loaded) == bytes);
  CHECK((*loaded)->runs()[0]->rare->checkpoints->back() == (*loaded)->runs()[2]->rare->checkpoints->back());
  CHECK((*loaded)->runs()[0]->payload.identity() ==
        (*loaded)->runs()[1]->payload.identity());
  CHECK((*loaded)->memory_bytes() > bytes.size());
  const auto copy = task->clone();
  std::string copied;
  copy->save(copied);
  CHECK(copied == bytes);
  size_t payloads = 0;
  for (size_t at = 0; (at = bytes.find("bytes of a checkpoint", at)) != std::string::npos; ++at) ++payloads;
  CHECK(payloads == 3);
}

TEST_CASE("the worked example of FORMAT.md is what save writes") {
  TaskObject task;
  Change c;
  c.queue = "q";
  c.lease_ms = 15000;
  c.retries = 5;
  c.has_payload = true;
  c.payload = "hi";
  c.backoff_base_ms = 1000;
  c.backoff_cap_ms = 60000;
  REQUIRE(task.apply(decide_submit(nullptr, c, 0, 1, {1'700'000'000'000, 1}, {})).ok());
  const Token token{(1ull << 44) + 1};
  REQUIRE(task.apply(decide_lease(*task.newest(), Event::Claim, "w1", "", 0, token, {1'700'000'000'500, 1}))
              .ok());
  c = {};
  c.kind = Change::Kind::Checkpoint;
  c.run = 1;
  c.at = 1'700'000'001'000;
  c.version = 1;
  c.step = 10;
  c.token = token;
  c.keep = 3;
  c.payload = "abc";
  c.sum = checkpoint_sum("abc", 10, "");
  REQUIRE(task.apply(c).ok());
  std::string hex;
  for (const char b : saved(task)) {
    constexpr const char* digits = "0123456789abcdef";
    hex += digits[static_cast<uint8_t>(b) >> 4];
    hex += digits[static_cast<uint8_t>(b) & 15];
  }
  CHECK(hex ==
        "01020000010101000302001001000598759875e807e0d4030080a0abfef962e8a7abfef962d0afabfef962e8a7abfef9"
        "62008180808080800400000171027731000000000000026869000100010014d0afabfef96281808080808004cdd2afc6"
        "aac3f9eb15c1bab9c8a2caf096f001000003616263010280a0abfef962000000000202e8a7abfef96281808080808004"
        "02773100040203");
}

TEST_CASE("a run beside its large bytes takes little memory") {
  CHECK(sizeof(Run) <= 160);
  CHECK(sizeof(TaskObject) <= 64);
  EventLog events;
  events.push({1, {}, "", "", Event::Submit, State::Pending, State::Pending});
  events.push({2, {1ull << 44}, "worker-123", "", Event::Claim, State::Pending, State::Running});
  CHECK(events.memory_bytes() <= 48);
}

TEST_CASE("any bytes are a task or an error") {
  const std::string good = saved(*rich_task());
  for (size_t cut = 0; cut < good.size(); ++cut) CHECK(!TaskObject::load(Bytes(good).substr(0, cut)).ok());
  CHECK(!TaskObject::load(good + "x").ok());
  Prng dice(3);
  size_t valid = 0;
  for (int i = 0; i < 60000; ++i) {
    std::string bad = good;
    for (uint64_t flips = 1 + dice.below(3); flips > 0; --flips)
      bad[dice.below(bad.size())] = static_cast<char>(dice.chance(1, 2) ? dice.below(4) : dice.below(256));
    const auto loaded = TaskObject::load(bad);
    if (!loaded.ok()) {
      CHECK(!loaded.error().message.empty());
      continue;
    }
    ++valid;
    const std::string once = saved(**loaded);
    const auto twice = TaskObject::load(once);
    CHECK((twice.ok() && saved(**twice) == once));
  }
  CHECK(valid > 0);
  for (int i = 0; i < 20000; ++i) {
    std::string noise(1 + dice.below(80), '\0');
    for (char& c : noise) c = static_cast<char>(dice.below(256));
    noise[0] = 1;
    TaskObject::load(noise).ok();
  }
}

TEST_CASE("changes are read back as they were written") {
  const auto task = rich_task();
  ChangeEncoder encoder;
  const auto again = [&](const Change& c) {
    const auto args = encoder.encode("t", c);
    CHECK(args[0] == "TASK.APPLY");
    CHECK(args[1] == "t");
    auto read = decode_change(args.subspan(2));
    REQUIRE(read.ok());
    ChangeEncoder other;
    const auto second = other.encode("t", *read);
    CHECK(std::vector<Bytes>(args.begin(), args.end()) == std::vector<Bytes>(second.begin(), second.end()));
    return *read;
  };
  Change c;
  c.kind = Change::Kind::Submit;
  c.run = 4;
  c.queue = "q";
  c.tags = {"k", "", "", "v"};
  CHECK(again(c).tags.size() == 4);
  c = decide_steer("t", *task->newest(), Event::Cancel, "why", {5, 5}).change;
  CHECK(again(c).reason == "why");
  CHECK(again(c).to == State::Cancelled);
  c = {};
  c.kind = Change::Kind::Checkpoint;
  c.sum = {~0ull, 17};
  c.meta = "{}";
  CHECK(again(c).sum == c.sum);
  for (const auto kind :
       {Change::Kind::Restart, Change::Kind::Progress, Change::Kind::AskCheckpoint, Change::Kind::Trim}) {
    c = {};
    c.kind = kind;
    c.run = 77;
    CHECK(again(c).kind == kind);
  }
  const auto refused = [](std::vector<Bytes> args) { return !decode_change(args).ok(); };
  CHECK(refused({}));
  CHECK(refused({"trim"}));
  CHECK(refused({"trim", "1 2"}));
  CHECK(refused({"trim", "1 2 3 4"}));
  CHECK(refused({"trim", "1 2 3", "x"}));
  CHECK(refused({"move", "1 2 3"}));
  CHECK(refused({"claim", "1 2 99 0 0 0 0 0 0 0"}));
  CHECK(refused({"submit", "1  2"}));
}

TEST_CASE("changes that do not fit are refused and change nothing") {
  const auto task = rich_task();
  const std::string before = saved(*task);
  Change c;
  c.kind = Change::Kind::Submit;
  c.run = 9;
  CHECK(!task->apply(c).ok());  // the newest run is active
  c.kind = Change::Kind::Restart;
  CHECK(!task->apply(c).ok());
  c.kind = Change::Kind::Move;
  c.run = 55;
  CHECK(!task->apply(c).ok());
  c.run = 3;
  c.event = Event::Claim;
  c.to = State::Running;
  CHECK(!task->apply(c).ok());  // token 0 does not rise
  c.kind = Change::Kind::Trim;
  c.trim_below = 4;
  CHECK(!task->apply(c).ok());
  c.kind = Change::Kind::Checkpoint;
  c.version = 99;
  CHECK(!task->apply(c).ok());  // not RUNNING
  CHECK(saved(*task) == before);
}

}  // namespace
}  // namespace hf::task
