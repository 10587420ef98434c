// A whole node on a disk in memory: what was acknowledged is there after kill -9, and nothing is acknowledged early.
#include "node/server_node.h"

#include <catch2/catch.hpp>

#include "node/node_support.h"

using hf::test::MemoryFiles;
using hf::test::NodeDriver;

TEST_CASE("a string and a task come back after kill -9") {
  MemoryFiles files;
  std::string digest;
  {
    NodeDriver driver(files);
    REQUIRE(driver.node().serving());
    const auto conn = driver.connect();
    CHECK(driver.ask(conn, "SET greeting hello") == "+OK\r\n");
    CHECK(driver.ask(conn, "TASK.SUBMIT nlp QUEUE q PAYLOAD data") == "$5\r\nnlp#1\r\n");
    CHECK(driver.ask(conn, "TASK.CLAIM 1 q WORKER w1").starts_with("*1\r\n"));
    digest = driver.node().digest();
  }
  NodeDriver driver(files);
  REQUIRE(driver.node().serving());
  CHECK(driver.node().digest() == digest);
  const auto conn = driver.connect();
  CHECK(driver.ask(conn, "GET greeting") == "$5\r\nhello\r\n");
  CHECK(driver.ask(conn, "TASK.GET nlp").find("RUNNING") != std::string::npos);
}

TEST_CASE("a write is answered only when its frame is written, and a read of it waits as long") {
  MemoryFiles files;
  NodeDriver driver(files);
  const auto writer = driver.connect(), reader = driver.connect();
  driver.send(writer, "SET k v\r\n");
  driver.turn();
  CHECK(driver.take(writer).empty());
  driver.send(reader, "GET k\r\nGET other\r\n");
  driver.turn();
  CHECK(driver.take(reader).empty());
  driver.run_jobs();
  driver.turn();
  CHECK(driver.take(writer) == "+OK\r\n");
  CHECK(driver.take(reader) == "$1\r\nv\r\n$-1\r\n");
}

TEST_CASE("a pipeline that blocks in its middle goes on where it stopped") {
  MemoryFiles files;
  NodeDriver driver(files);
  const auto worker = driver.connect(), boss = driver.connect();
  driver.send(worker, "TASK.CLAIM 1 q WORKER w BLOCK 5000\r\nPING\r\n*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nEC");
  driver.settle();
  CHECK(driver.take(worker).empty());
  driver.send(worker, "HO\r\n$2\r\nhi\r\n");
  CHECK(driver.ask(boss, "TASK.SUBMIT t QUEUE q") == "$3\r\nt#1\r\n");
  driver.settle();
  const std::string got = driver.take(worker);
  CHECK(got.starts_with("*1\r\n"));
  CHECK(got.ends_with("+PONG\r\n+PONG\r\n$2\r\nhi\r\n"));
}

TEST_CASE("a blocked claim is answered with null when its time is up") {
  MemoryFiles files;
  NodeDriver driver(files);
  const auto worker = driver.connect();
  driver.send(worker, "TASK.CLAIM 1 q WORKER w BLOCK 50\r\n");
  driver.settle();
  CHECK(driver.take(worker).empty());
  driver.pass_ms(60);
  driver.settle();
  CHECK(driver.take(worker) == "*-1\r\n");
}

TEST_CASE("a watched key that changes makes EXEC answer null") {
  MemoryFiles files;
  NodeDriver driver(files);
  const auto a = driver.connect(), b = driver.connect();
  CHECK(driver.ask(a, "WATCH k") == "+OK\r\n");
  CHECK(driver.ask(a, "MULTI") == "+OK\r\n");
  CHECK(driver.ask(a, "SET k mine") == "+QUEUED\r\n");
  CHECK(driver.ask(b, "SET k theirs") == "+OK\r\n");
  CHECK(driver.ask(a, "EXEC") == "*-1\r\n");
  CHECK(driver.ask(a, "GET k") == "$6\r\ntheirs\r\n");
}

TEST_CASE("while the disk is full writes are refused, reads go on, and held writers are answered when there is room") {
  MemoryFiles files;
  NodeDriver driver(files);
  const auto conn = driver.connect(), other = driver.connect();
  CHECK(driver.ask(conn, "SET a 1") == "+OK\r\n");
  driver.send(conn, "SET b 2\r\n");
  driver.turn();
  REQUIRE(driver.jobs.size() == 1);
  const hf::FileJob job = std::move(driver.jobs[0]);
  driver.jobs.clear();
  driver.node().job_done(files.run(job, {.fail_step = 0, .code = ENOSPC, .short_bytes = 5}));
  driver.turn();
  CHECK(driver.take(conn).empty());
  CHECK(driver.ask(other, "SET c 3").starts_with("-MISCONF "));
  CHECK(driver.ask(other, "GET a") == "$1\r\n1\r\n");
  for (int second = 0; second < 3; ++second) {
    driver.pass_ms(1100);
    driver.settle();
  }
  CHECK(driver.take(conn) == "+OK\r\n");
  CHECK(driver.ask(other, "SET c 3") == "+OK\r\n");
}

TEST_CASE("a failed sync ends the node and acknowledges nothing more") {
  MemoryFiles files;
  hf::config::Options options;
  options.appendfsync = hf::config::FsyncPolicy::Always;
  NodeDriver driver(files, options);
  const auto conn = driver.connect();
  driver.send(conn, "SET a 1\r\n");
  driver.turn();
  REQUIRE(driver.jobs.size() == 1);
  const hf::FileJob job = std::move(driver.jobs[0]);
  driver.jobs.clear();
  REQUIRE(job.steps.back().kind == hf::FileStep::Kind::Sync);
  driver.node().job_done(files.run(job, {.fail_step = job.steps.size() - 1, .code = EIO}));
  driver.turn();
  CHECK(driver.take(conn).empty());
  REQUIRE(driver.exit);
  CHECK(*driver.exit == 1);
}

TEST_CASE("a clean shutdown syncs everything, ends with 0 and comes back whole") {
  MemoryFiles files;
  std::string digest;
  {
    NodeDriver driver(files);
    const auto conn = driver.connect();
    for (int i = 0; i < 100; ++i) driver.ask(conn, "HSET h" + std::to_string(i % 7) + " f" + std::to_string(i) + " v");
    digest = driver.node().digest();
    driver.node().request_shutdown();
    driver.settle();
    REQUIRE(driver.exit);
    CHECK(*driver.exit == 0);
  }
  hf::Prng prng(3);
  files.crash(prng);
  NodeDriver driver(files);
  CHECK(driver.node().digest() == digest);
}

TEST_CASE("a snapshot under writes holds the state at its cut, and the log brings back the rest") {
  MemoryFiles files;
  std::string digest;
  {
    NodeDriver driver(files);
    const auto conn = driver.connect();
    for (int i = 0; i < 2000; ++i) driver.send(conn, "SET key" + std::to_string(i) + " v\r\n");
    driver.settle();
    driver.take(conn);
    CHECK(driver.ask(conn, "BGSAVE") == "+Background saving started\r\n");
    for (int i = 0; i < 500; ++i) driver.ask(conn, "SET key" + std::to_string(i * 3) + " w" + std::to_string(i));
    driver.settle();
    CHECK(driver.ask(conn, "INFO persistence").find("rdb_last_bgsave_status:ok") != std::string::npos);
    digest = driver.node().digest();
  }
  NodeDriver driver(files);
  bool from_snapshot = false;
  for (const std::string& line : driver.lines) from_snapshot |= line.find("Loaded snapshot-") != std::string::npos;
  CHECK(from_snapshot);
  CHECK(driver.node().digest() == digest);
}

TEST_CASE("an expired key is deleted in the log before anybody is told that it is gone") {
  MemoryFiles files;
  std::string digest;
  {
    NodeDriver driver(files);
    const auto conn = driver.connect();
    CHECK(driver.ask(conn, "SET k v PX 100") == "+OK\r\n");
    driver.pass_ms(150);
    driver.send(conn, "GET k\r\n");
    driver.turn();
    CHECK(driver.take(conn).empty());  // the DEL is not written yet
    driver.settle();
    CHECK(driver.take(conn) == "$-1\r\n");
    digest = driver.node().digest();
  }
  NodeDriver driver(files);
  CHECK(driver.node().digest() == digest);
}

TEST_CASE("a task command inside EXEC waits for the sync as it would alone") {
  MemoryFiles files;
  hf::config::Options options;
  options.appendfsync = hf::config::FsyncPolicy::No;
  options.log_preallocate_bytes = 0;
  NodeDriver driver(files, options);
  const auto conn = driver.connect();
  driver.send(conn, "MULTI\r\nSET k v\r\nTASK.SUBMIT t QUEUE q\r\nEXEC\r\n");
  driver.turn();
  REQUIRE(driver.jobs.size() == 1);
  CHECK(driver.jobs[0].steps.back().kind == hf::FileStep::Kind::Sync);
  driver.send(conn, "GET k\r\n");
  driver.settle();
  CHECK(driver.take(conn).ends_with("t#1\r\n$1\r\nv\r\n"));
}

TEST_CASE("a read of what a full disk holds back is refused with the reason, other reads are answered") {
  MemoryFiles files;
  NodeDriver driver(files);
  const auto conn = driver.connect(), other = driver.connect();
  CHECK(driver.ask(conn, "SET a 1") == "+OK\r\n");
  driver.send(conn, "SET b 2\r\n");
  driver.turn();
  REQUIRE(driver.jobs.size() == 1);
  const hf::FileJob job = std::move(driver.jobs[0]);
  driver.jobs.clear();
  driver.node().job_done(files.run(job, {.fail_step = 0, .code = ENOSPC}));
  driver.turn();
  CHECK(driver.ask(other, "GET b").starts_with("-MISCONF The answer would show"));
  CHECK(driver.ask(other, "DBSIZE").starts_with("-MISCONF The answer would show"));
  CHECK(driver.ask(other, "GET a") == "$1\r\n1\r\n");
}

TEST_CASE("a client that does not read what it asked for is not answered without bound, and loses nothing") {
  MemoryFiles files;
  NodeDriver driver(files);
  const auto slow = driver.connect(), other = driver.connect();
  const std::string value(1 << 20, 'x');
  driver.send(slow, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1048576\r\n" + value + "\r\n");
  driver.settle();
  CHECK(driver.take(slow) == "+OK\r\n");
  for (int i = 0; i < 100; ++i) driver.send(slow, "GET k\r\n");
  driver.settle();
  CHECK(driver.ask(other, "PING") == "+PONG\r\n");
  std::string got;
  size_t largest = 0;
  for (int i = 0; i < 200 && got.size() < 100 * (value.size() + 12); ++i) {
    const std::string part = driver.take(slow);
    largest = std::max(largest, part.size());
    got += part;
    driver.settle();
  }
  CHECK(got.size() == 100 * (value.size() + 12));
  CHECK(largest <= 20u << 20);
}

TEST_CASE("what stands behind SHUTDOWN on its connection is not run") {
  MemoryFiles files;
  hf::config::Options options;
  options.snapshot_on_shutdown = true;
  NodeDriver driver(files, options);
  const auto asker = driver.connect(), other = driver.connect();
  CHECK(driver.ask(other, "SET k v") == "+OK\r\n");
  driver.send(asker, "SHUTDOWN\r\nSET k overwritten\r\n");
  driver.turn();  // the snapshot's jobs are not done yet
  CHECK(driver.take(asker).empty());
  CHECK(driver.ask(other, "GET k") == "$1\r\nv\r\n");
}

TEST_CASE("a shutdown whose snapshot fails is given up, unless forced") {
  MemoryFiles files;
  NodeDriver driver(files);
  const auto conn = driver.connect();
  CHECK(driver.ask(conn, "SET k v") == "+OK\r\n");
  driver.send(conn, "SHUTDOWN SAVE\r\n");
  for (int turn = 0; turn < 50 && !driver.exit; ++turn) {
    driver.turn();
    std::vector<hf::FileJob> jobs;
    jobs.swap(driver.jobs);
    for (const hf::FileJob& job : jobs) {
      const bool snapshot = job.lane == hf::Lane::Snapshot;
      driver.node().job_done(files.run(job, {.fail_step = snapshot ? 0 : SIZE_MAX, .code = ENOSPC}));
    }
  }
  CHECK_FALSE(driver.exit);
  CHECK(driver.take(conn) == "-ERR Errors trying to SHUTDOWN. Check logs.\r\n");
  CHECK(driver.ask(conn, "GET k") == "$1\r\nv\r\n");
  driver.send(conn, "SHUTDOWN NOSAVE\r\n");
  driver.settle();
  REQUIRE(driver.exit);
  CHECK(*driver.exit == 0);
}

TEST_CASE("emptying or swapping a database changes only the watched keys that are in it") {
  MemoryFiles files;
  NodeDriver driver(files);
  const auto a = driver.connect(), b = driver.connect();
  const auto exec_after = [&](const std::string& watched, const std::string& change) {
    driver.ask(a, "WATCH " + watched);
    driver.ask(b, change);
    driver.ask(a, "MULTI");
    driver.ask(a, "PING");
    return driver.ask(a, "EXEC");
  };
  CHECK(driver.ask(b, "SET here 1") == "+OK\r\n");
  CHECK(exec_after("absent", "FLUSHALL") == "*1\r\n+PONG\r\n");
  CHECK(driver.ask(b, "SET here 1") == "+OK\r\n");
  CHECK(exec_after("here", "FLUSHDB") == "*-1\r\n");
  CHECK(exec_after("absent", "SWAPDB 0 1") == "*1\r\n+PONG\r\n");
  CHECK(driver.ask(b, "SET here 1") == "+OK\r\n");
  CHECK(exec_after("here", "SWAPDB 0 1") == "*-1\r\n");
  CHECK(exec_after("here", "SWAPDB 0 1") == "*-1\r\n");
}

TEST_CASE("what lies under rescue is counted in INFO, warned of past a bound, and never removed") {
  MemoryFiles files;
  files.content("rescue/1-0-9.aof") = std::string(5000, 'x');
  files.content("rescue/2-0-9.aof") = std::string(3000, 'y');
  hf::config::Options options;
  options.rescue_warn_bytes = 6000;
  const auto warnings = [](const NodeDriver& driver) {
    return std::count_if(driver.lines.begin(), driver.lines.end(), [](const std::string& line) {
      return line.find("in 2 files, more than rescue-warn-bytes") != std::string::npos;
    });
  };
  NodeDriver driver(files, options);
  const hf::node::ConnId client = driver.connect();
  const auto persistence = [&] { return driver.ask(client, "INFO persistence"); };
  CHECK(persistence().find("rescue_files:2\r\nrescue_bytes:8000\r\n") != std::string::npos);
  CHECK(warnings(driver) == 1);
  driver.ask(client, "SET key value");
  driver.ask(client, "SAVE");
  driver.ask(client, "BGREWRITEAOF");
  CHECK(warnings(driver) == 1);  // it has not become more
  CHECK(files.exists("rescue/1-0-9.aof"));
  CHECK(files.run({.steps = {{.kind = hf::FileStep::Kind::Remove, .name = "rescue/1-0-9.aof"}}}).ok);  // by hand
  driver.ask(client, "SAVE");
  CHECK(persistence().find("rescue_files:1\r\nrescue_bytes:3000\r\n") != std::string::npos);
}
