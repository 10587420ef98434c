// Reads segment by segment; those that end before the range are passed over by their successor's header.
#include "log/list.h"

#include <algorithm>
#include <vector>

#include "log/reader.h"
#include "log/restore.h"
#include "log/segment.h"
#include "resp/parser.h"

namespace hf::log {
namespace {

constexpr size_t argument_bytes_max = 64;

class Lister {
 public:
  Lister(const ListRange& range, const std::function<void(const std::string&)>& line)
      : range_(range), line_(line) {}

  bool wanted(const FrameHeader& header) const {
    return header.wall_ms >= range_.from_ms && header.wall_ms <= range_.to_ms && header.end() > range_.from &&
           header.offset <= range_.to;
  }
  bool behind(const FrameHeader& header) const {
    return header.wall_ms > range_.to_ms || header.offset > range_.to;
  }

  /// A command may go on in the next frame of its group: what is whole is shown with the group's last frame.
  void take(const FrameHeader& header, Bytes content) {
    if (header.more || !group_.empty()) {
      group_ += content;
      if (header.more) return;
      content = group_;
    }
    if (range_.json) frame_json(header, content);
    else frame_text(header, content);
    group_.clear();
  }

 private:
  void frame_text(const FrameHeader& header, Bytes content) {
    line_(time_text(header.wall_ms) + "  offset " + std::to_string(header.end().value - content.size()) +
          " to " + std::to_string(header.end().value) + "  epoch " + std::to_string(header.epoch.value));
    size_t at = 0;
    const bool whole = resp::for_each_command(content, at, [&](const std::vector<Bytes>& args, auto&&...) {
      std::string text = "   ";
      for (const Bytes arg : args) text += " " + printable(arg, argument_bytes_max);
      line_(text);
    });
    if (!whole) line_("    (what follows is no command)");
  }

  void frame_json(const FrameHeader& header, Bytes content) {
    std::string out = "{\"time\":\"" + time_text(header.wall_ms) + "\"";
    out += ",\"from\":" + std::to_string(header.end().value - content.size());
    out += ",\"to\":" + std::to_string(header.end().value);
    out += ",\"epoch\":" + std::to_string(header.epoch.value) + ",\"commands\":[";
    size_t at = 0, count = 0;
    resp::for_each_command(content, at, [&](const std::vector<Bytes>& args, auto&&...) {
      out += count++ == 0 ? "[" : ",[";
      for (size_t i = 0; i < args.size(); ++i) out += (i == 0 ? "" : ",") + json_quoted(args[i]);
      out += "]";
    });
    line_(out + "]}");
  }

  const ListRange& range_;
  const std::function<void(const std::string&)>& line_;
  std::string group_;
};

Result<bool> nothing_follows(SegmentReader& reader) {
  const auto ahead = reader.look_ahead(reader.at());
  if (!ahead) return ahead.error();
  return ahead->frames == 0;
}

/// Hands over what is wanted of a segment. True: what follows lies behind the range.
Result<bool> list_segment(Files& files, const std::string& name, bool last, Lister& lister) {
  SegmentReader reader(files, name);
  if (Status opened = reader.open(); !opened) return opened.error();
  ChainPoint chain{reader.header().first, reader.header().previous_sum, reader.header().epoch};
  SegmentReader::Frame frame;
  for (;;) {
    const auto verdict = reader.next(chain, frame);
    if (!verdict) return verdict.error();
    if (*verdict == Verdict::End) return false;
    if (*verdict != Verdict::Valid) {
      // The end of the last segment may be torn, or in the middle of being written.
      const auto over = last ? nothing_follows(reader) : reader.zeros_to_the_end();
      if (!over) return over.error();
      if (*over) return false;
      return Error{"log segment " + name + ", byte " + std::to_string(reader.at()) + ": " +
                   verdict_text(*verdict)};
    }
    if (lister.behind(frame.header)) return true;
    if (lister.wanted(frame.header)) lister.take(frame.header, frame.content);
  }
}

}  // namespace

std::string printable(Bytes text, size_t bytes_max) {
  static constexpr char hex[] = "0123456789abcdef";
  std::string out;
  for (const char c : text.substr(0, bytes_max)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte >= 0x7f || c == '\\') out += "\\x", out += hex[byte >> 4], out += hex[byte & 15];
    else out += c;
  }
  if (text.size() > bytes_max) out += "...(" + std::to_string(text.size()) + " bytes)";
  return out.empty() ? "''" : out;
}

Status list_log(Files& files, const ListRange& range, const std::function<void(const std::string&)>& line) {
  const auto names = files.list();
  if (!names) return names.error();
  std::vector<std::string> segments;
  for (const std::string& name : *names)
    if (parse_segment_name(name)) segments.push_back(name);
  if (segments.empty()) return Error{"there is no log in this folder"};
  Lister lister(range, line);
  for (size_t i = 0; i < segments.size(); ++i) {
    const bool last = i + 1 == segments.size();
    if (!last) {
      SegmentReader next(files, segments[i + 1]);
      const bool opened = next.open().ok();
      if (opened && (next.header().first <= range.from || next.header().wall_ms < range.from_ms)) continue;
    }
    const Result<bool> behind = list_segment(files, segments[i], last, lister);
    if (!behind) return behind.error();
    if (*behind) break;
  }
  return ok();
}

Status list_file(Files& files, const std::string& name, const ListRange& range,
                 const std::function<void(const std::string&)>& line) {
  Lister lister(range, line);
  const Result<bool> listed = list_segment(files, name, false, lister);
  if (!listed) return listed.error();
  return ok();
}

}  // namespace hf::log
