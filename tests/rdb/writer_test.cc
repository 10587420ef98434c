// Dumps and payloads that are written here: read back they are what went in, in pieces or not.
#include "../store/support.h"
#include "rdb/payload.h"
#include "rdb_support.h"

namespace hf::rdb::test {
namespace {

using Phase = Reader::Phase;

/// Writes what a walk hands over, as a snapshot's blocks hold it.
class DumpWalk final : public store::WalkConsumer {
 public:
  explicit DumpWalk(Writer& writer) : writer_(writer) {}
  void take(DbIndex db, const store::Entry& entry) override {
    std::string encoded;
    store::encode_entry(entry, encoded);
    give(db, encoded);
  }
  void take_large(const store::LargeValue& value) override {
    std::string encoded;
    store::encode_large(value, encoded);
    give(value.db, encoded);
  }
  void take_field(uint64_t hash, Bytes field, Bytes value) override {
    std::string encoded;
    store::encode_fields_head(hash, encoded);
    store::encode_field(field, value, encoded);
    give(0, encoded);
  }
  void take_large_field(uint64_t hash, Bytes field, uint64_t number, uint64_t size) override {
    std::string encoded;
    store::encode_large_field(hash, field, number, size, encoded);
    give(0, encoded);
  }
  void take_bytes(uint64_t number, Bytes piece) override {
    std::string encoded;
    store::encode_bytes(number, piece, encoded);
    give(0, encoded);
  }

 private:
  void give(DbIndex db, Bytes encoded) {
    const Status status = writer_.entry(db, encoded);
    INFO((status.ok() ? "" : status.error().message));
    REQUIRE(status.ok());
  }
  Writer& writer_;
};

std::string dump_store(store::Store& store, WriteOptions options = {}) {
  Buffer out;
  Writer writer(out, options);
  writer.begin({.created_seconds = 1700000000,
                .used_memory = 1234567,
                .repl_id = "0123456789abcdef0123456789abcdef01234567",
                .repl_offset = 42});
  DumpWalk walk(writer);
  const store::WalkId id = store.begin_walk(walk);
  while (!store.walk_some(id, 100)) {}
  REQUIRE(writer.finish().ok());
  CHECK(writer.bytes() == out.size());
  CHECK(writer.gathered_bytes() == 0);
  return std::string(out.view());
}

TEST_CASE("a random keyspace is the same after a dump and a load, large values and expiries included") {
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    store::Store store({.databases = 4, .hash_seed = seed});
    Prng prng(seed);
    store::test::Client client(store, prng, 60);
    client.large_values = seed % 2 == 0;
    for (int i = 0; i < 400; ++i) client.step();
    for (auto& database : client.model)  // its objects count as tasks, which no dump holds
      std::erase_if(database, [](const auto& one) { return one.second.type == store::Type::Task; });
    const std::string dump = dump_store(store, {.compress = seed % 3 != 0});
    Loaded loaded(store::Options{.databases = 4, .hash_seed = 99});
    Reader reader(loaded);
    feed_all(reader, dump, 10007);
    INFO(reader.reason());
    REQUIRE(reader.phase() == Phase::Done);
    CHECK(store::test::model_of(*loaded.store) == client.model);
    CHECK(loaded.notes["repl-id"] == "0123456789abcdef0123456789abcdef01234567");
    CHECK(loaded.notes["repl-offset"] == "42");
    CHECK(loaded.notes["redis-ver"] == "7.2.5");
  }
}

TEST_CASE("what is written is Redis's, byte for byte") {
  Buffer out;
  Writer writer(out);
  store::Store store({.databases = 16});
  store.set_string(2, store.key("job"), "42", 1700000000000);
  { store.edit_hash(2, store.key("h")).set("step", "7"); }
  std::string first, second;
  store::encode_entry(*store.find(2, store.key("job")), first);
  store::encode_entry(*store.find(2, store.key("h")), second);
  REQUIRE(writer.entry(2, first).ok());
  REQUIRE(writer.entry(2, second).ok());
  CHECK(out.view() == raw("\xfe\x02"
                          "\xfc\x00\x68\xe5\xcf\x8b\x01\x00\x00\x00\x03job\xc0\x2a"
                          "\x10\x01h\x0f\x0f\x00\x00\x00\x02\x00\x84step\x05\x07\x01\xff"));
}

TEST_CASE("the example of FORMAT.md is what its page says") {
  const std::string dump = raw(
      "REDIS0010\xfe\x02\xfc\x00\x68\xe5\xcf\x8b\x01\x00\x00\x00\x03job\xc0\x2a"
      "\x10\x01h\x0f\x0f\x00\x00\x00\x02\x00\x84step\x05\x07\x01\xff\xff\x3f\xc0\xb4\x5a\xf9\x20\xc8\x80");
  Loaded loaded;
  Reader reader(loaded);
  feed_all(reader, dump);
  CHECK(reader.phase() == Phase::Done);
  CHECK(reader.has_sum());
  CHECK(loaded.text("job", 2) == "42");
  CHECK(loaded.store->find(2, loaded.store->key("job"))->expire_at() == 1700000000000);
  CHECK(loaded.hash("h", 2) == std::map<std::string, std::string>{{"step", "7"}});
}

TEST_CASE("tasks are left out of a dump and counted, whole ones and those in pieces") {
  Buffer out;
  Writer writer(out);
  CHECK(writer.entry(0, raw("\x06\x01t\x02xy")).ok());
  store::LargeValue head{.number = 1, .type = store::Type::Task, .key = "big", .size = 6};
  std::string encoded;
  store::encode_large(head, encoded);
  CHECK(writer.entry(0, encoded).ok());
  for (const char* part : {"abc", "def"}) {
    encoded.clear();
    store::encode_bytes(1, part, encoded);
    CHECK(writer.entry(0, encoded).ok());
  }
  CHECK(out.empty());
  CHECK(writer.tasks_left_out() == 2);
  CHECK(writer.keys() == 0);
  CHECK(writer.finish().ok());
}

TEST_CASE("encoded entries that are not whole give an error, and so do missing or too many pieces") {
  Buffer out;
  Writer writer(out, {}, 10);
  for (const Bytes encoded : {Bytes(""), Bytes("\x80", 1), Bytes("\x00", 1), Bytes("\x00\x05k", 3),
                              Bytes("\x00\x01k", 3), Bytes("\x00\x01k\x05v", 5), Bytes("\x00\x01k\x01vv", 6),
                              Bytes("\x04\x01h\x00", 4), Bytes("\x04\x01h\x7f", 4),
                              Bytes("\x04\x01h\x01\x01"
                                    "f\x05v",
                                    8),
                              Bytes("\x01\x01l\x01v", 5), Bytes("\x40", 1), Bytes("\x40\x01\x00", 3),
                              Bytes("\x41\x09", 2), Bytes("\x42\x09", 2),
                              Bytes("\x43\x09"
                                    "a",
                                    3)})
    CHECK_FALSE(writer.entry(0, encoded).ok());
  CHECK(out.empty());
  std::string head;
  store::encode_large({.number = 1, .key = "s", .size = 20}, head);
  CHECK(writer.entry(0, head).ok());
  CHECK_FALSE(writer.entry(0, head).ok());
  CHECK_FALSE(writer.finish().ok());
  CHECK(writer.entry(0, raw("\x43\x01") + "0123456789").ok());
  CHECK_FALSE(writer.entry(0, raw("\x43\x01") + "0").ok());  // past the bound on what is gathered
  CHECK_FALSE(writer.entry(0, raw("\x43\x01") + "0123456789a").ok());
}

TEST_CASE("a payload gives the value back, and Redis 7.0's are read") {
  store::Store store({.databases = 1});
  store.set_string(0, store.key("n"), "10");
  { store.edit_hash(0, store.key("h")).set("f", "v"); }
  {
    store::HashEdit big = store.edit_hash(0, store.key("big"));
    for (int i = 0; i < 3000; ++i) big.set("field" + std::to_string(i), std::string(50, 'v'));
  }
  store.set_string(0, store.key("long"), std::string(300000, 'l'));
  std::vector<std::string> keys;
  store.for_each(0, [&](const store::Entry& entry) { keys.emplace_back(entry.key()); });
  for (const std::string& key : keys) {
    std::string payload;
    encode_payload(*store.find(0, store.key(key)), {}, payload);
    CHECK(payload_is_intact(payload));
    auto value = decode_payload(payload);
    REQUIRE(value.ok());
    const std::string name = "copy of " + key;
    REQUIRE(store.load_value(0, store.key(name), *value, store::no_expiry).ok());
    CHECK(store::test::value_of(*store.find(0, store.key(name))) ==
          store::test::value_of(*store.find(0, store.key(key))));
  }
  // DUMP of redis-server 7.0.15: SET n 10; HSET h f v
  std::string payload;
  encode_payload(*store.find(0, store.key("n")), {}, payload);
  CHECK(payload == raw("\x00\xc0\x0a\x0a\x00\x6e\x9f\x57\x45\x0e\xae\x63\xbb"));
  payload.clear();
  encode_payload(*store.find(0, store.key("h")), {}, payload);
  CHECK(payload == raw("\x10\x0d\x0d\x00\x00\x00\x02\x00\x81") + "f" + raw("\x02\x81") + "v" +
                       raw("\x02\xff\x0a\x00\x20\xf1\x3d\x44\x23\x54\x08\x9d"));
}

TEST_CASE("a damaged payload is not intact, and a sound one of another type is named") {
  const auto seal = [](std::string value, uint16_t version = 10) {
    put_le(value, version);
    put_le(value, crc64(0, value));
    return value;
  };
  CHECK_FALSE(payload_is_intact(""));
  CHECK_FALSE(payload_is_intact("123456789"));
  CHECK_FALSE(payload_is_intact(seal(raw("\x00\x01v"), 14)));
  const std::string sound = seal(raw("\x00\x01v"));
  CHECK(payload_is_intact(sound));
  for (size_t i = 0; i < sound.size(); ++i) {
    std::string damaged = sound;
    damaged[i] ^= 1;
    CHECK_FALSE(payload_is_intact(damaged));
  }
  const auto error_of = [&](std::string value) {
    const auto result = decode_payload(seal(std::move(value)));
    return result.ok() ? "(none)" : result.error().message;
  };
  CHECK(error_of(raw("\x12\x01\x02\x07")) == "the payload is a list, which Holdfast does not hold yet");
  CHECK(error_of("") == "byte 0 of the payload: no value begins so");
  CHECK(error_of("\xff") == "byte 0 of the payload: no value begins so");
  CHECK(error_of(raw("\x00\x05v")) == "byte 1 of the payload: it ends before its value does");
  CHECK(error_of(raw("\x00\x01vv")) == "byte 3 of the payload: bytes behind the value");
  CHECK(error_of(raw("\x04\x00")) == "the payload is a hash without fields");
}

}  // namespace
}  // namespace hf::rdb::test
