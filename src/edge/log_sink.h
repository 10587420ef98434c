// The server's messages: one line each, for people (with colours on a terminal) or as JSON, to standard
// output or a file that SIGHUP reopens. Used from the loop's thread only.
#pragma once
#include <cstdio>
#include <string>

#include "base/types.h"
#include "config/options.h"
#include "node/effects.h"

namespace hf::edge {

class LogSink {
 public:
  /// Standard output, text.
  LogSink() = default;
  ~LogSink();
  LogSink(const LogSink&) = delete;
  LogSink& operator=(const LogSink&) = delete;

  /// Switches to what the options ask for. The error names the file.
  Status open(const std::string& file, config::LogFormat format);
  /// For log rotation: the name may mean a new file by now.
  Status reopen() { return open(file_, format_); }
  void set_level(config::LogLevel level) { level_ = level; }
  void write(node::LogLevel level, Bytes text);
  /// True when lines go to a terminal as text, where a banner is welcome.
  bool for_people() const { return file_.empty() && format_ == config::LogFormat::Text; }
  bool colours() const { return colours_; }

 private:
  std::string file_;
  config::LogFormat format_ = config::LogFormat::Text;
  config::LogLevel level_ = config::LogLevel::Notice;
  bool colours_ = false;
  FILE* out_ = stdout;
};

/// One line, newline included.
std::string log_line_text(node::LogLevel level, Bytes text, WallMs now, bool colours);
std::string log_line_json(node::LogLevel level, Bytes text, WallMs now, int64_t process_id);

}  // namespace hf::edge
