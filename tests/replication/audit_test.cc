// What an audit compares, how sums travel, and what a replica makes of marks and sums in whatever order they
// come.
#include "replication/audit.h"

#include <catch2/catch.hpp>

using namespace hf;
using namespace hf::replication;

namespace {

store::StateSums sums(std::initializer_list<std::tuple<DbIndex, uint32_t, uint64_t>> list) {
  store::StateSums out;
  for (const auto& [db, slice, value] : list) out[db][slice] = {value, ~value};
  return out;
}

}  // namespace

TEST_CASE("the lowest database and slice that differ are named, and how many do") {
  const auto ours = sums({{0, 3, 7}, {0, 200, 8}, {2, 9, 1}});
  CHECK_FALSE(compare(ours, ours));
  CHECK(compare(ours, sums({{0, 3, 7}, {0, 200, 9}, {2, 9, 1}})) == Difference{0, 200, 1});
  CHECK(compare(ours, sums({{0, 3, 7}, {0, 201, 8}, {2, 9, 2}})) == Difference{0, 200, 3});
  CHECK(compare(ours, sums({{0, 3, 7}, {0, 200, 8}})) == Difference{2, 9, 1});
  CHECK(compare(sums({{0, 3, 7}, {0, 200, 8}}), ours) == Difference{2, 9, 1});
  CHECK(compare({}, sums({{5, 255, 1}})) == Difference{5, 255, 1});
}

TEST_CASE("a database without keys is the same as one that is left out") {
  store::StateSums emptied = sums({{0, 3, 7}});
  emptied[4] = {};
  CHECK_FALSE(compare(emptied, sums({{0, 3, 7}})));
  CHECK_FALSE(compare(sums({{0, 3, 7}}), emptied));
}

TEST_CASE("sums come back from the log as they were, and what is not whole or not in order is refused") {
  const auto some = sums({{0, 0, 1}, {0, 255, 2}, {7, 128, 3}});
  const std::string bytes = encode_sums(some);
  CHECK(bytes.size() == 2 * 4100);
  CHECK(decode_sums(bytes) == some);
  CHECK(decode_sums("") == store::StateSums{});
  for (const size_t cut : {size_t{1}, size_t{4099}, size_t{4101}, bytes.size() - 1})
    CHECK_FALSE(decode_sums(Bytes(bytes).substr(0, cut)));
  CHECK_FALSE(decode_sums(bytes.substr(4100) + bytes.substr(0, 4100)));
  CHECK_FALSE(decode_sums(bytes.substr(0, 4100) + bytes.substr(0, 4100)));
}

TEST_CASE("a replica reports once, when its own sums and the primary's of the same offset are here") {
  const auto ours = sums({{0, 3, 7}}), others = sums({{0, 3, 8}});
  for (const bool primary_first : {false, true}) {
    AuditMatch match;
    match.marked({100});
    if (primary_first) match.told({100}, ours);
    else match.walked(ours);
    CHECK_FALSE(match.take_report());
    if (primary_first) match.walked(ours);
    else match.told({100}, ours);
    CHECK(match.take_report() == AuditReport{.at = {100}});
    CHECK_FALSE(match.take_report());
  }
  AuditMatch match;
  match.marked({100});
  match.walked(ours);
  match.told({100}, others);
  CHECK(match.take_report() == AuditReport{{100}, Finding::Differs, {0, 3, 1}});
}

TEST_CASE("sums of another offset, or behind a log that went back, are compared with nothing") {
  const auto ours = sums({{0, 3, 7}}), others = sums({{0, 3, 8}});
  AuditMatch match;
  match.told({90}, others);
  match.walked(others);  // of a walk that nobody asked for
  CHECK_FALSE(match.take_report());
  match.marked({100});
  match.walked(ours);
  match.told({90}, others);
  CHECK_FALSE(match.take_report());
  match.marked({200});  // the sums of 100 never came
  match.told({100}, others);
  match.told({200}, ours);
  CHECK_FALSE(match.take_report());
  match.walked(ours);
  CHECK(match.take_report() == AuditReport{.at = {200}});
  match.marked({300});
  match.walked(ours);
  match.forget();
  match.told({300}, others);
  CHECK_FALSE(match.take_report());
  CHECK_FALSE(match.at());
}

TEST_CASE("findings have names, and a difference says where it is") {
  for (const Finding finding : {Finding::Agrees, Finding::Differs, Finding::Skipped, Finding::Healed})
    CHECK(finding_of(finding_name(finding)) == finding);
  CHECK_FALSE(finding_of("different"));
  CHECK(describe({{42}, Finding::Agrees, {}}) == "at offset 42");
  CHECK(describe({{42}, Finding::Differs, {1, 17, 1}}) == "at offset 42: database 1, slice 17");
  CHECK(describe({{42}, Finding::Differs, {1, 17, 3}}) == "at offset 42: database 1, slice 17, and 2 more");
}
