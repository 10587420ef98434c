// The small parts: the heap, short texts, JSON, chains.
#include <catch2/catch.hpp>

#include "base/limits.h"
#include "base/prng.h"
#include "task/event_log.h"
#include "task/json.h"
#include "task/packed_time.h"
#include "task/payload.h"
#include "task/run_heap.h"

namespace hf::task {
namespace {

TEMPLATE_TEST_CASE("the heap agrees with a sorted list whatever is done to it", "", KeyAndOrder, KeyOnly) {
  Prng dice(5);
  RunHeap<&Run::place, TestType> heap;
  std::vector<std::unique_ptr<Run>> runs;
  std::vector<std::pair<int64_t, Run*>> model;
  const auto check = [&] {
    CHECK(heap.size() == model.size());
    if (model.empty()) return;
    const auto least = std::min_element(model.begin(), model.end(), [](const auto& a, const auto& b) {
      return std::pair(a.first, a.second->order) < std::pair(b.first, b.second->order);
    });
    CHECK(heap.top().run == least->second);
    CHECK(heap.top().key == least->first);
  };
  for (int i = 0; i < 5000; ++i) {
    const uint64_t what = dice.below(8);
    if (what < 4 || model.empty()) {
      runs.push_back(std::make_unique<Run>());
      runs.back()->order = static_cast<uint64_t>(i);
      const auto key = static_cast<int64_t>(dice.below(50));
      heap.push(key, *runs.back());
      model.emplace_back(key, runs.back().get());
    } else if (what < 6) {
      const size_t at = dice.below(model.size());
      heap.erase(*model[at].second);
      CHECK(model[at].second->place == no_place);
      model.erase(model.begin() + static_cast<ptrdiff_t>(at));
    } else if (what == 6 || i % 100 != 0) {
      const size_t at = dice.below(model.size());
      model[at].first = static_cast<int64_t>(dice.below(50));
      heap.rekey(*model[at].second, model[at].first);
    } else {
      for (auto& [key, run] : model) key = static_cast<int64_t>(dice.below(50));
      heap.rekey_all([&](const Run& run) {
        return std::find_if(model.begin(), model.end(), [&](const auto& m) { return m.second == &run; })
            ->first;
      });
    }
    check();
  }
}

TEST_CASE("a heap of several blocks gives its runs back in order, and takes new ones while it empties") {
  Prng dice(6);
  RunHeap<&Run::place, KeyOnly> heap;
  std::vector<std::unique_ptr<Run>> runs;
  for (uint64_t i = 0; i < 3000; ++i) {
    runs.push_back(std::make_unique<Run>());
    runs.back()->order = i;
    heap.push(static_cast<int64_t>(dice.below(1000)), *runs.back());
  }
  while (!heap.empty()) {
    const int64_t key = heap.top().key;
    Run& run = *heap.top().run;
    heap.erase(run);
    if (!heap.empty()) CHECK(key <= heap.top().key);
    if (dice.below(4) == 0) heap.push(key + static_cast<int64_t>(dice.below(1000)), run);
  }
}

TEST_CASE("packed events come back as they went in, and beyond the thousandth the oldest goes") {
  Prng dice(7);
  EventLog log;
  struct Plain {
    WallMs at;
    uint64_t token;
    std::string worker, reason;
    Event what;
    State before, after;
    bool operator==(const Plain&) const = default;
  };
  std::vector<Plain> model;
  const std::string workers[] = {"", "w1", "w2", std::string(256, 'w')};
  for (size_t i = 0; i < limits::task_events_max + 300; ++i) {
    const bool held = dice.below(3) > 0;
    Plain p{
        dice.below(20) == 0 ? static_cast<WallMs>(dice.next()) : static_cast<WallMs>(1'700'000'000'000 + i),
        held ? 1 + dice.below(3) : 0,
        held ? workers[dice.below(4)] : "",
        std::string(dice.below(3) * dice.below(300), 'r'),
        static_cast<Event>(dice.below(event_count)),
        static_cast<State>(dice.below(state_count)),
        static_cast<State>(dice.below(state_count))};
    log.push({p.at, {p.token}, p.worker, p.reason, p.what, p.before, p.after});
    model.push_back(std::move(p));
    if (model.size() > limits::task_events_max) model.erase(model.begin());
    if (i % 97 != 0 && i < limits::task_events_max) continue;
    const EventLog copy = log;
    size_t at = 0, wrong = 0;
    copy.for_each([&](const RunEvent& e) {
      const Plain plain{e.at,     e.token.value, std::string(e.worker), std::string(e.reason), e.what,
                        e.before, e.after};
      if (at >= model.size() || !(plain == model[at])) ++wrong;
      ++at;
    });
    CHECK(wrong == 0);
    CHECK(at == model.size());
    CHECK(copy.size() == model.size());
    CHECK(copy.first_id() == i + 2 - model.size());
  }
}

TEST_CASE("texts are shared when copied and empty ones cost nothing") {
  Text a("hello"), b = a, c;
  CHECK(a.view().data() == b.view().data());
  CHECK(c.empty());
  CHECK(c.memory_bytes() == 0);
  a = Text("other");
  CHECK(b.view() == "hello");
  b = b;
  c = std::move(b);
  CHECK(c.view() == "hello");
  CHECK(sizeof(Text) == 8);
}

TEST_CASE("META is a JSON object, and its fields are found") {
  for (const char* good : {"{}", " {\"a\":1} ", "{\"a\":[1,-2.5e+3,{\"b\":null}],\"c\":true}",
                           "{\"\\u00e9\":\"\\ud83d\\ude00\"}"})
    CHECK(is_json_object(good));
  for (const char* bad : {"", "1", "[]", "{", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{\"a\":01}",
                          "{\"a\":1}x", "{\"a\":\"\x01\"}", "{\"a\":\"\\q\"}", "{\"a\":\"\\ud800\"}",
                          "{\"a\":tru}", "{\"a\":1.}", "{\"a\":-}"})
    CHECK(!is_json_object(bad));
  std::string deep = "{\"a\":" + std::string(100, '[') + std::string(100, ']') + "}";
  CHECK(!is_json_object(deep));
  const Bytes meta = "{\"v\":\"a\\nb\",\"n\":12.5,\"o\":{\"v\":3},\"l\":[1, 2],\"e\":\"\\u00e9\"}";
  CHECK(json_field(meta, "v") == "a\nb");
  CHECK(json_field(meta, "n") == "12.5");
  CHECK(json_field(meta, "o") == "{\"v\":3}");
  CHECK(json_field(meta, "l") == "[1, 2]");
  CHECK(json_field(meta, "e") == "\xc3\xa9");
  CHECK(!json_field(meta, "x"));
  CHECK(!json_field("junk", "x"));
}

TEST_CASE("the sum covers payload, step and META, each in its place") {
  const Sum128 sum = checkpoint_sum("payload", 7, "{}");
  CHECK(sum == sum128(Bytes("payload\x07\0\0\0\0\0\0\0{}", 17)));
  CHECK(sum != checkpoint_sum("payload", 8, "{}"));
  CHECK(sum != checkpoint_sum("payload", 7, ""));
  Sum128 parsed;
  CHECK((parse_sum(to_hex(sum), parsed) && parsed == sum));
  CHECK(!parse_sum("12", parsed));
  CHECK(!parse_sum(std::string(32, 'g'), parsed));
}

TEST_CASE("a payload is none, empty, small or a blob, and copies share it") {
  CHECK_FALSE(Payload());
  CHECK(Payload().memory_bytes() == 0);
  CHECK(Payload(Bytes()));
  CHECK(Payload(Bytes()).view().empty());
  for (const size_t size : {size_t{1}, size_t{64}, Payload::blob_bytes_min - 1, Payload::blob_bytes_min, size_t{100000}}) {
    const std::string bytes(size, 'p');
    const Payload payload{Bytes(bytes)};
    Payload copy = payload;
    CHECK(copy.view() == bytes);
    CHECK(copy.identity() == payload.identity());
    CHECK((payload.blob() != nullptr) == (size >= Payload::blob_bytes_min));
    CHECK(payload.memory_bytes() >= size);
    copy = Payload();
    CHECK(payload.view() == bytes);
  }
}

TEST_CASE("a time in six bytes reads as it was written") {
  for (const WallMs at : {WallMs{0}, WallMs{1}, WallMs{1700000000123}, PackedTime::max}) {
    CHECK(PackedTime::valid(at));
    CHECK(WallMs{PackedTime(at)} == at);
  }
  CHECK_FALSE(PackedTime::valid(-1));
  CHECK_FALSE(PackedTime::valid(PackedTime::max + 1));
}

}  // namespace
}  // namespace hf::task
