// Snapshot files: what goes in comes out; every flipped byte, cut and failure is noticed and named.
#include <catch2/catch.hpp>

#include <map>

#include "base/prng.h"
#include "log/memory_files.h"
#include "snapshot/reader.h"
#include "snapshot/writer.h"
#include "store/store.h"

using namespace hf;
using namespace hf::snapshot;
using hf::test::MemoryFiles;

namespace {

Header sample_header() {
  Header header{.cluster_id = std::string(40, '7'),
                .offset = {4711},
                .previous_sum = 0xabcdef,
                .visible_offset = 4600,
                .epoch = {3},
                .wall_ms = 1700000000000,
                .reason = "bgsave",
                .tag = "before-upgrade"};
  header.history.add({{1}, std::string(40, '1'), {0}});
  header.history.add({{3}, std::string(40, '3'), {4000}});
  return header;
}

using Entries = std::vector<std::pair<DbIndex, std::string>>;

class Collected final : public EntrySink {
 public:
  Status entry(DbIndex db, Bytes encoded) override {
    entries.push_back({db, std::string(encoded)});
    return refuse ? Status(Error{"refused by the test"}) : ok();
  }
  Entries entries;
  bool refuse = false;
};

Entries some_entries(size_t n, uint64_t seed) {
  Prng prng(seed);
  Entries entries;
  for (size_t i = 0; i < n; ++i) {
    std::string text = "entry " + std::to_string(i) + " ";
    const size_t bytes = prng.below(60);
    while (text.size() < bytes) text += static_cast<char>(prng.chance(1, 2) ? prng.next() : 'x');
    entries.push_back({static_cast<DbIndex>(prng.below(16)), text});
  }
  return entries;
}

void run_all(MemoryFiles& disk, Writer& writer, LogOffset synced) {
  while (auto job = writer.next_job(synced)) writer.job_done(disk.run(*job));
}

/// A whole snapshot file in `disk`; returns its name.
std::string write_file(MemoryFiles& disk, const Entries& entries, size_t block_bytes = 200) {
  Writer writer(sample_header(), {.block_bytes = block_bytes});
  for (const auto& [db, encoded] : entries) writer.take_encoded(db, encoded);
  writer.finish();
  run_all(disk, writer, {4711});
  REQUIRE(writer.state() == State::Done);
  return writer.name();
}

struct Loaded {
  Reader::Phase phase;
  std::string reason;
  Entries entries;
};
Loaded load(Files& files, const std::string& name, size_t budget = 100) {
  Collected sink;
  Reader reader(files, name);
  reader.open();
  while (reader.phase() == Reader::Phase::Loading) reader.step(budget, sink);
  return {reader.phase(), reader.reason(), sink.entries};
}

}  // namespace

TEST_CASE("a snapshot header comes back as it was encoded") {
  const std::string bytes = encode_header(sample_header());
  const auto back = decode_header(bytes + "blocks");
  REQUIRE(back.ok());
  CHECK(*back == sample_header());
}

TEST_CASE("entries come back from many small blocks, a few large ones and none at all") {
  for (const size_t n : {0u, 1u, 7u, 500u}) {
    for (const size_t block_bytes : {1u, 200u, 262144u}) {
      MemoryFiles disk;
      const Entries entries = some_entries(n, n);
      const std::string name = write_file(disk, entries, block_bytes);
      CHECK(name == "snapshot-00000000000000004711.rdb");
      CHECK_FALSE(disk.exists(name + ".tmp"));
      Reader reader(disk, name);
      REQUIRE(reader.open() == Reader::Phase::Loading);
      CHECK(reader.header() == sample_header());
      CHECK(reader.footer().keys == n);
      const Loaded loaded = load(disk, name);
      REQUIRE(loaded.reason == "");
      CHECK(loaded.entries == entries);
    }
  }
}

TEST_CASE("any flipped byte of a snapshot is refused, and the byte where it was noticed is named") {
  MemoryFiles disk;
  const Entries entries = some_entries(25, 3);
  const std::string name = write_file(disk, entries);
  const std::string good = disk.content(name);
  for (size_t i = 0; i < good.size(); ++i) {
    for (const int flip : {1, 0x80, 0xff}) {
      disk.content(name) = good;
      disk.content(name)[i] = static_cast<char>(good[i] ^ flip);
      const Loaded loaded = load(disk, name);
      INFO("byte " << i);
      REQUIRE(loaded.phase == Reader::Phase::Damaged);
      REQUIRE(loaded.reason.find("snapshot " + name + ", byte ") == 0);
      // What was handed over before the damage was seen is still the truth.
      REQUIRE(loaded.entries.size() <= entries.size());
      REQUIRE(std::equal(loaded.entries.begin(), loaded.entries.end(), entries.begin()));
    }
  }
}

TEST_CASE("a snapshot cut at any length, or with bytes behind its end, is refused") {
  MemoryFiles disk;
  const std::string name = write_file(disk, some_entries(25, 4));
  const std::string good = disk.content(name);
  for (size_t n = 0; n < good.size(); ++n) {
    disk.content(name) = good.substr(0, n);
    REQUIRE(load(disk, name).phase == Reader::Phase::Damaged);
  }
  disk.content(name) = good + "x";
  CHECK(load(disk, name).phase == Reader::Phase::Damaged);
}

TEST_CASE("blocks of another snapshot do not fit, however valid they are") {
  MemoryFiles one, two;
  const std::string name = write_file(one, some_entries(25, 5));
  Header other = sample_header();
  other.wall_ms += 1;
  Writer writer(other, {.block_bytes = 200});
  for (const auto& [db, encoded] : some_entries(25, 5)) writer.take_encoded(db, encoded);
  writer.finish();
  run_all(two, writer, {4711});
  std::string& mixed = one.content(name);
  const std::string& theirs = two.content(name);
  REQUIRE(mixed.size() == theirs.size());
  const size_t header_bytes = encode_header(sample_header()).size();
  mixed.replace(header_bytes, 100, theirs, header_bytes, 100);
  CHECK(load(one, name).reason.find("another snapshot") != std::string::npos);
}

TEST_CASE("a snapshot of a newer version is told apart from a damaged one") {
  MemoryFiles disk;
  const std::string name = write_file(disk, {});
  disk.content(name)[8] = format_version + 1;
  Reader reader(disk, name);
  CHECK(reader.open() == Reader::Phase::Damaged);
  CHECK(reader.newer());
}

TEST_CASE("the final name is withheld until the log is synced up to the cut") {
  MemoryFiles disk;
  Writer writer(sample_header(), {.block_bytes = 100});
  for (const auto& [db, encoded] : some_entries(100, 6)) writer.take_encoded(db, encoded);
  writer.finish();
  run_all(disk, writer, {4710});
  CHECK(writer.state() == State::Finishing);
  CHECK(writer.waiting_bytes() <= 16 * 200);
  CHECK_FALSE(disk.exists(writer.name()));
  run_all(disk, writer, {4711});
  CHECK(writer.state() == State::Done);
  CHECK(writer.waiting_bytes() == 0);
  CHECK(writer.file_bytes() == disk.content(writer.name()).size());
  CHECK(load(disk, writer.name()).entries == some_entries(100, 6));
}

TEST_CASE("a walk that outruns the disk is told to pause, then fails, and its file goes away") {
  MemoryFiles disk;
  Writer writer(sample_header(), {.block_bytes = 100, .waiting_bytes_max = 8000});
  const std::string entry(92, 'e');
  writer.take_encoded(0, entry);
  auto job = writer.next_job({4711});
  REQUIRE(job);
  while (!writer.should_pause()) writer.take_encoded(0, entry);
  CHECK(writer.waiting_bytes() == 1100);
  CHECK(writer.state() == State::Taking);
  for (int i = 0; i < 80; ++i) writer.take_encoded(0, entry);
  CHECK(writer.state() == State::Failed);
  CHECK(writer.reason().find("8000 bytes") != std::string::npos);
  CHECK(writer.waiting_bytes() == 100);  // what the lane still holds
  writer.job_done(disk.run(*job));
  CHECK(writer.waiting_bytes() == 0);
  CHECK_FALSE(writer.next_job({4711}));
  CHECK(disk.exists(writer.name() + ".tmp"));
  writer.job_done(disk.run(writer.abort_job()));
  CHECK(disk.snapshot().empty());
}

TEST_CASE("a single entry larger than everything that may wait still gets through") {
  MemoryFiles disk;
  Writer writer(sample_header(), {.block_bytes = 100, .waiting_bytes_max = 8000});
  const Entries entries = {{0, "small"}, {1, std::string(20000, 'L')}, {2, "after"}};
  for (const auto& [db, encoded] : entries) {
    writer.take_encoded(db, encoded);
    run_all(disk, writer, {4711});
  }
  writer.finish();
  run_all(disk, writer, {4711});
  CHECK(load(disk, writer.name()).entries == entries);
}

TEST_CASE("a snapshot that lacks a piece of a value is refused") {
  MemoryFiles disk;
  std::string head;
  store::encode_large({.number = 1, .type = store::Type::Hash, .key = "h", .size = 2}, head);
  std::string field;
  store::encode_fields_head(1, field);
  store::encode_field("f", "v", field);
  const std::string name = write_file(disk, {{0, head}, {0, field}});
  store::Store store({.hash_seed = 1});
  StoreSink sink(store);
  Reader reader(disk, name);
  reader.open();
  CHECK(reader.step(1 << 20, sink) == Reader::Phase::Damaged);
  CHECK(reader.reason().find("pieces of a value are missing") != std::string::npos);
}

TEST_CASE("a disk that fails at any step of a snapshot harms the snapshot only") {
  for (size_t step = 0; step < 8; ++step) {
    MemoryFiles disk;
    Writer writer(sample_header(), {.block_bytes = 100, .first_job_id = 9});
    writer.take_encoded(0, std::string(300, 'a'));
    writer.finish();
    const auto job = writer.next_job({4711});
    REQUIRE(job);
    CHECK(job->id == 9);
    REQUIRE(job->steps.size() == 7);  // remove, header, block, index, sync, rename, folder
    const bool fails = step < 7;
    writer.job_done(disk.run(*job, {.fail_step = step}));
    CHECK(writer.state() == (fails ? State::Failed : State::Done));
    if (!fails) continue;
    CHECK(writer.reason().find("No space left on device") != std::string::npos);
    writer.job_done(disk.run(writer.abort_job()));
    CHECK_FALSE(disk.exists(writer.name() + ".tmp"));
    CHECK(writer.next_job_id() == 11);
  }
}

TEST_CASE("an entry that the store refuses ends the load by name") {
  MemoryFiles disk;
  const std::string name = write_file(disk, some_entries(3, 1));
  Collected sink;
  sink.refuse = true;
  Reader reader(disk, name);
  reader.open();
  CHECK(reader.step(1, sink) == Reader::Phase::Damaged);
  CHECK(reader.reason().find("block 0: entry 0: refused by the test") != std::string::npos);
}

TEST_CASE("a header may say how its tables lay") {
  Header header = sample_header();
  header.hash_seed = 77;
  header.tables = {{0, 5}, {3, 1'000'000}};
  const auto decoded = decode_header(encode_header(header));
  REQUIRE(decoded);
  CHECK(*decoded == header);
  header.tables = {{3, 5}, {3, 6}};
  CHECK_FALSE(decode_header(encode_header(header)));
}

TEST_CASE("a header that claims more keys than its file can hold gets no room for them") {
  MemoryFiles disk;
  Header header = sample_header();
  header.tables = {{0, uint64_t{1} << 40}, {900, 17}};
  Writer writer(header, {});
  std::string encoded;
  store::Store one({});
  one.set_string(0, one.key("key"), "value");
  store::encode_entry(*one.find(0, one.key("key")), encoded);
  writer.take_encoded(0, encoded);
  writer.finish();
  run_all(disk, writer, {4711});
  store::Store store({});
  StoreSink sink(store);
  Reader reader(disk, writer.name());
  reader.open();
  while (reader.phase() == Reader::Phase::Loading) reader.step(1, sink);
  CHECK(reader.reason() == "");
  CHECK(store.size(0) == 1);
  CHECK(store.memory_bytes() < 256 * 1024);
}

TEST_CASE("a load makes room a slice a step, and takes over the order of the buckets") {
  MemoryFiles disk;
  constexpr uint64_t keys = 200'000;
  store::Store store({.hash_seed = 1});
  for (uint64_t i = 0; i < keys; ++i) store.set_integer(0, store.key("key:" + std::to_string(i)), 7);
  Header header = sample_header();
  header.hash_seed = store.hash_seed();
  header.tables = {{0, keys}};
  Writer writer(header, {});
  const store::WalkId walk = store.begin_walk(writer);
  while (!store.walk_some(walk, 1000)) {}
  writer.finish();
  run_all(disk, writer, {4711});

  store::Store back({.hash_seed = 2});
  StoreSink sink(back);
  Reader reader(disk, writer.name());
  reader.open();
  int steps_of_room = 0;
  for (; reader.phase() == Reader::Phase::Loading && back.size(0) == 0; ++steps_of_room) reader.step(1, sink);
  CHECK(steps_of_room == 3);  // 44,445 buckets, 16,384 a step; the last one goes on to the first block
  while (reader.phase() == Reader::Phase::Loading) reader.step(100'000, sink);
  REQUIRE(reader.reason() == "");
  CHECK(back.hash_seed() == 1);
  CHECK(back.digest() == store.digest());
  CHECK(back.memory_bytes() <= store.memory_bytes() + store.memory_bytes() / 50);
}

TEST_CASE("a store comes back from its snapshot with the same digest") {
  MemoryFiles disk;
  const bool tables_told = GENERATE(false, true);
  store::Store store({.hash_seed = 1});
  for (int i = 0; i < 3000; ++i) {
    const std::string key = "key:" + std::to_string(i);
    store.set_string(static_cast<DbIndex>(i % 3), store.key(key),
                     std::string(static_cast<size_t>(i % 200), 'v'),
                     i % 5 == 0 ? 1700000000000 + i : store::no_expiry);
  }
  {
    store::HashEdit edit = store.edit_hash(1, store.key("hash"));
    for (int i = 0; i < 9000; ++i) edit.set("field:" + std::to_string(i), std::string(i % 50, 'f'));
    edit.set("large", std::string(200'000, 'L'));
  }
  store.set_string(0, store.key("long"), std::string(300'000, 's'), 1900000000000);
  const Sum128 at_cut = store.digest();
  Header header = sample_header();
  header.hash_seed = store.hash_seed();
  if (tables_told) header.tables = {{0, store.size(0)}, {1, store.size(1)}, {2, store.size(2)}};
  Writer writer(header, {.block_bytes = 5000});
  const store::WalkId walk = store.begin_walk(writer);
  Prng prng(1);
  while (!store.walk_some(walk, 10)) {
    const std::string key = "key:" + std::to_string(prng.below(4000));
    if (prng.chance(1, 4) && store.find(1, store.key("hash")) != nullptr)
      store.edit_hash(1, store.key("hash")).set("field:" + std::to_string(prng.below(9500)), "changed");
    if (prng.chance(1, 100)) store.resize_string(0, store.key("long"), 1 + prng.below(400'000));
    if (prng.chance(1, 500)) store.remove(1, store.key("hash"));
    if (prng.chance(1, 3)) store.remove(static_cast<DbIndex>(prng.below(3)), store.key(key));
    else store.set_string(static_cast<DbIndex>(prng.below(3)), store.key(key), "changed after the cut");
    if (auto job = writer.next_job({0})) writer.job_done(disk.run(*job));
  }
  writer.finish();
  run_all(disk, writer, {4711});
  REQUIRE(writer.state() == State::Done);
  CHECK(writer.keys() == 3002);
  while (store.free_some(1000)) {}

  store::Store back({.hash_seed = 2});
  StoreSink sink(back);
  Reader reader(disk, writer.name());
  reader.open();
  while (reader.phase() == Reader::Phase::Loading) reader.step(10000, sink);
  REQUIRE(reader.reason() == "");
  CHECK(back.digest() == at_cut);
}
