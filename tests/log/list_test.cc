// The log as text.
#include <catch2/catch.hpp>

#include "log/list.h"
#include "log_support.h"

using namespace hf;
using namespace hf::log;
using namespace hf::test;

namespace {

std::vector<std::string> lines_of(Files& files, const ListRange& range) {
  std::vector<std::string> lines;
  REQUIRE(list_log(files, range, [&](const std::string& line) { lines.push_back(line); }).ok());
  return lines;
}

}  // namespace

TEST_CASE("frames and commands are listed, by time and by offset, across segments") {
  MemoryFiles disk;
  Writer writer({.segment_bytes = 700, .salt_seed = 1}, fresh_start(cluster));
  writer.begin_reign({{1}, reign_id(1), {0}}, 1795323600000);
  std::vector<LogOffset> ends;
  for (uint64_t i = 0; i < 20; ++i) {
    ends.push_back(append(writer, command_text(i, 40), 1795323600000 + static_cast<WallMs>(i) * 1000));
    drain(disk, writer, true);
  }
  const auto all = lines_of(disk, {});
  CHECK(all.size() == 42);
  CHECK(all[0] == "2026-11-22T05:00:00.000Z  offset 0 to 86  epoch 1");
  CHECK(all[2].starts_with("2026-11-22T05:00:00.000Z  offset 86 to "));
  CHECK(all[3].starts_with("    SET key:0 value-0"));
  CHECK(lines_of(disk, {.from_ms = 1795323605000, .to_ms = 1795323607000}).size() == 6);
  const auto some = lines_of(disk, {.from = ends[9], .to{ends[11].value - 1}});
  REQUIRE(some.size() == 4);
  CHECK(some[1].starts_with("    SET key:10 "));
  const auto json = lines_of(disk, {.from = ends[18], .json = true});
  REQUIRE(json.size() == 1);
  CHECK(json[0].find("\"commands\":[[\"SET\",\"key:19\",\"value-19") != std::string::npos);
}

TEST_CASE("what is not printable is shown as bytes, what is long is cut") {
  CHECK(printable(Bytes("a b\0\xff\\", 6), 64) == "a\\x20b\\x00\\xff\\x5c");
  CHECK(printable("", 64) == "''");
  CHECK(printable(std::string(100, 'x'), 10) == "xxxxxxxxxx...(100 bytes)");
}
