// A snapshot file taken in order, in pieces of any size: the same entries, the same suspicion.
#include "snapshot/stream.h"

#include <catch2/catch.hpp>

#include "log/memory_files.h"
#include "snapshot/writer.h"

using namespace hf;
using namespace hf::snapshot;

namespace {

using Entries = std::vector<std::pair<DbIndex, std::string>>;

class Collected final : public EntrySink {
 public:
  Status entry(DbIndex db, Bytes encoded) override {
    entries.push_back({db, std::string(encoded)});
    return ok();
  }
  Status end() override {
    ended = true;
    return ok();
  }
  Entries entries;
  bool ended = false;
};

Header sample_header() {
  Header header{.cluster_id = std::string(40, '7'),
                .offset = {4711},
                .previous_sum = 1,
                .visible_offset = 4600,
                .epoch = {3},
                .wall_ms = 1700000000000,
                .reason = "replica",
                .tag = {}};
  header.history.add({{3}, std::string(40, '3'), {4000}});
  return header;
}

Entries some_entries(size_t n) {
  Entries entries;
  for (size_t i = 0; i < n; ++i)
    entries.push_back({static_cast<DbIndex>(i % 3), "entry " + std::string(i % 40, 'x') + std::to_string(i)});
  return entries;
}

std::string file_of(const Entries& entries) {
  test::MemoryFiles disk;
  Writer writer(sample_header(), {.block_bytes = 200});
  for (const auto& [db, encoded] : entries) writer.take_encoded(db, encoded);
  writer.finish();
  while (auto job = writer.next_job({4711})) writer.job_done(disk.run(*job));
  REQUIRE(writer.state() == State::Done);
  return disk.content(writer.name());
}

/// True: all of it was taken and the stream says that it is done.
bool whole(Bytes file, size_t piece, Collected& sink, std::string& error) {
  Stream stream;
  for (size_t at = 0; at < file.size(); at += piece) {
    const Status taken = stream.take(file.substr(at, piece), sink);
    if (!taken) {
      error = taken.error().message;
      return false;
    }
  }
  return stream.done();
}

}  // namespace

TEST_CASE("a snapshot comes through whole in pieces of any size") {
  for (const size_t count : {0, 1, 60}) {
    const Entries entries = some_entries(count);
    const std::string file = file_of(entries);
    for (const size_t piece : {size_t{1}, size_t{7}, size_t{100}, file.size()}) {
      Collected sink;
      std::string error;
      CHECK(whole(file, piece, sink, error));
      CHECK(error.empty());
      CHECK(sink.ended);
      CHECK(sink.entries == entries);
    }
  }
}

TEST_CASE("the header is there as soon as its bytes are") {
  const std::string file = file_of(some_entries(3));
  const auto size = header_size(file);
  REQUIRE(size.ok());
  Stream stream;
  Collected sink;
  REQUIRE(stream.take(Bytes(file).substr(0, *size - 1), sink).ok());
  CHECK_FALSE(stream.header());
  REQUIRE(stream.take(Bytes(file).substr(*size - 1, 1), sink).ok());
  REQUIRE(stream.header());
  CHECK(*stream.header() == sample_header());
}

TEST_CASE("no flipped byte of a snapshot passes the stream, and the byte is named") {
  const Entries entries = some_entries(25);
  const std::string good = file_of(entries);
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x81);
    Collected sink;
    std::string error;
    INFO("byte " << i);
    REQUIRE_FALSE(whole(bad, 64, sink, error));
    // A length that grew may wait for bytes that never come: then the stream is not done.
    if (!error.empty()) REQUIRE(error.starts_with("byte "));
    REQUIRE_FALSE(sink.ended);
    REQUIRE(sink.entries.size() <= entries.size());
    REQUIRE(std::equal(sink.entries.begin(), sink.entries.end(), entries.begin()));
  }
}

TEST_CASE("a snapshot that is cut, or goes on behind its end, is not done") {
  const std::string good = file_of(some_entries(25));
  for (size_t n = 0; n < good.size(); ++n) {
    Collected sink;
    std::string error;
    REQUIRE_FALSE(whole(Bytes(good).substr(0, n), 64, sink, error));
  }
  Collected sink;
  std::string error;
  CHECK_FALSE(whole(good + "x", good.size() + 1, sink, error));
  CHECK(error.find("behind the footer") != std::string::npos);
}
