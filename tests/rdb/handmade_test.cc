// Forms that redis-server 7.0 does not write, put together by hand: what Redis 2.4 to 6.2 left, what 7.4 to 8
// added, and bytes that nobody should write.
#include "rdb_support.h"

namespace hf::rdb::test {
namespace {

using Phase = Reader::Phase;
using Fields = std::map<std::string, std::string>;

/// Reads a dump of that body; the reader's end is checked.
struct Read {
  explicit Read(Bytes body, Phase expected = Phase::Done, unsigned version = 10) : reader(loaded) {
    feed_all(reader, dump_of(body, version));
    INFO(reader.reason());
    CHECK(static_cast<int>(reader.phase()) == static_cast<int>(expected));
  }
  bool says(Bytes part) const { return reader.reason().find(part) != std::string::npos; }
  Loaded loaded;
  Reader reader;
};

std::string entry(char type, Bytes key, Bytes value) {
  return std::string(1, type) + str(key) + std::string(value);
}

TEST_CASE("a zipmap of Redis 2.4 is a hash") {
  // two fields; the second value was longer once and has two unused bytes behind it
  const std::string zipmap =
      raw("\x02\x01"
          "a"
          "\x03\x00"
          "one"
          "\x05"
          "other"
          "\x01\x02"
          "2"
          "??"
          "\xff");
  Read read(entry(9, "h", str(zipmap)), Phase::Done, 2);
  CHECK(read.loaded.hash("h") == Fields{{"a", "one"}, {"other", "2"}});
  const std::string long_value(300, 'v');
  const std::string with_long = raw("\x01\x01"
                                    "f"
                                    "\xfe\x2c\x01\x00\x00\x00") +
                                long_value + "\xff";
  CHECK(Read(entry(9, "h", str(with_long))).loaded.hash("h") == Fields{{"f", long_value}});
}

/// A ziplist of entries given as encoding and content; the lengths around them are put in.
std::string ziplist(const std::vector<std::string>& entries) {
  std::string body;
  size_t before = 0, last = 10;
  for (const std::string& one : entries) {
    last = 10 + body.size();
    const size_t start = body.size();
    if (before < 254) {
      body += static_cast<char>(before);
    } else {
      body += '\xfe';
      put_le(body, static_cast<uint32_t>(before));
    }
    body += one;
    before = body.size() - start;
  }
  std::string out;
  put_le(out, static_cast<uint32_t>(10 + body.size() + 1));
  put_le(out, static_cast<uint32_t>(last));
  put_le(out, static_cast<uint16_t>(entries.size()));
  return out + body + "\xff";
}

TEST_CASE("a ziplist's items are read in every encoding") {
  const std::string text_400(400, 't'), text_20000(20000, 'T');
  const std::vector<std::string> items = {
      raw("\x01") + "a", raw("\xf1"),                                  // 0
      raw("\x01") + "b", raw("\xfd"),                                  // 12
      raw("\x01") + "c", raw("\xfe\x80"),                              // -128
      raw("\x01") + "d", raw("\xc0\x00\x80"),                          // -32768
      raw("\x01") + "e", raw("\xf0\xff\xff\x7f"),                      // 8388607
      raw("\x01") + "f", raw("\xd0\x00\x00\x00\x80"),                  // -2147483648
      raw("\x01") + "g", raw("\xe0\xff\xff\xff\xff\xff\xff\xff\x7f"),  // 2^63-1
      raw("\x01") + "h", raw("\x41\x90") + text_400,
      raw("\x01") + "i", raw("\x80\x00\x00\x4e\x20") + text_20000,
      raw("\x01") + "j", raw("\x00")};
  std::string blob = ziplist(items);
  std::string size;
  put_le(size, static_cast<uint32_t>(blob.size()));
  std::reverse(size.begin(), size.end());
  Read read(entry(13, "h", "\x80" + size + blob));
  CHECK(read.loaded.hash("h") == Fields{{"a", "0"},
                                        {"b", "12"},
                                        {"c", "-128"},
                                        {"d", "-32768"},
                                        {"e", "8388607"},
                                        {"f", "-2147483648"},
                                        {"g", "9223372036854775807"},
                                        {"h", text_400},
                                        {"i", text_20000},
                                        {"j", ""}});
}

TEST_CASE("a listpack reads back what was written into it, at every border of its encodings") {
  std::vector<std::string> items = {"",
                                    "0",
                                    "-0",
                                    "00",
                                    "127",
                                    "128",
                                    "-1",
                                    "4095",
                                    "4096",
                                    "-4096",
                                    "-4097",
                                    "32767",
                                    "32768",
                                    "-32768",
                                    "-32769",
                                    "8388607",
                                    "8388608",
                                    "-8388608",
                                    "-8388609",
                                    "2147483647",
                                    "2147483648",
                                    "-2147483648",
                                    "-2147483649",
                                    "9223372036854775807",
                                    "-9223372036854775808",
                                    "9223372036854775808"};
  for (const size_t size : {1, 63, 64, 125, 126, 127, 4095, 4096, 16370, 16377, 16378, 16379, 16380, 2097140,
                            2097146, 2097147, 2097148})
    items.push_back(std::string(size, 's'));
  ListpackWriter writer;
  for (const std::string& item : items) writer.add(item);
  const std::string blob(writer.finish());
  PackedItems reader(Packing::Listpack, blob);
  Bytes item;
  for (const std::string& expected : items) {
    REQUIRE(reader.next(item));
    CHECK((item == expected));
  }
  CHECK_FALSE(reader.next(item));
  CHECK(reader.problem() == nullptr);
}

TEST_CASE("packed hashes that are not whole are refused with the byte") {
  for (const Bytes blob : {Bytes(), Bytes("\x01", 1),
                           Bytes("\x01\x01"
                                 "a",
                                 3),
                           Bytes("\x02\x01"
                                 "a"
                                 "\x01\x00"
                                 "b"
                                 "\xff",
                                 7),
                           Bytes("\x01\x01"
                                 "a"
                                 "\x01\x00"
                                 "b"
                                 "\xff"
                                 "?",
                                 8),
                           Bytes("\x01\xfe\xff\xff\xff\xff"
                                 "a\xff",
                                 8),
                           Bytes("\xfe\x01"
                                 "a"
                                 "\xff",
                                 4)}) {
    Read read(entry(9, "h", str(blob)), Phase::Damaged);
    CHECK(read.says("key \"h\" in db 0: a packed hash "));
  }
  for (std::string blob : {ziplist({raw("\x01") + "a"}), ziplist({raw("\x01") + "a", raw("\xff")}),
                           ziplist({raw("\x01") + "a", raw("\xc1")}),
                           ziplist({raw("\x01") + "a", raw("\x3f"
                                                           "b")}),
                           ziplist({raw("\x01") + "a", raw("\x80\xff\xff\xff\xff") + "b"})})
    Read(entry(13, "h", str(blob)), Phase::Damaged);
}

TEST_CASE("a hash whose fields could expire is taken when none does, and named when one does") {
  const auto listpack = [](std::vector<std::string> items) {
    ListpackWriter writer;
    for (const std::string& item : items) writer.add(item);
    return str(writer.finish());
  };
  const std::string earliest = raw("\x00\x68\xe5\xcf\x8b\x01\x00\x00");
  Read none(entry(24, "a",
                  earliest + raw("\x02\x00\x01"
                                 "f"
                                 "\x01"
                                 "v"
                                 "\x00\x01"
                                 "g"
                                 "\x01"
                                 "w")) +
                entry(25, "b", earliest + listpack({"f", "v", "0", "g", "w", "0"})) +
                entry(22, "c",
                      raw("\x01\x00\x01"
                          "f"
                          "\x01"
                          "v")) +
                entry(23, "d", listpack({"f", "v", "0"})),
            Phase::Done, 12);
  for (const char* key : {"a", "b"}) CHECK(none.loaded.hash(key) == Fields{{"f", "v"}, {"g", "w"}});
  for (const char* key : {"c", "d"}) CHECK(none.loaded.hash(key) == Fields{{"f", "v"}});
  Read some(entry(24, "a",
                  earliest + raw("\x02\x00\x01"
                                 "f"
                                 "\x01"
                                 "v"
                                 "\x05\x01"
                                 "g"
                                 "\x01"
                                 "w")) +
                entry(25, "b", earliest + listpack({"f", "v", "1700000000000"})) + entry(0, "k", str("v")),
            Phase::Refused, 12);
  CHECK(some.loaded.text("k") == "v");
  CHECK(some.loaded.store->size(0) == 1);
  CHECK(some.says("2 hashes whose fields expire (key \"a\" in db 0, key \"b\" in db 0)"));
  Read one(entry(25, "b", earliest + listpack({"f", "v", "5"})), Phase::Refused, 12);
  CHECK(one.reader.reason() ==
        "key \"b\" in db 0 is a hash whose fields expire, which Holdfast does not hold yet");
}

TEST_CASE("lists, sets and sorted sets of old versions are passed over to their end") {
  Read read(entry(1, "l",
                  raw("\x02\x01"
                      "a"
                      "\xc0\x05")) +
                entry(2, "s",
                      raw("\x01\x01"
                          "a")) +
                entry(3, "z",
                      raw("\x03\x01"
                          "a"
                          "\x03"
                          "1.5"
                          "\x01"
                          "b"
                          "\xfe"
                          "\x01"
                          "c"
                          "\xff")) +
                entry(10, "zl", str(ziplist({raw("\x01") + "a"}))) +
                entry(14, "q", raw("\x01") + str(ziplist({raw("\x01") + "a"}))) + entry(0, "k", str("v")),
            Phase::Refused, 7);
  CHECK(read.loaded.text("k") == "v");
  CHECK(read.reader.reason() ==
        "Holdfast does not hold yet: 3 lists (key \"l\" in db 0, key \"zl\" in db 0, key \"q\" in db 0); a "
        "set (key "
        "\"s\" in db 0); a sorted set (key \"z\" in db 0)");
}

/// A module type's id, as its name and version give it.
std::string module_id(Bytes name) {
  const Bytes letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  uint64_t id = 0;
  for (const char c : name) id = id << 6 | letters.find(c);
  id = id << 10 | 3;
  std::string out = "\x81";
  for (int i = 7; i >= 0; --i) out += static_cast<char>(id >> (8 * i));
  return out;
}

TEST_CASE("a module's values are passed over and named by their type; its empty data is no harm") {
  const std::string values = raw("\x01\x05\x02\x40\x80\x03"
                                 "1234"
                                 "\x04"
                                 "12345678"
                                 "\x05") +
                             str("text") + raw("\x05\xc1\x01\x02") + raw("\x00");
  const std::string id = module_id("ReJSON-RL");
  Read empty(raw("\xf7") + id + raw("\x02\x01\x00") + entry(0, "k", str("v")));
  CHECK(empty.loaded.text("k") == "v");
  Read read(raw("\xf7") + id + raw("\x02\x01") + values + entry(7, "doc", id + values) +
                entry(7, "doc2", id + values) + entry(0, "k", str("v")),
            Phase::Refused);
  CHECK(read.loaded.text("k") == "v");
  CHECK(read.says("data of the module ReJSON-RL beside the keys"));
  CHECK(read.says("2 values of the module type ReJSON-RL (key \"doc\" in db 0, key \"doc2\" in db 0)"));
  Read meta(raw("\xf3\x01"
                "spec") +
                values + entry(0, "k", str("v")) + entry(0, "j", str("v")),
            Phase::Refused, 13);
  CHECK(meta.reader.reason() ==
        "key \"k\" in db 0 is a key with data of modules about it, which Holdfast does not hold yet");
  CHECK(meta.loaded.text("j") == "v");
}

TEST_CASE("a type without a known end stops the reading, and says so") {
  Read read(entry(0, "k", str("v")) + entry(26, "s", raw("\x00")), Phase::Refused, 13);
  CHECK(read.says("a stream of Redis 8.6"));
  CHECK(read.says("what follows was not looked at"));
}

TEST_CASE("times of expiry in seconds and milliseconds, and hints about use, belong to the next key") {
  Read read(raw("\xfd\x00\xf1\x53\x65") + entry(0, "s", str("1")) +
            raw("\xfc\x00\x68\xe5\xcf\x8b\x01\x00\x00\xf8\x05\xf9\x07") + entry(0, "ms", str("2")) +
            raw("\xf4\x01\x02\x03") + entry(0, "none", str("3")));
  const auto at = [&](const char* key) {
    return read.loaded.store->find(0, read.loaded.store->key(key))->expire_at();
  };
  CHECK(at("s") == 1700000000000);
  CHECK(at("ms") == 1700000000000);
  CHECK(at("none") == store::no_expiry);
}

TEST_CASE("a hash without fields is no key, and counted") {
  Read read(entry(4, "h", raw("\x00")) + entry(0, "k", str("v")));
  CHECK(read.loaded.store->size(0) == 1);
  CHECK(read.reader.counts().empty_hashes == 1);
}

TEST_CASE("versions 1 to 4 have no sum, and versions that are not known are refused by number") {
  Read old(entry(0, "k", str("v")), Phase::Done, 4);
  CHECK_FALSE(old.reader.has_sum());
  Read future("", Phase::Damaged, 14);
  CHECK(future.says("a dump in version 14 of the format; this build reads 1 to 13"));
  Loaded loaded;
  Reader valkey(loaded);
  feed_all(valkey, "VALKEY080\xff");
  CHECK(valkey.reason().find("Valkey 9") != std::string::npos);
  Reader error(loaded);
  feed_all(error, "-LOADING");
  CHECK(error.reason() == "dump byte 0: this is no dump of Redis's: it begins with \"-LOADING\"");
}

TEST_CASE("no length is believed") {
  const auto damaged = [](Bytes body, Bytes part) {
    Read read(body, Phase::Damaged);
    INFO(read.reader.reason());
    CHECK(read.says(part));
  };
  damaged(raw("\x00\x01k\x81\x7f\xff\xff\xff\xff\xff\xff\xff"),
          "a string of 9223372036854775807 bytes, at most");
  damaged(raw("\x00\x01k\xc3\x04\x80\x10\x00\x00\x00"
              "abcd"),
          "claims to hold 268435456");
  damaged(raw("\x00\x01k\xc3\x00\x01"), "a compressed string of 0 bytes claims to hold 1");
  damaged(raw("\x00\x01k\xc3\x02\x05"
              "ab"),
          "does not hold what its head says");
  damaged(raw("\x00\x01k\xc4"), "a string is expected here");
  damaged(raw("\x04\x01k\x82"), "a count is expected here");
  damaged(raw("\x04\x01k\x81\xff\xff\xff\xff\xff\xff\xff\xff"), "claims 18446744073709551615 elements");
  damaged(raw("\xfe\x80\xff\xff\xff\xff"), "no database has so high a number");
  damaged(raw("\x08"), "no type or mark has the number 8");
  damaged(raw("\xc8\x01k\x01v"), "no type or mark has the number 200");
  Read twice(entry(4, "h",
                   raw("\x02\x01"
                       "f"
                       "\x01"
                       "v"
                       "\x01"
                       "f"
                       "\x01"
                       "w")),
             Phase::Stopped);
  CHECK(twice.says("a field twice"));
  Read far(raw("\xfe\x10") + entry(0, "k", str("v")), Phase::Stopped);
  CHECK(far.says("this server has 16"));
}

TEST_CASE("large values come in pieces, and no more than one string of them is kept") {
  std::string hash = raw("\x45\xdc");  // 1500 fields
  Fields expected;
  for (int i = 0; i < 1500; ++i) {
    const std::string name = "field" + std::to_string(i), value(i == 700 ? 16000 : 100, 'v');
    hash += str(name) + str(value);
    expected[name] = value;
  }
  std::string big = "\x80";
  big += raw("\x00\x03\x0d\x40") + std::string(200000, 'b');
  std::string field_big = raw("\x02\x01"
                              "a") +
                          big +
                          raw("\x01"
                              "b") +
                          str("small");
  const std::string dump = dump_of(entry(4, "h", hash) + entry(0, "s", big) + entry(4, "f", field_big));
  for (const size_t step : {size_t{1000}, SIZE_MAX}) {
    Loaded loaded;
    Reader reader(loaded);
    feed_all(reader, dump, step);
    INFO(reader.reason());
    REQUIRE(reader.phase() == Phase::Done);
    CHECK(loaded.hash("h") == expected);
    CHECK(loaded.text("s") == std::string(200000, 'b'));
    CHECK(loaded.hash("f") == Fields{{"a", std::string(200000, 'b')}, {"b", "small"}});
    CHECK(loaded.largest < 2 * store::piece_bytes_max);
  }
}

}  // namespace
}  // namespace hf::rdb::test
