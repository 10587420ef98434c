// The stable bytes of an entry: they come back the same, and anything else is refused or at least harmless.
#include <catch2/catch.hpp>

#include "support.h"

using namespace hf;
using namespace hf::store;
using namespace hf::store::test;

namespace {

std::string encoded(const Store& store, Bytes key) {
  std::string out;
  encode_entry(*store.find(0, store.key(key)), out);
  return out;
}

/// One of each type and coding.
void fill(Store& store) {
  store.set_loader(Type::Task, load_note);
  store.set_string(0, store.key("text"), "some text");
  store.set_string(0, store.key("number"), "-42", 1700000000123);
  store.set_string(0, store.key("long"), std::string(5000, 'x'));
  store.insert_object(0, store.key("note"), std::make_unique<Note>("a note"));
  {
    HashEdit edit = store.edit_hash(0, store.key("packed"));
    for (int i = 0; i < 5; ++i) edit.set("f" + std::to_string(i), "value");
  }
  {
    HashEdit edit = store.edit_hash(0, store.key("table"));
    for (int i = 0; i < 200; ++i)
      edit.set("f" + std::to_string(i), std::string(static_cast<size_t>(i % 70), 'v'));
  }
  store.set_expiry(0, store.key("packed"), 5);
}

}  // namespace

TEST_CASE("the worked example of FORMAT.md is what is written") {
  Store store({});
  store.set_string(0, store.key("job"), "42", 1700000000000);
  store.edit_hash(0, store.key("h")).set("step", "7");
  CHECK(encoded(store, "job") == std::string("\x80\x00\x68\xe5\xcf\x8b\x01\x00\x00\x03job\x02"
                                             "42",
                                             16));
  CHECK(encoded(store, "h") == std::string("\x04\x01h\x01\x04step\x01"
                                           "7",
                                           11));
}

TEST_CASE("every entry comes back from its bytes, and so does the digest") {
  for (uint64_t seed = 1; seed <= 15; ++seed) {
    Prng prng(seed);
    Store store({}), copy({.hash_seed = 99, .hash_packed_entries_max = 3});
    copy.set_loader(Type::Task, load_note);
    Client client(store, prng, 300);
    client.growing = true;
    for (int i = 0; i < 3000; ++i) client.step();
    for (DbIndex db = 0; db < store.databases(); ++db)
      store.for_each(db, [&](const Entry& e) {
        std::string bytes;
        encode_entry(e, bytes);
        REQUIRE(copy.load_entry(db, bytes).ok());
        REQUIRE_FALSE(copy.load_entry(db, bytes).ok());
        REQUIRE(copy.digest_of(*copy.find(db, copy.key(e.key()))) == store.digest_of(e));
      });
    REQUIRE(model_of(copy) == client.model);
    REQUIRE(copy.digest() == store.digest());
    std::string value;
    for (const auto& [name, v] : client.model[0]) {
      value.clear();
      encode_value(*store.find(0, store.key(name)), value);
      copy.remove(0, copy.key(name));
      REQUIRE(copy.load_value(0, copy.key(name), value, v.expire_at).ok());
    }
    REQUIRE(copy.digest() == store.digest());
  }
}

TEST_CASE("the digest tells states apart by database, key, type, expiry and value, not by coding or order") {
  Store a({}), b({.hash_seed = 7});
  CHECK(a.digest() == b.digest());
  a.set_string(0, a.key("k"), "v");
  b.set_string(1, b.key("k"), "v");
  CHECK(a.digest() != b.digest());
  b.move(1, b.key("k"), 0);
  CHECK(a.digest() == b.digest());
  b.set_expiry(0, b.key("k"), 5);
  CHECK(a.digest() != b.digest());
  b.set_expiry(0, b.key("k"), no_expiry);
  a.set_string(0, a.key("k"), "5");
  *b.resize_string(0, b.key("k"), 1) = '5';
  CHECK(a.find(0, a.key("k"))->encoding() != std::string(b.find(0, b.key("k"))->encoding()));
  CHECK(a.digest() == b.digest());
  for (Store* store : {&a, &b})
    for (int i = 0; i < 20; ++i) {
      const int n = store == &a ? i : 19 - i;
      store->edit_hash(0, store->key("h")).set(std::to_string(n), std::to_string(n));
    }
  b.edit_hash(0, b.key("h")).set("x", std::string(100, 'x'));
  CHECK(a.digest() != b.digest());
  b.edit_hash(0, b.key("h")).erase("x");
  CHECK(a.find(0, a.key("h"))->encoding() == std::string("listpack"));
  CHECK(b.find(0, b.key("h"))->encoding() == std::string("hashtable"));
  CHECK(a.digest() == b.digest());
}

TEST_CASE("cut, flipped or lengthened bytes end in an error or in a valid entry") {
  Store store({});
  fill(store);
  std::vector<std::string> all;
  store.for_each(0, [&](const Entry& e) { encode_entry(e, all.emplace_back()); });
  size_t refused = 0, taken = 0;
  const auto attempt = [&](const std::string& bytes) {
    Store into({.databases = 1});
    into.set_loader(Type::Task, load_note);
    const Status s = into.load_entry(0, bytes);
    if (!s) {
      ++refused;
      REQUIRE_FALSE(s.error().message.empty());
      REQUIRE(into.size(0) == 0);
      return;
    }
    ++taken;
    REQUIRE(into.size(0) == 1);
    into.for_each(0, [&](const Entry& e) {
      std::string again;
      encode_entry(e, again);
      REQUIRE(again.size() == bytes.size());
      value_of(e);
    });
  };
  for (const auto& bytes : all) {
    for (size_t n = 0; n < bytes.size(); n += 1 + n / 400) {
      const size_t before = taken;
      attempt(bytes.substr(0, n));
      REQUIRE(taken == before);
    }
    const size_t before = taken;
    attempt(bytes + '\0');
    REQUIRE(taken == before);
    for (size_t i = 0; i < std::min(bytes.size(), size_t{400}); ++i)
      for (int bit = 0; bit < 8; ++bit) {
        std::string flipped = bytes;
        flipped[i] = static_cast<char>(flipped[i] ^ (1 << bit));
        attempt(flipped);
      }
  }
  CHECK(refused > 1000);
  CHECK(taken > 1000);
}

TEST_CASE("random bytes never harm") {
  Prng prng(5);
  Store store({});
  for (int i = 0; i < 50000; ++i) {
    std::string bytes(prng.below(40), '\0');
    for (char& c : bytes) c = static_cast<char>(prng.chance(1, 2) ? prng.below(6) : prng.next());
    if (!store.load_entry(0, bytes)) continue;
    if (prng.chance(1, 50)) store.flush(0);
  }
  while (store.free_some(1000)) {}
}

TEST_CASE("pieces that do not fit their value are refused") {
  const auto refusal = [](const std::vector<std::string>& pieces) -> std::string {
    Store store({.databases = 1});
    for (const std::string& piece : pieces)
      if (const Status s = store.load_piece(0, piece); !s) return s.error().message;
    const Status s = store.end_load();
    return s ? "" : s.error().message;
  };
  const auto head = [](Type type, uint64_t number, uint64_t size) {
    std::string out;
    encode_large({.number = number, .type = type, .expire_at = 99, .key = "k", .size = size}, out);
    return out;
  };
  const auto bytes = [](uint64_t number, Bytes piece) {
    std::string out;
    encode_bytes(number, piece, out);
    return out;
  };
  const auto fields = [](uint64_t number, std::vector<std::string> names) {
    std::string out;
    encode_fields_head(number, out);
    for (const std::string& name : names) encode_field(name, "v", out);
    return out;
  };
  const auto large_field = [](uint64_t hash, Bytes name, uint64_t number, uint64_t size) {
    std::string out;
    encode_large_field(hash, name, number, size, out);
    return out;
  };
  const std::string s = head(Type::String, 1, 4), h = head(Type::Hash, 1, 3);
  CHECK(refusal({s, bytes(1, "ab"), bytes(1, "cd")}) == "");
  CHECK(refusal({h, fields(1, {"a"}), large_field(1, "b", 2, 3), fields(1, {"c"}), bytes(2, "xyz")}) == "");
  CHECK(refusal({s, bytes(1, "ab")}).find("missing") != std::string::npos);
  CHECK(refusal({s, bytes(1, "abcde")}).find("more bytes") != std::string::npos);
  CHECK(refusal({bytes(1, "ab")}).find("did not begin") != std::string::npos);
  CHECK(refusal({s, fields(1, {"a"})}).find("kind") != std::string::npos);
  CHECK(refusal({h, bytes(1, "a")}).find("kind") != std::string::npos);
  CHECK(refusal({h, fields(1, {"a", "a"})}).find("twice") != std::string::npos);
  CHECK(refusal({h, fields(1, {"a", "b", "c", "d"})}).find("more fields") != std::string::npos);
  CHECK(refusal({h, large_field(1, "b", 1, 3)}).find("one number") != std::string::npos);
  CHECK(refusal({h, head(Type::String, 2, 4)}).find("there already") != std::string::npos);
  CHECK(refusal({head(Type::String, 1, 0)}).find("size") != std::string::npos);
  for (const std::string& whole : {s, h, large_field(1, "b", 2, 3)})
    for (size_t n = 0; n < whole.size(); ++n) CHECK(refusal({h, whole.substr(0, n)}) != "");
}

TEST_CASE("lengths that lie, empty hashes, repeated fields and unknown types are refused") {
  Store store({});
  for (const std::string& bytes : {
           std::string("\x04\x01h\x00", 4),  // no field
           std::string("\x04\x01h\x02\x01"
                       "f\x01v\x01"
                       "f\x01w",
                       12),  // a field twice
           std::string("\x04\x01h\xff\xff\xff\xff\x0f\x01"
                       "f\x01v",
                       12),  // four thousand million fields
           std::string("\x00\x01k\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 13),  // a string of 2^64-1 bytes
           std::string("\x00\x81\x00k\x01v", 6),  // a length longer than it need be
           std::string("\x07\x01k\x01v", 5),      // no such type
           std::string("\x06\x01k\x01v", 5),      // no loader for it
           std::string("\x01\x01k\x01v", 5),      // lists: none yet
           std::string("\x80\xff\xff\xff\xff\xff\xff\xff\x7f\x01k\x01v", 13),  // an expiry that means none
       })
    CHECK_FALSE(store.load_entry(0, bytes).ok());
  CHECK(store.size(0) == 0);
}
