// Stories of `holdfast-cli run`, told to the plan event by event. A small server of words answers it.
#pragma once
#include <algorithm>
#include <catch2/catch.hpp>
#include <csignal>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/run_plan.h"
#include "resp/reader.h"

namespace hf::cli::test {

using resp::Value;

inline Value reply(Bytes text) {
  resp::ReplyReader reader;
  INFO(text);
  REQUIRE(reader.next(text) == resp::ReplyReader::Outcome::Reply);
  return reader.take();
}

inline Value bulk(const std::string& text) {
  Value v;
  v.kind = Value::Kind::Bulk;
  v.text = text;
  return v;
}

inline Value record(std::initializer_list<std::pair<std::string, std::string>> fields) {
  Value v;
  v.kind = Value::Kind::Map;
  for (const auto& [name, value] : fields) {
    v.items.push_back(bulk(name));
    v.items.push_back(bulk(value));
  }
  return v;
}

inline Value list(std::vector<Value> items) {
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
  /// The same, and there is something new in its out folder.
  void until_changed() {
    until_running();
    plan.on_out_changed();
    go();
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

inline Value version_of(uint64_t version, int64_t step, const std::string& payload, const std::string& meta,
                 bool damaged = false) {
  const Restorable r{version, step, payload, meta};
  return record({{"version", std::to_string(version)},
                 {"step", std::to_string(step)},
                 {"meta", meta},
                 {"sum", damaged ? std::string(32, '0') : sum_of(r)}});
}

}  // namespace hf::cli::test
