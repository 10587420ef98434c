// How a wrapped program comes to its end, and what the server is told of it.
#include "cli/exit_codes.h"
#include "run_story.h"

using namespace hf;
using namespace hf::cli;
using namespace hf::cli::test;

TEST_CASE("a fenced worker stops its program and does not report an end") {
  Story s;
  s.until_running();
  s.now = 3000;
  s.go();
  s.answer("-FENCED nlp#1: token 100 superseded by 101 (worker w2)\r\n");
  CHECK(s.signals == std::vector<int>{SIGTERM});
  CHECK(s.said.find("superseded") != std::string::npos);
  s.plan.on_exit(0, SIGTERM, false, s.now);
  s.go();
  CHECK(s.asked.empty());
  CHECK((s.code == kExitTryLater && !s.cleared));
}

TEST_CASE("a transient failure is reported, and the run claimed again with a new request") {
  Story s;
  s.until_running();
  s.plan.on_exit(3, 0, false, s.now);
  s.go();
  s.nothing_to_send();
  CHECK(s.asked == Arguments{"TASK.FAIL", "nlp#1", "100", "TRANSIENT", "exit code 3"});
  s.answer("+OK\r\n");
  CHECK(s.command() == "TASK.GET");
  s.answer(record({{"run", "nlp#1"}, {"state", "DELAYED"}, {"retry_count", "1"}, {"retries", "5"}}));
  s.claim("2", "101");
  s.answer("_\r\n");
  s.nothing_to_send();
  s.plan.on_restored(ok());
  s.go();
  REQUIRE(s.started.size() == 2);
  CHECK(s.started[1].token == "101");
}

TEST_CASE("when the retries are used up the wrapper ends with the program's code") {
  Story s;
  s.until_running();
  s.plan.on_exit(0, SIGSEGV, false, s.now);
  s.go();
  s.nothing_to_send();
  s.answer("+OK\r\n");
  s.answer(record({{"run", "nlp#1"}, {"state", "FAILED"}}));
  CHECK(s.code == 128 + SIGSEGV);
}

TEST_CASE("exit 75 gives the run back, listed codes end it for good") {
  RunSettings settings = Story::settings();
  settings.permanent_exit_codes = {2, 64};
  for (const int exit_code : {75, 64}) {
    Story s(settings);
    s.until_running();
    s.plan.on_exit(exit_code, 0, false, s.now);
    s.go();
    s.nothing_to_send();
    CHECK(s.command() == (exit_code == 75 ? "TASK.RELEASE" : "TASK.FAIL"));
    CHECK(s.asked_with("PERMANENT") == (exit_code == 64));
    s.answer("+OK\r\n");
    CHECK(s.code == exit_code);
  }
}

TEST_CASE("after a signal we passed on any exit is a release, unless the program says it has finished") {
  for (const bool finished : {false, true}) {
    Story s;
    s.until_running();
    s.plan.on_signal(SIGTERM, s.now);
    s.go();
    CHECK(s.signals == std::vector<int>{SIGTERM});
    s.plan.on_exit(0, 0, finished, s.now);
    s.go();
    s.nothing_to_send();
    CHECK(s.command() == (finished ? "TASK.DONE" : "TASK.RELEASE"));
    s.answer("+OK\r\n");
    CHECK(s.code == (finished ? kExitOk : kExitTryLater));
  }
}

TEST_CASE("a run that is given back unfinished ends with 75, whatever its program ended with") {
  for (const auto& [exit_code, signal] : {std::pair(0, 0), {3, 0}, {75, 0}, {0, SIGTERM}}) {
    Story s;
    s.until_running();
    s.plan.on_signal(SIGTERM, s.now);
    s.go();
    s.plan.on_exit(exit_code, signal, false, s.now);
    s.go();
    s.nothing_to_send();
    CHECK(s.command() == "TASK.RELEASE");
    s.answer("+OK\r\n");
    CHECK(s.code == kExitTryLater);
    CHECK(s.said.find("goes on from its last checkpoint") != std::string::npos);
  }
}

TEST_CASE("a program that does not stop is killed after the grace, at once on a second Ctrl-C") {
  Story s;
  s.until_running();
  s.plan.on_signal(SIGINT, s.now);
  s.go();
  s.pass(29000);
  CHECK(s.signals == std::vector<int>{SIGINT});
  s.pass(30100);
  CHECK(s.signals == std::vector<int>{SIGINT, SIGKILL});
  Story t;
  t.until_running();
  t.plan.on_signal(SIGINT, t.now);
  t.plan.on_signal(SIGINT, t.now);
  t.go();
  CHECK(t.signals == std::vector<int>{SIGINT, SIGKILL});
}

TEST_CASE("PAUSE and DRAIN stop the program, CHECKPOINT asks it") {
  Story s;
  s.until_running();
  s.now = 3000;
  s.go();
  s.answer("+CHECKPOINT\r\n");
  CHECK((s.asks == 1 && s.signals.empty()));
  s.now = 6000;
  s.go();
  s.answer("+PAUSE\r\n");
  CHECK(s.signals == std::vector<int>{SIGTERM});
  s.plan.on_exit(1, 0, false, s.now);
  s.go();
  s.nothing_to_send();
  CHECK(s.command() == "TASK.RELEASE");
}

TEST_CASE("a program that had ended before the wrapper died is not run again") {
  Story s;
  s.connect();
  s.answer(record({{"run", "nlp#1"}, {"state", "RUNNING"}, {"worker", "me"}}));
  s.claim("1", "102");
  s.plan.on_adopted(0);
  s.answer("_\r\n");
  s.nothing_to_send();
  CHECK(s.asked == Arguments{"TASK.DONE", "nlp#1", "102"});
  CHECK(s.started.empty());
}

TEST_CASE("a program that can't be started gives the run back and ends with the shell's code") {
  Story s;
  s.until_running();
  s.plan.on_start_failed(127, "cannot execute /no/such", s.now);
  s.go();
  s.nothing_to_send();
  CHECK(s.command() == "TASK.RELEASE");
  s.answer("+OK\r\n");
  CHECK(s.code == 127);
  CHECK(s.said.find("goes on from its last checkpoint") == std::string::npos);
}
