// Dumps that redis-server 7.0 wrote (golden/make.py): what is in them, however they come and however they are
// damaged.
#include "base/number.h"
#include "rdb_support.h"

namespace hf::rdb::test {
namespace {

using Phase = Reader::Phase;

constexpr WallMs far = 4102444800000;
constexpr const char* sound_dumps[] = {"strings.rdb", "hashes.rdb", "hashes-tables.rdb",
                                       "hashes-unsummed.rdb", "empty.rdb"};

TEST_CASE("strings come out of a dump as they went into Redis, whatever their form") {
  Loaded loaded;
  Reader reader(loaded);
  feed_all(reader, golden("strings.rdb"));
  INFO(reader.reason());
  REQUIRE(reader.phase() == Phase::Done);
  CHECK(reader.version() == 10);
  CHECK(reader.has_sum());
  std::string noise;
  for (int i = 0; i < 300; ++i) noise += static_cast<char>((i * 167 + (i * i >> 3)) % 256);
  std::string words;
  for (int i = 0; i < 500; ++i) words += "holdfast";
  const std::pair<std::string, std::string> expected[] = {{"empty", ""},
                                                          {"zero", "0"},
                                                          {"int8", "-128"},
                                                          {"int16", "32767"},
                                                          {"int32", "-2147483648"},
                                                          {"int64", "9223372036854775807"},
                                                          {"almost", "007"},
                                                          {"text", "hello"},
                                                          {raw("\x00\xff\r\n"), raw("\x01\x00\xfe")},
                                                          {"noise", noise},
                                                          {"long", words},
                                                          {"longer", std::string(100000, 'z')},
                                                          {"4242", "a number for a key"},
                                                          {"expires", "soon"}};
  for (const auto& [key, value] : expected) CHECK(loaded.text(key) == value);
  CHECK(loaded.store->size(0) == std::size(expected));
  CHECK(loaded.text("text", 3) == "of db 3");
  CHECK(loaded.text("text", 15) == "of db 15");
  CHECK(loaded.store->find(0, loaded.store->key("expires"))->expire_at() == far);
  CHECK(reader.counts().strings == 16);
  CHECK(reader.counts().expiring == 1);
  CHECK(loaded.notes["redis-ver"].starts_with("7.0."));
  CHECK(loaded.notes["redis-bits"] == "64");
  CHECK(loaded.events.find("resize 0 14 1\n") != std::string::npos);
}

TEST_CASE("hashes come out the same, packed or not, summed or not") {
  std::map<std::string, std::string> many;
  for (int i = 0; i < 300; ++i) many["field" + std::to_string(i)] = "value " + std::to_string(i);
  const std::map<std::string, std::string> small = {
      {"a", "1"},           {"b", "-5000"}, {"c", "70000"}, {"d", "9000000"},
      {"e", "-3000000000"}, {"f", "text"},  {"12", ""},     {"", std::string(64, 'x')},
      {"g", "127"},         {"h", "-1"}};
  for (const char* name : {"hashes.rdb", "hashes-tables.rdb", "hashes-unsummed.rdb"}) {
    INFO(name);
    Loaded loaded;
    Reader reader(loaded);
    feed_all(reader, golden(name));
    INFO(reader.reason());
    REQUIRE(reader.phase() == Phase::Done);
    CHECK(reader.has_sum() == (Bytes(name) != "hashes-unsummed.rdb"));
    CHECK(loaded.hash("small") == small);
    CHECK(loaded.hash("many") == many);
    CHECK(loaded.hash("wide")["f"] == std::string(5000, 'w'));
    CHECK(loaded.hash("expires").size() == 1);
    CHECK(loaded.store->find(0, loaded.store->key("expires"))->expire_at() == far);
    CHECK(reader.counts().hashes == 4);
  }
}

TEST_CASE("lists, sets, sorted sets, streams and functions are all passed over, and named in one message") {
  Loaded loaded;
  Reader reader(loaded);
  feed_all(reader, golden("refused.rdb"));
  REQUIRE(reader.phase() == Phase::Refused);
  CHECK(reader.position() == golden("refused.rdb").size());
  CHECK(loaded.text("kept") == "1");
  CHECK(loaded.hash("kepthash").size() == 1);
  std::map<std::string, uint64_t> counts;
  for (const Refusals::Kind& kind : reader.refusals().kinds()) counts[kind.all] = kind.count;
  CHECK(counts ==
        std::map<std::string, uint64_t>{
            {"lists", 2}, {"sets", 2}, {"sorted sets", 2}, {"streams", 1}, {"libraries of functions", 1}});
  const std::string& why = reader.reason();
  for (const char* part :
       {"Holdfast does not hold yet: ", "2 lists (", "key \"list\" in db 0", "key \"intset\" in db 0",
        "a stream (key \"stream\" in db 0)", "a library of functions (library \"mylib\")"}) {
    INFO(why);
    CHECK(why.find(part) != std::string::npos);
  }
}

TEST_CASE("a dump fed one byte at a time says what the whole one says") {
  for (const char* name :
       {"strings.rdb", "hashes.rdb", "hashes-tables.rdb", "hashes-unsummed.rdb", "refused.rdb"}) {
    const std::string dump = golden(name);
    Loaded whole, bytewise, uneven;
    Reader first(whole), second(bytewise), third(uneven);
    feed_all(first, dump);
    feed_all(second, dump, 1);
    feed_all(third, dump, 97);
    CHECK(second.phase() == first.phase());
    CHECK(second.reason() == first.reason());
    CHECK(bytewise.events == whole.events);
    CHECK(uneven.events == whole.events);
    CHECK(third.phase() == first.phase());
    CHECK(bytewise.store->digest() == whole.store->digest());
  }
}

TEST_CASE("what follows a dump is left to others") {
  for (const size_t step : {size_t{1}, size_t{5}, size_t{100}, SIZE_MAX}) {
    const std::string dump = golden("hashes.rdb");
    const std::string both = dump + "*1\r\n$4\r\nPING\r\n";
    Loaded loaded;
    Reader reader(loaded);
    size_t used = 0;
    while (reader.phase() == Phase::Reading) used += reader.feed(Bytes(both).substr(used, step));
    CHECK(reader.phase() == Phase::Done);
    CHECK(used == dump.size());
  }
}

TEST_CASE("every flipped byte of a summed dump is found") {
  for (const char* name : sound_dumps) {
    const std::string dump = golden(name);
    if (Bytes(name) == "hashes-unsummed.rdb") continue;
    size_t accepted = 0;
    for (size_t i = 0; i < dump.size(); ++i) {
      std::string damaged = dump;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << (i % 8)));
      Loaded loaded;
      Reader reader(loaded);
      feed_all(reader, damaged);
      accepted += reader.phase() == Phase::Done;
      if (reader.phase() == Phase::Damaged) CHECK(reader.reason().starts_with("dump byte "));
    }
    INFO(name);
    CHECK(accepted == 0);
  }
}

TEST_CASE("a flipped byte of an unsummed dump changes nothing of what stands before it") {
  const std::string dump = golden("hashes-unsummed.rdb");
  Loaded sound;
  Reader reader(sound);
  // Where each event ended: what must be equal when the damage comes later.
  std::vector<size_t> events_at;
  for (const char c : dump) {
    reader.feed(Bytes(&c, 1));
    events_at.push_back(sound.events.size());
  }
  for (size_t i = 0; i < dump.size(); ++i) {
    std::string damaged = dump;
    damaged[i] = static_cast<char>(damaged[i] ^ (1 << (i % 8)));
    Loaded loaded;
    Reader second(loaded);
    feed_all(second, damaged);
    const size_t before = i == 0 ? 0 : events_at[i - 1];
    CHECK(Bytes(loaded.events).substr(0, before) == Bytes(sound.events).substr(0, before));
  }
}

TEST_CASE("a dump cut anywhere is damaged, not done") {
  const std::string dump = golden("hashes.rdb");
  for (size_t size = 0; size < dump.size(); size += 1 + size / 40) {
    Loaded loaded;
    Reader reader(loaded);
    feed_all(reader, Bytes(dump).substr(0, size));
    CHECK(reader.phase() == Phase::Damaged);
    CHECK(reader.reason().find("ends here") != std::string::npos);
  }
}

}  // namespace
}  // namespace hf::rdb::test
