// Which run `holdfast-cli run` makes its own: a new one, one to join or to restart, one that somebody else
// holds.
#include "cli/exit_codes.h"
#include "run_story.h"

using namespace hf;
using namespace hf::cli;
using namespace hf::cli::test;

TEST_CASE("a new task is submitted held, claimed by name, run, and done") {
  Story s;
  s.connect();
  CHECK(s.asked == Arguments{"TASK.GET", "nlp"});
  s.answer("-NORUN there is no task nlp\r\n");
  CHECK(s.command() == "TASK.SUBMIT");
  CHECK((s.asked_with("HELD") && s.asked_with("UNIQUE") && !s.asked_with("FORCE")));
  s.answer("$5\r\nnlp#1\r\n");
  CHECK((s.command() == "TASK.CLAIM" && s.asked_with("RUN") && s.asked_with("nlp#1") && s.asked_with("REQ")));
  s.claim("1", "100");
  CHECK(s.adopted == "nlp#1");
  CHECK(s.asked == Arguments{"TASK.RESTORE", "nlp#1"});
  s.answer("_\r\n");
  REQUIRE(s.collects.size() == 1);
  s.nothing_to_send();
  CHECK((s.restores == 1 && s.restored.empty()));
  s.plan.on_restored(ok());
  s.go();
  REQUIRE(s.started.size() == 1);
  CHECK((s.started[0].token == "100" && s.started[0].attempt == "1"));
  s.plan.on_exit(0, 0, false, s.now);
  s.go();
  CHECK(s.remembered == 0);
  s.nothing_to_send();
  CHECK(s.asked == Arguments{"TASK.DONE", "nlp#1", "100"});
  s.answer("+OK\r\n");
  CHECK((s.code == 0 && s.cleared));
}

TEST_CASE(
    "an unfinished run is joined, a failed one restarted from its checkpoint, a success with --once left "
    "alone") {
  Story s;
  s.connect();
  s.answer(record({{"run", "nlp#4"}, {"state", "DELAYED"}, {"queue", "gpu"}}));
  CHECK((s.command() == "TASK.CLAIM" && s.asked_with("nlp#4") && s.asked_with("gpu")));
  Story t;
  t.connect();
  t.answer(record({{"run", "nlp#4"}, {"state", "FAILED"}, {"reason", "exit code 1"}}));
  CHECK((t.command() == "TASK.RESTART" && t.asked[1] == "nlp#4"));
  CHECK(t.said.find("FAILED") != std::string::npos);
  RunSettings once = Story::settings();
  once.once = true;
  Story u(once);
  u.connect();
  u.answer(record({{"run", "nlp#4"}, {"state", "SUCCESS"}}));
  CHECK(u.code == 0);
}

TEST_CASE("--fresh submits anew after a failure, and cancels an unfinished run that nobody else holds") {
  RunSettings fresh = Story::settings();
  fresh.fresh = true;
  Story s(fresh);
  s.connect();
  s.answer(record({{"run", "nlp#4"}, {"state", "FAILED"}}));
  CHECK((s.command() == "TASK.SUBMIT" && !s.asked_with("FORCE")));
  Story t(fresh);
  t.connect();
  t.answer(record({{"run", "nlp#4"}, {"state", "PENDING"}}));
  CHECK((t.command() == "TASK.SUBMIT" && t.asked_with("FORCE")));
  Story u(fresh);
  u.connect();
  u.answer(record({{"run", "nlp#4"}, {"state", "RUNNING"}, {"worker", "other"}}));
  CHECK(u.command() == "TASK.CLAIM");
}

TEST_CASE("a run held elsewhere is waited for with its holder named, or left with --no-wait") {
  for (const bool no_wait : {false, true}) {
    RunSettings settings = Story::settings();
    settings.no_wait = no_wait;
    Story s(settings);
    s.connect();
    s.answer(record({{"run", "nlp#4"}, {"state", "RUNNING"}, {"worker", "other"}, {"attempt", "2"}}));
    CHECK(s.said.find("worker other") != std::string::npos);  // at once, before a claim that waits
    CHECK(s.code == (no_wait ? std::optional<int>(kExitTryLater) : std::nullopt));
    if (no_wait) continue;
    s.answer("*-1\r\n");
    CHECK(s.command() == "TASK.GET");
    const std::string before = s.said;
    s.answer(record({{"run", "nlp#4"}, {"state", "RUNNING"}, {"worker", "other"}, {"attempt", "2"}}));
    CHECK(s.said == before);  // said once
    s.now += 300;
    s.go();
    CHECK(s.command() == "TASK.CLAIM");
  }
}
