// Audits: the states of one, by hand; and two nodes in one process, bytes carried from one to the other.
#include "node/audit.h"

#include <catch2/catch.hpp>

#include "node_support.h"
#include "resp/parser.h"

using namespace hf;
using namespace hf::node;
using namespace hf::test;

namespace {

constexpr Now begin{1'700'000'000'000, 1'000'000};

/// A store, and an audit of it; the journal is thrown away as soon as it is looked at.
struct Bench {
  store::Store store{{.databases = 2, .hash_seed = 5}};
  Audit audit{store, 8};
  Now now = begin;

  explicit Bench(int keys = 50) {
    for (int i = 0; i < keys; ++i) set("key:" + std::to_string(i), std::to_string(i));
  }
  void set(const std::string& key, const std::string& value) { store.set_string(0, store.key(key), value); }
  std::string write() {
    command::Journal journal;
    audit.write(journal);
    return std::string(journal.content());
  }
  void walk() {
    for (int i = 0; audit.walking(); ++i) {
      REQUIRE(i < 10'000);
      now.mono_us += 2'000;
      audit.walk_some(now, i % 2 == 0);
    }
  }
  /// As a primary: what the log is told in the end.
  std::string sums_of(LogOffset at) {
    REQUIRE(audit.ask());
    REQUIRE(write().find("HOLDFAST.AUDIT\r\n") != std::string::npos);
    REQUIRE(audit.sealed(at, now));
    walk();
    return write();
  }
  /// As a replica: the words of HOLDFAST.AUDITED, out of a primary's log.
  void hear(const std::string& logged) {
    size_t at = 0;
    resp::for_each_command(logged, at, [&](const std::vector<Bytes>& args, Bytes) {
      if (args[0] == replication::audit_sums) REQUIRE(audit.told(args));
    });
  }
  void cut(LogOffset at) {
    audit.marked();
    audit.applied(at, now);
  }
};

Audit::Member member(int port, bool applied = true) {
  return {.host = "a", .port = port, .native = true, .passes = true, .applied = applied};
}

}  // namespace

TEST_CASE("a primary marks, walks, says its sums, waits for whose link passes the mark, and is done") {
  Bench primary;
  CHECK_FALSE(primary.audit.sealed({50}, begin));
  CHECK(Bytes(primary.audit.result()) == "none");
  const std::string logged = primary.sums_of({100});
  CHECK(logged.find("HOLDFAST.AUDITED\r\n$3\r\n100\r\n") != std::string::npos);
  CHECK_FALSE(primary.audit.ask());
  CHECK(Bytes(primary.audit.result()) == "running");
  const Audit::Member stock{.host = "s", .port = 9, .native = false};
  std::vector<Audit::Member> all = {member(1), member(2, false), stock};
  CHECK_FALSE(primary.audit.settle(all, primary.now));
  CHECK_FALSE(primary.audit.reported("a:1", {.at = {99}}));  // of an audit before
  CHECK(primary.audit.reported("a:1", {.at = {100}}));
  CHECK_FALSE(primary.audit.reported("a:1", {.at = {100}}));
  CHECK_FALSE(primary.audit.settle(all, primary.now));  // 2 is behind, and comes by the mark yet
  const command::AuditState state = primary.audit.state(all);
  CHECK(primary.audit.settle({member(1), stock}, primary.now));  // its link is gone
  CHECK_FALSE(primary.audit.settle({member(1), stock}, primary.now));
  CHECK(Bytes(primary.audit.result()) == "agrees");
  CHECK(state.offset == 100);
  CHECK(state.keys == 50);
  CHECK(state.digest == to_hex(primary.store.digest()));
  REQUIRE(state.replicas.size() == 3);
  CHECK(state.replicas[0].finding == "agrees");
  CHECK(state.replicas[1].finding == "behind");
  CHECK(state.replicas[2].finding == "not-audited");
  CHECK(primary.audit.reported("a:2", {{100}, replication::Finding::Differs, {1, 7, 2}}));
  CHECK(Bytes(primary.audit.result()) == "differs");
  CHECK(primary.audit.differed("a:2"));
  CHECK_FALSE(primary.audit.differed("a:1"));
  CHECK(primary.audit.synced_in_full("a:2"));
  CHECK(Bytes(primary.audit.result()) == "healed");
  CHECK_FALSE(primary.audit.reported("a:2", {.at = {100}}));  // it came by the mark again: still healed
  CHECK(primary.audit.state({}).replicas.at(1).finding == "healed");
}

TEST_CASE("both walks get the state at the mark, whatever is written, flushed or expires meanwhile") {
  Bench primary, replica;
  primary.store.set_expiry(0, primary.store.key("key:7"), 1);  // long past, not deleted yet
  replica.store.set_expiry(0, replica.store.key("key:7"), 1);
  replica.cut({100});
  replica.set("key:3", "later");
  replica.now.mono_us += 5'000;
  replica.audit.walk_some(replica.now, false);
  REQUIRE(replica.audit.walking());
  replica.store.flush_all();
  replica.set("new", "1");
  const std::string logged = primary.sums_of({100});
  replica.hear(logged);
  CHECK_FALSE(replica.audit.take_report());
  replica.walk();
  const auto report = replica.audit.take_report();
  REQUIRE(report);
  CHECK(*report == replication::AuditReport{.at = {100}});
  CHECK(replica.audit.report_due({.slot = 1, .generation = 1}));
  replica.audit.report_sent({.slot = 1, .generation = 1});
  CHECK_FALSE(replica.audit.report_due({.slot = 1, .generation = 1}));
  CHECK(replica.audit.report_due({.slot = 1, .generation = 2}));
}

TEST_CASE("a replica that differs knows where, and is distrusted until all is replaced") {
  Bench primary, replica;
  replica.set("key:3", "something else");
  const std::string logged = primary.sums_of({100});
  replica.cut({100});
  replica.walk();
  replica.hear(logged);
  const auto report = replica.audit.take_report();
  REQUIRE(report);
  CHECK(report->finding == replication::Finding::Differs);
  CHECK(report->where == replication::Difference{0, store::slice_of("key:3"), 1});
  CHECK(replica.audit.distrusted());
  replica.audit.forget(replica.now);  // another primary, or none: it is no better for that
  CHECK(replica.audit.distrusted());
  replica.audit.healed();
  CHECK_FALSE(replica.audit.distrusted());
  CHECK(replica.audit.state({}).divergences == 1);
}

TEST_CASE("a new mark takes the place of an audit whose sums never came, and a lost role ends one") {
  Bench primary, replica;
  replica.cut({100});
  replica.walk();
  replica.cut({200});
  CHECK(replica.store.walks_active() == 1);
  replica.hear(primary.sums_of({200}));
  replica.walk();
  CHECK(replica.audit.take_report() == replication::AuditReport{.at = {200}});
  replica.cut({300});
  replica.audit.forget(replica.now);
  CHECK(replica.store.walks_active() == 0);
  CHECK_FALSE(replica.audit.take_report());

  primary.audit.forget(primary.now);
  CHECK_FALSE(primary.audit.running());
  REQUIRE(primary.audit.ask());
  primary.audit.forget(primary.now);
  CHECK(primary.write().empty());
  CHECK(primary.store.walks_active() == 0);
}

TEST_CASE("sums of another version are not compared: the replica says that it skips") {
  Bench replica;
  replica.cut({100});
  const std::vector<Bytes> newer = {"HOLDFAST.AUDITED", "100", "2", "whatever that is"};
  REQUIRE(replica.audit.told(newer));
  CHECK_FALSE(replica.audit.walking());
  CHECK_FALSE(replica.audit.take_report());
  CHECK(replica.audit.report().finding == replication::Finding::Skipped);
  CHECK_FALSE(replica.audit.distrusted());
  CHECK_FALSE(replica.audit.told(std::vector<Bytes>{"HOLDFAST.AUDITED", "100", "1", "short"}));
  CHECK_FALSE(replica.audit.told(std::vector<Bytes>{"HOLDFAST.AUDITED", "x", "1", ""}));
}

TEST_CASE("audits by the clock come an interval apart, and none where the interval is 0") {
  Bench primary;
  primary.audit.forget(begin);
  const auto at = [](int64_t s) { return Now{begin.wall_ms + s * 1000, begin.mono_us + s * 1'000'000}; };
  CHECK_FALSE(primary.audit.due(at(9), 10));
  CHECK(primary.audit.due(at(10), 10));
  CHECK_FALSE(primary.audit.due(at(1'000'000), 0));
  primary.now = at(10);
  primary.sums_of({100});
  CHECK_FALSE(primary.audit.due(at(30), 10));  // the last one is not over
  REQUIRE(primary.audit.settle({}, at(30)));
  CHECK(primary.audit.due(at(30), 10));
  CHECK(Bytes(primary.audit.result()) == "unanswered");
}

TEST_CASE("no slice of an audit's walk is longer than its budget, and a busy node's is shorter") {
  Bench bench(0);
  Audit audit(bench.store, 1024);
  for (int i = 0; i < 4000; ++i) bench.set("key:" + std::to_string(i), "value");
  audit.marked();
  audit.applied({1}, begin);
  int idle = 0, busy = 0;
  Now now = begin;
  for (; audit.walking(); ++idle) audit.walk_some(now, false), now.mono_us += 2'000;
  audit.marked();
  audit.applied({2}, now);
  for (; audit.walking(); ++busy) audit.walk_some(now, true), now.mono_us += 2'000;
  CHECK(idle >= 4);
  CHECK(busy >= 3 * idle);
}

// ---- two nodes --------------------------------------------------------------------------------------------

namespace {

config::Options options_of(const std::string& replicaof) {
  config::Options options;
  options.replicaof = replicaof;
  options.enable_debug_command = config::DebugCommand::Local;
  options.audit_interval = 0;
  options.save.clear();
  return options;
}

/// A primary, a replica, and the wire between them.
struct Pair {
  MemoryFiles here, there;
  NodeDriver primary{here, options_of(""), 1};
  std::unique_ptr<NodeDriver> replica = std::make_unique<NodeDriver>(there, options_of("there 1"), 2);
  std::optional<ConnId> near, far;  ///< the link's ends: the replica's, the primary's
  ConnId client = primary.connect(), reader = replica->connect();
  std::string verdicts;  ///< what the primary answered to each PSYNC

  void step(NodeDriver& node) {
    node.mono_us += 1'000;
    node.turn();
    for (const ConnId dialed : node.dials) near = dialed;
    node.dials.clear();
    for (const ConnId conn : node.effects.close) {
      if (&node == &primary ? far == conn : near == conn) hang_up();
    }
    node.run_jobs();
  }
  void hang_up() {
    if (near) replica->node().disconnected(*near);
    if (far) primary.node().disconnected(*far);
    near.reset(), far.reset();
  }
  void run(int turns = 400) {
    for (int i = 0; i < turns; ++i) {
      step(primary), step(*replica);
      if (near && !far) {
        far = primary.connect();
        replica->node().dialed(*near, true, "");
      }
      if (!near) continue;
      primary.send(*far, replica->take(*near));
      const std::string down = primary.take(*far);
      for (const char* verdict : {"+CONTINUE", "+FULLRESYNC"})
        if (down.find(verdict) != std::string::npos) verdicts += verdict;
      replica->send(*near, down);
    }
  }
  std::string ask(NodeDriver& node, ConnId conn, const std::string& line) {
    node.send(conn, line + "\r\n");
    run(20);
    return node.take(conn);
  }
  std::string read(const std::string& line) { return ask(*replica, reader, line); }
  std::string write(const std::string& line) { return ask(primary, client, line); }
  static bool said(const NodeDriver& node, const std::string& text) {
    return std::any_of(node.lines.begin(), node.lines.end(),
                       [&](const std::string& line) { return line.find(text) != std::string::npos; });
  }
};

}  // namespace

TEST_CASE(
    "a difference planted in a replica is found, named, refused to readers, and healed by a full sync") {
  Pair pair;
  pair.run();
  for (int i = 0; i < 40; ++i) pair.write("SET key:" + std::to_string(i) + " v");
  pair.write("TASK.SUBMIT job QUEUE q");
  REQUIRE(pair.primary.node().digest() == pair.replica->node().digest());
  CHECK(pair.write("REPLICATION AUDIT").starts_with(":"));
  pair.run();
  CHECK(pair.write("REPLICATION AUDIT STATUS").find("agrees") != std::string::npos);
  CHECK(pair.read("REPLICATION AUDIT").starts_with("-ERR this node is a replica; ask its primary, there:1"));

  CHECK(pair.read("DEBUG PLANT key:7 other") == "+OK\r\n");
  CHECK(pair.primary.node().digest() != pair.replica->node().digest());
  pair.write("REPLICATION AUDIT");
  for (int i = 0; i < 400 && !Pair::said(*pair.replica, "Nothing is served"); ++i) pair.run(1);
  pair.step(*pair.replica);
  pair.replica->send(pair.reader, "GET key:7\r\n");
  pair.step(*pair.replica);
  CHECK(pair.replica->take(pair.reader)
            .starts_with("-MASTERDOWN This replica's data differs from its primary's"));
  pair.run();
  const std::string where = "database 0, slice " + std::to_string(store::slice_of("key:7"));
  CHECK(Pair::said(*pair.replica, where));
  CHECK(Pair::said(pair.primary, where));
  CHECK(Pair::said(pair.primary, "is healed"));
  CHECK(pair.verdicts == "+FULLRESYNC+FULLRESYNC");
  CHECK(pair.read("GET key:7") == "$1\r\nv\r\n");
  CHECK(pair.primary.node().digest() == pair.replica->node().digest());
  CHECK(pair.write("REPLICATION AUDIT STATUS").find("healed") != std::string::npos);
  pair.write("REPLICATION AUDIT");
  pair.run();
  CHECK(pair.write("REPLICATION AUDIT STATUS").find("agrees") != std::string::npos);
}

TEST_CASE("a link cut in the middle of an audit takes nothing away: the replica reports over the next") {
  Pair pair;
  pair.run();
  for (int i = 0; i < 2000; ++i) pair.primary.send(pair.client, "SET key:" + std::to_string(i) + " v\r\n");
  pair.run();
  pair.primary.take(pair.client);
  pair.write("REPLICATION AUDIT");
  pair.hang_up();
  pair.run();
  CHECK(pair.verdicts == "+FULLRESYNC+CONTINUE");
  CHECK(pair.write("REPLICATION AUDIT STATUS").find("agrees") != std::string::npos);
}

TEST_CASE("a replica that differed and restarts before it is healed is sent everything all the same") {
  Pair pair;
  pair.run();
  pair.write("SET key v");
  pair.read("DEBUG PLANT key other");
  pair.write("REPLICATION AUDIT");
  for (int i = 0; i < 400 && !Pair::said(pair.primary, "holds other data"); ++i) pair.run(1);
  pair.hang_up();
  pair.replica = std::make_unique<NodeDriver>(pair.there, options_of("there 1"), 3);
  pair.reader = pair.replica->connect();
  pair.run();
  CHECK(pair.verdicts == "+FULLRESYNC+FULLRESYNC");
  CHECK(Pair::said(pair.primary, "an audit found that its data differs"));
  CHECK(Pair::said(pair.primary, "is healed"));
  CHECK(pair.read("GET key") == "$1\r\nv\r\n");
  pair.hang_up();
  pair.run();
  CHECK(pair.verdicts == "+FULLRESYNC+FULLRESYNC+CONTINUE");
}

TEST_CASE("a person may promote a replica that differs, and is told") {
  Pair pair;
  pair.run();
  pair.write("SET key v");
  pair.read("DEBUG PLANT key other");
  pair.write("REPLICATION AUDIT");
  for (int i = 0; i < 400 && !Pair::said(*pair.replica, "Nothing is served"); ++i) pair.run(1);
  pair.replica->send(pair.reader, "REPLICAOF NO ONE\r\n");
  for (int i = 0; i < 50; ++i) pair.step(*pair.replica);
  CHECK(pair.replica->take(pair.reader) == "+OK\r\n");
  CHECK(Pair::said(*pair.replica, "reigns with data that differed"));
  CHECK(pair.replica->ask(pair.reader, "GET key") == "$5\r\nother\r\n");
}

TEST_CASE("an audit that nobody could answer is refused") {
  MemoryFiles files;
  NodeDriver alone(files, options_of(""));
  const auto conn = alone.connect();
  CHECK(alone.ask(conn, "REPLICATION AUDIT").starts_with("-ERR there is nobody to audit"));
  CHECK(alone.ask(conn, "REPLICATION AUDIT STATUS").find("none") != std::string::npos);
  CHECK(alone.ask(conn, "DEBUG PLANT a b").starts_with("-ERR DEBUG PLANT is for replicas"));
  CHECK(alone.ask(conn, "INFO replication").find("audit_last_result:none") != std::string::npos);
}
