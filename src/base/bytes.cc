// Text helpers shared by the protocol, the config and the client.
#include "base/bytes.h"

#include <array>

namespace hf {

std::string to_lower(Bytes s) {
  std::string out(s);
  for (char& c : out) c = lower(c);
  return out;
}

std::string to_upper(Bytes s) {
  std::string out(s);
  for (char& c : out) c = upper(c);
  return out;
}

std::string quoted(Bytes s) {
  constexpr char hex[] = "0123456789abcdef";
  std::string out = "\"";
  for (char ch : s) {
    const auto c = static_cast<unsigned char>(ch);
    switch (c) {
      case '\\': out += "\\\\"; break;
      case '"': out += "\\\""; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      case '\a': out += "\\a"; break;
      case '\b': out += "\\b"; break;
      default:
        if (c >= 0x20 && c < 0x7f) {
          out += ch;
        } else {
          out += "\\x";
          out += hex[c >> 4];
          out += hex[c & 15];
        }
    }
  }
  return out += '"';
}

std::string json_quoted(Bytes s) {
  constexpr char hex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char ch : s) {
    const auto c = static_cast<unsigned char>(ch);
    if (ch == '"' || ch == '\\') out += '\\', out += ch;
    else if (c < 0x20 || c >= 0x7f) out += "\\u00", out += hex[c >> 4], out += hex[c & 15];
    else out += ch;
  }
  return out += '"';
}

namespace {

bool blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f' || c == '\0';
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char unescape(char c) {
  switch (c) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'b': return '\b';
    case 'a': return '\a';
    default: return c;
  }
}

/// Reads a quoted piece starting behind its opening quote; leaves `i` behind the closing one.
bool read_quoted(Bytes line, size_t& i, char quote, std::string& out) {
  while (i < line.size()) {
    const char c = line[i];
    if (c == quote) {
      ++i;
      return i == line.size() || blank(line[i]);
    }
    if (c == '\\' && quote == '"' && i + 3 < line.size() && line[i + 1] == 'x' &&
        hex_digit(line[i + 2]) >= 0 && hex_digit(line[i + 3]) >= 0) {
      out += static_cast<char>(hex_digit(line[i + 2]) * 16 + hex_digit(line[i + 3]));
      i += 4;
    } else if (c == '\\' && i + 1 < line.size() && (quote == '"' || line[i + 1] == '\'')) {
      out += quote == '"' ? unescape(line[i + 1]) : '\'';
      i += 2;
    } else {
      out += c;
      ++i;
    }
  }
  return false;
}

}  // namespace

bool split_arguments(Bytes line, std::vector<std::string>& out) {
  size_t i = 0;
  for (;;) {
    while (i < line.size() && blank(line[i])) ++i;
    if (i == line.size()) return true;
    std::string word;
    while (i < line.size() && !blank(line[i])) {
      const char c = line[i];
      if (c == '"' || c == '\'') {
        ++i;
        if (!read_quoted(line, i, c, word)) return false;
        break;
      }
      word += c;
      ++i;
    }
    out.push_back(std::move(word));
  }
}

}  // namespace hf
