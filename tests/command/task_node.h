// The miniature node of harness.h with what tasks need beside commands: timers, leases nobody received, runs
// of a command after a wait, and a copy made from the log.
#pragma once
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "command/task.h"
#include "harness.h"
#include "task/task_object.h"

namespace hf::test {

struct TaskNode : Harness {
  explicit TaskNode(uint64_t seed = 1) : Harness(seed) {
    store.set_loader(store::Type::Task, task::load_task);
    tasks.set_epoch({1});
  }

  /// The client's context outside any command.
  command::Context context(resp::Writer& reply) {
    return {.args = {},
            .raw = {},
            .spec = nullptr,
            .client = client(9),
            .store = store,
            .tasks = tasks,
            .server = *this,
            .journal = journal,
            .prng = prng,
            .counters = counters,
            .now = now,
            .mode = command::Mode::Live,
            .reply = reply};
  }
  size_t run_due(size_t max = 1000) {
    Buffer out;
    resp::Writer reply(out, 2);
    command::Context ctx = context(reply);
    const size_t n = command::run_due_tasks(ctx, max);
    CHECK(out.empty());
    return n;
  }
  void undelivered(const std::vector<task::Grant>& grants) {
    Buffer out;
    resp::Writer reply(out, 2);
    command::Context ctx = context(reply);
    command::release_undelivered(ctx, grants);
    CHECK(out.empty());
  }
  /// The request again, as after a wait. "" when it waits on.
  std::string again(const std::vector<std::string>& texts, bool timed_out) {
    const std::vector<Bytes> args(texts.begin(), texts.end());
    Buffer out;
    resp::Writer reply(out, 2);
    command::Context ctx{.args = args,
                         .raw = {},
                         .spec = command::find_command(args[0]),
                         .client = client(0),
                         .store = store,
                         .tasks = tasks,
                         .server = *this,
                         .journal = journal,
                         .prng = prng,
                         .counters = counters,
                         .now = now,
                         .mode = command::Mode::Live,
                         .reply = reply,
                         .retried = true,
                         .timed_out = timed_out};
    ctx.spec->handler(ctx);
    return std::string(out.view());
  }
  void wait(int64_t ms) {
    sleep(ms);
    while (run_due() > 0) {}
  }

  const task::Run& run_of(const std::string& name, uint64_t number = 0) {
    const store::Entry* entry = store.find(0, store.key(name));
    REQUIRE(entry != nullptr);
    const task::TaskObject* object = task::as_task(entry->object());
    REQUIRE(object != nullptr);
    const task::Run* found = object->find(number);
    REQUIRE(found != nullptr);
    return *found;
  }
  std::string state(const std::string& name, uint64_t number = 0) {
    return task::state_name(run_of(name, number).state);
  }
  std::string token(const std::string& name) { return std::to_string(run_of(name).token.value); }
  /// Claims one run from `default` for the worker; returns the token.
  std::string claim(const std::string& worker = "w1") {
    const std::string reply = run("TASK.CLAIM 1 default WORKER " + worker);
    INFO(reply);
    const size_t at = reply.find("\"token\"");
    REQUIRE(at != std::string::npos);
    const size_t begin = reply.find('"', at + 8) + 1;
    return reply.substr(begin, reply.find('"', begin) - begin);
  }
  std::vector<std::pair<DbIndex, std::string>> ready() {
    std::vector<std::pair<DbIndex, std::string>> out;
    tasks.take_ready(out);
    return out;
  }
  std::string log_so_far() const { return std::string(journal.content()); }
};

/// A second node fed with the first one's log has the same state and the same indexes.
inline void check_replay(const TaskNode& live) {
  TaskNode copy;
  CHECK(copy.replay(live.log_so_far()) == "");
  CHECK(copy.store.digest() == live.store.digest());
  CHECK(copy.tasks.index_digest() == live.tasks.index_digest());
}

}  // namespace hf::test
