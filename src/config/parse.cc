// Values from text and back. The error sentences are Redis's, since clients and tests match on them.
#include "config/parse.h"

#include <cstdio>

#include "base/number.h"
#include "config/table.h"

namespace hf::config {
namespace {

constexpr size_t addresses_max = 16;

Error out_of_range(int64_t min, int64_t max) {
  return Error{"argument must be between " + to_text(min) + " and " + to_text(max) + " inclusive"};
}

std::vector<Bytes> split_blanks(Bytes text) {
  std::vector<Bytes> words;
  size_t at = 0;
  while (at < text.size()) {
    const size_t begin = text.find_first_not_of(" \t\r\n", at);
    if (begin == Bytes::npos) break;
    const size_t end = text.find_first_of(" \t\r\n", begin);
    words.push_back(text.substr(begin, end == Bytes::npos ? Bytes::npos : end - begin));
    if (end == Bytes::npos) break;
    at = end;
  }
  return words;
}

Result<int64_t> in_range(int64_t value, int64_t min, int64_t max) {
  if (value < min || value > max) return out_of_range(min, max);
  return value;
}

}  // namespace

Result<bool> parse_yes_no(Bytes text) {
  if (equal_nocase(text, "yes") || text == "true") return true;
  if (equal_nocase(text, "no") || text == "false") return false;
  return Error{"argument must be 'yes' or 'no'"};
}

Result<int64_t> parse_number(Bytes text, int64_t min, int64_t max) {
  const auto value = parse_int(text);
  if (!value) return Error{"argument couldn't be parsed into an integer"};
  return in_range(*value, min, max);
}

Result<int64_t> parse_bytes(Bytes text, int64_t min, int64_t max) {
  const auto value = parse_memory(text);
  if (!value || *value > static_cast<uint64_t>(no_max))
    return Error{"argument must be a memory value"};
  return in_range(static_cast<int64_t>(*value), min, max);
}

Result<int64_t> parse_millis(Bytes text, int64_t min, int64_t max) {
  struct Unit {
    Bytes suffix;
    int64_t ms;
  };
  // "ms" before "s": the longer suffix has to be tried first.
  static constexpr Unit units[] = {
      {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
  int64_t factor = 1;
  for (const Unit& unit : units) {
    if (!text.ends_with(unit.suffix)) continue;
    text.remove_suffix(unit.suffix.size());
    factor = unit.ms;
    break;
  }
  const auto value = parse_int(text);
  if (!value) return Error{"argument must be a time: milliseconds, or a number with ms, s, m, h or d"};
  int64_t ms = 0;
  if (__builtin_mul_overflow(*value, factor, &ms)) return out_of_range(min, max);
  return in_range(ms, min, max);
}

Result<int64_t> parse_octal(Bytes text, int64_t min, int64_t max) {
  int64_t value = 0;
  bool good = !text.empty() && text.size() <= 6;
  for (const char c : text) {
    if (c < '0' || c > '7') good = false;
    value = value * 8 + (c - '0');
  }
  if (!good || value < min || value > max)
    return Error{"argument must be an octal number up to " + print_octal(max)};
  return value;
}

Result<int64_t> parse_day_time(Bytes text) {
  if (text.empty()) return -1;
  const auto digit = [&](size_t i) { return text[i] >= '0' && text[i] <= '9' ? text[i] - '0' : 99; };
  const bool shaped = text.size() == 5 && text[2] == ':';
  const int64_t hour = shaped ? digit(0) * 10 + digit(1) : 99,
                minute = shaped ? digit(3) * 10 + digit(4) : 99;
  if (hour > 23 || minute > 59) return Error{"argument must be a time of day, such as 03:00, or empty"};
  return (hour * 60 + minute) * 60;
}

std::string print_day_time(int64_t second) {
  if (second < 0) return "";
  const std::string hour = std::to_string(second / 3600), minute = std::to_string(second / 60 % 60);
  return std::string(2 - hour.size(), '0') + hour + ":" + std::string(2 - minute.size(), '0') + minute;
}

Result<double> parse_fraction(Bytes text) {
  const auto value = parse_double(text);
  if (!value || !(*value >= 0 && *value <= 1)) return Error{"argument must be between 0 and 1"};
  return *value;
}

Result<std::vector<std::string>> parse_addresses(Bytes text) {
  std::vector<std::string> words;
  for (const Bytes word : split_blanks(text)) words.emplace_back(word);
  if (words.size() > addresses_max)
    return Error{"argument must name " + std::to_string(addresses_max) + " addresses at most"};
  return words;
}

Result<std::vector<SavePoint>> parse_save(Bytes text) {
  const std::vector<Bytes> words = split_blanks(text);
  if (words.size() % 2 != 0) return Error{"Invalid save parameters"};
  std::vector<SavePoint> points;
  for (size_t i = 0; i < words.size(); i += 2) {
    const auto seconds = parse_int(words[i]);
    const auto changes = parse_int(words[i + 1]);
    if (!seconds || !changes || *seconds < 1 || *changes < 0) return Error{"Invalid save parameters"};
    points.push_back({*seconds, *changes});
  }
  return points;
}

Result<BufferLimits> parse_limits(Bytes text, BufferLimits limits) {
  const std::vector<Bytes> words = split_blanks(text);
  if (words.empty() || words.size() % 4 != 0)
    return Error{"Wrong number of arguments in buffer limit configuration."};
  for (size_t i = 0; i < words.size(); i += 4) {
    size_t which = 0;
    if (equal_nocase(words[i], "normal")) {
      which = static_cast<size_t>(ClientClass::Normal);
    } else if (equal_nocase(words[i], "slave") || equal_nocase(words[i], "replica")) {
      which = static_cast<size_t>(ClientClass::Replica);
    } else if (equal_nocase(words[i], "pubsub")) {
      which = static_cast<size_t>(ClientClass::Pubsub);
    } else {
      return Error{"Invalid client class specified in buffer limit configuration."};
    }
    const auto hard = parse_bytes(words[i + 1], 0, no_max);
    const auto soft = parse_bytes(words[i + 2], 0, no_max);
    const auto seconds = parse_int(words[i + 3]);
    if (!hard || !soft || !seconds || *seconds < 0)
      return Error{"Error in hard, soft or soft_seconds setting in buffer limit configuration."};
    limits[which] = {*hard, *soft, *seconds};
  }
  return limits;
}

std::string print_yes_no(bool value) { return value ? "yes" : "no"; }

std::string print_fraction(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  return text;
}

std::string print_octal(int64_t value) {
  if (value == 0) return "0";
  std::string digits;
  for (; value > 0; value /= 8) digits.insert(digits.begin(), static_cast<char>('0' + value % 8));
  return digits;
}

std::string print_words(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

std::string print_save(const std::vector<SavePoint>& points) {
  std::string out;
  for (const SavePoint& p : points)
    out += (out.empty() ? "" : " ") + to_text(p.seconds) + " " + to_text(p.changes);
  return out;
}

std::string print_limits(const BufferLimits& limits) {
  static constexpr Bytes names[client_classes] = {"normal", "slave", "pubsub"};
  std::string out;
  for (size_t i = 0; i < limits.size(); ++i) {
    if (i > 0) out += ' ';
    out += std::string(names[i]) + " " + to_text(limits[i].hard_bytes) + " " + to_text(limits[i].soft_bytes) +
           " " + to_text(limits[i].soft_seconds);
  }
  return out;
}

}  // namespace hf::config
