// A primary's side of a link whose other end is no replica, or one that has stopped: what it says is judged,
// and what is kept for it ends.
#include <catch2/catch.hpp>

#include "node_support.h"

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

TEST_CASE("INFO names the reign before and the offset up to which a Redis may go on with its id, after a restart too") {
  MemoryFiles files;
  const auto field = [](const std::string& info, const std::string& name) {
    const size_t at = info.find("\n" + name + ":");
    return at == std::string::npos ? "" : info.substr(at + name.size() + 2, info.find('\r', at + 1) - at - name.size() - 2);
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
