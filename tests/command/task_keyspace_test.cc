// Tasks among other keys, looked at from outside: lists, events, ages, what DEL and its like do, and long
// random histories that must be the same live and replayed.
#include "task/decide.h"
#include "task_node.h"

namespace hf::test {
namespace {

bool starts(const std::string& text, const std::string& with) { return text.starts_with(with); }
bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST_CASE("the list is filtered and walked with a cursor") {
  TaskNode n;
  for (int i = 0; i < 50; ++i)
    n.run("TASK.SUBMIT t" + std::to_string(i) + " QUEUE q" + std::to_string(i % 2) + " TAGS 1 n " +
          std::to_string(i % 5));
  n.run("SET other 1");
  n.run("TASK.CLAIM 1 q0 WORKER w1 COUNT 3");
  const auto count = [&](const std::string& filter) {
    std::string cursor = "0";
    size_t found = 0;
    do {
      const std::string raw = n.run_raw(0, [&] {
        std::vector<std::string> args{"TASK.LIST", "CURSOR", cursor, "COUNT", "10"};
        std::string word;
        for (const char c : filter + " ")
          if (c == ' ') word.empty() ? void() : args.push_back(word), word.clear();
          else word += c;
        return args;
      }());
      const size_t begin = raw.find("\r\n", 5) + 2;
      cursor = raw.substr(begin, raw.find("\r\n", begin) - begin);
      for (size_t at = 0; (at = raw.find("$6\r\nstatus", at)) != std::string::npos; ++at) ++found;
      for (size_t at = 0; (at = raw.find("status_since", at)) != std::string::npos; ++at) ++found;
    } while (cursor != "0");
    return found;
  };
  CHECK(count("") == 50);
  CHECK(count("QUEUE q1") == 25);
  CHECK(count("STATE running") == 3);
  CHECK(count("WORKER w1") == 3);
  CHECK(count("TAG n 4") == 10);
  CHECK(count("MATCH t1?") == 10);
  CHECK(count("QUEUE q1 TAG n 4 STATE PENDING") == 5);
  CHECK(starts(n.run("TASK.LIST COUNT 5"), "(error) ERR TASK.LIST needs CURSOR"));
  CHECK(starts(n.run("TASK.LIST CURSOR 0 STATE odd"), "(error) ERR STATE is \"odd\""));
}

TEST_CASE("events tell every transition in order, and the next one can be waited for") {
  TaskNode n;
  n.run("TASK.SUBMIT a TRACE t9 BACKOFF NONE");
  const std::string token = n.claim();
  n.run("TASK.FAIL a#1 " + token + " TRANSIENT 'exit 1'");
  n.wait(0);
  const std::string all = n.run("TASK.EVENTS a");
  size_t at = 0;
  for (const char* what : {"\"submit\"", "\"claim\"", "\"fail-transient\"", "\"exit 1\"", "\"time-comes\""}) {
    at = all.find(what, at);
    CHECK(at != std::string::npos);
  }
  CHECK(has(all, "\"t9\""));
  CHECK(has(all, token));
  CHECK(!has(n.run("TASK.EVENTS a FROM 3"), "\"claim\""));
  CHECK(!has(n.run("TASK.EVENTS a COUNT 1"), "\"claim\""));
  CHECK(n.run("TASK.EVENTS a FROM 5") == "(empty array)");
  n.ready();
  CHECK(n.run("TASK.EVENTS a FROM 5 BLOCK 100") == "(no reply)");
  CHECK(n.blocked.keys == std::vector<std::string>{"a"});
  n.run("TASK.CANCEL a");
  CHECK(n.ready() == std::vector<std::pair<DbIndex, std::string>>{{0, "a"}});
  CHECK(has(n.again({"TASK.EVENTS", "a", "FROM", "5", "BLOCK", "100"}, false), "CANCELLED"));
  CHECK(n.again({"TASK.EVENTS", "a", "FROM", "6", "BLOCK", "100"}, true) == "*-1\r\n");
}

TEST_CASE("a thousand events a run are kept") {
  TaskNode n;
  n.run("TASK.SUBMIT a");
  for (int i = 0; i < 700; ++i) n.run("TASK.PAUSE a"), n.run("TASK.RESUME a");
  CHECK(n.run_of("a").events.size() == 1000);
  CHECK(n.run_of("a").events.first_id() == 402);
  check_replay(n);
}

TEST_CASE("runs and ages are bounded, numbers go on") {
  TaskNode n;
  n.tasks.options().final_keep_ms = 10'000;
  for (int i = 0; i < 8; ++i) n.run("TASK.SUBMIT a KEEP 3 FORCE"), n.sleep(1000);
  CHECK(n.run_of("a").task->runs().size() == 3);
  CHECK(n.run_of("a").number == 8);
  CHECK(n.tasks.stats(0).trimmed == 5);
  n.run("TASK.SUBMIT other");
  n.run("TASK.CANCEL other");
  n.wait(9'500);
  CHECK(n.run_of("a").task->runs().size() == 1);  // the active one
  CHECK(n.run("TASK.SUBMIT a FORCE") == "\"a#9\"");
  n.wait(1'000);
  CHECK(n.run("TYPE other") == "none");
  CHECK(n.run("TYPE a") == "task");
  n.run("TASK.CANCEL a");
  n.wait(10'000);
  CHECK(n.run("DBSIZE") == "(integer) 0");
  CHECK(n.tasks.stats(0).trimmed == 0);
  check_replay(n);
}

TEST_CASE("a clock that was set back does not stop the trimming") {
  TaskNode n;
  n.tasks.options().final_keep_ms = 1000;
  n.run("TASK.SUBMIT a");
  n.run("TASK.CANCEL a");
  n.now.wall_ms -= 100'000;
  n.run("TASK.SUBMIT a");
  n.run("TASK.CANCEL a");
  n.wait(1000);
  CHECK(n.run("TYPE a") == "none");
  check_replay(n);
}

TEST_CASE("deleting, expiring, flushing and overwriting take the runs out of the queues") {
  TaskNode n;
  n.run("TASK.SUBMIT a");
  n.run("TASK.SUBMIT b");
  n.run("TASK.SUBMIT c");
  n.run("TASK.SUBMIT d");
  const std::string token = n.claim();
  CHECK(starts(n.run("RENAME a z"), "(error) ACTIVE a is RUNNING as a#1 by worker w1"));
  n.run("DEL a");
  CHECK(starts(n.run("TASK.BEAT a#1 " + token), "(error) NORUN"));
  n.run("PEXPIRE b 10");
  n.run("SET c 1");
  n.sleep(11);
  const std::string got = n.run("TASK.CLAIM 1 default WORKER w2 COUNT 10");
  CHECK(has(got, "d#1"));
  CHECK(!has(got, "b#1"));
  check_replay(n);
  n.run("FLUSHALL");
  CHECK(n.tasks.next_due(n.now) == INT64_MAX);
  CHECK(n.tasks.stats(0).by_state[3] == 0);
  n.run("TASK.SUBMIT a");
  CHECK(n.run("TASK.CLAIM 1 default WORKER w2") != "(nil)");
  check_replay(n);
}

TEST_CASE("tasks follow their key through rename, copy, move and swap") {
  TaskNode n;
  n.run("TASK.SUBMIT a");
  n.run("TASK.CANCEL a");
  CHECK(n.run("RENAME a b") == "OK");
  CHECK(n.run("TASK.SUBMIT b") == "\"b#2\"");
  n.run("TASK.CANCEL b");
  CHECK(n.run("COPY b c") == "(integer) 1");
  CHECK(n.run("TASK.SUBMIT c") == "\"c#3\"");
  CHECK(n.run_of("b").number == 2);
  CHECK(n.run("MOVE b 1") == "(integer) 1");
  CHECK(n.run("SWAPDB 0 1") == "OK");
  CHECK(n.run("TASK.SUBMIT b") == "\"b#3\"");
  CHECK(n.tasks.stats(1).by_state[static_cast<size_t>(task::State::Pending)] == 1);
  check_replay(n);
}

TEST_CASE("progress is logged at most once a second, and shown at once") {
  TaskNode n;
  n.run("TASK.SUBMIT a");
  const std::string token = n.claim();
  n.journal.clear();
  for (int i = 1; i <= 100; ++i) {
    n.run("TASK.BEAT a#1 " + token + " PROGRESS " + std::to_string(i) + " 100");
    n.sleep(25);
  }
  const std::string log = n.take_log();
  CHECK(std::count(log.begin(), log.end(), '\n') == 2);  // three of them
  CHECK(has(n.run("TASK.GET a"), "(integer) 100"));
  n.run("TASK.DONE a#1 " + token);
  CHECK(n.run_of("a").rare->progress == 100);
  CHECK(!n.run_of("a").live);
  n.take_log();
  CHECK(n.run("TASK.SUBMIT b") == "\"b#1\"");
  n.take_log();
  n.run("TASK.BEAT b#1 " + n.claim());
  n.take_log();
  n.run("TASK.BEAT b#1 " + n.token("b"));
  CHECK(n.take_log() == "");
}

TEST_CASE("several beats in one call are answered one by one") {
  TaskNode n;
  n.run("TASK.SUBMIT a");
  n.run("TASK.SUBMIT b");
  n.run("TASK.CLAIM 1 default WORKER w COUNT 2");
  n.run("TASK.PAUSE b");
  const std::string got = n.run("TASK.BEATS 4 a#1 " + n.token("a") + " b#1 " + n.token("b") + " a#1 5 c#1 7");
  CHECK(starts(got, "1) \"OK\"\n2) \"PAUSE\"\n3) \"FENCED a#1: token 5 superseded by"));
  CHECK(has(got, "4) \"NORUN there is no task c"));
  CHECK(starts(n.run("TASK.BEATS 2 a#1 5"), "(error) ERR TASK.BEATS takes the number"));
}

TEST_CASE("random histories are the same live, replayed, and loaded from a save") {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    TaskNode n(seed);
    Prng dice(seed * 77);
    n.tasks.options().runs_keep = 4;
    n.tasks.options().checkpoint_keep = 2;
    n.tasks.options().final_keep_ms = 40'000;
    const auto name = [&] { return std::string(1, static_cast<char>('a' + dice.below(5))); };
    const auto token = [&](const std::string& of) -> std::string {
      const store::Entry* e = n.store.find(0, n.store.key(of));
      const task::TaskObject* t = e == nullptr ? nullptr : task::as_task(e->object());
      if (t == nullptr || dice.chance(1, 10)) return std::to_string(dice.below(100));
      return std::to_string(t->newest()->token.value);
    };
    uint64_t last_token = 0;
    for (int i = 0; i < 400; ++i) {
      const std::string a = name(), t = a + " " + token(a);
      switch (dice.below(22)) {
        case 0:
          n.run("TASK.SUBMIT " + a + " RETRIES 1 LEASE 2000 BACKOFF FIXED 1000 1000" +
                (dice.chance(1, 3) ? " FORCE" : ""));
          break;
        case 1:
          n.run("TASK.SUBMIT " + a + " PAYLOAD p DELAY 500 TIMEOUT 4000 PRIORITY " +
                std::to_string(dice.below(3)));
          break;
        case 2: n.run("TASK.SUBMIT " + a + " QUEUE q2 HELD UNIQUE u" + std::to_string(dice.below(4))); break;
        case 3:
        case 4:
        case 5:
          n.run("TASK.CLAIM 2 default q2 WORKER w" + std::to_string(dice.below(3)) + " COUNT 2 REQ r" +
                std::to_string(dice.below(6)));
          break;
        case 6: n.run("TASK.CLAIM 0 WORKER w" + std::to_string(dice.below(3)) + " RUN " + a); break;
        case 7:
        case 8: n.run("TASK.BEAT " + t + " PROGRESS " + std::to_string(dice.below(9)) + " 9"); break;
        case 9:
        case 10:
          n.run("TASK.CHECKPOINT " + t + " " + std::to_string(i) + " data" +
                (dice.chance(1, 4) ? " TAG x" : ""));
          break;
        case 11:
          n.run("TASK.CHECKPOINT " + t + " " + std::to_string(i) + " data DELTA " +
                std::to_string(1 + dice.below(5)));
          break;
        case 12: n.run("TASK.DONE " + t + " RESULT r"); break;
        case 13: n.run("TASK.FAIL " + t + (dice.chance(1, 4) ? " PERMANENT no" : " TRANSIENT why")); break;
        case 14: n.run("TASK.RELEASE " + t + (dice.chance(1, 2) ? " DELAY 300" : "")); break;
        case 15: n.run("TASK.PAUSE " + a); break;
        case 16: n.run("TASK.RESUME " + a); break;
        case 17: n.run("TASK.CANCEL " + a + " because"); break;
        case 18: n.run("TASK.RESTART " + a); break;
        case 19: n.run("TASK.CHECKPOINT-REQUEST " + a); break;
        case 20: dice.chance(1, 6) ? n.run("DEL " + a) : n.run("COPY " + a + " " + name()); break;
        case 21: n.wait(static_cast<int64_t>(dice.below(3000))); break;
      }
      n.ready();
      n.store.for_each(0, [&](const store::Entry& e) {
        if (const auto* object = task::as_task(e.object()))
          last_token = std::max(last_token, object->newest()->token.value);
      });
    }
    INFO("seed " << seed);
    check_replay(n);
    CHECK(n.tasks.next_token().value > last_token);
    TaskNode loaded;
    n.store.for_each(0, [&](const store::Entry& e) {
      std::string bytes;
      store::encode_entry(e, bytes);
      CHECK(loaded.store.load_entry(0, bytes).ok());
    });
    CHECK(loaded.store.digest() == n.store.digest());
    CHECK(loaded.tasks.index_digest() == n.tasks.index_digest());
  }
}

}  // namespace
}  // namespace hf::test
