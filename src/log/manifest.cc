// MANIFEST as text: a line a fact, closed by a line with the sum of everything before it.
#include "log/manifest.h"

#include <charconv>

#include "base/check.h"
#include "base/checksum.h"
#include "base/limits.h"
#include "base/number.h"
#include "log/segment.h"

namespace hf::log {
namespace {

constexpr Bytes first_word = "holdfast-manifest";
constexpr size_t sum_line_bytes = 4 + 16 + 1;  // "sum ", digits, line end

std::string hex16(uint64_t value) {
  constexpr const char* digits = "0123456789abcdef";
  std::string text(16, '0');
  for (size_t i = 16; i-- > 0; value >>= 4) text[i] = digits[value & 15];
  return text;
}

std::optional<uint64_t> parse_hex16(Bytes text) {
  uint64_t value = 0;
  if (text.size() != 16) return {};
  const auto [end, ec] = std::from_chars(text.data(), text.data() + 16, value, 16);
  if (ec != std::errc() || end != text.data() + 16) return {};
  return value;
}

/// A tag comes from a person: a blank in it must not break the line apart.
std::string one_word(const std::string& text) {
  std::string word = text.empty() ? "-" : text;
  for (char& c : word)
    if (static_cast<uint8_t>(c) <= ' ' || c == 0x7f) c = '_';
  return word;
}

std::vector<Bytes> words_of(Bytes line) {
  std::vector<Bytes> words;
  for (size_t begin = 0; begin <= line.size();) {
    const size_t end = std::min(line.find(' ', begin), line.size());
    words.push_back(line.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

bool read_segment(const std::vector<Bytes>& w, Manifest& m) {
  if (w.size() != 3) return false;
  const auto first = parse_uint(w[1]), salt = parse_hex16(w[2]);
  if (!first || !salt || (!m.segments.empty() && *first <= m.segments.back().first.value)) return false;
  m.segments.push_back({{*first}, *salt});
  return true;
}

bool read_reign(const std::vector<Bytes>& w, Manifest& m) {
  if (w.size() != 4) return false;
  const auto epoch = parse_uint(w[1]), first = parse_uint(w[3]);
  return epoch && first && m.history.add({{*epoch}, std::string(w[2]), {*first}});
}

bool read_offset(const std::vector<Bytes>& w, LogOffset& out) {
  const auto offset = w.size() == 2 ? parse_uint(w[1]) : std::nullopt;
  if (offset) out = {*offset};
  return offset.has_value();
}

bool read_adopt(const std::vector<Bytes>& w, Manifest& m) {
  const auto offset = w.size() >= 2 ? parse_uint(w[1]) : std::nullopt;
  const auto keeps = w.size() == 3 ? parse_uint(w[2]) : std::nullopt;
  if (!offset || w.size() > 3 || (w.size() == 3 && !keeps)) return false;
  m.adopt = {*offset};
  if (keeps) m.adopt_keeps = {*keeps};
  return true;
}

bool read_snapshot(const std::vector<Bytes>& w, Manifest& m) {
  if (w.size() != 8 && w.size() != 9) return false;  // the milliseconds came later
  const auto offset = parse_uint(w[1]), epoch = parse_uint(w[2]), bytes = parse_uint(w[4]),
             keys = parse_uint(w[5]);
  const auto wall = parse_int(w[3]);
  if (!offset || !epoch || !wall || !bytes || !keys) return false;
  SnapshotNote note{{*offset}, {*epoch}, *wall, *bytes, *keys, {}, {}};
  if (w.size() == 9 && w[8] != "-") {
    const auto took = parse_uint(w[8]);
    if (!took || *took > INT64_MAX) return false;
    note.milliseconds = static_cast<int64_t>(*took);
  }
  if (w[6] != "-") note.reason = std::string(w[6]);
  if (w[7] != "-") note.tag = std::string(w[7]);
  m.snapshots.push_back(std::move(note));
  return true;
}

bool read_line(Bytes line, Manifest& m) {
  const std::vector<Bytes> w = words_of(line);
  if (w[0] == "cluster") {
    if (w.size() != 2 || !is_id(w[1]) || !m.cluster_id.empty()) return false;
    m.cluster_id = std::string(w[1]);
    return true;
  }
  if (w[0] == "segment") return read_segment(w, m);
  if (w[0] == "reign") return read_reign(w, m);
  if (w[0] == "durable") return read_offset(w, m.durable_upto);
  if (w[0] == "clean") return read_offset(w, m.clean_end.emplace());
  if (w[0] == "snapshot") return read_snapshot(w, m);
  if (w[0] == "cut") return read_offset(w, m.cut.emplace());
  if (w[0] == "adopt") return read_adopt(w, m);
  if (w[0] == "copying") return w.size() == 1 && (m.copying = true);
  return false;
}

}  // namespace

std::string encode_manifest(const Manifest& m) {
  HF_CHECK(is_id(m.cluster_id));
  std::string out = std::string(first_word) + " " + std::to_string(format_version) + "\n";
  out += "cluster " + m.cluster_id + "\n";
  for (const SegmentRef& s : m.segments)
    out += "segment " + std::to_string(s.first.value) + " " + hex16(s.salt) + "\n";
  for (const Reign& r : m.history.reigns())
    out += "reign " + std::to_string(r.epoch.value) + " " + r.id + " " + std::to_string(r.first.value) + "\n";
  out += "durable " + std::to_string(m.durable_upto.value) + "\n";
  if (m.clean_end) out += "clean " + std::to_string(m.clean_end->value) + "\n";
  if (m.copying) out += "copying\n";
  for (const SnapshotNote& s : m.snapshots)
    out += "snapshot " + std::to_string(s.offset.value) + " " + std::to_string(s.epoch.value) + " " +
           std::to_string(s.wall_ms) + " " + std::to_string(s.bytes) + " " + std::to_string(s.keys) + " " +
           one_word(s.reason) + " " + one_word(s.tag) + " " +
           (s.milliseconds < 0 ? "-" : std::to_string(s.milliseconds)) + "\n";
  if (m.cut) out += "cut " + std::to_string(m.cut->value) + "\n";
  if (m.adopt)
    out += "adopt " + std::to_string(m.adopt->value) +
           (m.adopt_keeps ? " " + std::to_string(m.adopt_keeps->value) : "") + "\n";
  out += "sum " + hex16(sum64(out)) + "\n";
  return out;
}

Result<Manifest> decode_manifest(Bytes text) {
  const Bytes head = text.substr(0, text.find('\n'));
  const std::vector<Bytes> words = words_of(head);
  if (words.size() == 2 && words[0] == first_word) {
    const auto version = parse_uint(words[1]);
    if (version && *version > format_version)
      return Error{"MANIFEST, byte 18: written by a newer version of the format (" + std::string(words[1]) +
                       ", this program reads up to " + std::to_string(format_version) + ")",
                   newer_version};
  }
  const size_t body_bytes = text.size() < sum_line_bytes ? 0 : text.size() - sum_line_bytes;
  const Bytes body = text.substr(0, body_bytes), sum_line = text.substr(body_bytes);
  const auto sum =
      sum_line.size() == sum_line_bytes && sum_line.starts_with("sum ") && sum_line.back() == '\n'
          ? parse_hex16(sum_line.substr(4, 16))
          : std::nullopt;
  if (!sum || sum_line != "sum " + hex16(*sum) + "\n")
    return Error{"MANIFEST, byte " + std::to_string(body_bytes) +
                 ": the line with the checksum is missing or damaged"};
  if (*sum != sum64(body))
    return Error{"MANIFEST, bytes 0 to " + std::to_string(body_bytes) + ": checksum mismatch"};

  Manifest m;
  size_t line_number = 1, at = head.size() + 1;
  if (head != std::string(first_word) + " " + std::to_string(format_version))
    return Error{"MANIFEST, line 1, byte 0: not a MANIFEST of this format"};
  while (at < body.size()) {
    const size_t end = std::min(body.find('\n', at), body.size());
    ++line_number;
    if (!read_line(body.substr(at, end - at), m))
      return Error{"MANIFEST, line " + std::to_string(line_number) + ", byte " + std::to_string(at) +
                   ": not understood: " + quoted(body.substr(at, std::min<size_t>(end - at, 80)))};
    at = end + 1;
  }
  if (m.cluster_id.empty()) return Error{"MANIFEST, byte 0: the cluster's id is missing"};
  return m;
}

void add_manifest_steps(const Manifest& manifest, std::vector<FileStep>& steps) {
  using Kind = FileStep::Kind;
  // Cut first: an older, longer leftover must not stick out behind the new text. (Truncating needs the file
  // to be there.)
  steps.push_back({.kind = Kind::Remove, .name = manifest_temp_name});
  steps.push_back({.kind = Kind::Write, .name = manifest_temp_name, .bytes = encode_manifest(manifest)});
  steps.push_back({.kind = Kind::Sync, .name = manifest_temp_name});
  steps.push_back({.kind = Kind::Rename, .name = manifest_temp_name, .to = manifest_name});
  steps.push_back({.kind = Kind::SyncDir});
}

}  // namespace hf::log
