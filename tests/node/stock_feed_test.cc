// A stock replica's share of the log: the right bytes from the right place, or a clear refusal.
#include "node/stock_feed.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "base/compress.h"

using namespace hf;
using namespace hf::node;

namespace {

constexpr const char* ping = "*1\r\n$4\r\nPING\r\n";      // 14 bytes
constexpr const char* task = "*1\r\n$8\r\nTASK.ACK\r\n";  // never sent
const std::string one = std::string(ping) + task + ping;  // 28 of them are visible

/// Frames one behind the other, from offset 100 and Redis-visible offset 1000.
struct Frames {
  uint64_t offset = 100, visible = 1000;
  log::FrameHeader next(Bytes content, uint64_t visible_bytes, uint64_t epoch = 1) {
    log::FrameHeader header;
    header.epoch = {epoch};
    header.offset = {offset};
    header.raw_bytes = header.stored_bytes = static_cast<uint32_t>(content.size());
    header.visible_end = visible += visible_bytes;
    offset += content.size();
    return header;
  }
};

}  // namespace

TEST_CASE("a replica gets the visible bytes of each frame, and its acknowledgements name places in the log") {
  Frames frames;
  StockFeed feed({100}, 1000, 1000, {1});
  CHECK(feed.found());
  std::string out;
  const auto first = frames.next(one, 28);
  REQUIRE(feed.take(first, one, out).ok());
  CHECK(out == std::string(ping) + ping);
  const auto unseen = frames.next(task, 0);
  REQUIRE(feed.take(unseen, task, out).ok());
  const auto last = frames.next(ping, 14);
  REQUIRE(feed.take(last, ping, out).ok());
  CHECK(out.size() == 42);
  CHECK(feed.place(999) == std::nullopt);
  CHECK(feed.place(1000) == LogOffset{100});
  CHECK(feed.place(1027) == LogOffset{100});
  CHECK(feed.place(1028) == unseen.end());  // nothing in it that it could lack
  CHECK(feed.place(1042) == last.end());
  feed.forget_below(1028);
  CHECK(feed.place(1027) == std::nullopt);
  CHECK(feed.place(1028) == unseen.end());
}

TEST_CASE("a replica that stopped in the middle of a frame gets the rest of it") {
  Frames frames;
  StockFeed feed({100}, 1000, 1042, {1});
  CHECK_FALSE(feed.found());
  std::string out;
  REQUIRE(feed.take(frames.next(one, 28), one, out).ok());
  CHECK_FALSE(feed.found());
  CHECK(out.empty());
  REQUIRE(feed.take(frames.next(one, 28), one, out).ok());
  CHECK(feed.found());
  CHECK(out == ping);
}

TEST_CASE("bytes that a later reign wrote are not what the replica has") {
  for (const uint64_t epoch : {1, 2}) {
    Frames frames;
    StockFeed feed({100}, 1000, 1028, {1});
    std::string out;
    REQUIRE(feed.take(frames.next(one, 28, epoch), one, out).ok());
    CHECK(feed.foreign() == (epoch == 2));
    CHECK(feed.found() == (epoch == 1));
  }
}

TEST_CASE("a frame that counts other bytes than it holds ends the link") {
  for (const uint64_t counted : {27, 29}) {
    Frames frames;
    StockFeed feed({100}, 1000, 1000, {1});
    std::string out;
    const Status status = feed.take(frames.next(one, counted), one, out);
    REQUIRE_FALSE(status.ok());
    CHECK(status.error().message.find("holds 28") != std::string::npos);
    CHECK(out.empty());
  }
}

TEST_CASE("a group of frames is sent when its last one has come") {
  Frames frames;
  StockFeed feed({100}, 1000, 1000, {1});
  std::string out;
  const Bytes whole = one;
  auto header = frames.next(whole.substr(0, 20), 0);
  header.more = true;
  REQUIRE(feed.take(header, whole.substr(0, 20), out).ok());
  CHECK(out.empty());
  REQUIRE(feed.take(frames.next(whole.substr(20), 28), whole.substr(20), out).ok());
  CHECK(out.size() == 28);
}

TEST_CASE("a compressed frame is looked into") {
  std::string content;
  for (int i = 0; i < 100; ++i) content += one;
  const std::string packed = lz4_compress(content);
  REQUIRE_FALSE(packed.empty());
  Frames frames;
  auto header = frames.next(content, 2800);
  header.compressed = true;
  header.stored_bytes = static_cast<uint32_t>(packed.size());
  StockFeed feed({100}, 1000, 1000, {1});
  std::string out;
  REQUIRE(feed.take(header, packed, out).ok());
  CHECK(out.size() == 2800);
}

TEST_CASE("places stay bounded for a replica that acknowledges nothing, and never claim too much") {
  Frames frames;
  StockFeed feed({100}, 1000, 1000, {1});
  std::string out;
  constexpr uint64_t count = 50'000;
  for (uint64_t i = 0; i < count; ++i) {
    out.clear();
    REQUIRE(feed.take(frames.next(ping, 14), ping, out).ok());
  }
  for (const uint64_t i : {uint64_t{1}, uint64_t{777}, count / 2, count}) {
    const auto place = feed.place(1000 + 14 * i);
    REQUIRE(place);
    CHECK(*place <= LogOffset{100 + 14 * i});
    CHECK(*place >= LogOffset{100 + 14 * (i - std::min<uint64_t>(i, 64))});
  }
  CHECK(feed.place(1000 + 14 * count) == LogOffset{100 + 14 * count});
}
