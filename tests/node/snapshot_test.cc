// Snapshots as a node takes them: what is kept and by what name, pacing, bounds, and a digest beside a save.
#include <catch2/catch.hpp>

#include "base/number.h"
#include "log/manifest.h"
#include "node_support.h"

using namespace hf;
using namespace hf::test;

namespace {

config::Options options_for_debug() {
  config::Options options;
  options.enable_debug_command = config::DebugCommand::Yes;
  options.save.clear();
  return options;
}

std::vector<std::string> names_in(MemoryFiles& disk) {
  const auto names = disk.list();
  return names ? *names : std::vector<std::string>();
}

size_t count_snapshots(MemoryFiles& disk) {
  size_t n = 0;
  for (const std::string& name : names_in(disk)) n += name.starts_with("snapshot-");
  return n;
}

bool said(const NodeDriver& driver, const std::string& text) {
  for (const std::string& line : driver.lines)
    if (line.find(text) != std::string::npos) return true;
  return false;
}

void fill(NodeDriver& driver, node::ConnId conn, int keys) {
  for (int i = 0; i < keys; ++i) driver.send(conn, "SET key:" + std::to_string(i) + " before\r\n");
  driver.settle();
  driver.take(conn);
}

}  // namespace

TEST_CASE("a tagged snapshot stays when newer ones push others out, over a restart too") {
  MemoryFiles disk;
  config::Options options = options_for_debug();
  options.snapshot_keep = 1;
  options.log_keep_bytes = 0;
  {
    NodeDriver driver(disk, options);
    const auto conn = driver.connect();
    driver.ask(conn, "SET a 1");
    CHECK(driver.ask(conn, "BGSAVE TAG first") == "+Background saving started\r\n");
    driver.ask(conn, "SET a 2");
    CHECK(driver.ask(conn, "BGSAVE TAG first").find("has that tag already") != std::string::npos);
    for (int i = 0; i < 3; ++i) {
      driver.ask(conn, "INCR a");
      CHECK(driver.ask(conn, "BGSAVE") == "+Background saving started\r\n");
    }
    driver.ask(conn, "PING");
    CHECK(count_snapshots(disk) == 2);
    CHECK(driver.ask(conn, "SNAPSHOT VERIFY first") == "+OK\r\n");
    const std::string list = driver.ask(conn, "SNAPSHOT LIST");
    CHECK(list.starts_with("*2\r\n"));
    CHECK(list.find("verified") != std::string::npos);
    CHECK(driver.ask(conn, "SNAPSHOT TAG first kept") == "+OK\r\n");
    CHECK(driver.ask(conn, "SNAPSHOT TAG first x").find("no such snapshot") != std::string::npos);
    driver.ask(conn, "SET b 1");
  }
  NodeDriver driver(disk, options, 2);
  const auto conn = driver.connect();
  CHECK(driver.ask(conn, "SNAPSHOT LIST").find("kept") != std::string::npos);
  CHECK(driver.ask(conn, "SNAPSHOT DELETE kept") == "+OK\r\n");
  driver.ask(conn, "PING");
  CHECK(count_snapshots(disk) == 1);
  CHECK(driver.ask(conn, "SNAPSHOT LIST").starts_with("*1\r\n"));
}

TEST_CASE("after a restart SNAPSHOT LIST tells how long a snapshot took, and that the one loaded is sound") {
  MemoryFiles disk;
  config::Options options = options_for_debug();
  {
    NodeDriver driver(disk, options);
    const auto conn = driver.connect();
    for (const char* tag : {"one", "two"}) {
      driver.ask(conn, "INCR a");
      driver.send(conn, std::string("BGSAVE TAG ") + tag + "\r\n");
      driver.turn();
      driver.pass_ms(1234);
      driver.settle();
      CHECK(driver.take(conn) == "+Background saving started\r\n");
    }
    driver.ask(conn, "PING");
  }
  NodeDriver driver(disk, options, 2);
  const std::string list = driver.ask(driver.connect(), "SNAPSHOT LIST");
  const auto shows = [&](const std::string& tag, const std::string& state) {
    const size_t at = list.find("\r\n" + tag + "\r\n");
    const size_t took = list.rfind("milliseconds\r\n:12", at);
    return took != std::string::npos && at - took < 60 &&
           list.substr(at, 60).find(state) != std::string::npos;
  };
  CAPTURE(list);
  CHECK(shows("one", "unchecked"));
  CHECK(shows("two", "verified"));
}

TEST_CASE(
    "a start asks the file, not MANIFEST, what a snapshot holds: one of the same offset may have taken its "
    "place") {
  MemoryFiles disk;
  std::string manifest;
  {
    NodeDriver driver(disk, options_for_debug());
    const auto conn = driver.connect();
    fill(driver, conn, 10);
    driver.ask(conn, "BGSAVE TAG a-tag-that-makes-the-header-longer");
    driver.ask(conn, "PING");
    manifest = disk.content(log::manifest_name);
    driver.ask(conn, "SNAPSHOT UNTAG a-tag-that-makes-the-header-longer");
    driver.ask(conn, "BGSAVE");
    driver.ask(conn, "PING");
    REQUIRE(disk.content(log::manifest_name) != manifest);
    CHECK(count_snapshots(disk) == 1);
  }
  disk.content(log::manifest_name) = manifest;  // its next one had not reached the disk
  NodeDriver driver(disk, options_for_debug(), 2);
  for (const std::string& name : names_in(disk)) {
    if (!name.starts_with("snapshot-")) continue;
    const std::string list = driver.ask(driver.connect(), "SNAPSHOT LIST");
    CAPTURE(list);
    CHECK(list.find("bytes\r\n:" + std::to_string(disk.content(name).size()) + "\r\n") != std::string::npos);
  }
}

TEST_CASE("what a first start left half-made is gone before a replica asks for the file of that name again") {
  MemoryFiles disk;
  const std::string received = log::received_name({86});
  disk.content(received) = "half of it";
  config::Options options = options_for_debug();
  options.replicaof = "there 7000";
  node::ServerNode replica(node::Setup{options, 1, &disk, nullptr});
  bool dialed = false;
  for (MonoUs at = 1; at < 100 && !dialed; ++at) {
    node::Effects effects;
    replica.turn({1'700'000'000'000, at}, effects);
    dialed = !effects.dial.empty();
    if (dialed) CHECK_FALSE(disk.exists(received));
    for (const FileJob& job : effects.jobs) replica.job_done(disk.run(job));
  }
  CHECK(dialed);
}

TEST_CASE("SNAPSHOT VERIFY names a damaged file and its byte") {
  MemoryFiles disk;
  NodeDriver driver(disk, options_for_debug());
  const auto conn = driver.connect();
  fill(driver, conn, 100);
  driver.ask(conn, "BGSAVE TAG t");
  driver.ask(conn, "PING");
  for (const std::string& name : names_in(disk))
    if (name.starts_with("snapshot-")) disk.content(name)[200] ^= 1;
  const std::string reply = driver.ask(conn, "SNAPSHOT VERIFY t");
  CHECK(reply.starts_with("-ERR snapshot snapshot-"));
  CHECK(reply.find(", byte ") != std::string::npos);
  CHECK(driver.ask(conn, "SNAPSHOT LIST").find("damaged") != std::string::npos);
}

TEST_CASE("a timed snapshot is spread over its interval; one asked for hurries it and follows") {
  MemoryFiles disk;
  config::Options options = options_for_debug();
  options.snapshot_interval = 100;
  NodeDriver driver(disk, options);
  const auto conn = driver.connect();
  fill(driver, conn, 20000);
  driver.pass_ms(101'000);
  driver.settle();
  const auto running = [&] {
    return driver.ask(conn, "INFO persistence").find("bgsave_in_progress:1") != std::string::npos;
  };
  REQUIRE(running());
  driver.pass_ms(45'000);  // half of 90 s
  driver.settle();
  const std::string info = driver.ask(conn, "INFO persistence");
  const size_t at = info.find("current_save_keys_processed:") + 28;
  const int64_t done = parse_int(Bytes(info).substr(at, info.find('\r', at) - at)).value_or(-1);
  CHECK(done > 9000);
  CHECK(done < 11000);
  CHECK(said(driver, "of 20000 keys"));
  driver.ask(conn, "SET another 1");
  CHECK(driver.ask(conn, "BGSAVE") == "+Background saving started\r\n");
  CHECK(count_snapshots(disk) == 2);
  CHECK_FALSE(running());
}

TEST_CASE("a snapshot lets clients go first, but it ends though they ask in every turn") {
  MemoryFiles disk;
  NodeDriver driver(disk, options_for_debug());
  const auto conn = driver.connect();
  fill(driver, conn, 20000);
  driver.send(conn, "BGSAVE\r\n");
  driver.turn();
  for (int i = 0; i < 200 && count_snapshots(disk) == 0; ++i) {
    driver.send(conn, "PING\r\n");
    driver.pass_ms(1);
    driver.turn();
    driver.run_jobs();
  }
  CHECK(count_snapshots(disk) == 1);
}

TEST_CASE("a snapshot that has to copy too much fails, and only the snapshot") {
  MemoryFiles disk;
  config::Options options = options_for_debug();
  options.snapshot_copy_bytes_max = 1 << 20;
  NodeDriver driver(disk, options);
  const auto conn = driver.connect();
  fill(driver, conn, 3000);
  const std::string value(200, 'v');
  for (int i = 0; i < 8000; ++i) driver.send(conn, "SET long:" + std::to_string(i) + " " + value + "\r\n");
  driver.settle();
  driver.take(conn);
  driver.send(conn, "BGSAVE\r\n");
  driver.turn();
  for (int i = 0; i < 8000; ++i) driver.send(conn, "SET long:" + std::to_string(i) + " changed\r\n");
  for (int i = 0; i < 12; ++i) driver.turn();  // no job is done meanwhile
  driver.settle();
  CHECK(said(driver, "The snapshot failed"));
  CHECK(count_snapshots(disk) == 0);
  driver.take(conn);
  CHECK(driver.ask(conn, "GET long:7") == "$7\r\nchanged\r\n");
  CHECK(driver.ask(conn, "BGSAVE") == "+Background saving started\r\n");
  CHECK(count_snapshots(disk) == 1);
}

TEST_CASE("a save and a digest at once each give the state at their own cut") {
  MemoryFiles disk;
  NodeDriver driver(disk, options_for_debug());
  const auto conn = driver.connect(), other = driver.connect();
  fill(driver, conn, 5000);
  for (int i = 0; i < 9000; ++i) driver.send(conn, "HSET h f" + std::to_string(i) + " value\r\n");
  driver.settle();
  driver.take(conn);
  const std::string before = driver.ask(conn, "DEBUG DIGEST");
  driver.send(conn, "BGSAVE\r\n");
  driver.turn();
  driver.run_jobs();
  driver.take(conn);
  for (int i = 0; i < 50; ++i) driver.send(conn, "HSET h f" + std::to_string(7 * i) + " changed\r\n");
  driver.turn();
  const std::string middle = "+" + driver.node().digest() + "\r\n";
  driver.send(other, "DEBUG DIGEST WALK\r\n");
  driver.turn();
  for (int i = 0; i < 50; ++i) {
    driver.send(conn,
                "SET key:" + std::to_string(31 * i) + " after\r\nHDEL h f" + std::to_string(11 * i) + "\r\n");
    driver.turn();
    driver.run_jobs();
  }
  driver.send(conn, "DEL h\r\n");
  driver.settle();
  CHECK(driver.take(other) == middle);
  CHECK(middle != before);
  REQUIRE(count_snapshots(disk) == 1);
  // Without its log the folder holds the state at the cut.
  MemoryFiles only;
  for (const std::string& name : names_in(disk))
    if (name.starts_with("snapshot-")) only.content(name) = disk.content(name);
  config::Options options = options_for_debug();
  options.appendonly = false;
  NodeDriver restored(only, options, 5);
  CHECK(restored.ask(restored.connect(), "DEBUG DIGEST") == before);
}

TEST_CASE("an orderly end takes a snapshot when the option says so") {
  MemoryFiles disk;
  config::Options options = options_for_debug();
  options.snapshot_on_shutdown = true;
  NodeDriver driver(disk, options);
  const auto conn = driver.connect();
  driver.ask(conn, "SET a 1");
  driver.node().request_shutdown();
  driver.settle();
  CHECK(driver.exit == 0);
  CHECK(count_snapshots(disk) == 1);
}

TEST_CASE("a tag is acknowledged once MANIFEST on disk holds it, and not before") {
  MemoryFiles disk;
  config::Options options;
  options.save.clear();
  NodeDriver driver(disk, options);
  const auto conn = driver.connect();
  driver.ask(conn, "SET a 1");
  driver.ask(conn, "BGSAVE TAG one");
  for (const std::string line : {"SNAPSHOT TAG one two", "SNAPSHOT UNTAG two"}) {
    INFO(line);
    driver.send(conn, line + "\r\n");
    driver.turn();
    driver.turn();
    CHECK(driver.take(conn).empty());
    REQUIRE_FALSE(driver.jobs.empty());
    driver.run_jobs();
    driver.turn();
    CHECK(driver.take(conn) == "+OK\r\n");
    const auto manifest = log::decode_manifest(disk.content(log::manifest_name));
    REQUIRE(manifest);
    CHECK(manifest->snapshots.back().tag == (line.find("UNTAG") == std::string::npos ? "two" : ""));
  }
}
