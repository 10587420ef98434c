// The wrapper and its servers: the lease and its beats, connections that break, and servers that do not
// serve.
#include "cli/exit_codes.h"
#include "run_story.h"

using namespace hf;
using namespace hf::cli;
using namespace hf::cli::test;

TEST_CASE("the lease is beaten for at a fifth of its length") {
  Story s;
  s.until_running();
  s.pass(30000);
  CHECK((s.beats >= 9 && s.beats <= 11));
}

TEST_CASE("progress travels with the next beat, once") {
  Story s;
  s.until_running();
  s.plan.on_progress({3, 10, "epoch 3"});
  s.now = 3000;
  s.go();
  CHECK(s.asked == Arguments{"TASK.BEAT", "nlp#1", "100", "PROGRESS", "3", "10", "NOTE", "epoch 3"});
  s.answer("+OK\r\n");
  s.now = 6000;
  s.go();
  CHECK(s.asked == Arguments{"TASK.BEAT", "nlp#1", "100"});
}

TEST_CASE(
    "when the server goes away the program goes on, and the same checkpoint is sent on the next connection") {
  Story s;
  s.until_running();
  s.plan.on_out_changed();
  s.go();
  s.found("step-5", 5, "x");
  const Arguments first = s.asked;
  s.plan.on_disconnected("connection lost", s.now);
  s.go();
  CHECK((s.signals.empty() && !s.code));
  int tries = 0;
  for (; tries < 20; ++tries) {
    s.now = s.plan.wake_at(s.now);
    const int before = s.dials;
    s.go();
    if (s.dials > before) s.plan.on_dial_failed("refused", false, s.now);
  }
  CHECK(s.dials > 5);
  while (s.dials >= 0) {
    const int before = s.dials;
    s.now += 100;
    s.go();
    if (s.dials > before) break;
  }
  s.plan.on_connected(s.now);
  s.go();
  CHECK(s.command() == "TASK.BEAT");  // first of all: are we still the holder?
  s.answer("+OK\r\n");
  CHECK(s.asked == first);
  CHECK((s.signals.empty() && !s.code));
}

TEST_CASE("redialling backs off to two seconds at most") {
  Story s;
  s.until_running();
  s.plan.on_disconnected("gone", s.now);
  Millis widest = 0, last = s.now;
  for (int i = 0; i < 12; ++i) {
    const int before = s.dials;
    while (s.dials == before) {
      s.now = s.plan.wake_at(s.now);
      s.go();
    }
    widest = std::max(widest, s.now - last);
    last = s.now;
    s.plan.on_dial_failed("refused", false, s.now);
  }
  CHECK((widest >= 1000 && widest <= 2100));
}

TEST_CASE("while every server there is a replica that is said once, and 'connected again' when one serves") {
  RunSettings settings = Story::settings();
  settings.addresses = 2;
  Story s(settings);
  s.until_running();
  s.plan.on_disconnected("connection lost", s.now);
  const std::string before = s.said;
  for (int i = 0; i < 10; ++i) {
    const int dials = s.dials;
    while (s.dials == dials) {
      s.now = s.plan.wake_at(s.now);
      s.go();
    }
    s.plan.on_connected(s.now);
    s.go();
    REQUIRE(s.command() == "TASK.BEAT");
    s.answer("-READONLY You can't write against a read only replica.\r\n");
  }
  CHECK(s.said.starts_with(before + "connection lost"));
  CHECK(s.said.find("connected again") == std::string::npos);
  CHECK(std::count(s.said.begin(), s.said.end(), '\n') == std::count(before.begin(), before.end(), '\n') + 1);
  s.now += 3000;
  s.go();
  s.plan.on_connected(s.now);
  s.go();
  s.answer("+OK\r\n");
  CHECK(s.said.ends_with("connected again\n"));
}

TEST_CASE("without a server the wrapper ends with 69, with --wait it keeps dialling") {
  for (const bool wait : {false, true}) {
    RunSettings settings = Story::settings();
    settings.wait = wait;
    Story s(settings);
    s.go();
    s.plan.on_dial_failed("no server answers", false, s.now);
    s.go();
    CHECK(s.code == (wait ? std::nullopt : std::optional<int>(kExitNoServer)));
  }
}

TEST_CASE("a server that is loading is waited for in any case") {
  Story s;
  s.go();
  s.plan.on_dial_failed("LOADING", true, s.now);
  s.go();
  CHECK_FALSE(s.code);
}

TEST_CASE("a reply that never comes is given up, and asked for again on a new connection") {
  Story s;
  s.connect();
  CHECK(s.command() == "TASK.GET");
  s.now += 6000;
  s.go();
  CHECK(s.dials == 1);
  s.now += 200;
  s.go();
  CHECK(s.dials == 2);
  s.plan.on_connected(s.now);
  s.go();
  CHECK(s.command() == "TASK.GET");
}

TEST_CASE("with --strict the program dies when the lease has run out unbeaten") {
  RunSettings settings = Story::settings();
  settings.strict = true;
  Story s(settings);
  s.until_running();
  s.plan.on_disconnected("gone", s.now);
  while (s.now < 14000) {
    s.now = s.plan.wake_at(s.now);
    const int before = s.dials;
    s.go();
    if (s.dials > before) s.plan.on_dial_failed("refused", false, s.now);
  }
  CHECK(s.signals.empty());
  s.now = 15001;
  s.go();
  CHECK(s.signals == std::vector<int>{SIGKILL});
}
