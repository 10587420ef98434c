// Written by hand because a client that prints JSON needs forty lines of it, not a library.
#include "cli/json.h"

#include <cstdio>

namespace hf::cli {

size_t utf8_length(Bytes in) {
  if (in.empty()) return 0;
  const auto at = [&](size_t i) { return static_cast<unsigned char>(in[i]); };
  const unsigned char first = at(0);
  if (first < 0x80) return 1;
  const size_t n = first >= 0xF0 && first <= 0xF4  ? 4
                   : first >= 0xE0 && first < 0xF0 ? 3
                   : first >= 0xC2 && first < 0xE0 ? 2
                                                   : 0;
  if (n == 0 || in.size() < n) return 0;
  for (size_t i = 1; i < n; ++i)
    if ((at(i) & 0xC0) != 0x80) return 0;
  if ((first == 0xE0 && at(1) < 0xA0) || (first == 0xED && at(1) > 0x9F)) return 0;  // overlong, surrogate
  if ((first == 0xF0 && at(1) < 0x90) || (first == 0xF4 && at(1) > 0x8F)) return 0;
  return n;
}

std::string json_string(Bytes bytes) {
  std::string out = "\"";
  for (size_t i = 0; i < bytes.size();) {
    const char c = bytes[i];
    const size_t n = utf8_length(bytes.substr(i));
    if (n > 1) {
      out.append(bytes.substr(i, n));
      i += n;
      continue;
    }
    ++i;
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        if (n == 1 && static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) {
          out += c;
        } else {
          char hex[8];
          std::snprintf(hex, sizeof hex, "\\u%04x", static_cast<unsigned char>(c));
          out += hex;
        }
    }
  }
  return out + "\"";
}

namespace {

class Scanner {
 public:
  explicit Scanner(Bytes in) : in_(in) {}
  void blanks() {
    while (at_ < in_.size() && (in_[at_] == ' ' || in_[at_] == '\n' || in_[at_] == '\t' || in_[at_] == '\r'))
      ++at_;
  }
  bool take(char c) {
    blanks();
    if (at_ >= in_.size() || in_[at_] != c) return false;
    ++at_;
    return true;
  }
  char peek() {
    blanks();
    return at_ < in_.size() ? in_[at_] : '\0';
  }
  bool at_end() {
    blanks();
    return at_ == in_.size();
  }
  bool string(std::string& out) {
    if (!take('"')) return false;
    while (at_ < in_.size()) {
      const char c = in_[at_++];
      if (c == '"') return true;
      if (c != '\\') {
        out += c;
      } else if (!escape(out)) {
        return false;
      }
    }
    return false;
  }
  /// A value that is not a string, as the text it stands in: up to the comma or brace that ends it.
  bool other(std::string& out) {
    blanks();
    const size_t begin = at_;
    int depth = 0;
    while (at_ < in_.size()) {
      const char c = in_[at_];
      if (c == '"') {
        std::string skipped;
        if (!string(skipped)) return false;
        continue;
      }
      if (depth == 0 && (c == ',' || c == '}')) break;
      if (c == '{' || c == '[') ++depth;
      if ((c == '}' || c == ']') && --depth < 0) return false;
      ++at_;
    }
    size_t end = at_;
    while (end > begin &&
           (in_[end - 1] == ' ' || in_[end - 1] == '\n' || in_[end - 1] == '\t' || in_[end - 1] == '\r'))
      --end;
    out = in_.substr(begin, end - begin);
    return !out.empty() && depth == 0;
  }

 private:
  bool escape(std::string& out) {
    if (at_ >= in_.size()) return false;
    const char c = in_[at_++];
    switch (c) {
      case 'n': out += '\n'; return true;
      case 't': out += '\t'; return true;
      case 'r': out += '\r'; return true;
      case 'b': out += '\b'; return true;
      case 'f': out += '\f'; return true;
      case '"':
      case '\\':
      case '/': out += c; return true;
      case 'u': break;
      default: return false;
    }
    unsigned code = 0;
    if (in_.size() - at_ < 4) return false;
    for (int i = 0; i < 4; ++i) {
      const char h = lower(in_[at_++]);
      if (!((h >= '0' && h <= '9') || (h >= 'a' && h <= 'f'))) return false;
      code = code * 16 + static_cast<unsigned>(h <= '9' ? h - '0' : h - 'a' + 10);
    }
    if (code < 0x80) {
      out += static_cast<char>(code);
    } else if (code < 0x800) {
      out += static_cast<char>(0xC0 | (code >> 6));
      out += static_cast<char>(0x80 | (code & 63));
    } else {
      out += static_cast<char>(0xE0 | (code >> 12));
      out += static_cast<char>(0x80 | ((code >> 6) & 63));
      out += static_cast<char>(0x80 | (code & 63));
    }
    return true;
  }
  Bytes in_;
  size_t at_ = 0;
};

}  // namespace

std::optional<std::map<std::string, std::string>> json_object(Bytes text) {
  Scanner in(text);
  std::map<std::string, std::string> out;
  if (!in.take('{')) return std::nullopt;
  if (in.take('}')) return in.at_end() ? std::optional(out) : std::nullopt;
  do {
    std::string name, value;
    if (!in.string(name) || !in.take(':')) return std::nullopt;
    if (!(in.peek() == '"' ? in.string(value) : in.other(value))) return std::nullopt;
    out[name] = std::move(value);
  } while (in.take(','));
  if (!in.take('}') || !in.at_end()) return std::nullopt;
  return out;
}

}  // namespace hf::cli
