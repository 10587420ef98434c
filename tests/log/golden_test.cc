// The log's format, byte for byte: what is written today equals the files kept, and the files kept are still
// read.
#include <catch2/catch.hpp>

#include "golden.h"
#include "log_support.h"

using namespace hf;
using namespace hf::log;
using namespace hf::test;

namespace {

const std::string segment0 = "log-00000000000000000000.aof";
const std::string set_command = "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n";

/// A reign, one SET, a clean shutdown: the log that FORMAT.md works through.
void make_plain(MemoryFiles& disk) {
  Writer writer({.salt_seed = 42}, fresh_start(cluster));
  writer.begin_reign({{1}, reign_id(1), {0}}, 1795348800000);
  drain(disk, writer, true);
  writer.append({.epoch = {1},
                 .wall_ms = 1795348800001,
                 .visible_bytes = set_command.size(),
                 .commit = writer.synced(),
                 .content = set_command});
  drain(disk, writer, true);
  writer.job_done(disk.run(writer.shutdown_job()));
}

/// One compressed frame. Only read back: another lz4 may pack it otherwise.
void make_packed(MemoryFiles& disk) {
  Writer writer({.salt_seed = 43}, fresh_start(cluster));
  append(writer, command_text(1, 6000));
  drain(disk, writer, true);
}

}  // namespace

TEST_CASE("make the log's golden files", "[.make-golden]") {
  MemoryFiles plain, packed;
  make_plain(plain);
  make_packed(packed);
  for (const std::string& name : {segment0, std::string("MANIFEST")}) {
    write_golden(__FILE__, "plain/" + name, plain.content(name));
    write_golden(__FILE__, "packed/" + name, packed.content(name));
  }
}

TEST_CASE("the log is written byte for byte as the golden files say") {
  MemoryFiles disk;
  make_plain(disk);
  for (const std::string& name : {segment0, std::string("MANIFEST")}) {
    REQUIRE_FALSE(read_golden(__FILE__, "plain/" + name).empty());
    CHECK(disk.content(name) == read_golden(__FILE__, "plain/" + name));
  }
}

TEST_CASE("the golden logs are read") {
  for (const std::string kind : {"plain", "packed"}) {
    MemoryFiles disk;
    for (const std::string& name : {segment0, std::string("MANIFEST")})
      disk.content(name) = read_golden(__FILE__, kind + "/" + name);
    const RecoveryRun run = recover(disk);
    REQUIRE(run.refusal() == "");
    REQUIRE(run.recovered());
    CHECK_FALSE(run.result().torn);
    if (kind == "packed") {
      CHECK(run.seen.text == command_text(1, 6000));
      CHECK(run.seen.groups[0].header.compressed);
    } else {
      CHECK(run.seen.text == epoch_command({{1}, reign_id(1), {0}}) + set_command);
      CHECK(run.result().resume.wall_ms == 1795348800001);
      CHECK(run.result().resume.visible_end == set_command.size());
      CHECK(run.result().resume.manifest.clean_end == LogOffset{run.seen.text.size()});
    }
  }
}
