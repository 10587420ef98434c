// Segment headers and the names of the log's files.
#include "log/segment.h"

#include "base/check.h"
#include "base/checksum.h"
#include "base/history.h"
#include "base/little_endian.h"
#include "base/number.h"

namespace hf::log {
namespace {

constexpr Bytes magic = "HFLogSeg";
constexpr size_t name_digits = 20;
constexpr uint32_t flag_mirrored = 1;

std::string numbered_name(Bytes prefix, LogOffset offset, Bytes suffix) {
  const std::string digits = std::to_string(offset.value);
  return std::string(prefix) + std::string(name_digits - digits.size(), '0') + digits + std::string(suffix);
}

std::optional<LogOffset> parse_numbered_name(Bytes name, Bytes prefix, Bytes suffix) {
  if (name.size() != prefix.size() + name_digits + suffix.size()) return {};
  if (!name.starts_with(prefix) || !name.ends_with(suffix)) return {};
  Bytes digits = name.substr(prefix.size(), name_digits);
  if (digits.find_first_not_of("0123456789") != Bytes::npos) return {};
  digits.remove_prefix(std::min(digits.find_first_not_of('0'), name_digits - 1));
  const auto value = parse_uint(digits);
  if (!value) return {};
  return LogOffset{*value};
}

}  // namespace

std::string encode_segment_header(const SegmentHeader& header) {
  std::string out(magic);
  put_le<uint32_t>(out, header.version);
  put_le<uint32_t>(out, segment_header_bytes);
  put_le<uint64_t>(out, header.salt);
  put_le<uint64_t>(out, header.first.value);
  put_le<uint64_t>(out, header.epoch.value);
  put_le<uint64_t>(out, header.visible_offset);
  put_le<uint64_t>(out, header.previous_sum);
  put_le<int64_t>(out, header.wall_ms);
  out += id_to_bytes(header.cluster_id);
  put_le<uint32_t>(out, header.mirrored ? flag_mirrored : 0);
  put_le<uint64_t>(out, sum64(out));
  HF_CHECK(out.size() == segment_header_bytes);
  return out;
}

Result<SegmentHeader> decode_segment_header(Bytes in) {
  if (in.size() >= 12 && in.starts_with(magic) && get_le<uint32_t>(in, 8) > format_version)
    return Error{"byte 8: written by a newer version of the log's format (" +
                     std::to_string(get_le<uint32_t>(in, 8)) + ", this program reads up to " +
                     std::to_string(format_version) + ")",
                 newer_version};
  if (in.size() < segment_header_bytes)
    return Error{"byte " + std::to_string(in.size()) + ": the file ends inside the segment's header"};
  if (!in.starts_with(magic)) return Error{"byte 0: not a log segment (bad magic)"};
  constexpr size_t summed = segment_header_bytes - 8;
  if (get_le<uint64_t>(in, summed) != sum64(in.substr(0, summed)))
    return Error{"bytes 0 to 95: checksum mismatch in the segment's header"};
  SegmentHeader header;
  header.version = get_le<uint32_t>(in, 8);
  if (header.version != format_version || get_le<uint32_t>(in, 12) != segment_header_bytes)
    return Error{"byte 8: a segment of unknown layout"};
  header.salt = get_le<uint64_t>(in, 16);
  header.first = {get_le<uint64_t>(in, 24)};
  header.epoch = {get_le<uint64_t>(in, 32)};
  header.visible_offset = get_le<uint64_t>(in, 40);
  header.previous_sum = get_le<uint64_t>(in, 48);
  header.wall_ms = get_le<int64_t>(in, 56);
  header.cluster_id = id_from_bytes(in.substr(64, 20));
  header.mirrored = (get_le<uint32_t>(in, 84) & flag_mirrored) != 0;
  return header;
}

std::string segment_name(LogOffset first) { return numbered_name("log-", first, ".aof"); }
std::optional<LogOffset> parse_segment_name(Bytes name) { return parse_numbered_name(name, "log-", ".aof"); }
std::string snapshot_name(LogOffset offset) { return numbered_name("snapshot-", offset, ".rdb"); }
std::string received_name(LogOffset offset) { return numbered_name("full-", offset, ".rdb"); }
std::optional<LogOffset> parse_received_name(Bytes name) {
  return parse_numbered_name(name, "full-", ".rdb");
}
std::optional<LogOffset> parse_snapshot_name(Bytes name) {
  return parse_numbered_name(name, "snapshot-", ".rdb");
}

}  // namespace hf::log
