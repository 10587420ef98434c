// The snapshot's format, byte for byte: what is written today equals the file kept, and the files kept are
// still read.
#include "log/golden.h"

#include <catch2/catch.hpp>

#include "log/memory_files.h"
#include "snapshot/reader.h"
#include "snapshot/writer.h"

using namespace hf;
using namespace hf::snapshot;
using namespace hf::test;

namespace {

class Collected final : public EntrySink {
 public:
  Status entry(DbIndex db, Bytes encoded) override {
    text += std::to_string(db) + "=" + std::string(encoded) + ";";
    return ok();
  }
  std::string text;
};

std::string make(const std::vector<std::pair<DbIndex, std::string>>& entries) {
  Header header{.cluster_id = "00112233445566778899aabbccddeeff00112233",
                .offset = {129},
                .previous_sum = 0x1122334455667788,
                .visible_offset = 33,
                .epoch = {1},
                .wall_ms = 1795348800002,
                .reason = "bgsave",
                .tag = "t1"};
  header.hash_seed = 0x0102030405060708;
  header.tables = {{0, 1}, {9, 1}};
  header.history.add({{1}, std::string(39, 'a') + "1", {0}});
  MemoryFiles disk;
  Writer writer(header, {});
  for (const auto& [db, encoded] : entries) writer.take_encoded(db, encoded);
  writer.finish();
  while (auto job = writer.next_job({129})) writer.job_done(disk.run(*job));
  return disk.content(writer.name());
}

// Stand-ins for encoded entries: what is inside belongs to the store's format.
std::string make_plain() { return make({{0, "first"}, {9, "second"}}); }
std::string make_packed() { return make({{0, std::string(5000, 'x')}}); }

}  // namespace

TEST_CASE("make the snapshot's golden files", "[.make-golden]") {
  write_golden(__FILE__, "plain.rdb", make_plain());
  write_golden(__FILE__, "packed.rdb", make_packed());
}

TEST_CASE("a snapshot is written byte for byte as the golden file says") {
  REQUIRE_FALSE(read_golden(__FILE__, "plain.rdb").empty());
  CHECK(make_plain() == read_golden(__FILE__, "plain.rdb"));
}

TEST_CASE("the golden snapshots are read") {
  for (const std::string file : {"plain", "packed", "plain_v1", "packed_v1"}) {
    const std::string kind = file.substr(0, file.find('_'));
    const bool old = kind != file;
    MemoryFiles disk;
    disk.content("s") = read_golden(__FILE__, file + ".rdb");
    Reader reader(disk, "s");
    Collected sink;
    reader.open();
    while (reader.phase() == Reader::Phase::Loading) reader.step(1, sink);
    REQUIRE(reader.reason() == "");
    CHECK(reader.header().tag == "t1");
    CHECK(reader.header().hash_seed == (old ? 0 : 0x0102030405060708));
    CHECK(reader.header().tables.size() == (old ? 0 : 2));
    CHECK(reader.header().history.last().id == std::string(39, 'a') + "1");
    CHECK(sink.text == (kind == "plain" ? "0=first;9=second;" : "0=" + std::string(5000, 'x') + ";"));
  }
}
