// BGREWRITEAOF, trimming after snapshots, and starting with and without a log in turns, on a whole node.
#include <catch2/catch.hpp>

#include "log/segment.h"
#include "node_support.h"

using namespace hf;
using namespace hf::test;

namespace {

size_t count(MemoryFiles& disk, const std::string& prefix) {
  const std::vector<std::string> names = *disk.list();
  size_t n = 0;
  for (const std::string& name : names) n += name.starts_with(prefix);
  return n;
}

std::string field(NodeDriver& node, node::ConnId conn, const std::string& name) {
  const std::string info = node.ask(conn, "INFO persistence");
  const size_t at = info.find("\r\n" + name + ":");
  if (at == std::string::npos) return "";
  const size_t begin = at + name.size() + 3;
  return info.substr(begin, info.find("\r\n", begin) - begin);
}

void write_some(NodeDriver& node, node::ConnId conn, int from, int to) {
  for (int i = from; i < to; ++i)
    node.ask(conn, "SET key:" + std::to_string(i) + " " + std::string(500, static_cast<char>('a' + i % 26)));
}

void shut_down(NodeDriver& node) {
  node.node().request_shutdown();
  node.settle();
  REQUIRE(node.exit == 0);
}

}  // namespace

TEST_CASE("BGREWRITEAOF takes a snapshot and leaves a log that begins there") {
  MemoryFiles disk;
  config::Options options;
  options.log_segment_bytes = 64 << 10;
  options.snapshot_keep = 1;
  std::string digest;
  {
    NodeDriver node(disk, options);
    const auto conn = node.connect();
    write_some(node, conn, 0, 400);
    CHECK(count(disk, "log-") > 3);
    CHECK(field(node, conn, "aof_rewrite_in_progress") == "0");
    CHECK(node.ask(conn, "BGREWRITEAOF") == "+Background append only file rewriting started\r\n");
    node.settle();
    write_some(node, conn, 400, 402);
    CHECK(count(disk, "log-") == 1);
    CHECK(count(disk, "snapshot-") == 1);
    CHECK(field(node, conn, "aof_rewrite_in_progress") == "0");
    CHECK(field(node, conn, "aof_last_bgrewrite_status") == "ok");
    CHECK(field(node, conn, "log_begin_offset") != "0");
    digest = node.node().digest();
  }
  NodeDriver again(disk, options);
  REQUIRE(again.node().serving());
  CHECK(again.node().digest() == digest);
}

TEST_CASE("snapshots trim the log to what the options keep") {
  MemoryFiles disk;
  config::Options options;
  options.log_segment_bytes = 64 << 10;
  options.log_keep_bytes = 100 << 10;
  NodeDriver node(disk, options);
  const auto conn = node.connect();
  size_t most = 0;
  for (int round = 0; round < 12; ++round) {
    write_some(node, conn, round * 100, round * 100 + 100);
    CHECK(node.ask(conn, "BGSAVE") == "+Background saving started\r\n");
    node.settle();
    most = std::max(most, count(disk, "log-"));
  }
  CHECK(field(node, conn, "log_begin_offset") != "0");
  CHECK(most <= 6);
  CHECK(count(disk, "log-") * (64 << 10) > 100 << 10);
  const std::string digest = node.node().digest();
  node.pass_ms(1);
  NodeDriver again(disk, options);
  REQUIRE(again.node().serving());
  CHECK(again.node().digest() == digest);
}

TEST_CASE("with snapshots off the log still stays within a few times what it keeps, and starts again") {
  MemoryFiles disk;
  config::Options options;
  options.save.clear();
  options.snapshot_interval = options.snapshot_log_bytes = 0;
  options.log_segment_bytes = 64 << 10;
  options.log_keep_bytes = 100 << 10;
  std::string digest;
  {
    NodeDriver node(disk, options);
    const auto conn = node.connect();
    uint64_t most = 0;
    for (int i = 0; i < 8000; i += 200) {
      write_some(node, conn, i, i + 200);
      node.pass_ms(1100);
      node.settle();
      const uint64_t kept = std::stoull(field(node, conn, "log_end_offset")) -
                            std::stoull(field(node, conn, "log_begin_offset"));
      most = std::max(most, kept);
    }
    CHECK(std::stoull(field(node, conn, "log_end_offset")) > 4'000'000);
    CHECK(most < 1'200'000);  // snapshot-keep 2: two of them, 256 KiB and a second's writes apart
    CHECK(count(disk, "snapshot-") == 2);
    digest = node.node().digest();
  }
  NodeDriver node(disk, options, 2);
  CHECK(node.node().digest() == digest);
}

TEST_CASE("a server may be started with and without a log in turns and loses nothing that was saved") {
  MemoryFiles disk;
  config::Options with, without;
  without.appendonly = false;
  std::string digest;
  for (int life = 0; life < 6; ++life) {
    NodeDriver node(disk, life % 2 == 0 ? with : without, static_cast<uint64_t>(life + 1));
    INFO("life " << life << (node.lines.empty() ? "" : ": " + node.lines.back()));
    node.wall_ms += life * 10'000;
    REQUIRE(node.node().serving());
    if (life > 0) CHECK(node.node().digest() == digest);
    const auto conn = node.connect();
    write_some(node, conn, life * 10, life * 10 + 20);
    if (life % 2 == 1) {
      CHECK(node.ask(conn, "BGSAVE") == "+Background saving started\r\n");
      node.settle();
      digest = node.node().digest();
      write_some(node, conn, 1000, 1005);  // behind the last snapshot: lost without a log
    } else {
      digest = node.node().digest();
    }
    if (life % 3 == 0 && life % 2 == 0) shut_down(node);
  }
}

TEST_CASE("a server without a log begins one when it is asked to and nothing is lost from then on") {
  MemoryFiles disk;
  config::Options without;
  without.appendonly = false;
  std::string digest;
  {
    NodeDriver node(disk, without);
    const auto conn = node.connect();
    write_some(node, conn, 0, 100);
    CHECK(node.ask(conn, "SNAPSHOT TAG 1 t").starts_with("-"));
    CHECK(field(node, conn, "aof_enabled") == "0");
    CHECK(node.ask(conn, "CONFIG SET appendonly yes") == "+OK\r\n");
    node.pass_ms(1100);
    node.turn();
    write_some(node, conn, 100, 110);  // while the snapshot is taken: replies wait for nothing
    node.settle();
    CHECK(field(node, conn, "aof_enabled") == "1");
    CHECK(count(disk, "snapshot-") == 1);
    write_some(node, conn, 110, 120);
    CHECK(count(disk, "log-") == 1);
    digest = node.node().digest();
  }  // kill -9
  NodeDriver again(disk, without, 2);
  INFO((again.lines.empty() ? "" : again.lines.back()));
  REQUIRE(again.node().serving());
  CHECK(again.node().digest() == digest);
}

TEST_CASE("a snapshot that fails leaves a server without the log that it was to begin with") {
  MemoryFiles disk;
  config::Options without;
  without.appendonly = false;
  NodeDriver node(disk, without);
  const auto conn = node.connect();
  write_some(node, conn, 0, 10);
  node.ask(conn, "CONFIG SET appendonly yes");
  node.pass_ms(1100);
  for (int i = 0; i < 20; ++i) {  // a full disk
    node.turn();
    for (const FileJob& job : std::exchange(node.jobs, {})) node.node().job_done(disk.run(job, {.fail_step = 0}));
  }
  write_some(node, conn, 10, 20);
  CHECK(field(node, conn, "aof_enabled") == "0");
  CHECK(count(disk, "log-") == 0);
  for (int second = 0; second < 61; ++second) {
    node.pass_ms(1100);
    node.settle();
  }
  CHECK(field(node, conn, "aof_enabled") == "1");
  const std::string digest = node.node().digest();
  NodeDriver again(disk, without, 2);
  CHECK(again.node().digest() == digest);
}

TEST_CASE("an end while a log is begun waits until what it holds is on disk") {
  MemoryFiles disk;
  config::Options without;
  without.appendonly = false;
  without.save.clear();
  std::string digest;
  {
    NodeDriver node(disk, without);
    const auto conn = node.connect();
    write_some(node, conn, 0, 100);
    node.ask(conn, "CONFIG SET appendonly yes");
    node.pass_ms(1100);
    node.turn();
    node.turn();
    write_some(node, conn, 100, 110);
    digest = node.node().digest();
    shut_down(node);
  }
  NodeDriver again(disk, without, 2);
  CHECK(again.node().digest() == digest);
}

TEST_CASE("what a first snapshot without a log left half-made is removed by the next start") {
  MemoryFiles disk;
  disk.content("snapshot-00000000000000000042.rdb.tmp") = "half of it";
  config::Options without;
  without.appendonly = false;
  NodeDriver node(disk, without);
  CHECK(count(disk, "snapshot-") == 0);
}

TEST_CASE("BGSAVE follows a BGREWRITEAOF that runs, and a SAVE waits for its own snapshot") {
  MemoryFiles disk;
  NodeDriver node(disk);
  const auto conn = node.connect(), other = node.connect();
  write_some(node, conn, 0, 40);
  node.send(conn, "BGREWRITEAOF\r\nBGSAVE SCHEDULE\r\nBGSAVE\r\n");
  node.settle();
  CHECK(node.take(conn) ==
        "+Background append only file rewriting started\r\n+Background saving scheduled\r\n"
        "-ERR Background save already in progress\r\n");
  CHECK(field(node, conn, "rdb_saves") == "2");
  node.send(conn, "BGREWRITEAOF\r\n");
  node.turn();
  node.send(other, "SAVE\r\n");
  node.settle();
  CHECK(node.take(other) == "+OK\r\n");
  CHECK(field(node, conn, "rdb_saves") == "4");
}

TEST_CASE("BGREWRITEAOF follows a BGSAVE that runs, as in Redis") {
  MemoryFiles disk;
  config::Options options;
  options.log_segment_bytes = 64 << 10;
  options.snapshot_keep = 1;
  NodeDriver node(disk, options);
  const auto conn = node.connect();
  write_some(node, conn, 0, 400);
  node.send(conn, "BGSAVE\r\nBGREWRITEAOF\r\nBGREWRITEAOF\r\n");
  node.settle();
  CHECK(node.take(conn) ==
        "+Background saving started\r\n+Background append only file rewriting scheduled\r\n"
        "-ERR Background append only file rewriting already in progress\r\n");
  write_some(node, conn, 400, 402);
  CHECK(field(node, conn, "rdb_saves") == "2");
  CHECK(count(disk, "log-") == 1);
}
