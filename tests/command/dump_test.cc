// DUMP and RESTORE of what only Holdfast holds, and what they log. (Replies that Redis gives, too:
// scenarios/dump.txt.)
#include "rdb/crc64.h"
#include "task_node.h"

namespace hf::test {
namespace {

std::string dumped(Harness& node, const std::string& key) {
  const std::string reply = node.run_raw(0, {"DUMP", key});
  const size_t begin = reply.find("\r\n") + 2;
  return reply.substr(begin, reply.size() - begin - 2);
}

std::string restored(Harness& node, const std::string& key, const std::string& payload,
                     const std::vector<std::string>& more = {}) {
  std::vector<std::string> args = {"RESTORE", key, "0", payload};
  args.insert(args.end(), more.begin(), more.end());
  return node.run_raw(0, args);
}

std::string state_of(TaskNode& node, const std::string& run) {
  const std::string record = node.run("TASK.GET " + run);
  const size_t at = record.find("\"state\"");
  const size_t begin = record.find('"', at + 7) + 1;
  return record.substr(begin, record.find('"', begin) - begin);
}

TEST_CASE("a dumped task comes back as it was, under any name") {
  TaskNode node;
  node.run("TASK.SUBMIT nlp QUEUE q PAYLOAD input");
  node.run("TASK.CLAIM 1 q WORKER w1");
  const store::Object* object = node.store.find(0, node.store.key("nlp"))->object();
  node.run("TASK.CANCEL nlp");
  const std::string payload = dumped(node, "nlp");
  CHECK(restored(node, "copy", payload) == "+OK\r\n");
  std::string first, second;
  object = node.store.find(0, node.store.key("nlp"))->object();
  object->save(first);
  node.store.find(0, node.store.key("copy"))->object()->save(second);
  CHECK(first == second);
  CHECK(state_of(node, "copy#1") == "CANCELLED");
}

TEST_CASE(
    "a restored task that was running has no lease: it is free to be claimed, and its old token is fenced") {
  TaskNode node;
  node.run("TASK.SUBMIT nlp QUEUE q");
  node.run("TASK.CLAIM 1 q WORKER w1");
  const task::TaskObject* object = task::as_task(node.store.find(0, node.store.key("nlp"))->object());
  const std::string token = std::to_string(object->active()->token.value);
  const std::string payload = dumped(node, "nlp");
  CHECK(restored(node, "copy", payload) == "+OK\r\n");
  CHECK(state_of(node, "nlp#1") == "RUNNING");
  CHECK(state_of(node, "copy#1") == "PENDING");
  CHECK(node.run("TASK.BEAT copy#1 TOKEN " + token).find("(error)") != std::string::npos);
  CHECK(node.run("TASK.CLAIM 1 q WORKER w2").find("copy#1") != std::string::npos);
}

TEST_CASE("an active task is not overwritten by RESTORE, a final one is") {
  TaskNode node;
  node.run("TASK.SUBMIT nlp QUEUE q");
  node.run("SET s v");
  const std::string text = dumped(node, "s"), task = dumped(node, "nlp");
  CHECK(restored(node, "nlp", text) == "-BUSYKEY Target key name already exists.\r\n");
  CHECK(restored(node, "nlp", text, {"REPLACE"}).starts_with("-ACTIVE nlp is PENDING"));
  CHECK(restored(node, "s", task, {"REPLACE"}) == "+OK\r\n");
  CHECK(node.run("TYPE s") == "task");
  node.run("TASK.CANCEL nlp");
  CHECK(restored(node, "nlp", text, {"REPLACE"}) == "+OK\r\n");
  CHECK(node.run("GET nlp") == "\"v\"");
}

TEST_CASE("a task is not restored under a name that no task may have") {
  TaskNode node;
  node.run("TASK.SUBMIT nlp QUEUE q");
  const std::string task = dumped(node, "nlp");
  CHECK(restored(node, "nlp#2", task).starts_with("-"));
  CHECK(restored(node, std::string(513, 'n'), task).starts_with("-"));
  CHECK(node.store.size(0) == 1);
}

TEST_CASE("a RESTORE that fails leaves the old value where it is") {
  TaskNode node;
  node.run("SET s old");
  node.run("HSET h f v");
  std::string twice(
      "\x04\x02\x01"
      "f"
      "\x01v\x01"
      "f"
      "\x01w",
      10);
  twice += std::string("\x0a\x00", 2);
  const auto seal = [](std::string text) {
    const uint64_t sum = rdb::crc64(0, text);
    return text.append(reinterpret_cast<const char*>(&sum), 8);
  };
  CHECK(restored(node, "s", seal(twice), {"REPLACE"}).starts_with("-ERR Bad data format: "));
  CHECK(restored(node, "s", seal(std::string("\xc8\x02xx\x0a\x00", 6)), {"REPLACE"})
            .starts_with("-ERR Bad data format: "));
  CHECK(restored(node, "s",
                 seal(std::string("\x01\x01\x01"
                                  "a\x0a\x00",
                                  6)),
                 {"REPLACE"}) ==
        "-ERR Bad data format: the payload is a list, which Holdfast does not hold yet\r\n");
  CHECK(node.run("GET s") == "\"old\"");
}

TEST_CASE("the log has a RESTORE with its absolute time, and replays to the same state") {
  TaskNode node, copy;
  node.run("SET s v");
  node.run("TASK.SUBMIT nlp QUEUE q");
  node.run("TASK.CLAIM 1 q WORKER w1");
  const std::string text = dumped(node, "s"), task = dumped(node, "nlp");
  node.run_raw(0, {"RESTORE", "t", "5000", text, "FREQ", "3"});
  node.run_raw(0, {"RESTORE", "gone", "5", text, "ABSTTL"});
  const uint64_t visible = node.journal.visible_bytes();
  node.run_raw(0, {"RESTORE", "copy", "0", task});
  CHECK(node.journal.visible_bytes() == visible);  // a stock replica is sent no task
  node.run_raw(0, {"RESTORE", "s", "0", task, "REPLACE"});
  CHECK(node.journal.visible_bytes() > visible);  // but sees the string go
  CHECK(copy.replay(node.journal.content()) == "");
  CHECK(copy.store.digest() == node.store.digest());
  CHECK(copy.store.find(0, copy.store.key("t"))->expire_at() == node.now.wall_ms + 5000);
}

}  // namespace
}  // namespace hf::test
