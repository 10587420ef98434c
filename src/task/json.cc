// A recursive-descent reader that keeps nothing but what it was asked for.
#include "task/json.h"

namespace hf::task {
namespace {

class Reader {
 public:
  Reader(Bytes text, const Bytes* wanted) : in_(text), wanted_(wanted) {}

  bool document() {
    blanks();
    if (peek() != '{' || !object(0)) return false;
    blanks();
    return at_ == in_.size();
  }
  std::optional<std::string> found;

 private:
  static constexpr int depth_max = 64;

  char peek() const { return at_ < in_.size() ? in_[at_] : '\0'; }
  bool eat(char c) {
    if (peek() != c || at_ >= in_.size()) return false;
    ++at_;
    return true;
  }
  void blanks() {
    while (at_ < in_.size() && (in_[at_] == ' ' || in_[at_] == '\t' || in_[at_] == '\n' || in_[at_] == '\r'))
      ++at_;
  }

  bool object(int depth) {
    if (!eat('{')) return false;
    blanks();
    if (eat('}')) return true;
    do {
      blanks();
      std::string key;
      if (!string(key)) return false;
      blanks();
      if (!eat(':')) return false;
      blanks();
      const bool is_wanted = depth == 0 && wanted_ != nullptr && key == *wanted_;
      const size_t begin = at_;
      std::string text;
      const bool is_string = peek() == '"';
      if (is_string ? !string(text) : !value(depth + 1)) return false;
      if (is_wanted) found = is_string ? text : std::string(in_.substr(begin, at_ - begin));
      blanks();
    } while (eat(','));
    return eat('}');
  }
  bool array(int depth) {
    if (!eat('[')) return false;
    blanks();
    if (eat(']')) return true;
    do {
      blanks();
      if (!value(depth + 1)) return false;
      blanks();
    } while (eat(','));
    return eat(']');
  }
  bool value(int depth) {
    if (depth > depth_max) return false;
    std::string ignored;
    switch (peek()) {
      case '{': return object(depth);
      case '[': return array(depth);
      case '"': return string(ignored);
      case 't': return literal("true");
      case 'f': return literal("false");
      case 'n': return literal("null");
      default: return number();
    }
  }
  bool literal(Bytes word) {
    if (in_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }
  bool digits() {
    const size_t begin = at_;
    while (peek() >= '0' && peek() <= '9') ++at_;
    return at_ > begin;
  }
  bool number() {
    eat('-');
    if (!eat('0') && !digits()) return false;
    if (eat('.') && !digits()) return false;
    if (eat('e') || eat('E')) {
      if (!eat('+')) eat('-');
      return digits();
    }
    return true;
  }
  bool hex4(uint32_t& code) {
    code = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      const char c = lower(peek());
      const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
      if (digit < 0) return false;
      code = code << 4 | static_cast<uint32_t>(digit);
    }
    return true;
  }
  static void put_utf8(std::string& out, uint32_t code) {
    const auto tail = [&](int shift) { out.push_back(static_cast<char>(0x80 | (code >> shift & 0x3f))); };
    if (code < 0x80) {
      out.push_back(static_cast<char>(code));
    } else if (code < 0x800) {
      out.push_back(static_cast<char>(0xc0 | code >> 6)), tail(0);
    } else if (code < 0x10000) {
      out.push_back(static_cast<char>(0xe0 | code >> 12)), tail(6), tail(0);
    } else {
      out.push_back(static_cast<char>(0xf0 | code >> 18)), tail(12), tail(6), tail(0);
    }
  }
  bool escape(std::string& out) {
    constexpr Bytes letters = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
    const char c = peek();
    ++at_;
    if (const size_t i = letters.find(c); i != Bytes::npos) return out.push_back(meanings[i]), true;
    if (c != 'u') return false;
    uint32_t code = 0, low = 0;
    if (!hex4(code)) return false;
    if (code >= 0xd800 && code < 0xdc00) {  // the first half of a pair
      if (!eat('\\') || !eat('u') || !hex4(low) || low < 0xdc00 || low > 0xdfff) return false;
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    } else if (code >= 0xdc00 && code < 0xe000) {
      return false;
    }
    put_utf8(out, code);
    return true;
  }
  bool string(std::string& out) {
    if (!eat('"')) return false;
    while (at_ < in_.size()) {
      const char c = in_[at_++];
      if (c == '"') return true;
      if (static_cast<unsigned char>(c) < 0x20) return false;
      if (c != '\\') out.push_back(c);
      else if (at_ >= in_.size() || !escape(out)) return false;
    }
    return false;
  }

  Bytes in_;
  const Bytes* wanted_;
  size_t at_ = 0;
};

}  // namespace

bool is_json_object(Bytes text) { return Reader(text, nullptr).document(); }

std::optional<std::string> json_field(Bytes text, Bytes key) {
  Reader reader(text, &key);
  return reader.document() ? reader.found : std::nullopt;
}

}  // namespace hf::task
