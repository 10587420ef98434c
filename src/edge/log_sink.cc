// Formats and writes the server's messages.
#include "edge/log_sink.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>

namespace hf::edge {
namespace {

constexpr const char* level_words[] = {"debug", "verbose", "notice", "warning"};
constexpr const char* level_colours[] = {"\x1b[2m", "\x1b[36m", "\x1b[32m", "\x1b[1;33m"};

std::string stamp(WallMs now, const char* format, bool utc) {
  const std::time_t seconds = now / 1000;
  std::tm parts{};
  utc ? gmtime_r(&seconds, &parts) : localtime_r(&seconds, &parts);
  char text[64];
  const size_t n = std::strftime(text, sizeof text, format, &parts);
  char millis[8];
  std::snprintf(millis, sizeof millis, ".%03d", static_cast<int>(now % 1000));
  return std::string(text, n) + millis;
}

WallMs wall_now() {
  std::timespec t{};
  clock_gettime(CLOCK_REALTIME, &t);
  return t.tv_sec * 1000 + t.tv_nsec / 1'000'000;
}

}  // namespace

std::string log_line_text(node::LogLevel level, Bytes text, WallMs now, bool colours) {
  const auto index = static_cast<size_t>(level);
  std::string out = stamp(now, "%d %b %H:%M:%S", false) + "  ";
  std::string word = level_words[index];
  word.resize(8, ' ');
  out += colours ? level_colours[index] + word + "\x1b[0m" : word;
  for (const char c : text) out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;  // one message is one line
  return out + "\n";
}

std::string log_line_json(node::LogLevel level, Bytes text, WallMs now, int64_t process_id) {
  return "{\"time\":\"" + stamp(now, "%Y-%m-%dT%H:%M:%S", true) + "Z\",\"level\":\"" +
         level_words[static_cast<size_t>(level)] + "\",\"pid\":" + std::to_string(process_id) +
         ",\"message\":" + json_quoted(text) + "}\n";
}

LogSink::~LogSink() {
  if (out_ != stdout) std::fclose(out_);
}

Status LogSink::open(const std::string& file, config::LogFormat format) {
  FILE* fresh = stdout;
  if (!file.empty()) {
    const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    fresh = fd < 0 ? nullptr : fdopen(fd, "a");
    if (fresh == nullptr) return Error{"can't open the logfile " + file + ": " + std::strerror(errno), errno};
  }
  if (out_ != stdout) std::fclose(out_);
  out_ = fresh;
  file_ = file;
  format_ = format;
  colours_ = file.empty() && isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr;
  return ok();
}

void LogSink::write(node::LogLevel level, Bytes text) {
  if (static_cast<int>(level) < static_cast<int>(level_)) return;
  const std::string line = format_ == config::LogFormat::Json
                               ? log_line_json(level, text, wall_now(), getpid())
                               : log_line_text(level, text, wall_now(), colours_);
  std::fwrite(line.data(), 1, line.size(), out_);
  std::fflush(out_);
}

}  // namespace hf::edge
