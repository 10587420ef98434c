// The request parser: cuts, inline commands, limits and Redis's error texts.
#include "resp/parser.h"

#include <catch2/catch.hpp>

#include "resp/writer.h"

using namespace hf;
using Outcome = resp::RequestParser::Outcome;

namespace {

std::string error_of(Bytes in, resp::RequestLimits limits = {}) {
  resp::RequestParser parser;
  std::vector<Bytes> args;
  INFO(in);
  REQUIRE(parser.next(in, args, limits) == Outcome::Invalid);
  return parser.error();
}

std::string command(std::initializer_list<Bytes> args) {
  Buffer out;
  resp::Writer(out, 2).command(args);
  return std::string(out.view());
}

}  // namespace

TEST_CASE("a request cut at every byte is read once it is whole") {
  const std::string all = command({"SET", "key", std::string("a\r\n\0b", 5), ""});
  for (size_t cut = 0; cut < all.size(); ++cut) {
    resp::RequestParser parser;
    std::vector<Bytes> args;
    REQUIRE(parser.next(all.substr(0, cut), args, {}) == Outcome::Incomplete);
    REQUIRE(parser.next(all, args, {}) == Outcome::Request);
    CHECK(parser.used() == all.size());
    REQUIRE(args.size() == 4);
    CHECK(args[2] == Bytes("a\r\n\0b", 5));
    CHECK(args[3].empty());
    CHECK_FALSE(parser.was_inline());
  }
}

TEST_CASE("pipelined requests are taken one by one, arrays and inline mixed") {
  std::string in = command({"PING"}) + "SET k 'a b'\r\n\r\n" + command({"GET", "k"}) + "*0\r\n";
  resp::RequestParser parser;
  std::vector<Bytes> args;
  const Outcome expected[] = {Outcome::Request, Outcome::Request, Outcome::Empty, Outcome::Request,
                              Outcome::Empty};
  for (const Outcome outcome : expected) {
    REQUIRE(parser.next(in, args, {}) == outcome);
    if (parser.was_inline() && outcome == Outcome::Request) CHECK(args[2] == "a b");
    in.erase(0, parser.used());
  }
  CHECK(in.empty());
}

TEST_CASE("the bytes still missing are told while a string is under way, and only then") {
  resp::RequestParser parser;
  std::vector<Bytes> args;
  std::string in = "*2\r\n$100\r\nabc";
  CHECK(parser.next(in, args, {}) == Outcome::Incomplete);
  CHECK(parser.missing() == 99);
  in += std::string(97, 'x') + "\r\n";
  CHECK(parser.next(in, args, {}) == Outcome::Incomplete);
  CHECK(parser.missing() == 0);
  in += "$1\r\ny\r\n";
  CHECK(parser.next(in, args, {}) == Outcome::Request);
}

TEST_CASE("an inline command that comes in pieces is scanned from where it stopped") {
  resp::RequestParser parser;
  std::vector<Bytes> args;
  std::string in;
  const std::string line = "ECHO \"a\\x41\\n\"\n";
  for (size_t i = 0; i < line.size(); ++i) {
    in += line[i];
    CHECK(parser.next(in, args, {}) == (i + 1 == line.size() ? Outcome::Request : Outcome::Incomplete));
  }
  CHECK(args[1] == "aA\n");
}

TEST_CASE("protocol errors carry Redis's texts") {
  CHECK(error_of("*abc\r\n") == "Protocol error: invalid multibulk length");
  CHECK(error_of("*2000000\r\n") == "Protocol error: invalid multibulk length");
  CHECK(error_of("*1\r\n:5\r\n") == "Protocol error: expected '$', got ':'");
  CHECK(error_of("*1\r\n$-1\r\n") == "Protocol error: invalid bulk length");
  CHECK(error_of("*1\r\n$x\r\n") == "Protocol error: invalid bulk length");
  CHECK(error_of("SET \"a b\r\n") == "Protocol error: unbalanced quotes in request");
  CHECK(error_of(std::string(70000, 'a')) == "Protocol error: too big inline request");
  CHECK(error_of("*" + std::string(70000, '1')) == "Protocol error: too big mbulk count string");
  CHECK(error_of("*1\r\n$" + std::string(70000, '1')) == "Protocol error: too big bulk count string");
}

TEST_CASE("before AUTH a request is ten arguments of 16 KiB at most") {
  resp::RequestLimits limits;
  limits.authenticated = false;
  CHECK(error_of("*11\r\n", limits) == "Protocol error: unauthenticated multibulk length");
  CHECK(error_of("*1\r\n$16385\r\n", limits) == "Protocol error: unauthenticated bulk length");
}

TEST_CASE(
    "a request whose strings end with other bytes than a line end is taken, but not as canonical text") {
  resp::RequestParser parser;
  std::vector<Bytes> args;
  const Bytes odd = "*3\r\n$3\r\nSET\r\n$1\r\nkXX$1\r\nv\r\n";
  for (size_t cut = 1; cut < odd.size(); ++cut) {
    REQUIRE(parser.next(odd.substr(0, cut), args, {}) == Outcome::Incomplete);
    REQUIRE(parser.next(odd, args, {}) == Outcome::Request);
    CHECK(args == std::vector<Bytes>{"SET", "k", "v"});
    CHECK(parser.was_inline());  // the log must not take these bytes: its reader would refuse them
  }
  REQUIRE(parser.next("*1\r\n$4\r\nPING\r\n", args, {}) == Outcome::Request);
  CHECK_FALSE(parser.was_inline());
}

TEST_CASE("canonical text is split into commands, and the first wrong byte is found") {
  const std::string first = command({"SET", "a", "1"}), second = command({"DEL", "b"});
  size_t at = 0, count = 0;
  const auto each = [&](std::vector<Bytes>& args, Bytes raw) {
    CHECK(raw.size() == (count == 0 ? first.size() : second.size()));
    CHECK(args.size() == (count == 0 ? 3u : 2u));
    ++count;
  };
  CHECK(resp::for_each_command(first + second, at, each));
  CHECK((count == 2 && at == first.size() + second.size()));
  count = 0;
  CHECK_FALSE(resp::for_each_command(first + "PING\r\n", at, each));
  CHECK(at == first.size());
  std::string broken = first + second;
  broken[broken.size() - 1] = 'x';
  count = 0;
  CHECK_FALSE(resp::for_each_command(broken, at, each));
  CHECK((count == 1 && at == first.size()));
}

TEST_CASE("a deferred length may have any number of digits") {
  for (const size_t n : {0u, 9u, 10u, 1234u}) {
    Buffer out;
    resp::Writer w(out, 3);
    w.integer(1);
    const auto array = w.begin_array();
    for (size_t i = 0; i < n; ++i) w.integer(5);
    w.end(array, n);
    const std::string head = ":1\r\n*" + std::to_string(n) + "\r\n";
    CHECK(std::string(out.view()).starts_with(head));
    CHECK(out.size() == head.size() + 4 * n);
  }
}

TEST_CASE("numbers are written as Redis writes them") {
  Buffer out;
  resp::Writer w(out, 3);
  w.integer(INT64_MIN);
  w.number(1.0 / 0.0);
  w.number(3);
  w.verbatim("x");
  w.null();
  CHECK(out.view() == ":-9223372036854775808\r\n,inf\r\n,3\r\n=5\r\ntxt:x\r\n_\r\n");
  out.clear();
  w.set_protocol(2);
  w.null_array();
  w.boolean(false);
  w.push(2);
  w.set(1);
  CHECK(out.view() == "*-1\r\n:0\r\n*2\r\n*1\r\n");
}
