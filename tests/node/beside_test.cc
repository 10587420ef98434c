// A data set that is exchanged for another one: loaded beside, taken at one moment, and found whole, the old
// or the new, by whoever starts after a kill at any turn of it.
#include <catch2/catch.hpp>

#include "node/beside.h"
#include "node_support.h"

using namespace hf;
using namespace hf::test;

namespace {

/// A replica that holds `old` keys, and a primary of another cluster that holds `fresh` ones. As `stock`, the
/// replica takes the primary for a Redis.
struct Pair {
  MemoryFiles here, there;
  NodeDriver replica, primary;
  node::ConnId reader, up{}, down{};
  bool stock, linked = false;
  static constexpr int keys = 10'000;  // some blocks

  explicit Pair(bool taken_for_redis, config::Options options = {}, node::Host* host = nullptr)
      : replica(here, options, 1, host), primary(there, {}, 2), stock(taken_for_redis) {
    reader = replica.connect();
    const auto writer = primary.connect();
    Prng noise(5);
    const auto pad = [&] {
      std::string out;
      while (out.size() < 80) out += std::to_string(noise.next());
      return out;
    };
    for (int i = 0; i < keys; ++i) {
      replica.send(reader, "SET key:" + std::to_string(i) + " old" + pad() + "\r\n");
      primary.send(writer, "SET key:" + std::to_string(i) + " new" + pad() + "\r\n");
      if (i % 500 == 0) replica.settle(), primary.settle(), replica.take(reader), primary.take(writer);
    }
    replica.settle(), primary.settle();
    if (!stock) replica.ask(reader, "TASK.SUBMIT job QUEUE q PAYLOAD p");
    reader = replica.connect();  // who has written is let go of when the log is exchanged
  }
  void follow() {
    const auto conn = replica.connect();
    CHECK(replica.ask(conn, "REPLICAOF there 6379").starts_with("+OK"));
  }
  /// One turn of each, and what they say to one another.
  void step() {
    replica.turn();
    replica.run_jobs();
    primary.turn();
    primary.run_jobs();
    if (!replica.dials.empty()) {
      up = replica.dials.back();
      replica.dials.clear();
      down = primary.connect();
      replica.node().dialed(up, true, "");
      linked = true;
    }
    if (linked) {
      std::string said = replica.take(up);
      for (size_t at = stock ? said.find("holdfast1") : std::string::npos; at != std::string::npos;
           at = said.find("holdfast1"))
        said.replace(at, 9, "unheardof");
      primary.send(down, said);
      // In pieces: how much comes at once is the network's business.
      const std::string answer = unread + primary.take(down);
      const size_t n = std::min<size_t>(answer.size(), 16 * 1024);
      replica.send(up, Bytes(answer).substr(0, n));
      unread = answer.substr(n);
    }
    replica.pass_ms(1);
    primary.pass_ms(1);
  }
  void cut_link() {
    replica.node().disconnected(up);
    primary.node().disconnected(down);
    linked = false;
    unread.clear();
  }
  /// What a reader sees: "old", "new", or what else.
  std::string read(int i = 77) {
    replica.send(reader, "GET key:" + std::to_string(i) + "\r\n");
    replica.turn();
    replica.run_jobs();
    const std::string reply = replica.take(reader);
    const size_t at = reply.find("\r\n");
    return reply.starts_with("$") && at != std::string::npos ? reply.substr(at + 2, 3) : reply;
  }
  bool said(const std::string& text) const {
    for (const std::string& line : replica.lines)
      if (line.find(text) != std::string::npos) return true;
    return false;
  }
  /// A loading that is as far as `text` or has begun.
  void until(const std::function<bool()>& done) {
    for (int i = 0; i < 200'000; ++i) {
      if (done()) return;
      step();
    }
    FAIL("it does not come about: " + (replica.lines.empty() ? "" : replica.lines.back()));
  }
  std::string unread;
};

/// What a start makes of the folder, as it is now: digest, or why it refuses.
std::string started(const std::map<std::string, std::string>& folder, config::Options options = {}) {
  MemoryFiles disk;
  disk.restore(folder);
  NodeDriver driver(disk, std::move(options), 9);
  if (!driver.exit) return driver.node().digest();
  return driver.lines.back();
}

bool loading(Pair& pair) {
  const auto conn = pair.replica.connect();
  pair.replica.send(conn, "INFO persistence\r\n");
  pair.replica.turn();
  pair.replica.run_jobs();
  const bool is = pair.replica.take(conn).find("async_loading:1") != std::string::npos;
  pair.replica.node().disconnected(conn);
  return is;
}

struct SmallHost final : node::Host {
  uint64_t used = 1'000'000, max = 0;
  node::HostFacts facts() override { return {}; }
  uint64_t used_memory() override { return used; }
  uint64_t memory_max() override { return max; }
  Result<std::string> read_config() override { return Error{"none"}; }
  Status write_config(const std::string&) override { return Error{"none"}; }
};

}  // namespace

TEST_CASE(
    "reads are answered with the old data up to one moment, with the new from then on, never with neither") {
  for (const bool stock : {false, true}) {
    Pair pair(stock);
    CHECK(pair.read() == "old");
    pair.follow();
    int old_reads = 0, loads = 0;
    pair.until([&] {
      const std::string now = pair.read(old_reads % Pair::keys);
      old_reads += now == "old";
      loads += loading(pair);
      CHECK((now == "old" || now == "new"));
      return now != "old";
    });
    CHECK(old_reads > 20);
    CHECK(loads > 2);
    for (int i = 0; i < 2000; ++i) {
      pair.step();
      if (i % 50 == 0) CHECK(pair.read(i) == "new");
    }
    CHECK(pair.replica.node().digest() == pair.primary.node().digest());
    CHECK_FALSE(loading(pair));
    INFO((stock ? "stock" : "native"));
    CHECK(pair.said(stock ? "Loaded the data set of the Redis followed" : "loaded beside the old data set"));
  }
}

TEST_CASE("a kill at any turn of a full sync finds the old data set or the new one, whole") {
  Pair pair(false);
  const std::string before = pair.replica.node().digest(), after = pair.primary.node().digest();
  pair.follow();
  std::string last = before;
  size_t starts = 0;
  std::map<std::string, std::string> folder, now;
  pair.until([&] {
    now = pair.here.snapshot();
    if (now == folder) return false;
    folder = now;
    ++starts;
    const std::string found = started(folder);
    CHECK((found == before || found == after));
    CHECK_FALSE((last == after && found == before));
    last = found;
    return last == after && pair.replica.node().log_place().settled;
  });
  CHECK(starts >= 4);
}

TEST_CASE(
    "a kill while a Redis is taken in leaves the old data, the new, or a start that says what is missing") {
  Pair pair(true);
  const std::string before = pair.replica.node().digest(), after = pair.primary.node().digest();
  pair.follow();
  std::string last = before;
  int refused = 0;
  std::map<std::string, std::string> folder, now;
  config::Options follows;
  follows.replicaof = "there 6379";
  pair.until([&] {
    now = pair.here.snapshot();
    if (now == folder) return false;
    folder = now;
    const std::string found = started(folder);
    const bool refuses =
        found.find("data set of the Redis that was followed is not here") != std::string::npos;
    if (refuses) {
      ++refused;
      CHECK(found.find("replicaof HOST PORT") != std::string::npos);
      CHECK(started(folder, follows).size() == 32);  // to fetch it again
    } else {
      CHECK((found == before || found == after));
      CHECK_FALSE((found == before && last != before));
    }
    last = found;
    return last == after;
  });
  CHECK(refused > 0);
}

TEST_CASE("nobody reigns over a Redis's data set that is not here: REPLICAOF NO ONE says so") {
  Pair pair(true);
  pair.follow();
  std::map<std::string, std::string> half;
  pair.until([&] {
    half = pair.here.snapshot();
    return started(half).find("is not here") != std::string::npos;
  });
  MemoryFiles disk;
  disk.restore(half);
  config::Options follows;
  follows.replicaof = "there 6379";
  NodeDriver again(disk, follows, 5);
  const auto conn = again.connect();
  CHECK(again.ask(conn, "REPLICAOF NO ONE").find("reign over nothing") != std::string::npos);
  CHECK(again.ask(conn, "DBSIZE") == ":0\r\n");
}

TEST_CASE(
    "a link that is lost while the new data set is loaded beside leaves the old one, and nothing of the "
    "new") {
  for (const bool promote : {false, true}) {
    Pair pair(false);
    const std::string before = pair.replica.node().digest();
    pair.follow();
    pair.until([&] { return loading(pair); });
    if (promote) {
      const auto conn = pair.replica.connect();
      pair.replica.send(conn, "REPLICAOF NO ONE\r\n");
    } else {
      pair.cut_link();
    }
    pair.replica.settle();
    CHECK_FALSE(loading(pair));
    CHECK(pair.read() == "old");
    CHECK(pair.replica.node().digest() == before);
    CHECK(started(pair.here.snapshot()) == before);
    if (promote) {
      const auto conn = pair.replica.connect();
      CHECK(pair.replica.ask(conn, "SET key:77 newer") == "+OK\r\n");
      CHECK(pair.replica.ask(conn, "TASK.CLAIM 1 q WORKER w COUNT 5").find("job#1") != std::string::npos);
      continue;
    }
    pair.until([&] { return pair.read() == "new"; });
    pair.until([&] { return pair.replica.node().log_place().settled; });
    CHECK(pair.replica.node().digest() == pair.primary.node().digest());
  }
}

TEST_CASE("giving up to follow a Redis while its dump is loaded beside keeps the old data set") {
  Pair pair(true);
  const std::string before = pair.replica.node().digest();
  pair.follow();
  pair.until([&] { return loading(pair); });
  const auto conn = pair.replica.connect();
  CHECK(pair.replica.ask(conn, "REPLICAOF NO ONE") == "+OK\r\n");
  CHECK(pair.replica.node().digest() == before);
  CHECK_FALSE(loading(pair));
  CHECK(pair.replica.ask(conn, "SET key:77 newer") == "+OK\r\n");
}

TEST_CASE("a backup that is being made when another data set is adopted ends with the reason, in any phase") {
  for (const bool stock : {false, true})
    for (const std::string phase : {"digest", "sync", "copy"}) {
      Pair pair(stock);
      const auto conn = pair.replica.connect();
      pair.follow();
      pair.until([&] { return loading(pair); });
      const auto state = [&] {
        pair.replica.send(conn, "BACKUP STATUS\r\n");
        pair.replica.turn();
        return pair.replica.take(conn);
      };
      std::vector<node::BackupOrder> orders;
      // `sync` is passed in a turn; digest and copy last.
      pair.replica.send(conn, "BACKUP START INTO /backups/a TOKEN secret\r\n");
      pair.replica.turn();
      pair.replica.take(conn);
      if (phase != "digest")
        for (int i = 0; i < 4000 && state().find("\r\n" + phase + "\r\n") == std::string::npos; ++i) {
          if (pair.replica.effects.backup) orders.push_back(*pair.replica.effects.backup);
          pair.replica.run_jobs();
        }
      pair.until([&] {
        if (pair.replica.effects.backup) orders.push_back(*pair.replica.effects.backup);
        return pair.read() == "new";
      });
      INFO(phase << (stock ? ", a Redis" : ""));
      if (!orders.empty()) {
        CHECK(orders.back().kind == node::BackupOrder::Kind::Cancel);
        CHECK(orders.back().id == orders.front().id);
        pair.replica.node().backup_report({.id = orders.back().id, .over = true, .error = "it was given up"});
      }
      const std::string end = state();
      CHECK(end.find("failed") != std::string::npos);
      CHECK(end.find("takes over another data set") != std::string::npos);
      CHECK(pair.said("The backup into /backups/a failed: this server takes over"));
    }
}

TEST_CASE(
    "where two data sets do not fit, the old one is dropped first, with the reason, and the sync ends as "
    "ever") {
  for (const bool stock : {false, true})
    for (const bool measured : {false, true}) {
      SmallHost host;
      host.max = measured ? 10'000'000 : 1'900'000;
      Pair pair(stock, {}, &host);
      pair.follow();
      int refused = 0;
      std::string seen;
      pair.until([&] {
        if (measured && host.used < 9'000'000 && loading(pair)) host.used = 9'000'000;
        const std::string now = pair.read();
        if (now != seen) seen = now;
        refused += now.starts_with("-LOADING");
        CHECK((now == "old" || now == "new" || now.starts_with("-LOADING")));
        return now == "new";
      });
      INFO((stock ? "stock" : "native") << (measured ? ", measured" : ", foreseen"));
      CHECK(refused > 0);
      CHECK(pair.said("and reads get -LOADING meanwhile: "));
      CHECK(pair.said(measured ? "have come to 8.58M" : "would pass"));
      pair.until([&] { return pair.replica.node().log_place().settled; });
      CHECK(pair.replica.node().digest() == pair.primary.node().digest());
    }
}
