// to_chars and from_chars do the work; the rules about what is allowed are Redis's.
#include "base/number.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace hf {
namespace {

bool plain_digits(Bytes text, bool may_be_negative) {
  size_t i = may_be_negative && !text.empty() && text[0] == '-' ? 1 : 0;
  if (i == text.size()) return false;
  if (text[i] == '0') return text.size() == 1;
  return text[i] >= '1' && text[i] <= '9';
}

template <class T>
std::optional<T> parse_whole(Bytes text) {
  T value;
  const auto [end, err] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (err != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::optional<int64_t> parse_int(Bytes text) {
  if (!plain_digits(text, true)) return std::nullopt;
  return parse_whole<int64_t>(text);
}

std::optional<uint64_t> parse_uint(Bytes text) {
  if (!plain_digits(text, false)) return std::nullopt;
  return parse_whole<uint64_t>(text);
}

std::optional<double> parse_double(Bytes text) {
  if (!text.empty() && text[0] == '+') text.remove_prefix(1);
  if (text.empty() || text[0] == '+') return std::nullopt;
  const auto value = parse_whole<double>(text);
  if (!value || std::isnan(*value)) return std::nullopt;
  return value;
}

std::optional<long double> parse_long_double(Bytes text) {
  char copy[256];
  if (text.empty() || text.size() >= sizeof copy || text[0] == ' ' || (text[0] >= '\t' && text[0] <= '\r'))
    return std::nullopt;
  std::memcpy(copy, text.data(), text.size());
  copy[text.size()] = '\0';
  char* end = nullptr;
  const long double value = std::strtold(copy, &end);  // from_chars has no long double on every platform
  if (end != copy + text.size() || std::isnan(value)) return std::nullopt;
  return value;
}

size_t write_int(char* out, int64_t value) {
  return static_cast<size_t>(std::to_chars(out, out + 21, value).ptr - out);
}

std::string to_text(int64_t value) {
  char buf[24];
  return std::string(buf, write_int(buf, value));
}

std::string to_text(double value) {
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  if (std::isnan(value)) return "nan";
  if (value == std::trunc(value) && std::fabs(value) < 1e17) {
    if (value == 0 && std::signbit(value)) return "-0";
    return to_text(static_cast<int64_t>(value));
  }
  char buf[64];
  const auto end = std::to_chars(buf, buf + sizeof buf, value).ptr;
  return std::string(buf, static_cast<size_t>(end - buf));
}

std::string to_text_fixed(long double value) {
  char buf[5200];
  int n = std::snprintf(buf, sizeof buf, "%.17Lf", value);
  std::string out(buf, static_cast<size_t>(n));
  if (out.find('.') != std::string::npos) {
    while (out.back() == '0') out.pop_back();
    if (out.back() == '.') out.pop_back();
  }
  return out == "-0" ? "0" : out;
}

std::optional<uint64_t> parse_memory(Bytes text) {
  size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') ++digits;
  uint64_t value = 0;
  if (digits == 0) return std::nullopt;
  const auto [end, err] = std::from_chars(text.data(), text.data() + digits, value);
  if (err != std::errc()) return std::nullopt;
  const Bytes unit = text.substr(digits);
  uint64_t factor = 0;
  if (unit.empty() || equal_nocase(unit, "b")) factor = 1;
  else if (equal_nocase(unit, "k")) factor = 1000;
  else if (equal_nocase(unit, "kb")) factor = 1024;
  else if (equal_nocase(unit, "m")) factor = 1000 * 1000;
  else if (equal_nocase(unit, "mb")) factor = 1024 * 1024;
  else if (equal_nocase(unit, "g")) factor = 1000ull * 1000 * 1000;
  else if (equal_nocase(unit, "gb")) factor = 1024ull * 1024 * 1024;
  else return std::nullopt;
  if (factor != 1 && value > UINT64_MAX / factor) return std::nullopt;
  return value * factor;
}

std::string to_human(uint64_t bytes) {
  char buf[64];
  const double n = static_cast<double>(bytes);
  if (bytes < 1024) std::snprintf(buf, sizeof buf, "%lluB", static_cast<unsigned long long>(bytes));
  else if (bytes < (1ull << 20)) std::snprintf(buf, sizeof buf, "%.2fK", n / 1024);
  else if (bytes < (1ull << 30)) std::snprintf(buf, sizeof buf, "%.2fM", n / (1ull << 20));
  else if (bytes < (1ull << 40)) std::snprintf(buf, sizeof buf, "%.2fG", n / (1ull << 30));
  else std::snprintf(buf, sizeof buf, "%.2fT", n / (1ull << 40));
  return buf;
}

}  // namespace hf
