// TASK.* as a worker and a person use them, and the promise that every command can be sent twice.
#include "task/decide.h"
#include "task_node.h"

namespace hf::test {
namespace {

bool starts(const std::string& text, const std::string& with) { return text.starts_with(with); }
bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST_CASE("a task goes from submit to success and shows it") {
  TaskNode n;
  CHECK(n.run("TASK.SUBMIT nlp PAYLOAD hello QUEUE q PRIORITY 3 TAGS 1 team core TRACE t-1") == "\"nlp#1\"");
  CHECK(n.run("TYPE nlp") == "task");
  CHECK(n.run("OBJECT ENCODING nlp") == "\"task\"");
  const std::string claimed = n.run("TASK.CLAIM 2 other q WORKER w1");
  CHECK(has(claimed, "\"nlp#1\""));
  CHECK(has(claimed, "\"RUNNING\""));
  CHECK(has(claimed, "\"hello\""));
  CHECK(has(claimed, "\"team\""));
  CHECK(n.token("nlp") == std::to_string((1ull << 44) + 1));
  CHECK(n.run("TASK.BEAT nlp#1 " + n.token("nlp") + " PROGRESS 5 10 NOTE half") == "OK");
  CHECK(has(n.run("TASK.GET nlp"), "\"half\""));
  CHECK(n.run("TASK.DONE nlp#1 " + n.token("nlp") + " RESULT 42") == "OK");
  CHECK(n.state("nlp") == "SUCCESS");
  CHECK(n.run_of("nlp").rare->result.view() == "42");
  CHECK(n.run("TASK.SUBMIT nlp") == "\"nlp#2\"");
  CHECK(has(n.run("TASK.STATS"), "12) (integer) 1"));  // success
  CHECK(has(n.run("TASK.STATS QUEUE q"), "\"success\""));
  check_replay(n);
}

TEST_CASE("what is wrong in a submit is named") {
  TaskNode n;
  CHECK(starts(n.run("TASK.SUBMIT a#1"), "(error) ERR the task's name \"a#1\" ends in"));
  CHECK(starts(n.run("TASK.SUBMIT a AFTER 1 b"), "(error) ERR syntax error: unexpected \"AFTER\""));
  CHECK(starts(n.run("TASK.SUBMIT a NEEDS 1 gpu"), "(error) ERR syntax error: unexpected \"NEEDS\""));
  CHECK(starts(n.run("TASK.SUBMIT a LEASE 1"), "(error) ERR LEASE (ms) is \"1\"; an integer from 10"));
  CHECK(starts(n.run("TASK.SUBMIT a TAGS 1 k"), "(error) ERR syntax error: a tag's value is missing"));
  CHECK(starts(n.run("TASK.SUBMIT a BACKOFF SOON 1 2"), "(error) ERR BACKOFF is"));
  CHECK(
      n.run("TASK.SUBMIT " + std::string(513, 'x')).starts_with("(error) ERR the task's name has 513 bytes"));
  n.run("SET s 1");
  CHECK(starts(n.run("TASK.SUBMIT s"), "(error) WRONGTYPE"));
  CHECK(starts(n.run("TASK.DONE s#1 4"), "(error) WRONGTYPE"));
  CHECK(starts(n.run("TASK.DONE gone#1 4"), "(error) NORUN there is no task gone"));
  CHECK(n.run("TASK.GET gone") == "(nil)");
  n.run("TASK.SUBMIT a");
  CHECK(starts(n.run("TASK.DONE a#7 4"), "(error) NORUN there is no run a#7"));
}

TEST_CASE("an active name is refused, FORCE cancels it and goes first") {
  TaskNode n;
  n.run("TASK.SUBMIT nlp");
  const std::string token = n.claim();
  CHECK(n.run("TASK.SUBMIT nlp") ==
        "(error) ACTIVE nlp is RUNNING as nlp#1 by worker w1 since 2023-11-14T22:13:20.000Z; cancel it or "
        "submit with FORCE");
  CHECK(n.run("TASK.SUBMIT nlp FORCE") == "\"nlp#2\"");
  CHECK(n.state("nlp", 1) == "CANCELLED");
  CHECK(starts(n.run("TASK.BEAT nlp#1 " + token), "(error) CANCELLED nlp#1 since"));
  check_replay(n);
}

TEST_CASE("every command can be sent twice") {
  TaskNode n;
  const auto twice = [&](const std::string& line) {
    const std::string first = n.run(line);
    const auto digest = n.store.digest();
    CHECK(n.run(line) == first);
    CHECK(n.store.digest() == digest);
    return first;
  };
  CHECK(twice("TASK.SUBMIT a UNIQUE u1") == "\"a#1\"");
  const std::string claimed = twice("TASK.CLAIM 1 default WORKER w1 REQ r1");
  CHECK(has(claimed, "\"a#1\""));
  const std::string token = n.token("a");
  CHECK(twice("TASK.BEAT a#1 " + token) == "OK");
  CHECK(twice("TASK.CHECKPOINT a#1 " + token + " 10 state META '{\"m\":1}'") == "(integer) 1");
  CHECK(twice("TASK.PAUSE a") == "OK");
  CHECK(twice("TASK.BEAT a#1 " + token) == "PAUSE");
  CHECK(twice("TASK.RESUME a") == "OK");
  CHECK(twice("TASK.CHECKPOINT-REQUEST a") == "OK");
  CHECK(twice("TASK.BEAT a#1 " + token) == "CHECKPOINT");
  CHECK(twice("TASK.RELEASE a#1 " + token) == "OK");
  n.run("TASK.CLAIM 1 default WORKER w2 REQ r2");
  const std::string second = n.token("a");
  CHECK(twice("TASK.RELEASE a#1 " + token) == "OK");  // of the attempt that this token closed
  CHECK(starts(twice("TASK.DONE a#1 " + token),
               "(error) FENCED a#1: token " + token + " superseded by " + second + " (worker w2)"));
  CHECK(twice("TASK.FAIL a#1 " + second + " TRANSIENT oops") == "OK");
  CHECK(n.state("a") == "DELAYED");
  CHECK(twice("TASK.CHECKPOINT a#1 " + token + " 10 state META '{\"m\":1}'") == "(integer) 1");
  n.wait(5000);
  const std::string third = n.claim("w3");
  CHECK(twice("TASK.DONE a#1 " + third + " RESULT x") == "OK");
  CHECK(starts(twice("TASK.FAIL a#1 " + third + " TRANSIENT x"), "(error) FENCED a#1"));
  CHECK(twice("TASK.RESTART a UNIQUE again") == "\"a#2\"");
  CHECK(twice("TASK.CANCEL a#2 enough") == "OK");
  CHECK(starts(twice("TASK.CANCEL a#1"), "(error) FINAL a#1 is SUCCESS"));
  CHECK(starts(twice("TASK.PAUSE a#2"), "(error) FINAL a#2 is CANCELLED"));
  CHECK(twice("TASK.SUBMIT a UNIQUE u1") == "\"a#1\"");
  check_replay(n);
}

TEST_CASE("tokens rise over restarts and refuse to be guessed") {
  TaskNode n;
  n.run("TASK.SUBMIT a");
  CHECK(
      starts(n.run("TASK.BEAT a#1 17"), "(error) FENCED a#1: token 17 was never given; the run is PENDING"));
  const std::string token = n.claim();
  CHECK(
      starts(n.run("TASK.BEAT a#1 " + std::to_string(std::stoull(token) + 1)), "(error) FENCED a#1: token"));
  CHECK(starts(n.run("TASK.BEAT a#1 zero"), "(error) ERR \"zero\" is no token"));
  CHECK(starts(n.run("TASK.BEAT a#1 0"), "(error) FENCED"));
  n.tasks.set_epoch({2});
  CHECK(n.tasks.next_token().value == (2ull << 44) + 1);
  n.tasks.set_epoch({1});  // an epoch that went back does not take the tokens with it
  CHECK(n.tasks.next_token().value == (2ull << 44) + 2);
}

TEST_CASE("a lost lease goes to backoff, and its worker may have it back until somebody claims") {
  TaskNode n;
  n.run("TASK.SUBMIT a LEASE 1000 BACKOFF FIXED 5000 5000");
  const std::string token = n.claim();
  CHECK(n.run("TASK.BEAT a#1 " + token) == "OK");
  n.wait(999);
  CHECK(n.state("a") == "RUNNING");
  n.wait(2);
  CHECK(n.state("a") == "DELAYED");
  CHECK(n.run_of("a").retry_count == 1);
  CHECK(n.run("TASK.BEAT a#1 " + token) == "OK");
  CHECK(n.state("a") == "RUNNING");
  CHECK(n.run_of("a").retry_count == 0);  // not counted
  CHECK(n.run_of("a").attempt == 1);
  n.wait(1001);
  n.wait(5000);
  CHECK(n.state("a") == "PENDING");
  CHECK(n.run("TASK.CHECKPOINT a#1 " + token + " 5 x") == "(integer) 1");  // any late word of it counts
  CHECK(n.state("a") == "RUNNING");
  n.wait(1001);
  n.wait(5000);
  const std::string other = n.claim("w2");
  CHECK(starts(n.run("TASK.BEAT a#1 " + token),
               "(error) FENCED a#1: token " + token + " superseded by " + other + " (worker w2)"));
  check_replay(n);
}

TEST_CASE("a lease that never beat does not count") {
  TaskNode n;
  n.run("TASK.SUBMIT a LEASE 1000 RETRIES 0 BACKOFF NONE");
  const std::string first = n.claim();
  n.wait(1001);
  CHECK(n.state("a") == "PENDING");
  CHECK(n.run_of("a").retry_count == 0);
  const std::string second = n.claim();
  n.run("TASK.BEAT a#1 " + second);
  n.wait(1001);
  CHECK(n.state("a") == "FAILED");
  CHECK(has(std::string(n.run_of("a").rare->reason.view()), "lease lost: worker w1 has not beaten for 1000 ms"));
  CHECK(starts(
      n.run("TASK.BEAT a#1 " + second),
      "(error) FENCED a#1: token " + second + " (worker w1) ended with lease-lost; the run is FAILED"));
  check_replay(n);
}

TEST_CASE("a late turn executes what arrived before leases expire") {
  TaskNode n;
  n.run("TASK.SUBMIT a LEASE 1000");
  const std::string token = n.claim();
  n.sleep(5000);
  CHECK(n.run("TASK.BEAT a#1 " + token) == "OK");
  CHECK(n.run_due() == 0);
  CHECK(n.state("a") == "RUNNING");
}

TEST_CASE("a timeout ends the attempt however often it beats") {
  TaskNode n;
  n.run("TASK.SUBMIT a TIMEOUT 3000 RETRIES 1 BACKOFF NONE");
  std::string token = n.claim();
  for (int i = 0; i < 2; ++i) {
    n.wait(1000);
    CHECK(n.run("TASK.BEAT a#1 " + token) == "OK");
  }
  n.wait(1000);
  CHECK(n.state("a") == "PENDING");
  CHECK(n.run_of("a").retry_count == 1);
  CHECK(starts(n.run("TASK.BEAT a#1 " + token),
               "(error) FENCED a#1: token " + token + " (worker w1) ended with timeout"));
  n.claim();
  n.wait(3000);
  CHECK(n.state("a") == "FAILED");
  CHECK(has(std::string(n.run_of("a").rare->reason.view()), "no attempt left after 1 retry"));
  check_replay(n);
}

TEST_CASE("full jitter stays in its bounds and reaches them") {
  Prng prng(7);
  for (uint32_t n = 0; n < 70; ++n) {
    const int64_t bound = n < 7 ? std::min<int64_t>(1000, 10ll << n) : 1000;
    int64_t low = bound, high = 0;
    for (int i = 0; i < 500; ++i) {
      const int64_t drawn = task::draw_backoff(task::Backoff::Exponential, 10, 1000, n, prng);
      CHECK((drawn >= 0 && drawn <= bound));
      low = std::min(low, drawn), high = std::max(high, drawn);
    }
    CHECK(low <= bound / 20 + 1);
    CHECK(high >= bound - bound / 20 - 1);
  }
  CHECK(task::draw_backoff(task::Backoff::Fixed, 30, 10, 9, prng) == 30);
  CHECK(task::draw_backoff(task::Backoff::None, 30, 10, 9, prng) == 0);
  CHECK(task::draw_backoff(task::Backoff::Exponential, 0, 10, 900, prng) == 0);
}

TEST_CASE("pause, resume and what they lead to") {
  TaskNode n;
  n.run("TASK.SUBMIT a DELAY 5000");
  CHECK(n.run("TASK.PAUSE a") == "OK");
  n.wait(1000);
  CHECK(n.run("TASK.RESUME a") == "OK");
  CHECK(n.state("a") == "DELAYED");
  n.run("TASK.PAUSE a");
  n.wait(6000);
  CHECK(n.state("a") == "PAUSED");
  n.run("TASK.RESUME a");
  CHECK(n.state("a") == "PENDING");
  const std::string token = n.claim();
  n.run("TASK.PAUSE a");
  CHECK(n.state("a") == "RUNNING");
  CHECK(n.run("TASK.BEAT a#1 " + token) == "PAUSE");
  n.wait(15001);
  CHECK(n.state("a") == "PAUSED");
  CHECK(starts(n.run("TASK.BEAT a#1 " + token), "(error) FENCED a#1"));
  n.run("TASK.RESUME a");
  n.wait(60000);
  const std::string next = n.claim();
  n.run("TASK.PAUSE a");
  CHECK(n.run("TASK.DONE a#1 " + next) == "OK");
  CHECK(n.state("a") == "SUCCESS");
  check_replay(n);
}

TEST_CASE("a new checkpoint sets the count of retries back") {
  TaskNode n;
  n.run("TASK.SUBMIT a BACKOFF NONE RETRIES 2");
  for (int i = 0; i < 6; ++i) {
    const std::string token = n.claim();
    CHECK(n.run("TASK.CHECKPOINT a#1 " + token + " " + std::to_string(i) + " x") ==
          "(integer) " + std::to_string(i + 1));
    CHECK(n.run("TASK.FAIL a#1 " + token + " TRANSIENT again") == "OK");
    n.wait(0);
    CHECK(n.state("a") == "PENDING");
  }
  for (int i = 0; i < 2; ++i) n.run("TASK.FAIL a#1 " + n.claim() + " TRANSIENT again"), n.wait(0);
  CHECK(n.state("a") == "FAILED");
  check_replay(n);
}

TEST_CASE("a claim by name is re-issued to its worker at once") {
  TaskNode n;
  n.run("TASK.SUBMIT a HELD");
  CHECK(n.run("TASK.CLAIM 1 default WORKER w1") == "(nil)");
  CHECK(has(n.run("TASK.CLAIM 0 WORKER host RUN a REQ one"), "RUNNING"));
  const std::string first = n.token("a");
  CHECK(has(n.run("TASK.CLAIM 0 WORKER host RUN a REQ one"), first));  // the same again
  CHECK(n.run("TASK.CLAIM 0 WORKER other RUN a REQ x") == "(nil)");
  CHECK(has(n.run("TASK.CLAIM 0 WORKER host RUN a#1 REQ two"), "RUNNING"));
  const std::string second = n.token("a");
  CHECK(second != first);
  CHECK(n.run_of("a").retry_count == 0);
  CHECK(n.run_of("a").attempt == 2);
  CHECK(starts(n.run("TASK.BEAT a#1 " + first), "(error) FENCED"));
  CHECK(n.run("TASK.BEAT a#1 " + second) == "OK");
  CHECK(n.run("TASK.DONE a#1 " + second) == "OK");
  CHECK(starts(n.run("TASK.CLAIM 0 WORKER host RUN a"), "(error) FINAL a#1 is SUCCESS since"));
  check_replay(n);
}

TEST_CASE("order: priority first, then first in first out, queues as named") {
  TaskNode n;
  for (const char* line : {"low PRIORITY -1", "a", "b", "high PRIORITY 9", "c", "z QUEUE other"})
    n.run("TASK.SUBMIT " + std::string(line));
  const std::string got = n.run("TASK.CLAIM 2 other default WORKER w COUNT 5");
  std::vector<size_t> at;
  for (const char* name : {"\"z#1\"", "\"high#1\"", "\"a#1\"", "\"b#1\"", "\"c#1\""})
    at.push_back(got.find(name));
  CHECK(at.back() != std::string::npos);
  CHECK(std::is_sorted(at.begin(), at.end()));
  CHECK(n.state("low") == "PENDING");
  // What comes back keeps its place.
  n.run("TASK.SUBMIT d");
  n.run("TASK.RELEASE a#1 " + n.token("a"));
  const std::string next = n.claim();
  CHECK(next == n.token("a"));
}

TEST_CASE("a claim waits for its queue, and is told when there is something") {
  TaskNode n;
  n.ready();
  CHECK(n.run("TASK.CLAIM 2 q1 q2 WORKER w BLOCK 5000") == "(no reply)");
  CHECK(n.blocked.wanted);
  CHECK(n.blocked.keys == std::vector<std::string>{"__queue__:q1", "__queue__:q2"});
  CHECK(n.blocked.deadline == n.now.mono_us + 5'000'000);
  n.run("TASK.SUBMIT a QUEUE q2");
  const auto ready = n.ready();
  CHECK(std::find(ready.begin(), ready.end(), std::pair<DbIndex, std::string>(0, "__queue__:q2")) !=
        ready.end());
  CHECK(n.ready().empty());
  const std::vector<std::string> request = {"TASK.CLAIM", "2", "q1", "q2", "WORKER", "w", "BLOCK", "5000"};
  CHECK(has(n.again(request, false), "a#1"));
  CHECK(n.again(request, true) == "*-1\r\n");
  CHECK(n.run("MULTI") == "OK");
  n.run("TASK.CLAIM 1 q1 WORKER w BLOCK 0");
  CHECK(n.run("EXEC") == "1) (nil)");
}

TEST_CASE("leases whose reply got lost are released, unless somebody beat for them") {
  TaskNode n;
  n.run("TASK.SUBMIT a");
  n.run("TASK.SUBMIT b");
  n.run("TASK.CLAIM 1 default WORKER w COUNT 2");
  const auto grants = n.tasks.grants();
  REQUIRE(grants.size() == 2);
  n.run("TASK.BEAT b#1 " + n.token("b"));
  n.undelivered(grants);
  CHECK(n.state("a") == "PENDING");
  CHECK(n.state("b") == "RUNNING");
  n.undelivered(grants);
  CHECK(n.state("a") == "PENDING");
  check_replay(n);
}

TEST_CASE("a late timer turn is bounded and ends") {
  TaskNode n;
  for (int i = 0; i < 300; ++i) n.run("TASK.SUBMIT t" + std::to_string(i) + " LEASE 1000");
  for (int i = 0; i < 3; ++i) n.run("TASK.CLAIM 1 default WORKER w COUNT 100");
  n.sleep(1001);
  CHECK(n.tasks.next_due(n.now) <= n.now.mono_us);
  CHECK(n.run_due(100) == 100);
  CHECK(n.tasks.next_due(n.now) <= n.now.mono_us);
  CHECK(n.run_due(1000) >= 200);
  n.wait(60000);
  CHECK(n.tasks.stats(0).by_state[static_cast<size_t>(task::State::Pending)] == 300);
  CHECK(n.tasks.next_due(n.now) == INT64_MAX);
  check_replay(n);
}

TEST_CASE("leases are re-armed in full after a start") {
  TaskNode n;
  n.run("TASK.SUBMIT a LEASE 1000");
  const std::string token = n.claim();
  TaskNode copy;
  REQUIRE(copy.replay(n.log_so_far()) == "");
  copy.tasks.set_epoch({2});
  copy.now.mono_us = 5;
  copy.tasks.rearm(copy.now);
  CHECK(copy.tasks.next_due(copy.now) == 1'000'005);
  copy.wait(999);
  CHECK(copy.run("TASK.BEAT a#1 " + token) == "OK");
  copy.wait(999);
  CHECK(copy.state("a") == "RUNNING");
  copy.wait(2);
  CHECK(copy.state("a") == "DELAYED");
  copy.wait(60000);
  CHECK(std::stoull(copy.claim("w2")) > (2ull << 44));
}

}  // namespace
}  // namespace hf::test
