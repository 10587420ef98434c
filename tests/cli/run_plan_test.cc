// Stories of `holdfast-cli run`, told to the plan event by event. A small server of words answers it.
#include "cli/run_plan.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <csignal>

#include "cli/exit_codes.h"
#include "resp/reader.h"

using namespace hf;
using namespace hf::cli;
using resp::Value;

namespace {

Value reply(Bytes text) {
  resp::ReplyReader reader;
  INFO(text);
  REQUIRE(reader.next(text) == resp::ReplyReader::Outcome::Reply);
  return reader.take();
}

Value bulk(const std::string& text) {
  Value v;
  v.kind = Value::Kind::Bulk;
  v.text = text;
  return v;
}

Value record(std::initializer_list<std::pair<std::string, std::string>> fields) {
  Value v;
  v.kind = Value::Kind::Map;
  for (const auto& [name, value] : fields) {
    v.items.push_back(bulk(name));
    v.items.push_back(bulk(value));
  }
  return v;
}

Value list(std::vector<Value> items) {
  Value v;
  v.kind = Value::Kind::Array;
  v.items = std::move(items);
  return v;
}

/// Drives a plan: collects its effects until it has none; the last Send is what the server is asked.
struct Story {
  explicit Story(RunSettings s = settings()) : plan(std::move(s), 7, 0) {}

  static RunSettings settings() {
    RunSettings s;
    s.task = "nlp";
    s.queue = "default";
    s.worker = "me";
    s.payload = "{}";
    return s;
  }

  void go() {
    asked.clear();
    for (auto e = plan.next(now); e; e = plan.next(now)) {
      if (auto* send = std::get_if<effect::Send>(&*e)) asked = send->args;
      else if (auto* say = std::get_if<effect::Say>(&*e)) said += say->text + "\n";
      else if (auto* exit = std::get_if<effect::Exit>(&*e)) code = exit->code, cleared = exit->clear;
      else if (std::get_if<effect::Dial>(&*e) != nullptr) ++dials;
      else if (auto* adopt = std::get_if<effect::Adopt>(&*e)) adopted = adopt->run;
      else if (auto* collect = std::get_if<effect::Collect>(&*e)) collects.push_back(*collect);
      else if (auto* settle = std::get_if<effect::Settle>(&*e)) settled.push_back(settle->name);
      else if (auto* restore = std::get_if<effect::Restore>(&*e)) restored = restore->chain, restores++;
      else if (auto* start = std::get_if<effect::Start>(&*e)) started.push_back(*start);
      else if (auto* signal = std::get_if<effect::Signal>(&*e)) signals.push_back(signal->number);
      else if (std::get_if<effect::AskProgram>(&*e) != nullptr) ++asks;
      else if (auto* end = std::get_if<effect::RememberEnd>(&*e)) remembered = end->code;
      else if (auto* prune = std::get_if<effect::PruneStore>(&*e)) pruned = prune->keep;
    }
  }
  void connect() {
    go();
    plan.on_connected(now);
    go();
  }
  void answer(const Value& v) {
    plan.on_reply(v, now);
    go();
  }
  void answer(const char* text) { answer(reply(text)); }
  void nothing_to_send() {
    plan.on_collected(std::optional<Prepared>(), "", now);
    go();
  }
  void found(const std::string& name, int64_t step, const std::string& payload, bool delta = false) {
    Prepared p{name, step, delta, payload, "{\"kind\":\"file\"}", payload.size(), ""};
    plan.on_collected(std::optional<Prepared>(p), "", now);
    go();
  }
  /// From a fresh start to the running program, without a checkpoint.
  void until_running() {
    connect();
    answer("-NORUN there is no task nlp\r\n");
    answer("$5\r\nnlp#1\r\n");
    claim("1", "100");
    answer("_\r\n");
    nothing_to_send();
    plan.on_restored(ok());
    go();
    REQUIRE(started.size() == 1);
  }
  void claim(const std::string& attempt, const std::string& token) {
    REQUIRE(command() == "TASK.CLAIM");
    answer(list({record({{"run", "nlp#1"}, {"token", token}, {"attempt", attempt}, {"lease_ms", "15000"}})}));
  }
  std::string command() const { return asked.empty() ? "" : asked[0]; }
  bool asked_with(const std::string& word) const {
    return std::find(asked.begin(), asked.end(), word) != asked.end();
  }
  /// Lets time pass to `at`, answering beats with OK.
  void pass(Millis at) {
    while (now < at) {
      now = std::min(at, std::max(plan.wake_at(now), now + 1));
      go();
      if (command() == "TASK.BEAT") ++beats, answer("+OK\r\n");
    }
  }

  RunPlan plan;
  Millis now = 0;
  Arguments asked;
  std::string said, adopted;
  std::optional<int> code, remembered;
  bool cleared = false;
  int dials = 0, asks = 0, beats = 0, restores = 0;
  std::vector<effect::Collect> collects;
  std::vector<std::string> settled;
  std::vector<Restorable> restored;
  std::vector<effect::Start> started;
  std::vector<int> signals;
  std::vector<uint64_t> pruned;
};

Value version_of(uint64_t version, int64_t step, const std::string& payload, const std::string& meta,
                 bool damaged = false) {
  const Restorable r{version, step, payload, meta};
  return record({{"version", std::to_string(version)},
                 {"step", std::to_string(step)},
                 {"meta", meta},
                 {"sum", damaged ? std::string(32, '0') : sum_of(r)}});
}

}  // namespace

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
  s.until_running();
  s.plan.on_out_changed();
  s.go();
  s.found("step-5", 5, "base");
  s.answer(":4\r\n");
  s.found("delta-6", 6, "more", true);
  REQUIRE(s.asked_with("DELTA"));
  CHECK(*(std::find(s.asked.begin(), s.asked.end(), "DELTA") + 1) == "4");
}

TEST_CASE("a stale checkpoint is dropped and said, damage on the way is sent again") {
  Story s;
  s.until_running();
  s.plan.on_out_changed();
  s.go();
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
