// Write concern and switchovers by hand, turn by turn: what is held back, until when, and what runs when.
#include <catch2/catch.hpp>

#include "base/little_endian.h"
#include "log/manifest.h"
#include "node_support.h"
#include "replication/verdict.h"
#include "replication/wire.h"

using namespace hf;
using namespace hf::test;

namespace {

config::Options options_of(config::FsyncPolicy policy, bool quorum, const std::string& follows = "") {
  config::Options options;
  options.appendfsync = policy;
  options.replicaof = follows;
  options.min_copies = quorum && follows.empty() ? 1 : 2;
  if (quorum) options.write_concern = config::WriteConcern::Quorum;
  return options;
}

/// A primary with one replica, which is this test: it says what it likes.
struct Rig {
  MemoryFiles files;
  NodeDriver driver{files, options_of(config::FsyncPolicy::No, false)};
  node::ConnId client = driver.connect(), replica = driver.connect();

  Rig() {
    driver.ask(client, "SET before 1 PX 5000");
    driver.ask(replica, "REPLCONF listening-port 7001");
    driver.ask(replica, "REPLCONF capa holdfast1");
    driver.ask(replica, "PSYNC ? -1");
    for (int i = 0; i < 5; ++i) {
      driver.pass_ms(300);
      driver.settle();
      driver.take(replica);
    }
  }
  void acknowledge(bool all) {
    const auto place = driver.node().log_place();
    const std::string at = std::to_string(all ? place.end.value : 0);
    driver.send(replica, "REPLCONF hfack " + std::to_string(place.epoch.value) + " " + at + " " + at + " " +
                             at + "\r\n");
  }
  void turns(int n) {
    for (int i = 0; i < n; ++i) driver.turn(), driver.run_jobs();
  }
  bool handed_over() {
    driver.settle();
    return driver.take(replica).find(replication::hand_over_magic) != std::string::npos;
  }
  bool said(const std::string& words) const {
    for (const std::string& line : driver.lines)
      if (line.find(words) != std::string::npos) return true;
    return false;
  }
};

/// A replica that says what it holds: the node's answer to PSYNC.
std::string asks(NodeDriver& driver, node::ConnId conn, const replication::Holding& holding) {
  driver.ask(conn, "REPLCONF listening-port 7001");
  driver.ask(conn, "REPLCONF capa holdfast1");
  Buffer words;
  resp::Writer(words, 2).command({"REPLCONF", "holdfast", replication::encode(holding)});
  driver.send(conn, words.view());
  driver.settle();
  REQUIRE(driver.take(conn) == "+OK\r\n");
  driver.send(conn, "PSYNC ? -1\r\n");
  std::string said;
  for (int i = 0; i < 8; ++i) {
    driver.settle();
    said += driver.take(conn);
    driver.pass_ms(300);
  }
  return said;
}

replication::Holding holding_of(MemoryFiles& files, LogOffset end) {
  const auto log = log::decode_manifest(files.content(log::manifest_name));
  REQUIRE(log);
  return {log->cluster_id, log->history, {}, end};
}

/// The last file whose name begins so.
std::string last_file(MemoryFiles& files, const std::string& prefix) {
  const std::vector<std::string> names = *files.list();
  std::string last;
  for (const std::string& name : names)
    if (name.starts_with(prefix)) last = name;
  return last;
}

/// A life that ended with a snapshot and some log behind it.
void live(MemoryFiles& files) {
  NodeDriver driver(files, options_of(config::FsyncPolicy::Always, false));
  const node::ConnId conn = driver.connect();
  for (int i = 0; i < 20; ++i) driver.ask(conn, "SET key:" + std::to_string(i) + " " + std::string(100, 'v'));
  driver.ask(conn, "BGSAVE");
  driver.settle();
  driver.ask(conn, "SET behind it");
  driver.node().request_shutdown();
  driver.settle();
}

/// The snapshot that a stream announces; none: nullopt.
std::optional<LogOffset> announced(const std::string& said) {
  const size_t at = said.find(replication::snapshot_magic);
  if (at == std::string::npos || said.size() < at + 16) return std::nullopt;
  return LogOffset{get_le<uint64_t>(Bytes(said), at + 8)};
}

}  // namespace

TEST_CASE("what a failover held back runs in a turn that logs it, once the failover is given up") {
  for (const bool lost : {false, true}) {
    Rig rig;
    REQUIRE(rig.driver.ask(rig.client, "FAILOVER TIMEOUT 50") == "+OK\r\n");
    rig.driver.send(rig.client, "INCR held\r\n");
    rig.turns(3);
    CHECK(rig.driver.take(rig.client).empty());
    if (lost) rig.driver.node().disconnected(rig.replica);
    else rig.driver.pass_ms(60);
    std::string answer;
    for (int i = 0; i < 20 && answer.empty(); ++i) {
      const std::string before = rig.driver.node().digest();
      const LogOffset end = rig.driver.node().log_place().end;
      rig.turns(1);
      CHECK((rig.driver.node().digest() == before) == (rig.driver.node().log_place().end == end));
      answer = rig.driver.take(rig.client);
    }
    CHECK(answer == ":1\r\n");
    CHECK(rig.said("is given up"));
  }
}

TEST_CASE("a node whose role is on the move rests, though keys are due to expire") {
  Rig rig;
  REQUIRE(rig.driver.ask(rig.client, "SET soon 1 PX 20") == "+OK\r\n");
  rig.driver.send(rig.client, "FAILOVER\r\n");
  rig.turns(3);
  rig.driver.pass_ms(200);
  int at_once = 0;
  for (int i = 0; i < 50; ++i) {
    rig.turns(1);
    at_once += rig.driver.effects.again || rig.driver.effects.wake_at <= rig.driver.mono_us;
  }
  CHECK(at_once < 10);
}

TEST_CASE("a role that was handed over comes back only by the word of somebody who knows") {
  for (const bool follow : {false, true}) {
    Rig rig;
    const node::ConnId writer = rig.driver.connect(), person = rig.driver.connect();
    REQUIRE(rig.driver.ask(rig.client, "FAILOVER") == "+OK\r\n");
    rig.acknowledge(true);
    REQUIRE(rig.handed_over());
    rig.driver.send(writer, "SET a 1\r\n");
    rig.driver.settle();
    const std::string refused = rig.driver.ask(person, "FAILOVER ABORT");
    CHECK(refused.starts_with("-ERR the role has been handed over"));
    CHECK(refused.find("REPLICAOF NO ONE") != std::string::npos);
    rig.driver.node().disconnected(rig.replica);
    rig.driver.settle();
    CHECK(rig.said("Writes wait: look at the ROLE"));
    CHECK(rig.driver.take(writer).empty());
    const Epoch epoch = rig.driver.node().log_place().epoch;
    if (follow) {
      CHECK(rig.driver.ask(person, "REPLICAOF there 7001") == "+OK\r\n");
      CHECK(rig.driver.node().log_place().following);
      CHECK(rig.driver.take(writer).empty());
    } else {
      CHECK(rig.driver.ask(person, "REPLICAOF NO ONE") == "+OK\r\n");
      CHECK(rig.driver.take(writer) == "+OK\r\n");
      CHECK(rig.driver.node().log_place().epoch > epoch);
    }
  }
}

TEST_CASE("who gave its role away does not have the log of the one that took it cut back") {
  Rig rig;
  REQUIRE(rig.driver.ask(rig.client, "FAILOVER") == "+OK\r\n");
  rig.acknowledge(true);
  REQUIRE(rig.handed_over());
  rig.driver.node().disconnected(rig.replica);
  rig.driver.settle();
  // It reigned, acknowledged something, and was started again with the words that it was first started with.
  const LogOffset end = rig.driver.node().log_place().end;
  replication::Holding holding = holding_of(rig.files, end);
  const auto asks_again = [&] { return asks(rig.driver, rig.driver.connect(), holding); };
  CHECK(asks_again().find("+CONTINUE ") != std::string::npos);
  holding.history.add({Epoch{holding.history.last().epoch.value + 1}, std::string(40, 'b'), end});
  holding.end = LogOffset{end.value + 100};
  CHECK(asks_again().find("-NOMASTERLINK ") != std::string::npos);
}

TEST_CASE(
    "a replica that loaded its whole log shows none of it under quorum before it hears that it is "
    "committed") {
  MemoryFiles files;
  {
    NodeDriver before(files, options_of(config::FsyncPolicy::Always, false));
    REQUIRE(before.ask(before.connect(), "SET a 1") == "+OK\r\n");
  }
  for (const bool quorum : {true, false}) {
    NodeDriver replica(files, options_of(config::FsyncPolicy::Always, quorum, "there 7000"));
    const node::ConnId reader = replica.connect();
    CHECK(replica.ask(reader, "PING") == "+PONG\r\n");
    CHECK(replica.ask(reader, "GET a") == (quorum ? "" : "$1\r\n1\r\n"));
    const node::ConnId other = replica.connect();
    CHECK(replica.ask(other, "DBSIZE") == (quorum ? "" : ":1\r\n"));
  }
}

TEST_CASE("what a start wrote again and synced counts as synced") {
  MemoryFiles files;
  {
    NodeDriver before(files, options_of(config::FsyncPolicy::No, false));
    const node::ConnId conn = before.connect();
    for (int i = 0; i < 5; ++i) REQUIRE(before.ask(conn, "SET a " + std::to_string(i)) == "+OK\r\n");
    REQUIRE(before.node().log_place().synced < before.node().log_place().end);
  }
  NodeDriver replica(files, options_of(config::FsyncPolicy::No, false, "there 7000"));
  CHECK(replica.node().log_place().synced == replica.node().log_place().end);
}

TEST_CASE("under quorum what timers change is synced though no reply waits for it") {
  MemoryFiles files;
  NodeDriver driver(files, options_of(config::FsyncPolicy::No, true));
  const node::ConnId conn = driver.connect();
  REQUIRE(driver.ask(conn, "SET a 1 PX 50") == "+OK\r\n");
  const LogOffset end = driver.node().log_place().end;
  for (int i = 0; i < 5; ++i) {
    driver.pass_ms(300);
    driver.settle();
  }
  CHECK(driver.node().log_place().end > end);
  CHECK(driver.node().log_place().synced == driver.node().log_place().end);
}

TEST_CASE("a log that can't be read any more sends a replica to a snapshot behind the damage, once") {
  MemoryFiles files;
  live(files);
  NodeDriver driver(files, options_of(config::FsyncPolicy::Always, false));
  const node::ConnId conn = driver.connect();
  replication::Holding holding = holding_of(files, {});
  holding.end = holding.history.last().first;  // all but the reign that begins now
  for (int i = 0; i < 5; ++i) driver.ask(conn, "SET damaged:" + std::to_string(i) + " " + std::string(100, 'd'));
  std::string& bytes = files.content(last_file(files, "log-"));
  bytes[bytes.rfind("damaged:1")] ^= 1;  // rot
  const LogOffset damage = driver.node().log_place().end;
  const std::string before = asks(driver, driver.connect(), holding);
  CHECK(before.find("+CONTINUE ") != std::string::npos);
  const std::string again = asks(driver, driver.connect(), holding);
  CHECK(again.find("+FULLRESYNC ") != std::string::npos);
  REQUIRE(announced(again));
  CHECK(*announced(again) >= damage);
  holding = holding_of(files, driver.node().log_place().end);
  CHECK(asks(driver, driver.connect(), holding).find("+CONTINUE ") != std::string::npos);
}

TEST_CASE("a snapshot that can't be read, or that a replica went away with, is not offered twice") {
  for (const bool short_file : {true, false}) {
    MemoryFiles files;
    live(files);
    NodeDriver driver(files, options_of(config::FsyncPolicy::Always, false));
    if (short_file) files.content(last_file(files, "snapshot-")).clear();
    const replication::Holding stranger{std::string(40, 'c'), {}, {}, {}};
    const node::ConnId first = driver.connect(), second = driver.connect();
    const std::string before = asks(driver, first, stranger);
    REQUIRE(announced(before));
    driver.node().disconnected(first);  // it did not say that it has taken it in
    const std::string again = asks(driver, second, stranger);
    REQUIRE(announced(again));
    CHECK(*announced(again) > *announced(before));
  }
}

TEST_CASE("a node that follows, and has less than who asks it, judges nothing") {
  MemoryFiles files;
  live(files);
  NodeDriver driver(files, options_of(config::FsyncPolicy::Always, false, "there 6379"));
  replication::Holding holding = holding_of(files, driver.node().log_place().end);
  REQUIRE(driver.dials.size() == 1);
  const node::ConnId link = driver.dials.front();
  driver.node().dialed(link, true, "");
  driver.send(link, "+PONG\r\n+OK\r\n+OK holdfast1\r\n+OK\r\n+CONTINUE " + holding.history.last().id + "\r\n");
  driver.settle();
  REQUIRE(driver.node().log_place().linked);
  holding.end = LogOffset{holding.end.value + 100};
  CHECK(asks(driver, driver.connect(), holding).find("is behind what the replica has") != std::string::npos);
}

TEST_CASE("five hundred connections closed in doubt by one event are one line in the log, with their number") {
  MemoryFiles files;
  NodeDriver driver(files, options_of(config::FsyncPolicy::No, false));
  const auto in_doubt = [&] {
    std::vector<node::ConnId> clients;
    for (int i = 0; i < 500; ++i) {
      clients.push_back(driver.connect());
      REQUIRE(driver.ask(clients.back(), "CLIENT WRITE-CONCERN 2") == "+OK\r\n");
    }
    // Not all at the same instant: half a second apart, the first and the last.
    for (const node::ConnId client : clients) {
      REQUIRE(driver.ask(client, "SET key value").empty());
      driver.pass_ms(1);
    }
    driver.lines.clear();
    for (int i = 0; i < 80; ++i) driver.pass_ms(100), driver.settle();
    std::vector<std::string> said;
    for (const std::string& line : driver.lines)
      if (line.find("without a reply") != std::string::npos) said.push_back(line);
    return said;
  };
  for (const char* total : {"500", "1000"}) {
    const std::vector<std::string> said = in_doubt();
    REQUIRE(said.size() == 1);
    CHECK(said[0].find("500 connections") != std::string::npos);
    CHECK(said[0].find("127.0.0.1:1") != std::string::npos);
    const std::string info = driver.ask(driver.connect(), "INFO stats");
    CHECK(info.find("closed_in_doubt:" + std::string(total) + "\r\n") != std::string::npos);
  }
}

TEST_CASE("a failover goes to the link that a replica has now, not to the one it had before") {
  Rig rig;
  rig.acknowledge(true);
  rig.driver.settle();
  // It came again, and its old connection does not know: nothing was written since, so both are as far.
  const node::ConnId before = std::exchange(rig.replica, rig.driver.connect());
  REQUIRE(asks(rig.driver, rig.replica, holding_of(rig.files, rig.driver.node().log_place().end))
              .find("+CONTINUE") != std::string::npos);
  rig.acknowledge(true);
  rig.driver.settle();
  rig.driver.take(before);
  REQUIRE(rig.driver.ask(rig.client, "FAILOVER") == "+OK\r\n");
  rig.driver.settle();
  CHECK(rig.driver.take(before).find(replication::hand_over_magic) == std::string::npos);
  CHECK(rig.handed_over());
}
