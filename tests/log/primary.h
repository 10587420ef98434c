// A primary's log, for the tests of those that follow it: what it sealed in each turn, and where each turn
// ended.
#pragma once
#include <catch2/catch.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/little_endian.h"
#include "log_support.h"

namespace hf::test {

constexpr log::WriterOptions small_segments{.segment_bytes = 900, .salt_seed = 7};

/// A log over several segments, with the frames of each turn kept as they were sealed.
struct Primary {
  MemoryFiles disk;
  log::Writer writer{small_segments, log::fresh_start(cluster)};
  std::string tee, text;
  std::vector<std::string> turns;
  std::vector<LogOffset> ends;

  explicit Primary(size_t appends = 12) {
    writer.set_tee(&tee);
    writer.begin_reign({{1}, reign_id(1), {0}}, 1700000000000);
    taken();
    for (size_t i = 0; i < appends; ++i) add(command_text(i, 150));
  }
  void add(const std::string& content) {
    append(writer, content);
    text += content;
    taken();
  }
  void taken() {
    drain(disk, writer, true);
    turns.push_back(std::exchange(tee, {}));
    ends.push_back(writer.end());
  }
};

inline std::vector<log::MirrorFrame> frames_of(Bytes bytes) {
  std::vector<log::MirrorFrame> group;
  while (!bytes.empty()) {
    log::DecodedFrame frame;
    REQUIRE(log::decode_frame(bytes, get_le<uint64_t>(bytes, 16), frame) == log::Verdict::Valid);
    const size_t size = frame.header.frame_bytes();
    group.push_back({frame.header, frame.sum, bytes.substr(0, size), frame.stored});
    bytes.remove_prefix(size);
  }
  return group;
}

inline std::vector<std::string> names_under(const MemoryFiles& disk, const std::string& start) {
  std::vector<std::string> names;
  for (const auto& [name, bytes] : disk.snapshot())
    if (name.starts_with(start)) names.push_back(name);
  return names;
}

}  // namespace hf::test
