// Widths are counted in characters, not bytes; nothing a task's name or note contains can move the cursor.
#include "cli/tables.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/number.h"
#include "cli/json.h"

namespace hf::cli {

size_t text_width(Bytes text) {
  size_t n = 0;
  for (const char c : text) n += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return n;
}

std::string clean_text(Bytes text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const size_t n = utf8_length(text.substr(i));
    const unsigned char c = static_cast<unsigned char>(text[i]);
    if (n == 0) out += '?';
    else if (n == 1 && (c < 0x20 || c == 0x7f)) out += ' ';
    else if (n == 2 && c == 0xC2 && static_cast<unsigned char>(text[i + 1]) < 0xA0)
      out += ' ';  // C1 controls
    else out.append(text.substr(i, n));
    i += std::max<size_t>(n, 1);
  }
  return out;
}

namespace {

std::string cut_to(const std::string& text, size_t width) {
  if (text_width(text) <= width) return text;
  std::string out;
  size_t n = 0;
  for (size_t i = 0; i < text.size() && n + 1 < width; ++n) {
    const size_t len = std::max<size_t>(utf8_length(Bytes(text).substr(i)), 1);
    out.append(text, i, len);
    i += len;
  }
  return out + "…";
}

std::vector<size_t> fit(const Table& t, size_t width) {
  std::vector<size_t> widths;
  for (const std::string& head : t.heads) widths.push_back(text_width(head));
  for (const auto& row : t.rows)
    for (size_t i = 0; i < widths.size(); ++i)
      widths[i] = std::max(widths[i], text_width(clean_text(row[i].text)));
  if (width == 0) return widths;
  size_t total = widths.empty() ? 0 : 2 * (widths.size() - 1);
  for (const size_t w : widths) total += w;
  while (total > width) {
    auto widest = std::max_element(widths.begin(), widths.end());
    if (widest == widths.end() || *widest <= 8) break;
    --*widest;
    --total;
  }
  return widths;
}

}  // namespace

std::string render_table(const Table& t, size_t width, bool color) {
  const std::vector<size_t> widths = fit(t, width);
  std::string out;
  const auto put = [&](const std::string& raw, const char* paint, size_t i) {
    const std::string text = cut_to(clean_text(raw), widths[i]);
    const std::string pad(widths[i] - std::min(widths[i], text_width(text)), ' ');
    const bool right = i < t.right.size() && t.right[i];
    const bool last = i + 1 == widths.size();
    if (right) out += pad;
    if (color && *paint != '\0') out += paint + text + "\x1b[0m";
    else out += text;
    if (!right && !last) out += pad;
    if (!last) out += "  ";
  };
  const auto end_line = [&out] {
    while (!out.empty() && out.back() == ' ') out.pop_back();
    out += '\n';
  };
  for (size_t i = 0; i < t.heads.size(); ++i) put(t.heads[i], "\x1b[1m", i);
  end_line();
  for (const auto& row : t.rows) {
    for (size_t i = 0; i < t.heads.size(); ++i) put(row[i].text, row[i].color, i);
    end_line();
  }
  return out;
}

std::string short_run(const std::string& run, size_t width) {
  const std::string text = clean_text(run);
  if (text_width(text) <= width) return text;
  const size_t hash = text.rfind('#');
  const std::string number = hash == std::string::npos ? "" : text.substr(hash);
  if (text_width(number) + 2 > width) return cut_to(text, width);
  return cut_to(text.substr(0, hash), width - text_width(number)) + number;
}

std::string span_text(int64_t ms) {
  const auto text = [](int64_t n, const char* unit) { return to_text(n) + unit; };
  if (ms < 0) return "-" + span_text(-ms);
  if (ms < 1000) return text(ms, "ms");
  const int64_t s = ms / 1000;
  if (s < 60) return text(s, "s");
  if (s < 3600) return text(s / 60, "m") + (s % 60 != 0 ? " " + text(s % 60, "s") : "");
  if (s < 86400) return text(s / 3600, "h") + (s / 60 % 60 != 0 ? " " + text(s / 60 % 60, "m") : "");
  return text(s / 86400, "d") + (s / 3600 % 24 != 0 ? " " + text(s / 3600 % 24, "h") : "");
}

std::string age(int64_t then_ms, int64_t now_ms) {
  const int64_t ms = now_ms - then_ms;
  const bool ahead = ms < 0;
  const int64_t s = (ahead ? -ms : ms) / 1000;
  if (s == 0) return "now";
  const std::string text = s < 60      ? to_text(s) + "s"
                           : s < 3600  ? to_text(s / 60) + "m"
                           : s < 86400 ? to_text(s / 3600) + "h"
                                       : to_text(s / 86400) + "d";
  return ahead ? "in " + text : text + " ago";
}

std::optional<int64_t> parse_span_ms(Bytes text) {
  size_t digits = 0;
  while (digits < text.size() && ((text[digits] >= '0' && text[digits] <= '9') || text[digits] == '.'))
    ++digits;
  const auto n = parse_double(text.substr(0, digits));
  if (digits == 0 || !n || *n > 1e9) return std::nullopt;
  const Bytes unit = text.substr(digits);
  double factor = 0;
  if (unit.empty() || unit == "s") factor = 1000;
  else if (unit == "ms") factor = 1;
  else if (unit == "m" || unit == "min") factor = 60e3;
  else if (unit == "h") factor = 3600e3;
  else if (unit == "d") factor = 86400e3;
  else return std::nullopt;
  return std::llround(*n * factor);
}

std::string size_text(uint64_t bytes) {
  if (bytes < 1024) return to_text(static_cast<int64_t>(bytes)) + " B";
  const char* units[] = {"KiB", "MiB", "GiB", "TiB", "PiB"};
  double n = static_cast<double>(bytes) / 1024;
  size_t i = 0;
  for (; n >= 1024 && i < 4; ++i) n /= 1024;
  char buf[32];
  std::snprintf(buf, sizeof buf, "%.1f %s", n, units[i]);
  return buf;
}

const char* state_color(Bytes state) {
  if (state == "SUCCESS") return "\x1b[32m";
  if (state == "FAILED") return "\x1b[31m";
  if (state == "RUNNING") return "\x1b[36m";
  if (state == "CANCELLED" || state == "PAUSED") return "\x1b[33m";
  return "";
}

}  // namespace hf::cli
