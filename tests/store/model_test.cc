// The keyspace against a model made of standard containers, under every call of the door, over many seeds.
#include <catch2/catch.hpp>
#include <set>

#include "support.h"

using namespace hf;
using namespace hf::store;
using namespace hf::store::test;

namespace {

size_t with_expiry(const ModelDatabase& m) {
  size_t n = 0;
  for (const auto& [key, value] : m) n += value.expire_at != no_expiry;
  return n;
}

void compare(const Store& store, const Client& client) {
  REQUIRE(client.wrong_answers == 0);
  REQUIRE(model_of(store) == client.model);
  for (DbIndex db = 0; db < store.databases(); ++db) {
    REQUIRE(store.size(db) == client.model[db].size());
    REQUIRE(store.size_with_expiry(db) == with_expiry(client.model[db]));
    for (const auto& [name, value] : client.model[db]) {
      const Entry* e = store.find(db, store.key(name));
      REQUIRE(e != nullptr);
      if (value.type != Type::Hash) continue;
      REQUIRE(e->hash_size() == value.fields.size());
      for (const auto& [field, text] : value.fields) REQUIRE(e->hash_get(field) == text);
      REQUIRE_FALSE(e->hash_get("no such field"));
    }
  }
}

}  // namespace

TEST_CASE("the store does what a map would, whatever is asked of it") {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    Prng prng(seed);
    Options options;
    options.databases = 3;
    options.hash_seed = seed;
    options.hash_packed_entries_max = seed % 3 == 0 ? 5 : 128;
    Store store(options);
    const size_t empty = store.memory_bytes();
    Client client(store, prng, seed % 4 == 0 ? 2000 : 60);
    for (int round = 0; round < 4; ++round) {
      client.growing = round % 2 == 0;
      for (int i = 0; i < 1500; ++i) client.step();
      compare(store, client);
    }
    store.flush_all();
    while (store.free_some(7)) {}
    REQUIRE(store.memory_bytes() == empty);
  }
}

TEST_CASE("tables grow to a hundred thousand keys and shrink back to a few, losing none") {
  Store store({});
  const size_t count = 100000;
  const auto key_of = [](size_t i) { return "some:key:" + std::to_string(i); };
  const size_t empty = store.memory_bytes();
  for (size_t i = 0; i < count; ++i) store.set_string(0, store.key(key_of(i)), std::to_string(i));
  CHECK(store.size(0) == count);
  const size_t full = store.memory_bytes();
  for (size_t i = 0; i < count; ++i) {
    const Entry* e = store.find(0, store.key(key_of(i)));
    REQUIRE((e != nullptr && e->integer() == static_cast<int64_t>(i)));
  }
  for (size_t i = 0; i < count - 10; ++i) {
    REQUIRE(store.remove(0, store.key(key_of(i))));
    REQUIRE_FALSE(store.remove(0, store.key(key_of(i))));
    if (i % 5000 == 0)
      for (size_t j = i + 1; j < count; j += 97) REQUIRE(store.find(0, store.key(key_of(j))) != nullptr);
  }
  CHECK(store.size(0) == 10);
  CHECK(store.memory_bytes() - empty < 4096);
  CHECK(full > 100 * 4096);
}

TEST_CASE("keys that share a bucket are told apart, in long chains too") {
  Store store({});
  // One bucket's worth: keys whose hashes agree in the low 14 bits, more of them than any bucket holds.
  std::vector<std::string> alike;
  for (uint64_t i = 0; alike.size() < 40; ++i) {
    std::string name = std::to_string(i);
    if ((store.key(name).hash & 0x3fff) == 5) alike.push_back(std::move(name));
  }
  for (const auto& name : alike) store.set_string(0, store.key(name), name);
  for (const auto& name : alike) CHECK(store.find(0, store.key(name))->integer() == std::stoll(name));
  std::set<std::string> scanned;
  CHECK(store.scan(0, 0, 1000, [&](const Entry& e) { scanned.emplace(e.key()); }) == 0);
  CHECK(scanned.size() == alike.size());
  Prng prng(3);
  for (size_t left = alike.size(); left > 0; --left) {
    const size_t i = prng.below(left);
    REQUIRE(store.remove(0, store.key(alike[i])));
    std::swap(alike[i], alike[left - 1]);
    for (size_t j = 0; j + 1 < left; ++j) REQUIRE(store.find(0, store.key(alike[j])) != nullptr);
  }
  CHECK(store.size(0) == 0);
}

TEST_CASE("a scan returns whatever is there all along, while the table grows and shrinks under it") {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    Prng prng(seed);
    Options options;
    options.hash_seed = seed;
    Store store(options);
    const size_t lasting = 1 + prng.below(400);
    for (size_t i = 0; i < lasting; ++i) store.set_string(0, store.key("stay" + std::to_string(i)), "v");
    size_t passing = prng.chance(1, 2) ? prng.below(6000) : 0;
    for (size_t i = 0; i < passing; ++i) store.set_string(0, store.key("go" + std::to_string(i)), "v");
    std::set<std::string> seen;
    uint64_t cursor = 0;
    size_t calls = 0;
    do {
      cursor = store.scan(0, cursor, 1 + prng.below(20), [&](const Entry& e) { seen.emplace(e.key()); });
      const size_t target = prng.chance(1, 8) ? prng.below(6000) : passing;
      for (; passing < target; ++passing) store.set_string(0, store.key("go" + std::to_string(passing)), "v");
      for (; passing > target; --passing)
        REQUIRE(store.remove(0, store.key("go" + std::to_string(passing - 1))));
      REQUIRE(++calls < 20000);
    } while (cursor != 0);
    size_t found = 0;
    for (size_t i = 0; i < lasting; ++i) found += seen.count("stay" + std::to_string(i));
    REQUIRE(found == lasting);
  }
}

TEST_CASE("a scan of a still table returns each entry once") {
  Store store({});
  for (int i = 0; i < 5000; ++i) store.set_string(0, store.key(std::to_string(i)), "v");
  std::multiset<std::string> seen;
  uint64_t cursor = 0;
  do cursor = store.scan(0, cursor, 10, [&](const Entry& e) { seen.emplace(e.key()); });
  while (cursor != 0);
  CHECK(seen.size() == 5000);
  CHECK(std::set<std::string>(seen.begin(), seen.end()).size() == 5000);
}

TEST_CASE("the fields of a large hash are scanned and drawn like keys") {
  Store store({});
  const Key k = store.key("h");
  {
    HashEdit edit = store.edit_hash(0, k);
    for (int i = 0; i < 3000; ++i) edit.set("f" + std::to_string(i), std::to_string(i));
  }
  const Entry& e = *store.find(0, k);
  std::set<std::string> seen;
  uint64_t cursor = 0;
  do cursor = e.hash_scan(cursor, 10, [&](Bytes field, Bytes) { seen.emplace(field); });
  while (cursor != 0);
  CHECK(seen.size() == 3000);
  Prng prng(1);
  std::set<std::string> drawn;
  for (int i = 0; i < 30000; ++i) {
    Bytes field, value;
    e.hash_random(prng, field, value);
    REQUIRE(field.substr(1) == value);
    drawn.emplace(field);
  }
  CHECK(drawn.size() > 2980);
}

TEST_CASE("random keys are drawn evenly") {
  Store store({});
  Prng prng(1);
  CHECK(store.random(0, prng) == nullptr);
  std::map<std::string, int> drawn;
  for (int i = 0; i < 100; ++i) store.set_string(0, store.key(std::to_string(i)), "v");
  for (int i = 0; i < 100000; ++i) ++drawn[std::string(store.random(0, prng)->key())];
  CHECK(drawn.size() == 100);
  for (const auto& [key, n] : drawn) CHECK((n > 850 && n < 1150));
}

TEST_CASE("the expiry sweep finds every key past its time, and no other") {
  Store store({});
  for (int i = 0; i < 20000; ++i)
    store.set_string(0, store.key(std::to_string(i)), "v", i % 3 == 0 ? no_expiry : static_cast<WallMs>(i));
  std::set<std::string> expired;
  std::vector<std::string> keys;
  for (int round = 0; round < 20000; ++round) {
    keys.clear();
    store.collect_expired(0, 9999, 16, 5, keys);
    REQUIRE(keys.size() <= 5);
    for (const auto& key : keys) {
      REQUIRE(expired.insert(key).second);
      REQUIRE(store.remove(0, store.key(key)));
    }
  }
  CHECK(expired.size() == 6666);
  for (const auto& key : expired) REQUIRE((std::stoi(key) % 3 != 0 && std::stoi(key) <= 9999));
}

TEST_CASE("the expiry sweep names no key twice, however small the database") {
  Store store({});
  std::vector<std::string> keys;
  for (int i = 0; i < 50; ++i) {
    store.set_string(0, store.key(std::to_string(i)), "v", 1);
    for (int call = 0; call < 3; ++call) {
      keys.clear();
      store.collect_expired(0, 1, 1000, 1000, keys);
      REQUIRE(keys.size() == static_cast<size_t>(i) + 1);
      REQUIRE(std::set<std::string>(keys.begin(), keys.end()).size() == keys.size());
    }
  }
}
