// Tables and times for people: columns that fit the terminal, ages that read at a glance.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace hf::cli {

struct Cell {
  std::string text;
  const char* color = "";  ///< an ANSI sequence, used when the table is coloured
};

struct Table {
  std::vector<std::string> heads;
  std::vector<std::vector<Cell>> rows;  ///< each as long as `heads`
  std::vector<bool> right;  ///< column is flush right (numbers); shorter than heads: the rest is left
};

/// The table with its columns as wide as needed, and at most `width` in all (0: no bound): the widest columns
/// are cut with "…" first, none below 8. No line ends with blanks.
std::string render_table(const Table& table, size_t width, bool color);

/// A run's name in `width` columns at most (not below 8): its end, with the number, stays: "a-long-na…#12".
std::string short_run(const std::string& run, size_t width);

/// "12s ago", "3m ago", "5h ago", "2d ago"; "in 3s" for what lies ahead; "now".
std::string age(int64_t then_ms, int64_t now_ms);
/// "350ms", "12s", "3m 5s", "2h 10m", "3d 4h".
std::string span_text(int64_t ms);
/// "500ms", "30s", "5m", "2h", "1d", or a bare number of seconds; milliseconds.
std::optional<int64_t> parse_span_ms(Bytes text);
/// "840 B", "1.2 MiB".
std::string size_text(uint64_t bytes);
/// Columns a text takes, counting characters; control characters become blanks in `clean_text`.
size_t text_width(Bytes text);
std::string clean_text(Bytes text);

const char* state_color(Bytes state);

}  // namespace hf::cli
