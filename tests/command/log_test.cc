// What commands leave in the log: outcomes, not intentions, and nothing where nothing changed; and that a log
// replayed elsewhere, at any other time, gives the same state.
#include <catch2/catch.hpp>

#include "base/number.h"
#include "command/visible.h"
#include "harness.h"

namespace hf::test {
namespace {

/// The log of one command.
std::string logged(Harness& node, const std::string& line) {
  node.take_log();
  node.run(line);
  return node.take_log();
}

TEST_CASE("a plain write is logged as it came") {
  Harness node;
  CHECK(logged(node, "set a 1") == "set a 1");
  CHECK(logged(node, "INCRBY a 5") == "INCRBY a 5");
  CHECK(logged(node, "HSET h f v g w") == "HSET h f v g w");
  CHECK(logged(node, "DEL a nokey") == "DEL a nokey");
  CHECK(logged(node, "FLUSHALL ASYNC") == "FLUSHALL");
}

TEST_CASE("a relative expiry is logged as a moment") {
  Harness node;
  CHECK(logged(node, "SET a v EX 10") == "SET a v PXAT 1700000010000");
  CHECK(logged(node, "SET a v PX 10") == "SET a v PXAT 1700000000010");
  CHECK(logged(node, "SETEX a 10 v") == "SET a v PXAT 1700000010000");
  CHECK(logged(node, "PSETEX a 10 v") == "SET a v PXAT 1700000000010");
  CHECK(logged(node, "EXPIRE a 5") == "PEXPIREAT a 1700000005000");
  CHECK(logged(node, "PEXPIRE a 5000 NX") == "");
  CHECK(logged(node, "EXPIREAT a 1700000009 GT") == "PEXPIREAT a 1700000009000");
  CHECK(logged(node, "GETEX a EX 20") == "PEXPIREAT a 1700000020000");
  CHECK(logged(node, "GETEX a PERSIST") == "PERSIST a");
  CHECK(logged(node, "EXPIRE a -1") == "DEL a");
  CHECK(logged(node, "EXPIRE a -1") == "");
  node.run("SET a v");
  CHECK(logged(node, "GETEX a PXAT 1") == "DEL a");
}

TEST_CASE("conditions, reads and arithmetic are logged by their outcome") {
  Harness node;
  CHECK(logged(node, "SET a v NX GET") == "SET a v");
  CHECK(logged(node, "SET a w NX") == "");
  CHECK(logged(node, "SET a v EX 10 XX") == "SET a v PXAT 1700000010000");
  CHECK(logged(node, "SET a w KEEPTTL") == "SET a w PXAT 1700000010000");
  CHECK(logged(node, "SET a w GET") == "SET a w");
  CHECK(logged(node, "SETNX b v") == "SET b v");
  CHECK(logged(node, "GETSET b w") == "SET b w");
  CHECK(logged(node, "GETDEL b") == "DEL b");
  CHECK(logged(node, "GETDEL b") == "");
  CHECK(logged(node, "INCRBYFLOAT f 1.5") == "SET f 1.5 KEEPTTL");
  CHECK(logged(node, "HINCRBYFLOAT h f 1.5") == "HSET h f 1.5");
}

TEST_CASE("of a task that gets another name a Redis sees the end of what it had there, a Holdfast the whole") {
  Harness node;
  const auto with_task = [&](const std::string& line) {
    node.run("FLUSHALL");
    node.run("TASK.SUBMIT t HELD");
    node.run("SET plain 1");
    node.run("TASK.CANCEL t");
    return logged(node, line);
  };
  CHECK(with_task("RENAME t plain") == "DEL plain\nTASK.KEY RENAME t plain");
  CHECK(with_task("RENAME t other") == "TASK.KEY RENAME t other");
  CHECK(with_task("renamenx t other") == "TASK.KEY renamenx t other");
  CHECK(with_task("COPY t plain REPLACE") == "DEL plain\nTASK.KEY COPY t plain REPLACE");
  CHECK(with_task("COPY t t DB 3") == "TASK.KEY COPY t t DB 3");
  CHECK(with_task("MOVE t 3") == "TASK.KEY MOVE t 3");
  CHECK(with_task("RENAME plain t") == "RENAME plain t");
  CHECK(with_task("COPY plain t REPLACE") == "COPY plain t REPLACE");
}

TEST_CASE("a stock replica is sent as many bytes as are counted for it, whatever becomes of a task") {
  Harness node;
  node.run("TASK.SUBMIT t HELD");
  node.run("TASK.CANCEL t");
  const std::string reply = node.run_raw(0, {"DUMP", "t"});
  const std::string dumped = reply.substr(reply.find("\r\n") + 2, reply.size() - reply.find("\r\n") - 4);
  node.run("SET plain 1");
  node.run("COPY t plain REPLACE");
  node.run("MOVE plain 2");
  node.run("SET again 1");
  CHECK(node.run_raw(0, {"RESTORE", "again", "0", dumped, "REPLACE"}) == "+OK\r\n");
  node.run("RENAME again t");
  std::string seen;
  REQUIRE(command::append_visible(node.journal.content(), seen).ok());
  CHECK(seen.size() == node.journal.visible_bytes());
  CHECK(seen.find("RESTORE") == std::string::npos);
  CHECK(seen.find("RENAME") == std::string::npos);
  Harness other(2);
  CHECK(other.replay(node.journal.content()) == "");
  CHECK(other.store.digest() == node.store.digest());
}

TEST_CASE("what changed nothing logs nothing") {
  Harness node;
  node.run("SET s v");
  node.run("HSET h f v");
  for (const char* line :
       {"GET s", "DEL nokey", "HDEL h nofield", "HSETNX h f w", "MSETNX s 1 t 2", "PERSIST s",
        "SETRANGE s 0 \"\"", "RENAME nokey x", "RENAME s s", "COPY s h", "SWAPDB 1 1", "MOVE nokey 1",
        "INCR s", "HINCRBY h f 1", "GETEX s", "SELECT 1", "FLUSHDB", "FLUSHALL bogus", "SELECT 0"})
    CHECK(logged(node, line) == "");
}

TEST_CASE("an expired key is deleted in the log before the command that met it") {
  Harness node;
  node.run("SET n 5 PX 10");
  node.sleep(10);
  CHECK(logged(node, "INCR n") == "DEL n\nINCR n");
  node.run("PEXPIRE n 10");
  node.sleep(10);
  CHECK(logged(node, "GET n") == "DEL n");
  CHECK(logged(node, "GET n") == "");
}

TEST_CASE("a transaction is one piece in the log, without what changed nothing") {
  Harness node;
  for (const char* line : {"MULTI", "GET a", "SET a 1", "SELECT 1", "SET b 2"}) node.run(line);
  CHECK(logged(node, "EXEC") == "MULTI\nSET a 1\nSELECT 1\nSET b 2\nEXEC");
  for (const char* line : {"MULTI", "GET a"}) node.run(line);
  CHECK(logged(node, "EXEC") == "");
}

TEST_CASE("a log speaks of the past: replay decides nothing again") {
  Harness node;
  node.run("SET a v PX 10");
  node.run("HSET h f v");
  node.run("PEXPIRE h 10");
  node.sleep(1000);
  Harness later;
  later.now.wall_ms = node.now.wall_ms + 1'000'000;
  CHECK(later.replay(node.journal.content()) == "");
  CHECK(later.store.digest() == node.store.digest());
  CHECK(later.store.size(0) == 2);
}

/// Random requests over few keys, so that they meet; most are well-formed.
class Requests {
 public:
  explicit Requests(uint64_t seed) : prng_(seed) {}

  std::string next() {
    static constexpr const char* templates[] = {"SET K V",
                                                "SET K V EX T",
                                                "SET K V PX M NX",
                                                "SET K V KEEPTTL",
                                                "SET K V GET",
                                                "SET K V PX M XX GET",
                                                "SET K I",
                                                "SETNX K V",
                                                "SETEX K T V",
                                                "PSETEX K M V",
                                                "GETSET K V",
                                                "GETDEL K",
                                                "GETEX K PX M",
                                                "GETEX K PERSIST",
                                                "GETEX K PXAT 5",
                                                "GET K",
                                                "MGET K K K",
                                                "MSET K V K I",
                                                "MSETNX K V K V",
                                                "APPEND K V",
                                                "SETRANGE K 3 V",
                                                "INCR K",
                                                "DECR K",
                                                "INCRBY K I",
                                                "DECRBY K I",
                                                "INCRBYFLOAT K F",
                                                "HSET H S V",
                                                "HSET H S I S V",
                                                "HSET H S I",
                                                "HSETNX H S V",
                                                "HMSET H S V",
                                                "HDEL H S",
                                                "HDEL H S S S",
                                                "HINCRBY H S I",
                                                "HINCRBYFLOAT H S F",
                                                "HGETALL H",
                                                "HRANDFIELD H 2",
                                                "DEL K",
                                                "DEL K H K",
                                                "UNLINK H",
                                                "EXISTS K",
                                                "RENAME K K",
                                                "RENAME H K",
                                                "RENAMENX K K",
                                                "RENAMENX H H",
                                                "COPY K K",
                                                "COPY H H REPLACE",
                                                "COPY K K DB 1",
                                                "MOVE K 1",
                                                "MOVE H 1",
                                                "SELECT 0",
                                                "SELECT 1",
                                                "SELECT 0",
                                                "SWAPDB 0 1",
                                                "EXPIRE K T",
                                                "PEXPIRE K M",
                                                "PEXPIRE H M",
                                                "EXPIRE K T NX",
                                                "PEXPIRE K M GT",
                                                "PEXPIRE H M LT",
                                                "EXPIRE K -1",
                                                "PEXPIREAT K 1",
                                                "PERSIST K",
                                                "PERSIST H",
                                                "TTL K",
                                                "TYPE K",
                                                "RANDOMKEY",
                                                "KEYS *",
                                                "SCAN 0",
                                                "HSCAN H 0",
                                                "DBSIZE",
                                                "MULTI",
                                                "EXEC",
                                                "EXEC",
                                                "DISCARD",
                                                "WATCH K",
                                                "TOUCH K",
                                                "STRLEN K",
                                                "HLEN H"};
    if (prng_.chance(1, 400)) return prng_.chance(1, 3) ? "FLUSHALL" : "FLUSHDB";
    return fill(templates[prng_.below(std::size(templates))]);
  }

  Prng& prng() { return prng_; }

 private:
  /// Every single letter of `shape` stands for something.
  std::string fill(const std::string& shape) {
    std::string out;
    size_t begin = 0;
    while (begin <= shape.size()) {
      const size_t end = std::min(shape.find(' ', begin), shape.size());
      const std::string piece = shape.substr(begin, end - begin);
      out += (out.empty() ? "" : " ") + (piece.size() == 1 ? value(piece[0]) : piece);
      begin = end + 1;
    }
    return out;
  }

  std::string value(char kind) {
    switch (kind) {
      case 'K': return "k" + std::to_string(prng_.below(8));
      case 'H': return prng_.chance(1, 8) ? "k1" : "h" + std::to_string(prng_.below(4));
      case 'V': return std::string(prng_.chance(1, 20) ? 90 : 3, static_cast<char>('a' + prng_.below(26)));
      case 'I': return std::to_string(prng_.between(-100, 100));
      case 'T': return std::to_string(prng_.below(3) + 1);
      case 'M': return std::to_string(prng_.below(2000) + 1);
      case 'S': return "f" + std::to_string(prng_.below(prng_.chance(1, 4) ? 300 : 5));
      case 'F': return to_text_fixed(static_cast<long double>(prng_.between(-1000, 1000)) / 64);
      default: return std::string(1, kind);
    }
  }

  Prng prng_;
};

TEST_CASE("any stream of commands, replayed from its log into another store, gives the same state") {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    Harness node(seed), copy(seed + 1000);
    Requests requests(seed);
    for (int i = 0; i < 1500; ++i) {
      const size_t client = requests.prng().below(2);
      node.run(client, requests.next());
      if (requests.prng().chance(1, 3)) node.sleep(static_cast<int64_t>(requests.prng().below(300)));
      if (i % 100 != 99) continue;
      copy.now.wall_ms = node.now.wall_ms + requests.prng().between(-100000, 100000);
      REQUIRE(copy.replay(node.journal.content()) == "");
      node.journal.clear();
      INFO("seed " << seed << ", command " << i);
      REQUIRE(copy.store.digest() == node.store.digest());
    }
    CHECK(node.counters.expired_keys > 0);
  }
}

}  // namespace
}  // namespace hf::test
