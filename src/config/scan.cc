// A walk over TOML that knows just enough to tell names, values and comments apart.
#include "config/scan.h"

namespace hf::config {
namespace {

class Scanner {
 public:
  explicit Scanner(Bytes text) : text_(text) {}

  Scanned run() {
    out_.tables_begin = text_.size();
    std::string prefix;
    while (at_ < text_.size()) {
      const size_t line_begin = at_;
      skip_blanks();
      if (peek() == '[') {
        if (out_.tables_begin == text_.size()) out_.tables_begin = line_begin;
        while (peek() == '[') ++at_;
        prefix = key(']') + "-";
      } else if (peek() != '#' && peek() != '\n' && peek() != '\r' && at_ < text_.size()) {
        ScannedValue value;
        value.name = prefix + key('=');
        if (peek() == '=') {
          ++at_;
          skip_blanks();
          value.begin = at_;
          read_value(value.value, 0);
          value.end = at_;
          out_.values.push_back(std::move(value));
        }
      }
      skip_line();
    }
    return std::move(out_);
  }

 private:
  static constexpr int depth_max = 8;

  char peek(size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  void skip_blanks() {
    while (peek() == ' ' || peek() == '\t') ++at_;
  }
  void skip_line() {
    const size_t end = text_.find('\n', at_);
    at_ = end == Bytes::npos ? text_.size() : end + 1;
  }

  /// A dotted key up to `end` or the end of the line, its parts joined with '-'.
  std::string key(char end) {
    std::string name;
    while (at_ < text_.size() && peek() != end && peek() != '\n') {
      const char c = peek();
      if (c == '"' || c == '\'') {
        read_string(name);
        continue;
      }
      if (c == '.') {
        name += '-';
      } else if (c != ' ' && c != '\t') {
        name += c;
      }
      ++at_;
    }
    return name;
  }

  /// A quoted string of any of the four kinds; escapes of the kinds with '"' are decoded.
  void read_string(std::string& out) {
    const char quote = peek();
    const bool long_form = peek(1) == quote && peek(2) == quote;
    at_ += long_form ? 3 : 1;
    if (long_form && peek() == '\n') ++at_;
    while (at_ < text_.size()) {
      if (long_form ? peek() == quote && peek(1) == quote && peek(2) == quote : peek() == quote) {
        at_ += long_form ? 3 : 1;
        return;
      }
      if (!long_form && peek() == '\n') return;
      if (peek() == '\\' && quote == '"') {
        ++at_;
        read_escape(out);
      } else {
        out += text_[at_++];
      }
    }
  }

  void read_escape(std::string& out) {
    const char c = peek();
    if (at_ < text_.size()) ++at_;
    switch (c) {
      case 'n': out += '\n'; return;
      case 't': out += '\t'; return;
      case 'r': out += '\r'; return;
      case 'b': out += '\b'; return;
      case 'f': out += '\f'; return;
      case 'u': return read_code_point(out, 4);
      case 'U': return read_code_point(out, 8);
      case '\n':
        while (peek() == ' ' || peek() == '\t' || peek() == '\n') ++at_;
        return;
      default: out += c;
    }
  }

  void read_code_point(std::string& out, int digits) {
    uint32_t code = 0;
    for (int i = 0; i < digits && at_ < text_.size(); ++i, ++at_) {
      const char c = lower(peek());
      if (c >= '0' && c <= '9') {
        code = code * 16 + static_cast<uint32_t>(c - '0');
      } else if (c >= 'a' && c <= 'f') {
        code = code * 16 + static_cast<uint32_t>(c - 'a' + 10);
      } else {
        return;
      }
    }
    const auto tail = [&](int shift) { out += static_cast<char>(0x80 | ((code >> shift) & 0x3f)); };
    if (code < 0x80) {
      out += static_cast<char>(code);
    } else if (code < 0x800) {
      out += static_cast<char>(0xc0 | (code >> 6)), tail(0);
    } else if (code < 0x10000) {
      out += static_cast<char>(0xe0 | (code >> 12)), tail(6), tail(0);
    } else {
      out += static_cast<char>(0xf0 | ((code >> 18) & 7)), tail(12), tail(6), tail(0);
    }
  }

  void read_value(std::string& out, int depth) {
    const char c = peek();
    if (c == '"' || c == '\'') return read_string(out);
    if (c == '[' && depth < depth_max) return read_array(out, depth);
    const size_t begin = at_;
    while (at_ < text_.size() && Bytes(",]#\n\r \t").find(peek()) == Bytes::npos) {
      if (peek() != '_') out += peek();
      ++at_;
    }
    if (at_ == begin && at_ < text_.size() && depth > 0) ++at_;  // an array must get on
  }

  void read_array(std::string& out, int depth) {
    ++at_;
    while (at_ < text_.size()) {
      const char c = peek();
      if (c == ']') {
        ++at_;
        return;
      }
      if (c == '#') {
        skip_line();
      } else if (c == ',' || c == ' ' || c == '\t' || c == '\n' || c == '\r') {
        ++at_;
      } else {
        std::string element;
        read_value(element, depth + 1);
        out += (out.empty() || element.empty() ? "" : " ") + element;
      }
    }
  }

  Bytes text_;
  size_t at_ = 0;
  Scanned out_;
};

}  // namespace

Scanned scan(Bytes text) { return Scanner(text).run(); }

}  // namespace hf::config
