// Walks: what a consumer gets is the state at the cut, each entry once, whatever happens in between.
#include <catch2/catch.hpp>
#include <deque>

#include "support.h"

using namespace hf;
using namespace hf::store;
using namespace hf::store::test;

namespace {

struct Running {
  Running(Store& store, const Client& client) : collector(store), cut(client.model), digest(store.digest()) {
    id = store.begin_walk(collector);
  }
  Collector collector;
  Model cut;
  Sum128 digest;
  WalkId id = 0;
};

void check_complete(const Running& walk) {
  REQUIRE(walk.collector.doubles == 0);
  REQUIRE(walk.collector.seen == walk.cut);
  REQUIRE(walk.collector.digest() == walk.digest);
}

Options small(uint64_t seed) {
  Options options;
  options.databases = 3;
  options.hash_seed = seed;
  options.hash_packed_entries_max = 16;
  return options;
}

}  // namespace

TEST_CASE("several walks at once each get the state at their cut, under random writes") {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    Prng prng(seed);
    Store store(small(seed));
    Client client(store, prng, seed % 5 == 0 ? 1500 : 120);
    client.flush_rarity = 30;
    std::deque<std::unique_ptr<Running>> running;
    size_t completed = 0;
    for (int i = 0; i < 4000; ++i) {
      client.growing = (i / 500) % 2 == 0;
      client.step();
      if (prng.chance(1, 60) && running.size() < 5)
        running.push_back(std::make_unique<Running>(store, client));
      if (running.empty()) continue;
      const size_t which = prng.below(running.size());
      if (prng.chance(1, 300)) {
        store.abort_walk(running[which]->id);
      } else if (prng.chance(1, 3) && store.walk_some(running[which]->id, 1 + prng.below(12))) {
        check_complete(*running[which]);
        ++completed;
      } else {
        continue;
      }
      running.erase(running.begin() + static_cast<ptrdiff_t>(which));
      REQUIRE(store.walks_active() == running.size());
    }
    for (auto& walk : running) {
      while (!store.walk_some(walk->id, 5)) {}
      check_complete(*walk);
    }
    REQUIRE(completed > 0);
    REQUIRE(client.wrong_answers == 0);
    REQUIRE(model_of(store) == client.model);
    store.flush_all();
    while (store.free_some(10)) {}
    REQUIRE(store.memory_bytes() < 4096);
  }
}

TEST_CASE("large values come in pieces and still as they were at the cut, under random writes") {
  size_t large = 0;
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    Prng prng(seed);
    Store store(small(seed));
    store.set_loader(Type::Task, load_note);
    Client client(store, prng, 14);
    client.large_values = true;
    client.flush_rarity = 60;
    std::deque<std::unique_ptr<Running>> running;
    for (int i = 0; i < 900; ++i) {
      client.growing = (i / 100) % 4 != 3;
      client.step();
      if (prng.chance(1, 12) && running.size() < 4)
        running.push_back(std::make_unique<Running>(store, client));
      if (running.empty()) continue;
      const size_t which = prng.below(running.size());
      if (prng.chance(1, 40)) {
        store.abort_walk(running[which]->id);
      } else if (prng.chance(2, 3) && store.walk_some(running[which]->id, 1 + prng.below(200))) {
        check_complete(*running[which]);
        large += running[which]->collector.large;
      } else {
        continue;
      }
      running.erase(running.begin() + static_cast<ptrdiff_t>(which));
    }
    for (auto& walk : running) {
      while (!store.walk_some(walk->id, 50)) {}
      check_complete(*walk);
    }
    REQUIRE(store.kept_for_walks_bytes() == 0);
    REQUIRE(client.wrong_answers == 0);
    REQUIRE(model_of(store) == client.model);
    store.flush_all();
    while (store.free_some(10)) {}
    REQUIRE(store.memory_bytes() < 4096);
  }
  CHECK(large > 200);
}

TEST_CASE("a write to one field of a huge hash costs the walk a field, and its removal nothing") {
  Store store(small(1));
  {
    HashEdit edit = store.edit_hash(0, store.key("h"));
    for (int i = 0; i < 50000; ++i) edit.set("field:" + std::to_string(i), "value");
  }
  struct Counting : Collector {
    using Collector::Collector;
    void take_field(uint64_t hash, Bytes field, Bytes value) override {
      ++fields;
      Collector::take_field(hash, field, value);
    }
    size_t fields = 0;
  } first(store), second(store);
  const Sum128 digest = store.digest();
  const WalkId one = store.begin_walk(first);
  store.edit_hash(0, store.key("h")).set("field:7", "changed");
  CHECK(first.fields == 1);
  store.edit_hash(0, store.key("h")).erase("field:8");
  CHECK(first.fields == 2);
  const Sum128 digest_two = store.digest();
  const WalkId two = store.begin_walk(second);
  store.rename(0, store.key("h"), store.key("g"));
  store.edit_hash(0, store.key("g")).set("field:9", "changed");
  CHECK(first.fields == 3);
  CHECK(second.fields == 1);
  store.walk_some(one, 1000);
  store.remove(0, store.key("g"));
  CHECK(first.fields < 2000);
  while (store.free_some(1000)) {}
  CHECK(store.memory_bytes() > 50000 * 24);
  while (!store.walk_some(one, 1000)) {}
  CHECK(first.digest() == digest);
  while (!store.walk_some(two, 1000)) {}
  CHECK(second.digest() == digest_two);
  CHECK(first.doubles + second.doubles == 0);
  while (store.free_some(1000)) {}
  CHECK(store.memory_bytes() < 4096);
}

TEST_CASE("a huge hash stays right through hundreds of aborted walks") {
  Prng prng(5);
  Store store(small(3));
  Client client(store, prng, 3);
  client.large_values = true;
  for (int i = 0; i < 60; ++i) client.step();
  const auto set = [&](const std::string& field, const std::string& value) {
    store.edit_hash(0, store.key("big")).set(field, value);
    client.model[0]["big"].type = Type::Hash;
    client.model[0]["big"].fields[field] = value;
  };
  for (int i = 0; i < 5000; ++i) set("f" + std::to_string(i), std::string(20, 'x'));
  for (int i = 0; i < 1200; ++i) {
    Collector unused(store);
    const WalkId id = store.begin_walk(unused);
    store.walk_some(id, prng.below(300));
    set("f" + std::to_string(prng.below(5000)), std::to_string(i));
    store.abort_walk(id);
    if (i % 300 != 299) continue;
    Running whole(store, client);
    for (bool done = false; !done; done = store.walk_some(whole.id, 100))
      set("f" + std::to_string(prng.below(5000)), std::to_string(-i));
    check_complete(whole);
  }
}

TEST_CASE("a walk outlives a flush and a swap of what it walks") {
  Store store(small(1));
  for (int i = 0; i < 1000; ++i) store.set_string(0, store.key(std::to_string(i)), "zero");
  store.set_string(1, store.key("k"), "one");
  Collector collector(store);
  const Sum128 digest = store.digest();
  const WalkId walk = store.begin_walk(collector);
  CHECK_FALSE(store.walk_some(walk, 100));
  store.swap(0, 1);
  store.set_string(1, store.key("7"), "changed");
  store.set_string(0, store.key("k"), "changed");
  store.flush(1);
  store.set_string(1, store.key("8"), "new");
  CHECK(store.size(1) == 1);
  while (!store.walk_some(walk, 100)) {}
  CHECK(collector.digest() == digest);
  CHECK(collector.seen[0].size() == 1000);
  CHECK(collector.seen[1].size() == 1);
  CHECK(store.free_some(10));
  while (store.free_some(100)) {}
}

TEST_CASE("what is loaded beside is seen by nobody until it is taken, and a walk of the old set sees all of that") {
  for (const bool taken : {true, false}) {
    Store source(small(7)), store(small(1));
    for (int i = 0; i < 700; ++i) {
      source.set_string(2, source.key("new" + std::to_string(i)), "value");
      store.set_string(0, store.key("old" + std::to_string(i)), "value");
    }
    for (int i = 0; i < 300; ++i) {
      const Key h = source.key("hash");
      source.edit_hash(0, h).set("field" + std::to_string(i), "v");
    }
    const Sum128 before = store.digest();
    Collector early(store), late(store);
    const WalkId first = store.begin_walk(early);
    CHECK_FALSE(store.walk_some(first, 50));
    WalkId second = 0;
    for (DbIndex db = 0; db < 3; ++db)
      source.for_each(db, [&](const Entry& entry) {
        std::string bytes;
        encode_entry(entry, bytes);
        REQUIRE(store.load_piece(store.beside(db), bytes).ok());
        if (second == 0) second = store.begin_walk(late);  // begins in the middle of the load
      });
    REQUIRE(store.end_load().ok());
    CHECK(store.digest() == before);
    CHECK(store.size(2) == 0);
    CHECK(store.find(2, store.key("new7")) == nullptr);
    if (taken) store.take_beside();
    else store.drop_beside();
    CHECK(store.digest() == (taken ? source.digest() : before));
    store.set_string(taken ? 2 : 0, store.key(taken ? "new7" : "old7"), "changed");
    Collector behind(store);
    const Sum128 changed = store.digest();
    const WalkId third = store.begin_walk(behind);
    for (const WalkId walk : {third, first, second})
      while (!store.walk_some(walk, 40)) store.free_some(30);
    CHECK(early.digest() == before);
    CHECK(late.digest() == before);
    CHECK(behind.digest() == changed);
    while (store.free_some(100)) {}
    store.flush_all();
    while (store.free_some(100)) {}
    CHECK(store.memory_bytes() < 10'000);
  }
}

TEST_CASE("aborted walks, hundreds in a row, never confuse a later one") {
  for (const bool housekeeping : {false, true}) {
    for (const bool old_walk : {false, true}) {
      Prng prng(housekeeping * 2u + old_walk);
      Store store(small(9));
      Client client(store, prng, 600);
      for (int i = 0; i < 4000; ++i) client.step();
      std::unique_ptr<Running> oldest;
      if (old_walk) oldest = std::make_unique<Running>(store, client);
      for (int i = 0; i < 1600; ++i) {
        Collector unused(store);
        const WalkId id = store.begin_walk(unused);
        store.walk_some(id, prng.below(4) + 1);
        if (prng.chance(1, 4)) client.step();
        if (housekeeping) store.free_some(1);  // a sweep then takes a hundred walks and more
        if (store.walks_active() > (old_walk ? 1u : 0u)) store.abort_walk(id);
        REQUIRE(unused.doubles == 0);
        if (i % 400 != 399) continue;  // long enough for the bytes to wrap
        Running whole(store, client);
        for (int j = 0; j < 30; ++j) client.step();
        for (bool done = false; !done; done = store.walk_some(whole.id, 20)) client.step();
        check_complete(whole);
      }
      if (oldest == nullptr) continue;
      while (!store.walk_some(oldest->id, 50)) {}
      check_complete(*oldest);
    }
  }
}

TEST_CASE("a flushed database that a walk still needs stays right through a wrap of the generations") {
  Store store(small(2));
  for (int i = 0; i < 500; ++i) store.set_string(0, store.key(std::to_string(i)), "v");
  Collector first(store);
  const Sum128 digest = store.digest();
  const WalkId walk = store.begin_walk(first);
  store.flush(0);
  store.set_string(0, store.key("later"), "v");
  for (int i = 0; i < 1000; ++i) {
    Collector next(store);
    const Sum128 expected = store.digest();
    const WalkId id = store.begin_walk(next);
    while (!store.walk_some(id, 100)) {}
    REQUIRE(next.digest() == expected);
    store.set_string(0, store.key("later"), std::to_string(i));
  }
  while (!store.walk_some(walk, 100)) {}
  CHECK(first.digest() == digest);
  CHECK(first.doubles == 0);
}

TEST_CASE("a walk of an empty store is complete at once") {
  Store store(small(1));
  Collector collector(store);
  const WalkId walk = store.begin_walk(collector);
  CHECK(store.walk_some(walk, 1));
  CHECK(store.walks_active() == 0);
}

TEST_CASE("the observer hears of every key a call touches") {
  struct Log : Observer {
    void key_changed(DbIndex db, const Key& key) override {
      text += "k" + std::to_string(db) + std::string(key.bytes);
    }
    void database_changed(DbIndex db) override { text += "d" + std::to_string(db); }
    void object_inserted(DbIndex db, Bytes key, Object&) override {
      text += "+" + std::to_string(db) + std::string(key);
    }
    void object_removed(DbIndex db, Bytes key, Object&) override {
      text += "-" + std::to_string(db) + std::string(key);
    }
    void objects_flushed(DbIndex db) override { text += "f" + std::to_string(db); }
    void objects_swapped(DbIndex a, DbIndex b) override {
      text += "s" + std::to_string(a) + std::to_string(b);
    }
    std::string take() { return std::exchange(text, ""); }
    std::string text;
  } log;
  Store store(small(1));
  store.set_observer(&log);
  store.set_loader(Type::Task, load_note);
  const Key a = store.key("a"), b = store.key("b"), h = store.key("h");
  store.set_string(0, a, "v");
  CHECK(log.take() == "k0a");
  store.set_expiry(0, a, 5);
  CHECK(log.take() == "k0a");
  store.set_expiry(0, b, 5);
  store.remove(0, b);
  CHECK(log.take() == "");
  store.insert_object(0, a, std::make_unique<Note>("x"));
  CHECK(log.take() == "+0ak0a");
  store.edit_object(0, a);
  CHECK(log.take() == "k0a");
  store.rename(0, a, b);
  CHECK(log.take() == "-0a+0bk0ak0b");
  store.move(0, b, 1);
  CHECK(log.take() == "-0b+1bk0bk1b");
  store.copy(1, b, 0, a);
  CHECK(log.take() == "+0ak0a");
  store.set_string(0, a, "v");
  CHECK(log.take() == "-0ak0a");
  store.swap(0, 1);
  CHECK(log.take() == "s01d0d1");
  {
    HashEdit edit = store.edit_hash(0, h);
    edit.set("f", "v");
    edit.set("g", "v");
  }
  CHECK(log.take() == "k0h");
  {
    HashEdit edit = store.edit_hash(0, h);
    edit.erase("f");
    edit.erase("g");
  }
  CHECK(log.take() == "k0h");
  { CHECK_FALSE(store.edit_hash(0, h).get("f")); }
  CHECK(log.take() == "");
  std::string encoded;
  encode_entry(*store.find(0, b), encoded);
  CHECK(store.load_entry(2, encoded).ok());
  CHECK(log.take() == "+2b");
  store.flush(2);
  CHECK(log.take() == "f2d2");
}
