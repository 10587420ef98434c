// A primary's side of a link whose other end is no replica, or one that has stopped: what it says is judged,
// and what is kept for it ends.
#include <algorithm>
#include <catch2/catch.hpp>

#include "base/little_endian.h"
#include "base/prng.h"
#include "log/manifest.h"
#include "log/segment.h"
#include "node_support.h"
#include "replication/wire.h"

using namespace hf;
using namespace hf::test;

namespace {

struct Primary {
  MemoryFiles files;
  NodeDriver driver{files, [] {
                      config::Options options;
                      options.appendonly = true;
                      return options;
                    }()};
  node::ConnId client = driver.connect();

  std::string replication() { return driver.ask(client, "INFO replication"); }
  size_t replicas() {
    const std::string text = replication();
    return text.find("slave0:") == std::string::npos ? 0 : text.find("slave1:") == std::string::npos ? 1 : 2;
  }
  /// A link that asks for everything; what it is sent is not taken.
  node::ConnId link(bool native) {
    const node::ConnId conn = driver.connect();
    driver.send(conn,
                native ? "REPLCONF capa holdfast1\r\nPSYNC ? -1\r\n" : "REPLCONF capa eof\r\nPSYNC ? -1\r\n");
    driver.settle();
    return conn;
  }
};

}  // namespace

TEST_CASE(
    "a replica that takes nothing of its snapshot is let go after repl-timeout, whatever it says meanwhile") {
  for (const bool native : {true, false}) {
    Primary primary;
    primary.driver.ask(primary.client, "SET key value");
    const node::ConnId link = primary.link(native);
    REQUIRE(primary.replicas() == 1);
    for (int second = 0; second < 59; ++second) {
      primary.driver.pass_ms(1000);
      primary.driver.send(link, native ? "REPLCONF hfack 0 0 0 0\r\n" : "REPLCONF ACK 0\r\n");
      primary.driver.settle();
    }
    INFO((native ? "native" : "stock"));
    CHECK(primary.replicas() == 1);
    primary.driver.pass_ms(3000);
    primary.driver.settle();
    CHECK(primary.replicas() == 0);
  }
}

TEST_CASE("a replica that takes its snapshot slowly is kept") {
  Primary primary;
  primary.driver.ask(primary.client, "SET key value");
  const node::ConnId link = primary.link(false);
  Buffer out = primary.driver.node().take_output(link);
  REQUIRE(out.size() > 10);
  for (size_t i = 0; i < 10; ++i) {
    primary.driver.pass_ms(40'000);
    primary.driver.send(link, "\n");  // as a Redis that loads
    primary.driver.node().sent(link, 1, Buffer());
    primary.driver.settle();
    REQUIRE(primary.replicas() == 1);
  }
}

TEST_CASE("a snapshot that gets its final name before the answer that tells of it is sent on") {
  Primary primary;
  NodeDriver& driver = primary.driver;
  Prng random(7);
  for (int i = 0; i < 50; ++i) {
    std::string value(20'000, 0);
    for (char& c : value) c = static_cast<char>('a' + random.below(26));
    driver.ask(primary.client, "SET key:" + std::to_string(i) + " " + value);
  }
  const node::ConnId link = driver.connect();
  driver.send(link, "REPLCONF capa holdfast1\r\nPSYNC ? -1\r\n");
  std::string sent;
  std::vector<FileJobDone> held;  // the disk has done it, and this node has not heard of it yet
  bool renamed = false;
  int failed_reads = 0;
  for (int turn = 0; turn < 200 && failed_reads < 3; ++turn) {
    driver.turn();
    sent += driver.take(link);
    std::vector<FileJob> jobs;
    jobs.swap(driver.jobs);
    for (FileJob& job : jobs) {
      if (job.lane == Lane::Transfer && !renamed) {
        driver.jobs.push_back(std::move(job));  // slow, so that it meets the new name
        continue;
      }
      const bool renames = job.lane == Lane::Snapshot &&
                           std::any_of(job.steps.begin(), job.steps.end(),
                                       [](const FileStep& s) { return s.kind == FileStep::Kind::Rename; });
      const FileJobDone done = primary.files.run(job);
      if (job.lane == Lane::Transfer && !done.ok) ++failed_reads;
      if (renames) renamed = true, held.push_back(done);
      else driver.node().job_done(done);
    }
  }
  REQUIRE(failed_reads == 3);
  CHECK(driver.effects.close.empty());
  for (const FileJobDone& done : held) driver.node().job_done(done);
  for (int turn = 0; turn < 100; ++turn) {
    driver.turn();
    driver.run_jobs();
    sent += driver.take(link);
  }
  CHECK(primary.replicas() == 1);
  CHECK(sent.size() > 50 * 20'000 / 2);
  for (const std::string& line : driver.lines) CHECK(line.find("can't be read") == std::string::npos);
}

TEST_CASE("a replica's address is one word, and stands as such in INFO") {
  Primary primary;
  const node::ConnId link = primary.driver.connect();
  for (const char* address :
       {"\"a\\r\\nrole:evil\"", "\"a b\"", "a,port=1", "\"a=b\"", "\"\\x00\"", "\"\\xff\""})
    CHECK(primary.driver.ask(link, std::string("REPLCONF ip-address ") + address)
              .starts_with("-ERR REPLCONF ip-address"));
  for (const char* address : {"10.0.0.1", "::1", "fe80::1%eth0", "db-1.example_x.net"})
    CHECK(primary.driver.ask(link, std::string("REPLCONF ip-address ") + address) == "+OK\r\n");
}

TEST_CASE("what a replica acknowledges of a reign to come is a sign of life and nothing more") {
  Primary primary;
  primary.driver.ask(primary.client, "SET key value");
  const node::ConnId link = primary.link(true);
  for (int second = 0; second < 90; ++second) {
    primary.driver.pass_ms(1000);
    primary.driver.send(link, "REPLCONF hfack 99 1 1 1\r\n");
    primary.driver.settle();
    primary.driver.take(link);
  }
  CHECK(primary.replicas() == 1);
  CHECK(primary.replication().find("received=0,synced=0,applied=0") != std::string::npos);
}

TEST_CASE(
    "INFO names the reign before and the offset up to which a Redis may go on with its id, after a restart "
    "too") {
  MemoryFiles files;
  const auto field = [](const std::string& info, const std::string& name) {
    const size_t at = info.find("\n" + name + ":");
    return at == std::string::npos
               ? ""
               : info.substr(at + name.size() + 2, info.find('\r', at + 1) - at - name.size() - 2);
  };
  const auto options = [] {
    config::Options o;
    o.appendonly = true;
    return o;
  };
  std::string id, end;
  {
    NodeDriver driver(files, options());
    const node::ConnId client = driver.connect();
    std::string info = driver.ask(client, "INFO replication");
    CHECK(field(info, "master_replid2") == std::string(40, '0'));
    CHECK(field(info, "second_repl_offset") == "-1");
    driver.ask(client, "SET key value");
    info = driver.ask(client, "INFO replication");
    id = field(info, "master_replid"), end = field(info, "master_repl_offset");
    REQUIRE(std::stoll(end) > 0);
  }
  for (const bool again : {false, true}) {
    NodeDriver driver(files, options(), again ? 3 : 2);
    const node::ConnId client = driver.connect();
    const std::string info = driver.ask(client, "INFO replication");
    CHECK(field(info, "master_replid2") == id);
    const int64_t second = std::stoll(field(info, "second_repl_offset"));
    CHECK(second == std::stoll(end) + 1);
    driver.ask(client, "SET key other");
    for (const int64_t past : {0, 1}) {
      const node::ConnId redis = driver.connect();
      const std::string asked = "PSYNC " + id + " " + std::to_string(second + past);
      const std::string answer = driver.ask(redis, "REPLCONF capa eof capa psync2\r\n" + asked);
      INFO(answer);
      const std::string now = field(driver.ask(client, "INFO replication"), "master_replid");
      CHECK((answer.find("+CONTINUE " + now + "\r\n") != std::string::npos) == (past == 0));
      CHECK((answer.find("+FULLRESYNC") != std::string::npos) == (past == 1));
    }
    const std::string after = driver.ask(client, "INFO replication");
    id = field(after, "master_replid"), end = field(after, "master_repl_offset");
  }
}

// ---- what links may hold
// ---------------------------------------------------------------------------------------

namespace {

/// A primary whose links may hold 16 MiB together, and links that hold all of its log so far.
struct Crowd {
  MemoryFiles files;
  NodeDriver driver{
      files, [] {
        config::Options options;
        options.appendonly = true;
        options.replica_memory_max = 16 << 20;
        options.client_output_buffer_limit[0] = {20'000, 0, 0};  // of others: replicas are none of them
        return options;
      }()};
  node::ConnId client = driver.connect();
  std::vector<node::ConnId> links;
  std::string last_answer;

  void add(size_t count) {
    const auto log = log::decode_manifest(files.content(log::manifest_name));
    REQUIRE(log);
    Buffer words;
    resp::Writer(words, 2).command({"REPLCONF", "holdfast",
                                    replication::encode(replication::Holding{
                                        log->cluster_id, log->history, {}, driver.node().log_place().end})});
    for (size_t i = 0; i < count; ++i) {
      const node::ConnId link = driver.connect();
      driver.ask(link, "REPLCONF listening-port " + std::to_string(7000 + links.size()));
      driver.ask(link, "REPLCONF capa holdfast1");
      driver.send(link, words.view());
      driver.settle();
      driver.take(link);
      last_answer = driver.ask(link, "PSYNC ? -1");
      links.push_back(link);
    }
  }
  void set(const std::string& key, size_t bytes) {
    std::string value(bytes, '\0');
    for (char& c : value) c = static_cast<char>('a' + prng.below(26));
    driver.send(client, "*3\r\n$3\r\nSET\r\n$" + std::to_string(key.size()) + "\r\n" + key + "\r\n$" +
                            std::to_string(bytes) + "\r\n" + value + "\r\n");
    driver.settle();
    REQUIRE(driver.take(client) == "+OK\r\n");
  }
  int64_t field(const char* section, const std::string& name) {
    const std::string info = driver.ask(client, std::string("INFO ") + section);
    const size_t at = info.find("\n" + name + ":");
    return at == std::string::npos ? -1 : std::stoll(info.substr(at + name.size() + 2));
  }
  /// All that a link is sent until there is no more, without heartbeats.
  std::string drain(node::ConnId link) {
    std::string all;
    for (int quiet = 0; quiet < 20;) {
      const std::string some = driver.take(link);
      quiet = some.empty() ? quiet + 1 : 0;
      all += some;
      driver.settle();
    }
    std::string frames;
    for (Bytes rest = all; !rest.empty();) {
      if (rest.starts_with(replication::heartbeat_magic)) {
        rest.remove_prefix(replication::heartbeat_bytes);
        continue;
      }
      log::DecodedFrame frame;
      REQUIRE(log::decode_frame(rest, get_le<uint64_t>(rest, 16), frame) == log::Verdict::Valid);
      frames += rest.substr(0, frame.header.frame_bytes());
      rest.remove_prefix(frame.header.frame_bytes());
    }
    return frames;
  }
  Prng prng{7};
};

}  // namespace

TEST_CASE(
    "replicas that take nothing hold no more than replica-memory-max together, and get all of it in the "
    "end") {
  Crowd crowd;
  crowd.add(40);
  REQUIRE(crowd.last_answer.starts_with("+CONTINUE"));
  const LogOffset begin = crowd.driver.node().log_place().end;
  for (int i = 0; i < 4; ++i) {
    crowd.set("large", 3'000'000);
    for (int j = 0; j < 20; ++j) crowd.set("small", 20'000);
    crowd.driver.pass_ms(400);
    crowd.driver.settle();
  }
  CHECK(crowd.field("memory", "mem_clients_slaves") > 1'000'000);
  CHECK(crowd.field("memory", "mem_clients_slaves") <= 16 << 20);
  CHECK(crowd.field("replication", "connected_slaves") == 40);
  std::string expected;
  const std::vector<std::string> names = *crowd.files.list();
  for (const std::string& name : names)
    if (name.starts_with("log-")) expected += crowd.files.content(name).substr(log::segment_header_bytes);
  // One was slow all along, one is asked for while others take nothing: the same bytes for both.
  for (const size_t which : {3u, 25u}) {
    const std::string frames = crowd.drain(crowd.links[which]);
    INFO(frames.size() << " bytes from offset " << begin.value);
    CHECK(frames.size() > 12'000'000);
    CHECK(expected.find(frames) != std::string::npos);
  }
}

TEST_CASE("one link more than replica-memory-max allows is told so and may come again; those there stay") {
  Crowd crowd;
  crowd.add(64);
  REQUIRE(crowd.last_answer.starts_with("+CONTINUE"));
  CHECK(crowd.field("replication", "replica_links_max") == 64);
  crowd.driver.lines.clear();
  crowd.add(3);
  CHECK(crowd.last_answer.starts_with("-NOMASTERLINK Can't SYNC while 64 replicas are linked"));
  CHECK(crowd.field("replication", "replica_links_refused") == 3);
  CHECK(crowd.field("replication", "connected_slaves") == 64);
  CHECK(std::count_if(crowd.driver.lines.begin(), crowd.driver.lines.end(), [](const std::string& line) {
          return line.find("New links of replicas are refused") != std::string::npos;
        }) == 1);
  crowd.driver.node().disconnected(crowd.links[5]);
  crowd.add(1);
  CHECK(crowd.last_answer.starts_with("+CONTINUE"));
}
