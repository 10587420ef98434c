// Checkpoints of a wrapped program: sent, settled, and put in place again before it starts.
#include "cli/exit_codes.h"
#include "run_story.h"

using namespace hf;
using namespace hf::cli;
using namespace hf::cli::test;

TEST_CASE("a checkpoint is sent with its sum, settled after the answer, and the next is looked for") {
  Story s;
  s.until_running();
  s.collects.clear();
  s.plan.on_out_changed();
  s.go();
  REQUIRE(s.collects.size() == 1);
  CHECK(s.collects[0].version == 1);
  s.found("step-5", 5, "hello");
  REQUIRE(s.command() == "TASK.CHECKPOINT");
  CHECK(s.asked.back() == sum_of({0, 5, "hello", "{\"kind\":\"file\"}"}));
  CHECK(s.settled.empty());
  s.answer(":1\r\n");
  CHECK(s.settled == std::vector<std::string>{"step-5"});
  REQUIRE(s.collects.size() == 2);
  CHECK(s.collects[1].version == 2);
}

TEST_CASE("a delta names the latest version as its base") {
  Story s;
  s.until_changed();
  s.found("step-5", 5, "base");
  s.answer(":4\r\n");
  s.found("delta-6", 6, "more", true);
  REQUIRE(s.asked_with("DELTA"));
  CHECK(*(std::find(s.asked.begin(), s.asked.end(), "DELTA") + 1) == "4");
}

TEST_CASE("a stale checkpoint is dropped and said, damage on the way is sent again") {
  Story s;
  s.until_changed();
  s.found("step-5", 5, "x");
  s.answer("-CHECKSUM nothing was stored\r\n");
  CHECK(s.settled.empty());
  s.now += 200;
  s.go();
  CHECK(s.command() == "TASK.CHECKPOINT");
  s.answer("-STALE step 5 is behind 9\r\n");
  CHECK(s.settled.size() == 1);
  CHECK(s.said.find("STALE") != std::string::npos);
}

TEST_CASE("leftovers newer than the server's latest are sent before the program starts, and then restored") {
  Story s;
  s.connect();
  s.answer(record({{"run", "nlp#1"}, {"state", "RUNNING"}, {"worker", "me"}}));
  s.claim("1", "102");
  s.answer(list({version_of(3, 100, "old", "{}")}));
  REQUIRE(s.collects.size() == 1);
  CHECK((s.collects[0].newer_than == 100 && s.collects[0].version == 4));
  s.found("step-120", 120, "new");
  CHECK((s.command() == "TASK.CHECKPOINT" && s.asked_with("102")));
  s.answer(":4\r\n");
  s.nothing_to_send();
  CHECK(s.asked == Arguments{"TASK.RESTORE", "nlp#1"});
  const Value latest = version_of(4, 120, "new", "{}");
  s.answer(list({latest}));
  CHECK(s.asked == Arguments{"TASK.PAYLOAD", "nlp#1", "VERSION", "4"});
  s.answer(bulk("new"));
  REQUIRE(s.restored.size() == 1);
  CHECK((s.restored[0].step == 120 && s.restored[0].payload == "new"));
  s.plan.on_restored(ok());
  s.go();
  REQUIRE(s.started.size() == 1);
  CHECK(s.started[0].step == 120);
}

TEST_CASE("a checkpoint that does not match its sum ends with 65 and gives the run back") {
  Story s;
  s.connect();
  s.answer(record({{"run", "nlp#1"}, {"state", "PENDING"}}));
  s.claim("2", "102");
  s.answer(list({version_of(9, 100, "good", "{}", true)}));
  s.nothing_to_send();
  s.answer(bulk("good"));
  CHECK(s.said.find("version 9") != std::string::npos);
  CHECK(s.command() == "TASK.RELEASE");
  s.answer("+OK\r\n");
  CHECK((s.code == kExitBadData && s.started.empty()));
  CHECK(s.said.find("goes on from its last checkpoint") == std::string::npos);
}

TEST_CASE("--fallback takes the newest version that can be verified") {
  RunSettings settings = Story::settings();
  settings.fallback = true;
  Story s(settings);
  s.connect();
  s.answer(record({{"run", "nlp#1"}, {"state", "PENDING"}}));
  s.claim("2", "102");
  s.answer("-CHECKSUM nlp#1: version 9 does not match its sum\r\n");
  CHECK(s.asked == Arguments{"TASK.CHECKPOINTS", "nlp#1"});
  s.answer(list(
      {version_of(7, 70, "seven", "{}"), version_of(8, 80, "eight", "{}"), version_of(9, 90, "nine", "{}")}));
  // The plan has not been told which one failed: it was the newest, and is not asked for again.
  CHECK(s.asked == Arguments{"TASK.RESTORE", "nlp#1", "VERSION", "8"});
  s.answer(list({version_of(8, 80, "eight", "{}")}));
  s.answer(bulk("eight"));
  REQUIRE(s.restored.size() == 1);
  CHECK(s.restored[0].version == 8);
  CHECK(s.said.find("does not match its sum") == s.said.rfind("does not match its sum"));
}

TEST_CASE("a cause that names its version is said once, and where nothing older is kept that is the end") {
  RunSettings settings = Story::settings();
  settings.fallback = true;
  Story s(settings);
  s.connect();
  s.answer(record({{"run", "nlp#1"}, {"state", "PENDING"}}));
  s.claim("2", "102");
  s.answer(list({version_of(9, 100, "nine", "{}")}));
  s.nothing_to_send();
  s.answer(bulk("nine"));
  s.plan.on_restored(Error{"checkpoint version 9: /store/data is not what was saved"});
  s.go();
  s.answer(list({version_of(9, 100, "nine", "{}")}));
  CHECK(s.command() == "TASK.RELEASE");
  CHECK(s.said.find("version 9") == s.said.rfind("version 9"));
  CHECK(s.said.find("no older one is kept") != std::string::npos);
  s.answer("+OK\r\n");
  CHECK(s.code == kExitBadData);
}
