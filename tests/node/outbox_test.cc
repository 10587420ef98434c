// Replies must not leave before what they reveal is safe, nor out of order.
#include "node/outbox.h"

#include <catch2/catch.hpp>

using hf::Buffer;
using hf::LogOffset;
using hf::node::DirtyKeys;
using hf::node::Need;
using hf::node::Outbox;
using hf::node::Safe;

namespace {

Need written(uint64_t offset) { return {LogOffset{offset}, false}; }
Need synced(uint64_t offset) { return {LogOffset{offset}, true}; }
Safe safe(uint64_t written, uint64_t synced) { return {LogOffset{written}, LogOffset{synced}}; }

}  // namespace

TEST_CASE("a reply without a need leaves at once") {
  Outbox outbox;
  outbox.buffer().append("+OK\r\n");
  CHECK(outbox.releasable(safe(0, 0)) == 5);
  CHECK(outbox.take(5).view() == "+OK\r\n");
  CHECK(outbox.empty());
}

TEST_CASE("a held reply leaves when its offset is written, and what came before it does not wait") {
  Outbox outbox;
  outbox.buffer().append("free ");
  outbox.hold(written(0));
  outbox.buffer().append("held");
  outbox.hold(written(10));
  CHECK(outbox.releasable(safe(9, 9)) == 5);
  CHECK(outbox.take(5).view() == "free ");
  CHECK(outbox.releasable(safe(9, 9)) == 0);
  CHECK(outbox.releasable(safe(10, 0)) == 4);
}

TEST_CASE("a reply that waits for the sync is not freed by the write") {
  Outbox outbox;
  outbox.buffer().append("task");
  outbox.hold(synced(10));
  CHECK(outbox.releasable(safe(100, 9)) == 0);
  CHECK(outbox.releasable(safe(100, 10)) == 4);
}

TEST_CASE("a later reply never overtakes an earlier one") {
  Outbox outbox;
  outbox.buffer().append("first");
  outbox.hold(synced(20));
  outbox.buffer().append("second");
  outbox.hold(written(10));
  CHECK(outbox.releasable(safe(30, 0)) == 0);
  CHECK(outbox.releasable(safe(30, 20)) == 11);
}

TEST_CASE("a reply that needs nothing stays behind a held one") {
  Outbox outbox;
  outbox.buffer().append("held");
  outbox.hold(written(10));
  outbox.buffer().append("free");
  outbox.hold(written(11));
  CHECK(outbox.releasable(safe(10, 0)) == 4);
  CHECK(outbox.take(4).view() == "held");
  CHECK(outbox.releasable(safe(10, 0)) == 0);
  CHECK(outbox.releasable(safe(11, 0)) == 4);
}

TEST_CASE("taking part of the buffer keeps the rest in place over many turns") {
  Outbox outbox;
  std::string sent;
  for (uint64_t turn = 1; turn <= 500; ++turn) {
    outbox.buffer().append(std::to_string(turn) + ";");
    outbox.hold(written(turn * 10));
    const size_t n = outbox.releasable(safe((turn - 1) * 10, 0));
    sent += std::string(outbox.take(n).view());
  }
  sent += std::string(outbox.take(outbox.releasable(safe(5000, 0))).view());
  std::string expected;
  for (int turn = 1; turn <= 500; ++turn) expected += std::to_string(turn) + ";";
  CHECK(sent == expected);
  CHECK_FALSE(outbox.holding());
}

TEST_CASE("a key's unsafe offset is never understated") {
  DirtyKeys dirty;
  dirty.touched(0x123456789, LogOffset{7});
  CHECK(dirty.of(0x123456789) == LogOffset{7});
  CHECK(dirty.of(0xabcdef0000000000) == LogOffset{0});
  dirty.touched_all(LogOffset{9});
  CHECK(dirty.of(0x123456789) == LogOffset{9});
  CHECK(dirty.last() == LogOffset{9});
}
