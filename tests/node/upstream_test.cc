// The link to a primary without a socket: bytes go in one by one, damaged, too late or not at all, and what
// the node is told is looked at.
#include "node/upstream.h"

#include <catch2/catch.hpp>

#include "node_support.h"

using namespace hf;
using namespace hf::node;

namespace {

/// A node that writes down what the link tells it.
struct Recorder final : Follower {
  replication::Holding has;
  bool takes = true;
  std::string frames;
  int groups = 0;
  std::vector<replication::Heartbeat> heartbeats;
  std::optional<LogOffset> cut;
  std::optional<snapshot::Header> adopted;
  bool loaded = false;
  config::Options options;
  store::Store store{{}};
  Beside loads{options, nullptr, store};
  std::optional<replication::HandOver> taken_over;
  std::vector<std::string> said;

  replication::Holding holding() const override { return has; }
  bool ready() const override { return takes; }
  Status take_group(const std::vector<log::MirrorFrame>& group) override {
    for (const log::MirrorFrame& frame : group) frames += frame.bytes;
    ++groups;
    return ok();
  }
  void take_heartbeat(const replication::Heartbeat& heartbeat) override { heartbeats.push_back(heartbeat); }
  void diverged(LogOffset at) override { cut = at; }
  void full_sync_begins(std::optional<LogOffset>) override {}
  Beside& beside() override { return loads; }
  void adopt(const snapshot::Header& header) override {
    adopted = header;
    loaded = loads.loading();
    loads.handed_over();
  }
  void take_over(const replication::HandOver& hand_over) override { taken_over = hand_over; }
  bool follows_redis = false;
  std::optional<ForeignPlace> dump_place;
  std::vector<DbIndex> foreign_dbs;
  ForeignPlace foreign_place() const override { return {}; }
  Status follow_foreign() override {
    return follows_redis ? ok() : Status(Error{"no Redis is followed here"});
  }
  void import_dump(std::string, ForeignPlace place) override { dump_place = std::move(place); }
  Status take_foreign(DbIndex db, const std::vector<Bytes>&, Bytes) override {
    foreign_dbs.push_back(db);
    return ok();
  }
  void foreign_place_is(const ForeignPlace&) override {}
  Progress progress() const override { return {}; }
  void say(LogLevel, std::string text) override { said.push_back(std::move(text)); }
};

struct Rig {
  test::MemoryFiles files;
  Recorder node;
  Prng prng{1};
  Upstream link{node, files, prng};
  Buffer in, out;
  ConnId conn{.slot = 1, .generation = 1};
  Now now{1'700'000'000'000, 1'000'000};
  bool closed = false;

  explicit Rig(std::string password = "") {
    link.follow({.host = "there", .port = 6379, .password = std::move(password), .timeout_ms = 5000});
    dial();
  }
  void dial() {
    now.mono_us += 10'000'000;
    REQUIRE(link.wants_dial(now));
    link.dialing(conn);
    link.dialed(conn, true, "", now, out);
    closed = false;
  }
  /// As the node does it: bytes are looked at when some have come, and when what they waited for is there.
  void step(bool came = false) {
    now.mono_us += 10;
    while (came && link.consume(now, in, out)) {}
    while (link.load_some(now)) {}
    while (auto job = link.next_job()) link.job_done(files.run(*job), now);
    if (link.may_go_on())
      while (link.consume(now, in, out)) {}
    if (link.tick(now, &out)) closed = true;
  }
  void feed(Bytes bytes, size_t piece = SIZE_MAX) {
    while (!bytes.empty() && !closed) {
      const size_t n = std::min(piece, bytes.size());
      in.append(bytes.substr(0, n));
      bytes.remove_prefix(n);
      step(true);
    }
  }
  void greet(Bytes verdict) {
    feed("+PONG\r\n+OK\r\n+OK holdfast1\r\n+OK\r\n");
    feed(std::string(verdict) + "\r\n");
  }
  bool says(Bytes words) const { return link.last_error().find(words) != std::string::npos; }
};

/// A primary, and what it sends to an empty replica: up to the end of the snapshot, and behind it.
struct Source {
  test::MemoryFiles files;
  test::NodeDriver driver{files, [] {
                            config::Options options;
                            options.appendonly = true;
                            return options;
                          }()};
  std::string verdict, snapshot, stream;

  Source() {
    const ConnId writer = driver.connect(), replica = driver.connect();
    driver.ask(writer, "SET before 1");
    driver.ask(replica, "REPLCONF capa holdfast1");
    std::string all = driver.ask(replica, "PSYNC ? -1");
    const size_t line = all.find("\r\n");
    verdict = all.substr(0, line);
    all.erase(0, line + 2);
    for (int i = 0; i < 3; ++i) {
      driver.pass_ms(300);
      driver.settle();
      all += driver.take(replica);
    }
    const size_t begins = all.find(replication::snapshot_magic);
    REQUIRE(begins != std::string::npos);
    size_t ends = begins + replication::snapshot_ahead_bytes;
    REQUIRE(replication::decode_snapshot_ahead(Bytes(all).substr(begins, ends - begins)));
    for (bool more = true; more;) {
      const Bytes rest = Bytes(all).substr(ends);
      if (rest.starts_with(replication::heartbeat_magic)) {
        ends += replication::heartbeat_bytes;
        continue;
      }
      const auto piece = replication::decode_snapshot_piece(rest.substr(0, replication::snapshot_piece_bytes));
      REQUIRE(piece);
      ends += replication::snapshot_piece_bytes + piece->bytes;
      more = piece->bytes > 0;
    }
    snapshot = all.substr(0, ends);
    stream = all.substr(ends);
    for (int i = 0; i < 3; ++i) {
      driver.ask(writer, "SET during:" + std::to_string(i) + " value");
      driver.pass_ms(300);
      driver.settle();
      stream += driver.take(replica);
    }
    REQUIRE(stream.find("during:2") != std::string::npos);
  }
};

}  // namespace

TEST_CASE("a full sync and the stream behind it arrive whole, in pieces of any size") {
  Source source;
  for (const size_t piece : {size_t{1}, size_t{3}, size_t{57}, size_t{1} << 20}) {
    Rig rig;
    rig.feed("+PONG\r\n+OK\r\n+OK holdfast1\r\n+OK\r\n", piece);
    rig.feed(source.verdict + "\r\n" + source.snapshot, piece);
    CHECK(rig.node.adopted);
    CHECK(rig.node.loaded);
    rig.feed(source.stream, piece);
    CHECK(rig.link.last_error() == "");
    REQUIRE_FALSE(rig.closed);
    CHECK(rig.link.up());
    CHECK(rig.node.groups == 3);
    CHECK(rig.node.frames.find("during:2") != std::string::npos);
    CHECK(rig.node.heartbeats.size() >= 3);
    CHECK(rig.in.empty());
  }
}

TEST_CASE("whatever bit of the stream is wrong, the link ends, says so, and no wrong frame was taken") {
  Source source;
  Rig whole;
  whole.greet("+CONTINUE abc");
  whole.feed(source.stream);
  for (size_t byte = 0; byte < source.stream.size(); ++byte) {
    std::string damaged = source.stream;
    damaged[byte] = static_cast<char>(damaged[byte] ^ (1 << (byte % 8)));
    Rig rig;
    rig.greet("+CONTINUE abc");
    rig.feed(damaged);
    INFO("byte " << byte);
    REQUIRE(rig.closed);
    CHECK(rig.link.last_error() != "");
    CHECK(whole.node.frames.starts_with(rig.node.frames));
  }
}

TEST_CASE("whatever bit of an announced snapshot is wrong, it is not adopted") {
  Source source;
  for (size_t byte = 0; byte < source.snapshot.size(); ++byte) {
    std::string damaged = source.snapshot;
    damaged[byte] = static_cast<char>(damaged[byte] ^ (1 << (byte % 8)));
    Rig rig;
    rig.greet(source.verdict);
    rig.feed(damaged);
    INFO("byte " << byte);
    CHECK_FALSE(rig.node.adopted);
    CHECK(rig.closed);
  }
}

TEST_CASE("a handshake that goes wrong is told in words that help") {
  const auto error_of = [](Rig& rig, Bytes answers) {
    rig.feed(answers);
    CHECK(rig.closed);
    return rig.link.last_error();
  };
  Rig asks, refuses("secret"), other, waits, nonsense, endless, busy;
  CHECK(error_of(asks, "-NOAUTH Authentication required.\r\n").find("set masterauth") != std::string::npos);
  CHECK(error_of(refuses, "-NOAUTH x\r\n-WRONGPASS y\r\n").find("check masterauth") != std::string::npos);
  CHECK(error_of(other, "+PONG\r\n+OK\r\n+OK\r\n").find("no Redis is followed here") != std::string::npos);
  CHECK(error_of(waits, "+PONG\r\n+OK\r\n+OK holdfast1\r\n+OK\r\n-NOMASTERLINK later\r\n").find("later") !=
        std::string::npos);
  CHECK(error_of(nonsense, "+PONG\r\n+OK\r\n+OK holdfast1\r\n+OK\r\n+DIVERGED here\r\n").find("no sense") !=
        std::string::npos);
  CHECK(error_of(endless, std::string(70'000, 'x')).find("without an end") != std::string::npos);
  CHECK(error_of(busy, "-ERR max number of clients reached\r\n").find("max number") != std::string::npos);
}

TEST_CASE("a diverged replica is told where, and the link ends for it to come again") {
  Rig rig;
  rig.node.has.end = {5000};
  rig.greet("+DIVERGED 4711");
  CHECK(rig.node.cut == LogOffset{4711});
  CHECK(rig.closed);
}

TEST_CASE("a primary that has a replica cut off what it does not have is not come back to at once") {
  for (const Bytes at : {"5000", "5001", "18446744073709551615"}) {
    Rig rig;
    rig.node.has.end = {5000};
    rig.greet("+DIVERGED " + std::string(at));
    CHECK_FALSE(rig.node.cut);
    CHECK(rig.closed);
    CHECK(rig.says("no sense"));
  }
}

TEST_CASE("a snapshot that stands at another offset than was announced is not adopted") {
  Source source;
  const size_t begins = source.snapshot.find(replication::snapshot_magic);
  auto ahead = *replication::decode_snapshot_ahead(
      Bytes(source.snapshot).substr(begins, replication::snapshot_ahead_bytes));
  ahead.offset = {ahead.offset.value + 1};
  std::string sent = source.snapshot;
  sent.replace(begins, replication::snapshot_ahead_bytes, replication::encode(ahead));
  Rig rig;
  rig.greet(source.verdict);
  rig.feed(sent);
  CHECK_FALSE(rig.node.adopted);
  CHECK_FALSE(rig.node.loads.loading());
  CHECK(rig.closed);
  CHECK(rig.says("announced"));
}

TEST_CASE("what a primary says that is no text is told in text") {
  for (const Bytes said :
       {Bytes("-ERR \x1b[31m\r\xff\x00 evil\n", 19),
        Bytes("+PONG\r\n+OK\r\n+OK holdfast1\r\n+OK\r\n\x16\x03\x01\xfe\n")}) {
    Rig rig;
    rig.feed(said);
    REQUIRE(rig.closed);
    for (const char c : rig.link.last_error()) CHECK((c >= 0x20 && c < 0x7f));
  }
}

TEST_CASE("a Redis whose answer to PSYNC names no place is not followed") {
  const std::string id(40, 'a');
  const auto answer = [](Rig& rig, const std::string& line) {
    rig.node.follows_redis = true;
    rig.feed("+PONG\r\n+OK\r\n+OK\r\n" + line + "\r\n");
  };
  for (const std::string& line :
       {std::string("+FULLRESYNC"), "+FULLRESYNC " + std::string(60'000, 'z') + " 5", "+FULLRESYNC " + id,
        "+FULLRESYNC " + id + " -5", "+FULLRESYNC " + id + " 18446744073709551615", "+CONTINUE " + id}) {
    Rig rig;
    answer(rig, line);
    INFO(line.substr(0, 80));
    CHECK(rig.closed);
    CHECK(rig.says("no sense"));
  }
  Rig rig;
  answer(rig, "+FULLRESYNC " + id + " 9223372036854775807");
  CHECK_FALSE(rig.closed);
  CHECK(rig.link.last_error() == "");
}

TEST_CASE("a database number of a Redis that no database can have is not taken for another") {
  for (const Bytes number : {"7", "4294967295", "4294967296", "4294967303", "9223372036854775807"}) {
    Rig rig;
    rig.node.follows_redis = true;
    rig.feed("+PONG\r\n+OK\r\n+OK\r\n+FULLRESYNC " + std::string(40, 'a') + " 5\r\n$18\r\n");
    rig.feed(Bytes("REDIS0010\xff\0\0\0\0\0\0\0\0", 18));
    REQUIRE(rig.node.dump_place);
    rig.feed("*2\r\n$6\r\nSELECT\r\n$" + std::to_string(number.size()) + "\r\n" + std::string(number) +
             "\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n");
    INFO(number);
    const bool fits = number.size() < 10 || number == "4294967295";
    CHECK(rig.closed == !fits);
    CHECK(rig.node.foreign_dbs.size() == (fits ? 1 : 0));
    CHECK(rig.says("SELECT") == !fits);
  }
}

TEST_CASE("the role is taken over when the word for it came whole, and the link ends when it came damaged") {
  const std::string word = replication::encode(replication::HandOver{.epoch = {3}, .end = {99}});
  for (size_t byte = 0; byte <= word.size(); ++byte) {
    std::string sent = word;
    if (byte < word.size()) sent[byte] = static_cast<char>(sent[byte] ^ 0x04);
    Rig rig;
    rig.greet("+CONTINUE abc");
    rig.feed(sent, 5);
    INFO("byte " << byte);
    CHECK(rig.node.taken_over.has_value() == (byte == word.size()));
    CHECK(rig.closed == (byte < word.size()));
  }
}

TEST_CASE("silence ends a link in any state, and so does a primary below which nobody reigns") {
  for (const Bytes begun :
       {Bytes(""), Bytes("+PONG\r\n"), Bytes("+PONG\r\n+OK\r\n+OK holdfast1\r\n+OK\r\n+CONT"),
        Bytes("+PONG\r\n+OK\r\n+OK holdfast1\r\n+OK\r\n+CONTINUE abc\r\n")}) {
    Rig rig;
    rig.feed(begun);
    rig.now.mono_us += 4'900'000;
    rig.step();
    CHECK_FALSE(rig.closed);
    rig.now.mono_us += 200'000;
    rig.step();
    CHECK(rig.closed);
    CHECK(rig.says("repl-timeout"));
  }
  for (const bool moves : {true, false}) {
    Rig rig;
    rig.greet("+CONTINUE abc");
    for (uint64_t i = 0; i < 20; ++i) {
      rig.now.mono_us += 500'000;
      rig.feed(replication::encode(replication::Heartbeat{.epoch = {1}, .sequence = moves ? i : 7}));
    }
    CHECK(rig.closed == !moves);
    CHECK(rig.says("circle") == !moves);
  }
}

TEST_CASE("what can't be taken yet stays, costs no turns, is no silence, and goes on when it can") {
  Source source;
  Rig rig;
  rig.greet("+CONTINUE abc");
  rig.node.takes = false;
  rig.feed(source.stream);
  CHECK(rig.node.groups == 0);
  CHECK_FALSE(rig.in.empty());
  CHECK(rig.link.stopped());
  CHECK_FALSE(rig.link.may_go_on());
  for (int i = 0; i < 10; ++i) {
    rig.now.mono_us += 3'000'000;
    rig.step();
  }
  CHECK_FALSE(rig.closed);
  rig.node.takes = true;
  CHECK(rig.link.may_go_on());
  rig.step();
  CHECK(rig.node.groups == 3);
  CHECK_FALSE(rig.link.may_go_on());
  // Half a frame waits for the wire, not for the node.
  rig.feed(source.stream.substr(source.stream.rfind("HFrm"), 40));
  CHECK_FALSE(rig.link.stopped());
}

TEST_CASE("that a lost link had been stopped by this end does not excuse the next one's silence") {
  Rig rig;
  rig.greet("+CONTINUE abc");
  rig.node.takes = false;  // its disk is full
  rig.feed(replication::encode(replication::Heartbeat{.epoch = {1}, .sequence = 1}));
  REQUIRE(rig.link.stopped());
  rig.link.lost(rig.conn, rig.now);
  rig.in.clear();
  rig.node.takes = true;
  rig.dial();
  for (int i = 0; i < 51; ++i) {
    rig.now.mono_us += 100'000;
    rig.step();
  }
  CHECK(rig.closed);
  CHECK(rig.says("repl-timeout"));
}

TEST_CASE("whoever asks for the same primary again does not wait for the next attempt") {
  Rig rig;
  rig.node.follows_redis = true;
  rig.feed("+PONG\r\n+OK\r\n+OK\r\n+FULLRESYNC " + std::string(40, 'a') + " 5\r\n$24\r\n");
  rig.feed(Bytes("REDIS0010\x01\x01l\x01\x01x\xff\0\0\0\0\0\0\0\0", 24));  // a list: refused
  REQUIRE(rig.closed);
  rig.link.dial_now();
  CHECK_FALSE(rig.link.wants_dial(rig.now));  // a link that ends is not dialled beside itself
  rig.link.lost(rig.conn, rig.now);
  rig.now.mono_us += 59'000'000;
  CHECK_FALSE(rig.link.wants_dial(rig.now));
  rig.link.dial_now();
  CHECK(rig.link.wants_dial(rig.now));
}

TEST_CASE("after a link is lost the next is dialed later, and a new address at once") {
  Rig rig;
  rig.link.lost(rig.conn, rig.now);
  rig.now.mono_us += 10'000'000;
  CHECK(rig.link.wants_dial(rig.now));
  rig.link.dialing(rig.conn);
  rig.link.dialed(rig.conn, false, "connection refused", rig.now, rig.out);
  CHECK(rig.says("connection refused"));
  REQUIRE(rig.node.said.size() == 1);
  CHECK(rig.node.said[0].find("there:6379") != std::string::npos);
}
