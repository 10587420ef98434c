// The reply parser: every type, every cut, every bound.
#include "resp/reader.h"

#include <catch2/catch.hpp>

#include "resp/writer.h"

using namespace hf;
using resp::ReplyReader;
using resp::Value;
using Kind = resp::Value::Kind;
using Outcome = resp::ReplyReader::Outcome;

namespace {

Value read_whole(Bytes in) {
  ReplyReader reader;
  INFO(in);
  REQUIRE(reader.next(in) == Outcome::Reply);
  REQUIRE(reader.used() == in.size());
  return reader.take();
}

std::string refused(Bytes in, resp::ReplyLimits limits = {}) {
  ReplyReader reader(limits);
  INFO(in);
  REQUIRE(reader.next(in) == Outcome::Invalid);
  return reader.error();
}

std::string dump(const Value& v) {
  std::string out = std::to_string(static_cast<int>(v.kind)) + ":" + v.as_text() + "/" + v.format + "[";
  for (const Value& item : v.items) out += dump(item) + " ";
  return out + "]";
}

const char* kEverything =
    "*12\r\n+fine\r\n-ERR "
    "no\r\n:-42\r\n$5\r\na\r\nbc\r\n_\r\n#t\r\n,3.25\r\n(123456789012345678901234567890\r\n"
    "=8\r\ntxt:text\r\n%1\r\n$1\r\nk\r\n~2\r\n:1\r\n:2\r\n*0\r\n|1\r\n+ttl\r\n:9\r\n*2\r\n$-1\r\n!7\r\nBAD "
    "one\r\n";

}  // namespace

TEST_CASE("every type of RESP2 and RESP3 is read") {
  const Value v = read_whole(kEverything);
  REQUIRE(v.items.size() == 12);
  CHECK(v.items[0].is(Kind::Simple));
  CHECK(v.items[1].error_code() == "ERR");
  CHECK(v.items[2].integer == -42);
  CHECK(v.items[3].text == "a\r\nbc");
  CHECK(v.items[4].is_null());
  CHECK((v.items[5].is(Kind::Boolean) && v.items[5].integer == 1));
  CHECK(v.items[6].text == "3.25");
  CHECK(v.items[7].is(Kind::BigNumber));
  CHECK((v.items[8].text == "text" && v.items[8].format == "txt"));
  REQUIRE(v.items[9].field("k") != nullptr);
  CHECK(v.items[9].field("k")->is(Kind::Set));
  CHECK(v.items[10].items.empty());
  CHECK(v.items[11].items[0].is_null());
  CHECK(v.items[11].items[1].text == "BAD one");
}

TEST_CASE("a reply cut at every byte reads the same as one that came whole") {
  const std::string all = kEverything;
  const std::string expected = dump(read_whole(all));
  for (size_t cut = 0; cut <= all.size(); ++cut) {
    ReplyReader reader;
    std::string pending = all.substr(0, cut);
    if (reader.next(pending) == Outcome::Reply) {
      CHECK(cut == all.size());
      continue;
    }
    pending.erase(0, reader.used());
    pending += all.substr(cut);
    REQUIRE(reader.next(pending) == Outcome::Reply);
    CHECK(dump(reader.take()) == expected);
  }
}

TEST_CASE("a reply that comes byte by byte is consumed as it comes") {
  const std::string all = kEverything;
  ReplyReader reader;
  std::string pending;
  size_t widest = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    pending += all[i];
    const Outcome outcome = reader.next(pending);
    pending.erase(0, reader.used());
    widest = std::max(widest, pending.size());
    CHECK((outcome == Outcome::Reply) == (i + 1 == all.size()));
  }
  CHECK(widest < 40);
}

TEST_CASE("replies behind one another are taken one at a time") {
  ReplyReader reader;
  Bytes in = ":1\r\n+two\r\n";
  REQUIRE(reader.next(in) == Outcome::Reply);
  CHECK(reader.take().integer == 1);
  in.remove_prefix(reader.used());
  REQUIRE(reader.next(in) == Outcome::Reply);
  CHECK(reader.take().text == "two");
}

TEST_CASE("RESP2's nulls and RESP3's are one null") {
  CHECK(read_whole("$-1\r\n").is_null());
  CHECK(read_whole("*-1\r\n").is_null());
  CHECK(read_whole("_\r\n").is_null());
}

TEST_CASE("a record is looked up by name in a map and in a flat array alike") {
  for (const char* text : {"%2\r\n+a\r\n:1\r\n+b\r\n+x\r\n", "*4\r\n+a\r\n:1\r\n+b\r\n+x\r\n"}) {
    const Value v = read_whole(text);
    REQUIRE(v.field("b") != nullptr);
    CHECK(v.field("b")->text == "x");
    CHECK(v.field("a")->as_int() == 1);
    CHECK(v.field("c") == nullptr);
  }
}

TEST_CASE("bytes that are no reply are refused with what was found") {
  CHECK(refused("hello\r\n").find("type byte") != std::string::npos);
  CHECK(refused(":12a\r\n").find("integer") != std::string::npos);
  CHECK(refused("$abc\r\n").find("bulk length") != std::string::npos);
  CHECK(refused("$-2\r\n").find("bulk length") != std::string::npos);
  CHECK(refused("$3\r\nabcde").find("line end") != std::string::npos);
  CHECK(refused("*-5\r\n").find("aggregate") != std::string::npos);
  CHECK(refused("*?\r\n").find("aggregate") != std::string::npos);
  CHECK(refused("#x\r\n").find("boolean") != std::string::npos);
  CHECK(refused(",1.2.3\r\n").find("double") != std::string::npos);
  CHECK(refused("(12x\r\n").find("big number") != std::string::npos);
  CHECK(refused("=2\r\nab\r\n").find("verbatim") != std::string::npos);
  CHECK(refused("\n").find("type byte") != std::string::npos);
  CHECK(refused("+a\n").find("end") != std::string::npos);
}

TEST_CASE("a hostile peer meets bounds on depth, count, size and line length") {
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "*1\r\n";
  CHECK(refused(deep).find("nested") != std::string::npos);
  resp::ReplyLimits small;
  small.elements_max = 4;
  small.bulk_bytes_max = 10;
  small.line_bytes_max = 64;
  CHECK(refused("*5\r\n", small).find("aggregate") != std::string::npos);
  CHECK(refused("*2\r\n*2\r\n:1\r\n:1\r\n:1\r\n", small).find("elements") != std::string::npos);
  CHECK(refused("$11\r\n", small).find("bulk") != std::string::npos);
  CHECK(refused("+" + std::string(100, 'x'), small).find("longer") != std::string::npos);
  ReplyReader reader;
  CHECK(reader.next("*16000000\r\n") == Outcome::Incomplete);  // a promise alone reserves nothing
}

TEST_CASE("what the writer writes the reader reads, in both protocols") {
  for (const int protocol : {2, 3}) {
    Buffer out;
    resp::Writer w(out, protocol);
    w.array(8);
    w.simple("OK\r\n+injected");
    w.error("ERR two\r\nlines");
    w.integer(-7);
    w.bulk({});
    w.null();
    w.boolean(true);
    w.number(1.5);
    const auto map = w.begin_map();
    w.bulk("k");
    w.bulk_int(12);
    w.end(map, 1);
    const Value v = read_whole(out.view());
    REQUIRE(v.items.size() == 8);
    CHECK(v.items[0].text == "OK  +injected");
    CHECK(v.items[1].text == "ERR two  lines");
    CHECK(v.items[2].integer == -7);
    CHECK((v.items[3].is(Kind::Bulk) && v.items[3].text.empty()));
    CHECK(v.items[4].is_null());
    CHECK(v.items[5].as_int() == 1);
    CHECK(v.items[6].text == "1.5");
    CHECK(v.items[7].is(protocol == 3 ? Kind::Map : Kind::Array));
    CHECK(v.items[7].field("k")->as_int() == 12);
  }
}
