// Checkpoints: what is stored, what is refused and in which words, what a restore gives back.
#include "task/decide.h"
#include "task_node.h"

namespace hf::test {
namespace {

bool starts(const std::string& text, const std::string& with) { return text.starts_with(with); }
bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

struct Saving : TaskNode {
  Saving() {
    run("TASK.SUBMIT a");
    token = claim();
  }
  std::string save(int64_t step, const std::string& payload, const std::string& more = "") {
    return run("TASK.CHECKPOINT a#1 " + token + " " + std::to_string(step) + " " + payload + " " + more);
  }
  std::string token;
};

TEST_CASE("versions count up, carry what they were given, and come back whole") {
  Saving n;
  CHECK(n.run("TASK.RESTORE a") == "(nil)");
  CHECK(n.run("TASK.CHECKPOINTS a") == "(empty array)");
  CHECK(n.save(10, "full", "META '{\"model_version\":\"7\"}' TAG good") == "(integer) 1");
  CHECK(n.save(20, "d1", "DELTA 1") == "(integer) 2");
  CHECK(n.save(30, "d2", "DELTA 2") == "(integer) 3");
  const std::string chain = n.run("TASK.RESTORE a");
  CHECK(has(chain, "model_version"));
  CHECK(has(chain, to_hex(task::checkpoint_sum("d2", 30, ""))));
  CHECK(n.run("TASK.PAYLOAD a VERSION 1") == "\"full\"");
  CHECK(n.run("TASK.PAYLOAD a#1 VERSION 3 RANGE 1 -1") == "\"2\"");
  CHECK(n.run("TASK.PAYLOAD a VERSION 1 RANGE -3 2") == "\"ul\"");
  CHECK(n.run("TASK.PAYLOAD a VERSION 1 RANGE 9 12") == "\"\"");
  CHECK(
      starts(n.run("TASK.PAYLOAD a VERSION 9"), "(error) ERR a#1 keeps no version 9; TASK.CHECKPOINTS a#1"));
  CHECK(starts(n.run("TASK.RESTORE a TAG bad"), "(error) ERR a#1 keeps no version tagged \"bad\""));
  CHECK(has(n.run("TASK.RESTORE a TAG good"), "\"good\""));
  CHECK(has(n.run("TASK.RESTORE a STEP 10 EXPECT model_version 7"), "\"good\""));
  CHECK(starts(n.run("TASK.RESTORE a VERSION 1 EXPECT model_version 8"),
               "(error) MISMATCH a#1 version 1: model_version is \"7\", expected \"8\""));
  CHECK(starts(n.run("TASK.RESTORE a EXPECT model_version 8"),
               "(error) MISMATCH a#1 version 3: model_version is not in its META"));
  check_replay(n);
}

TEST_CASE("a checkpoint that does not fit is refused and says why") {
  Saving n;
  const std::string sum = to_hex(task::checkpoint_sum("data", 5, "{}"));
  CHECK(n.save(5, "data", "META {} SUM " + sum) == "(integer) 1");
  CHECK(starts(n.save(6, "data", "META {} SUM " + sum), "(error) CHECKSUM a#1: step 6 arrived with sum"));
  CHECK(starts(n.save(6, "data", "SUM 12"), "(error) ERR SUM is not 32 hex digits"));
  CHECK(starts(n.save(6, "data", "META 12"), "(error) ERR META is not a JSON object"));
  CHECK(starts(n.save(4, "data"), "(error) STALE step 4 is behind 5 (version 1)"));
  CHECK(starts(n.save(6, "data", "DELTA 3"), "(error) BASE a#1: version 3 is not the latest (1)"));
  CHECK(starts(n.save(-1, "data"), "(error) ERR the step is \"-1\""));
  CHECK(starts(n.save(6, "data", "PART 1 2"), "(error) ERR syntax error: unexpected \"PART\""));
  n.tasks.options().checkpoint_bytes_max = 3;
  CHECK(starts(n.save(6, "data"), "(error) ERR the checkpoint's payload has 4 bytes; at most 3"));
  CHECK(starts(n.run("TASK.CHECKPOINT a#1 77 6 x"), "(error) FENCED a#1: token 77 superseded"));
  CHECK(n.save(5, "x") == "(integer) 2");  // the same step with other bytes is another version
}

TEST_CASE("the last chains are kept, and every tagged version with what it needs") {
  Saving n;
  n.tasks.options().checkpoint_keep = 2;
  int64_t step = 0, version = 0;
  for (int chain = 0; chain < 5; ++chain) {
    n.save(++step, "full" + std::to_string(chain)), ++version;
    n.save(++step, "d", "DELTA " + std::to_string(version) + (chain == 1 ? " TAG best" : "")), ++version;
    n.save(++step, "e", "DELTA " + std::to_string(version)), ++version;
  }
  std::vector<uint64_t> kept;
  for (const auto& c : *n.run_of("a").rare->checkpoints) kept.push_back(c->version);
  CHECK(kept == std::vector<uint64_t>{4, 5, 10, 11, 12, 13, 14, 15});
  CHECK(has(n.run("TASK.RESTORE a TAG best"), "(integer) 4"));
  n.tasks.options().checkpoint_full_every = 2;
  CHECK(n.run("TASK.BEAT a#1 " + n.token) == "CHECKPOINT");
  n.save(++step, "full");
  CHECK(n.run("TASK.BEAT a#1 " + n.token) == "OK");
  check_replay(n);
}

TEST_CASE("a restart goes on from the old run's chain, also when that run is trimmed") {
  Saving n;
  n.save(10, "full");
  n.save(20, "delta", "DELTA 1");
  CHECK(starts(n.run("TASK.RESTART a"), "(error) ACTIVE a is RUNNING as a#1"));
  n.run("TASK.FAIL a#1 " + n.token + " PERMANENT 'bad data'");
  CHECK(n.state("a") == "FAILED");
  CHECK(n.run("TASK.RESTART a") == "\"a#2\"");
  CHECK(has(n.run("TASK.RESTORE a"), "(integer) 20"));
  const std::string token = n.claim();
  CHECK(starts(n.run("TASK.CHECKPOINT a#2 " + token + " 15 x"), "(error) STALE"));
  CHECK(n.run("TASK.CHECKPOINT a#2 " + token + " 30 more DELTA 2") == "(integer) 3");
  n.tasks.options().runs_keep = 1;
  n.run("TASK.CANCEL a");
  CHECK(n.run("TASK.RESTART a#2") == "\"a#3\"");
  CHECK(n.run_of("a").task->runs().size() == 1);
  CHECK(n.run_of("a").task->trimmed() == 2);
  CHECK(n.run("TASK.PAYLOAD a VERSION 1") == "\"full\"");
  CHECK(starts(n.run("TASK.GET a#1"), "(nil)"));
  check_replay(n);
}

TEST_CASE("a damaged version is named and the sound one before it is offered") {
  Saving n;
  n.save(10, "one");
  n.save(20, "two");
  n.save(30, "thr", "DELTA 2");
  auto& object = *const_cast<task::TaskObject*>(n.run_of("a").task);
  std::string saved;
  object.save(saved);
  saved.replace(saved.find("two"), 3, "twO");  // as a memory fault would
  auto loaded = task::TaskObject::load(saved);
  REQUIRE(loaded.ok());
  n.store.insert_object(0, n.store.key("a"), std::move(*loaded));
  CHECK(n.run("TASK.RESTORE a") ==
        "(error) CHECKSUM a#1: version 2 does not match its sum; version 1 (step 10) before it is sound: "
        "TASK.RESTORE a#1 "
        "VERSION 1");
  CHECK(has(n.run("TASK.RESTORE a VERSION 1"), "(integer) 10"));
}

}  // namespace
}  // namespace hf::test
