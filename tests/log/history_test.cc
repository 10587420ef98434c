// Reigns and ids: the value type that the log, snapshots and MANIFEST share.
#include "base/history.h"

#include <catch2/catch.hpp>

#include "base/limits.h"
#include "log_support.h"

using namespace hf;
using hf::test::reign_id;

TEST_CASE("an id is forty lower-case hex digits and comes back from its bytes") {
  const std::string id = "00112233445566778899aabbccddeeff00112233";
  CHECK(is_id(id));
  CHECK(id_from_bytes(id_to_bytes(id)) == id);
  CHECK_FALSE(is_id(id.substr(1)));
  CHECK_FALSE(is_id("00112233445566778899AABBCCDDEEFF00112233"));
  CHECK_FALSE(is_id("00112233445566778899aabbccddeeff0011223g"));
}

TEST_CASE("a history takes rising epochs only and knows who wrote which byte") {
  History history;
  CHECK(history.at({5}) == nullptr);
  REQUIRE(history.add({{1}, reign_id(1), {10}}));
  REQUIRE(history.add({{3}, reign_id(3), {20}}));
  CHECK_FALSE(history.add({{3}, reign_id(4), {30}}));
  CHECK_FALSE(history.add({{4}, reign_id(4), {19}}));
  CHECK_FALSE(history.add({{4}, "no id", {30}}));
  CHECK(history.at({9}) == nullptr);
  CHECK(history.at({10})->epoch == Epoch{1});
  CHECK(history.at({20})->epoch == Epoch{3});
  CHECK(history.last().id == reign_id(3));
}

TEST_CASE("a history comes back from its bytes, and cut bytes are none") {
  History history;
  history.add({{1}, reign_id(1), {10}});
  history.add({{3}, reign_id(3), {20}});
  std::string bytes;
  history.encode(bytes);
  const std::string followed = bytes + "rest";
  Bytes in = followed;
  CHECK(History::decode(in) == history);
  CHECK(in == "rest");
  for (size_t n = 0; n < bytes.size(); ++n) {
    Bytes cut = Bytes(bytes).substr(0, n);
    REQUIRE_FALSE(History::decode(cut));
  }
}

TEST_CASE("a history is bounded: the oldest reigns go first") {
  History history;
  for (uint64_t i = 1; i <= limits::history_reigns_max + 5; ++i)
    REQUIRE(history.add({{i}, reign_id(i), {i}}));
  CHECK(history.reigns().size() == limits::history_reigns_max);
  CHECK(history.reigns().front().epoch == Epoch{6});
}
