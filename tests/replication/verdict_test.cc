// The verdict as a table: what two histories and two ends lead to.
#include <catch2/catch.hpp>

#include "replication/backoff.h"
#include "replication/wire.h"

using namespace hf;
using namespace hf::replication;

namespace {

const std::string home(40, 'c'), elsewhere(40, 'd');

std::string id(char c) { return std::string(40, c); }

struct Part {
  uint64_t epoch;
  char id;
  uint64_t first;
};

Holding holding(const std::vector<Part>& reigns, uint64_t begin, uint64_t end,
                const std::string& cluster = home) {
  Holding h{cluster, {}, {begin}, {end}};
  for (const Part& r : reigns) REQUIRE(h.history.add({{r.epoch}, id(r.id), {r.first}}));
  return h;
}

std::string kind(const Verdict& verdict) {
  if (const auto* c = std::get_if<Continue>(&verdict)) return "continue " + std::to_string(c->from.value);
  if (const auto* d = std::get_if<Diverged>(&verdict)) return "diverged " + std::to_string(d->at.value);
  return "full";
}

}  // namespace

TEST_CASE("what two logs share is the end of the newest reign that both name, or nothing") {
  const Holding primary = holding({{1, 'a', 0}, {2, 'b', 100}}, 0, 200);
  CHECK(shared_end(primary, holding({{1, 'a', 0}}, 0, 130)) == LogOffset{100});
  CHECK(shared_end(primary, holding({{1, 'a', 0}, {2, 'b', 100}}, 0, 150)) == LogOffset{150});
  CHECK(shared_end(primary, holding({{1, 'a', 0}, {3, 'e', 60}}, 0, 90)) == LogOffset{60});
  CHECK_FALSE(shared_end(primary, holding({{5, 'f', 0}}, 0, 90)));
  CHECK_FALSE(shared_end(primary, holding({{1, 'a', 0}}, 0, 90, elsewhere)));
  CHECK_FALSE(shared_end(primary, {}));
}

TEST_CASE("the resync verdict, case by case") {
  struct Case {
    const char* what;
    Holding primary, replica;
    const char* verdict;
  };
  const std::vector<Part> one{{1, 'a', 0}}, two{{1, 'a', 0}, {2, 'b', 100}},
      three{{1, 'a', 0}, {2, 'b', 100}, {3, 'e', 150}};
  const Case cases[] = {
      {"an empty replica", holding(one, 0, 100), {}, "full"},
      {"another cluster", holding(one, 0, 100), holding(one, 0, 100, elsewhere), "full"},
      {"the same reign, at the end", holding(one, 0, 100), holding(one, 0, 100), "continue 100"},
      {"the same reign, behind", holding(one, 0, 100), holding(one, 0, 40), "continue 40"},
      {"the same reign, ahead of a primary that lost its tail unseen", holding(one, 0, 90),
       holding(one, 0, 100), "diverged 90"},
      {"the primary restarted cleanly", holding(two, 0, 200), holding(one, 0, 100), "continue 100"},
      {"the primary restarted, the replica was behind", holding(two, 0, 200), holding(one, 0, 60),
       "continue 60"},
      {"the primary lost a tail that the replica has", holding(two, 0, 200), holding(one, 0, 130),
       "diverged 100"},
      {"the replica reigned meanwhile and wrote", holding(two, 0, 200),
       holding({{1, 'a', 0}, {3, 'e', 100}}, 0, 300), "diverged 100"},
      {"the replica reigned from an earlier offset", holding(two, 0, 200),
       holding({{1, 'a', 0}, {2, 'f', 50}}, 0, 80), "diverged 50"},
      {"an old primary comes back behind the new one", holding(three, 0, 300), holding(two, 0, 140),
       "continue 140"},
      {"an old primary comes back with a tail of its own", holding(three, 0, 300), holding(two, 0, 180),
       "diverged 150"},
      {"two reigns numbered alike are two", holding({{1, 'a', 0}, {2, 'f', 100}}, 0, 200),
       holding(two, 0, 150), "diverged 100"},
      {"the log is trimmed past the replica", holding(two, 120, 200), holding(one, 0, 60), "full"},
      {"the log begins just where the replica ends", holding(one, 60, 200), holding(one, 0, 60),
       "continue 60"},
      {"diverged, and the log is trimmed past the point", holding(two, 120, 200), holding(one, 0, 130),
       "full"},
      {"diverged, and the replica can't go back as far", holding(two, 0, 200), holding(one, 110, 130),
       "full"},
      {"diverged, and the replica can just go back as far", holding(two, 0, 200), holding(one, 100, 130),
       "diverged 100"},
      {"nothing in common", holding({{1, 'a', 0}}, 0, 10), holding({{1, 'b', 0}}, 0, 10), "full"},
      {"the primary forgot the oldest reigns", holding({{2, 'b', 100}}, 0, 200), holding(two, 0, 150),
       "continue 150"},
      {"the replica forgot the oldest reigns", holding(two, 0, 200), holding({{2, 'b', 100}}, 120, 150),
       "continue 150"},
      {"a replica that knows a reign the primary lost", holding(two, 0, 200), holding(three, 0, 236),
       "diverged 150"},
  };
  for (const Case& c : cases) {
    INFO(c.what);
    const std::string got = kind(judge(c.primary, c.replica));

    CHECK(got == c.verdict);
  }
}

TEST_CASE("what travels beside frames comes back as it went, and never when a bit is wrong") {
  const Heartbeat heartbeat{true, true, {7}, {1000}, {900}, 1'700'000'000'000, 42};
  const std::string text = encode(heartbeat);
  REQUIRE(text.size() == heartbeat_bytes);
  CHECK(decode_heartbeat(text) == heartbeat);
  const SnapshotAhead ahead{{77}, 12345};
  const std::string snapshot = encode(ahead);
  CHECK(decode_snapshot_ahead(snapshot) == ahead);
  for (size_t i = 0; i < text.size(); ++i) {
    std::string damaged = text;
    damaged[i] = static_cast<char>(damaged[i] ^ 4);
    CHECK_FALSE(decode_heartbeat(damaged).has_value());
  }
  CHECK_FALSE(decode_heartbeat(text.substr(1)).has_value());
  const Holding held = holding({{1, 'a', 0}, {2, 'b', 100}}, 10, 200);
  const auto back = decode_holding(encode(held));
  REQUIRE(back.has_value());
  CHECK(back->history == held.history);
  CHECK(back->end == held.end);
  for (size_t n = 0; n < encode(held).size(); ++n)
    CHECK_FALSE(decode_holding(Bytes(encode(held)).substr(0, n)).has_value());
}

TEST_CASE("the wait before a new try doubles up to its cap, and is drawn from all of it") {
  Prng prng(1);
  Backoff backoff(1000);
  MonoUs largest = 0;
  for (int i = 0; i < 1000; ++i) {
    const MonoUs wait = backoff.next(prng);
    if (i == 0) CHECK(wait <= 50'000);
    largest = std::max(largest, wait);
    CHECK(wait <= 1'000'000);
  }
  CHECK(largest > 900'000);
  backoff.reset();
  CHECK(backoff.next(prng) <= 50'000);
}
