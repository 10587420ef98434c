// A frame alone: what goes in comes out, and nothing else passes.
#include <catch2/catch.hpp>

#include "base/checksum.h"
#include "base/little_endian.h"
#include "log/frame.h"
#include "log/segment.h"
#include "log_support.h"

using namespace hf;
using namespace hf::log;

namespace {

FrameHeader sample(size_t bytes) {
  return {.type = FrameType::Data,
          .stored_bytes = static_cast<uint32_t>(bytes),
          .raw_bytes = static_cast<uint32_t>(bytes),
          .salt = 77,
          .epoch = {3},
          .offset = {1000},
          .visible_end = 900,
          .wall_ms = 1700000000000,
          .commit = {990},
          .durable_upto = {980},
          .previous_sum = 0x1122334455667788};
}

}  // namespace

TEST_CASE("a frame comes back as it was encoded") {
  std::string bytes;
  const FrameHeader header = sample(5);
  const uint64_t sum = encode_frame(header, "hello", bytes);
  REQUIRE(bytes.size() == header.frame_bytes());
  bytes += "what follows";
  DecodedFrame frame;
  REQUIRE(decode_frame(bytes, 77, frame) == Verdict::Valid);
  CHECK(frame.header == header);
  CHECK(frame.stored == "hello");
  CHECK(frame.sum == sum);
}

TEST_CASE("every flipped bit of a frame is noticed, and a header's before its length is believed") {
  std::string bytes;
  encode_frame(sample(5), "hello", bytes);
  for (size_t i = 0; i < bytes.size() * 8; ++i) {
    std::string flipped = bytes;
    flipped[i / 8] = static_cast<char>(flipped[i / 8] ^ (1 << (i % 8)));
    DecodedFrame frame;
    const Verdict expected = i / 8 < 4                    ? Verdict::BadMagic
                             : i / 8 < frame_header_bytes ? Verdict::BadHeaderSum
                                                          : Verdict::BadSum;
    REQUIRE(decode_frame(flipped, 77, frame) == expected);
  }
}

TEST_CASE("a frame cut anywhere is incomplete") {
  std::string bytes;
  encode_frame(sample(5), "hello", bytes);
  DecodedFrame frame;
  CHECK(decode_frame("", 77, frame) == Verdict::End);
  for (size_t n = 1; n < bytes.size(); ++n)
    REQUIRE(decode_frame(bytes.substr(0, n), 77, frame) == Verdict::Incomplete);
}

TEST_CASE("zeros are never a frame") {
  DecodedFrame frame;
  for (const size_t n : {1u, 87u, 88u, 4096u})
    CHECK(decode_frame(std::string(n, '\0'), 0, frame) == Verdict::Zeros);
}

TEST_CASE("a frame of another segment is told apart from a damaged one") {
  std::string bytes;
  encode_frame(sample(5), "hello", bytes);
  DecodedFrame frame;
  CHECK(decode_frame(bytes, 78, frame) == Verdict::WrongSalt);
}

TEST_CASE("an intact header with impossible lengths or codes is refused") {
  std::string good;
  encode_frame(sample(5), "hello", good);
  const auto with = [&](auto change) {
    std::string bytes = good;
    change(bytes.data());
    set_le<uint64_t>(bytes.data() + 80, sum64(Bytes(bytes).substr(0, 80)));
    DecodedFrame frame;
    return decode_frame(bytes, 77, frame);
  };
  CHECK(with([](char* b) { set_le<uint32_t>(b + 12, 0); }) == Verdict::BadLength);
  CHECK(with([](char* b) { set_le<uint32_t>(b + 12, UINT32_MAX); }) == Verdict::BadLength);
  CHECK(with([](char* b) { set_le<uint32_t>(b + 8, 6); }) == Verdict::BadLength);
  CHECK(with([](char* b) { b[4] = 9; }) == Verdict::BadLength);
  CHECK(with([](char* b) { b[5] = 4; }) == Verdict::BadLength);
  CHECK(with([](char* b) { b[6] = 1; }) == Verdict::BadLength);
  CHECK(with([](char* b) { b[5] = 1; }) == Verdict::BadLength);  // compressed, yet not smaller
}

TEST_CASE("an epoch record names its reign") {
  const Reign reign{{7}, test::reign_id(9), {1234}};
  const std::string text = epoch_command(reign);
  const auto parsed = parse_epoch_command(text);
  REQUIRE(parsed.ok());
  CHECK(*parsed == reign);
  CHECK_FALSE(parse_epoch_command("").ok());
  CHECK_FALSE(parse_epoch_command(text + text).ok());
  CHECK_FALSE(parse_epoch_command("*2\r\n$14\r\nHOLDFAST.EPOCH\r\n$1\r\n7\r\n").ok());
}

TEST_CASE("a segment header comes back, and every flipped byte or cut is named") {
  const SegmentHeader header{.salt = 5,
                             .first = {42},
                             .epoch = {3},
                             .visible_offset = 40,
                             .previous_sum = 99,
                             .wall_ms = 1700000000000,
                             .cluster_id = test::cluster};
  const std::string bytes = encode_segment_header(header);
  REQUIRE(bytes.size() == segment_header_bytes);
  const auto back = decode_segment_header(bytes + "frames");
  REQUIRE(back.ok());
  CHECK(*back == header);
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string flipped = bytes;
    flipped[i] = static_cast<char>(~flipped[i]);
    const auto result = decode_segment_header(flipped);
    REQUIRE_FALSE(result.ok());
    REQUIRE(result.error().message.find("byte") != std::string::npos);
    REQUIRE_FALSE(decode_segment_header(bytes.substr(0, i)).ok());
  }
  std::string newer = bytes;
  newer[8] = 2;
  CHECK(decode_segment_header(newer).error().code == newer_version);
}

TEST_CASE("file names carry offsets of twenty digits") {
  CHECK(segment_name({42}) == "log-00000000000000000042.aof");
  CHECK(parse_segment_name("log-00000000000000000042.aof") == LogOffset{42});
  CHECK(parse_segment_name("log-00000000000000000000.aof") == LogOffset{0});
  CHECK(parse_segment_name(segment_name({UINT64_MAX})) == LogOffset{UINT64_MAX});
  CHECK_FALSE(parse_segment_name("log-99999999999999999999.aof"));
  CHECK_FALSE(parse_segment_name("log-42.aof"));
  CHECK_FALSE(parse_segment_name("log-0000000000000000004x.aof"));
  CHECK(parse_snapshot_name("snapshot-00000000000000000007.rdb") == LogOffset{7});
}
