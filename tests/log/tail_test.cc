// The log as it is read by who is behind: from any place, across segments, while it grows.
#include <catch2/catch.hpp>

#include "log/tail.h"
#include "log_support.h"
#include "primary.h"

using namespace hf;
using namespace hf::log;
using namespace hf::test;

namespace {

/// Reads from `from` to the end, `piece` bytes a read at most; empty optional: an error, which is in `error`.
std::optional<std::string> read_tail(MemoryFiles& disk, const Writer& writer, LogOffset from, size_t piece,
                                     std::string& error) {
  Tail tail(from);
  std::string all;
  for (int reads = 0; reads < 10'000; ++reads) {
    const auto step = tail.next_read(writer.manifest().segments, writer.written());
    if (!step) return error = step.error().message, std::nullopt;
    if (!*step) return all;
    const auto bytes = disk.read((*step)->name, (*step)->offset, std::min((*step)->length, uint64_t{piece}));
    const Status taken = tail.take(*bytes, [&](const FrameHeader&, Bytes frame) { all += frame; });
    if (!taken) return error = taken.error().message, std::nullopt;
  }
  FAIL("it never comes to an end");
  return {};
}

}  // namespace

TEST_CASE("the tail gives every frame from any boundary on, across segments, however small the reads are") {
  Primary primary;
  std::string error;
  for (size_t i = 0; i < primary.ends.size(); ++i) {
    std::string expected;
    for (size_t j = i + 1; j < primary.turns.size(); ++j) expected += primary.turns[j];
    for (const size_t piece : {1u << 20, 700u, 100u, 1u})
      CHECK(read_tail(primary.disk, primary.writer, primary.ends[i], piece, error) == expected);
  }
}

TEST_CASE("the tail passes on the same bytes in pieces, of frames larger than a read too, from any byte on") {
  Primary primary;
  primary.add(command_text(90, 3000));
  primary.add(command_text(91, 50));
  const auto& manifest = primary.writer.manifest();
  for (size_t i = 0; i < primary.ends.size(); ++i) {
    std::string expected;
    for (size_t j = i + 1; j < primary.turns.size(); ++j) expected += primary.turns[j];
    for (const size_t length : {1u << 20, 700u, 100u, 1u})
      for (const size_t had : {size_t{0}, size_t{1}, size_t{90}, size_t{150}}) {
        Tail tail(primary.ends[i]);
        if (had >= expected.size() || had >= primary.turns[std::min(i + 1, primary.turns.size() - 1)].size())
          continue;
        if (had > 0) tail.skip_part(had);
        std::string all;
        size_t largest = 0, held = 0;
        for (;;) {
          const auto step = tail.next_read(manifest.segments, primary.writer.written(), length);
          REQUIRE(step.ok());
          if (!*step) break;
          const auto bytes = primary.disk.read((*step)->name, (*step)->offset, (*step)->length);
          REQUIRE(tail.pass(*bytes,
                            [&](Bytes piece) {
                              all += piece;
                              largest = std::max(largest, piece.size());
                            })
                      .ok());
          held = std::max(held, tail.held_bytes());
        }
        CHECK(all == expected.substr(had));
        CHECK(tail.given() == 0);
        if (length == 700) CHECK(held < 3000);
        if (length <= 700) CHECK(largest <= 2 * 700);
      }
  }
}

TEST_CASE("a large frame that is damaged is said to be, behind its last piece") {
  Primary primary(2);
  primary.add(command_text(90, 3000));
  std::string& file = primary.disk.content(names_under(primary.disk, "log-").back());
  file[file.size() - 20] ^= 1;
  Tail tail(primary.ends[primary.ends.size() - 2]);
  for (;;) {
    const auto step = tail.next_read(primary.writer.manifest().segments, primary.writer.written(), 256);
    REQUIRE(step.ok());
    REQUIRE(*step);
    const auto bytes = primary.disk.read((*step)->name, (*step)->offset, (*step)->length);
    const Status passed = tail.pass(*bytes, [](Bytes) {});
    if (passed.ok()) continue;
    CHECK(passed.error().message.find("checksum mismatch in a frame's content") != std::string::npos);
    break;
  }
}

TEST_CASE("the tail follows a log that grows, and takes zeros written ahead for its end") {
  Primary primary(1);
  Tail tail(primary.ends[0]);
  std::string all, expected = primary.turns[1];
  const auto go_on = [&] {
    for (;;) {
      const auto step = tail.next_read(primary.writer.manifest().segments, primary.writer.written());
      REQUIRE(step.ok());
      if (!*step) return;
      const auto bytes = primary.disk.read((*step)->name, (*step)->offset, (*step)->length);
      REQUIRE(tail.take(*bytes, [&](const FrameHeader&, Bytes f) { all += f; }).ok());
    }
  };
  go_on();
  CHECK(all == expected);
  for (size_t i = 0; i < 12; ++i) {
    primary.add(command_text(50 + i, 120));
    expected += primary.turns.back();
    std::string& file = primary.disk.content(names_under(primary.disk, "log-").back());
    const size_t size = file.size();
    file.resize(size + 300, '\0');
    go_on();
    CHECK(all == expected);
    file.resize(size);
  }
}

TEST_CASE("what is written between a read and its arrival does not make the read's zeros damage") {
  Primary primary(2);
  std::string& file = primary.disk.content(names_under(primary.disk, "log-").back());
  for (const bool in_part : {false, true}) {
    Tail tail(primary.ends[1]);
    std::string all;
    const auto each = [&](const FrameHeader&, Bytes frame) { all += frame; };
    const LogOffset before = primary.writer.written();
    const auto step = tail.next_read(primary.writer.manifest().segments, before);
    REQUIRE(step.ok());
    const auto bytes = primary.disk.read((*step)->name, (*step)->offset, (*step)->length);
    const size_t size = file.size();
    primary.add(command_text(60, 50));
    const std::string late = in_part ? file.substr(size, 20) + std::string(60, '\0') : std::string(300, '\0');
    const size_t turn = primary.turns.size() - 2;
    REQUIRE(tail.take(*bytes + late, each).ok());
    CHECK(tail.next() == before);
    const auto more = tail.next_read(primary.writer.manifest().segments, primary.writer.written());
    REQUIRE(more.ok());
    REQUIRE(*more);
    const auto rest = primary.disk.read((*more)->name, (*more)->offset, (*more)->length);
    REQUIRE(tail.take(*rest, each).ok());
    CHECK(tail.next() == primary.writer.written());
    CHECK(all.ends_with(primary.turns[turn] + primary.turns[turn + 1]));
  }
}

TEST_CASE("a log trimmed behind a place, damage, and a file that became shorter are errors that say where") {
  Primary primary;
  std::string error;
  const auto names = names_under(primary.disk, "log-");
  Tail early(primary.ends[0]);
  auto segments = primary.writer.manifest().segments;
  segments.erase(segments.begin(), segments.begin() + 2);
  const auto trimmed = early.next_read(segments, primary.writer.written());
  REQUIRE_FALSE(trimmed.ok());
  CHECK(trimmed.error().message.find("no longer reaches back to offset") != std::string::npos);

  const auto base = primary.disk.snapshot();
  for (size_t byte = segment_header_bytes; byte < base.at(names[1]).size(); byte += 37) {
    primary.disk.restore(base);
    primary.disk.content(names[1])[byte] ^= 0x20;
    CHECK_FALSE(read_tail(primary.disk, primary.writer, primary.ends[0], 1 << 20, error));
    CHECK(error.find(names[1]) != std::string::npos);
    CHECK(error.find("holdfast-check") != std::string::npos);
  }
  primary.disk.restore(base);
  primary.disk.content(names[1]).resize(segment_header_bytes + 50);
  CHECK_FALSE(read_tail(primary.disk, primary.writer, primary.ends[0], 1 << 20, error));
  CHECK(error.find("before what was written") != std::string::npos);
}
