// What a stock Redis replica is sent of the log: the journal that counts it and the filter that sends it
// agree.
#include "command/visible.h"

#include <catch2/catch.hpp>

#include "command/journal.h"
#include "command/spec.h"
#include "command/table.h"

using namespace hf;
using namespace hf::command;

namespace {

std::string visible(Bytes content) {
  std::string out;
  REQUIRE(append_visible(content, out).ok());
  return out;
}

/// The bytes that the filter leaves, which have to be as many as the journal counted.
std::string sent(const Journal& journal) {
  std::string out = visible(journal.content());
  CHECK(out.size() == journal.visible_bytes());
  return out;
}

}  // namespace

TEST_CASE("a Redis is sent everything but tasks, and the journal counts the same bytes") {
  Journal journal;
  journal.append(0, {"SET", "a", "1"});
  journal.append(0, {"TASK.APPLY", "t", "change"}, false);
  journal.append(3, {"HSET", "h", "f", "v\r\n*1\r\n"});
  journal.append_raw(3, "*2\r\n$3\r\ndel\r\n$1\r\nx\r\n");
  journal.append_raw(3, "*2\r\n$11\r\ntask.submit\r\n$1\r\nx\r\n", false);
  const std::string got = sent(journal);
  CHECK(got.find("task") == std::string::npos);
  CHECK(got.find("TASK") == std::string::npos);
  CHECK(got.starts_with("*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n"));
  CHECK(got.ends_with("*2\r\n$3\r\ndel\r\n$1\r\nx\r\n"));
}

TEST_CASE("a transaction of tasks alone leaves its frame and nothing in it") {
  Journal journal;
  journal.begin_transaction();
  journal.append(2, {"TASK.APPLY", "t", "change"}, false);
  journal.end_transaction();
  CHECK(sent(journal) == "*1\r\n$5\r\nMULTI\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n2\r\n*1\r\n$4\r\nEXEC\r\n");
}

TEST_CASE("what is said to stock replicas alone selects no database") {
  Journal journal;
  journal.append_bare({"PING"});
  CHECK(sent(journal) == "*1\r\n$4\r\nPING\r\n");
  journal.append(0, {"SET", "a", "1"});
  journal.append_bare({"REPLCONF", "GETACK", "*"});
  CHECK(sent(journal).ends_with("*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n"));
}

TEST_CASE("reigns are never sent, and a broken content is an error that names the byte") {
  CHECK(visible("*2\r\n$14\r\nHOLDFAST.EPOCH\r\n$1\r\n1\r\n").empty());
  std::string out;
  const Status status = append_visible("*1\r\n$4\r\nPING\r\nnonsense", out);
  REQUIRE_FALSE(status.ok());
  CHECK(status.error().message.find("byte 14") != std::string::npos);
}

TEST_CASE("the rows that are logged unseen are those whose names are not sent") {
  for (const Spec* spec : all_commands()) {
    if (!(spec->flags & Write)) continue;
    INFO(spec->name);
    CHECK(visible_to_redis(spec->name) == !(spec->flags & (WaitsForSync | Internal)));
  }
}
