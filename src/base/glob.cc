// Iterative matching with one remembered star: linear in the text for each star, so no pattern can make it
// explode.
#include "base/glob.h"

#include <utility>

namespace hf {
namespace {

/// Matches `c` against the class that opens at pattern[p] == '['; moves `p` behind it.
bool match_class(Bytes pattern, size_t& p, char c, bool nocase) {
  ++p;
  bool negate = p < pattern.size() && pattern[p] == '^';
  if (negate) ++p;
  const auto fold = [nocase](char x) { return static_cast<unsigned char>(nocase ? lower(x) : x); };
  const unsigned char want = fold(c);
  bool hit = false;
  while (p < pattern.size() && pattern[p] != ']') {
    if (pattern[p] == '\\' && p + 1 < pattern.size()) ++p;
    if (p + 2 < pattern.size() && pattern[p + 1] == '-' && pattern[p + 2] != ']') {
      unsigned char lo = fold(pattern[p]), hi = fold(pattern[p + 2]);
      if (lo > hi) std::swap(lo, hi);
      hit |= want >= lo && want <= hi;
      p += 3;
    } else {
      hit |= fold(pattern[p]) == want;
      ++p;
    }
  }
  if (p < pattern.size()) ++p;
  return hit != negate;
}

}  // namespace

bool glob_match(Bytes pattern, Bytes text, bool nocase) {
  size_t p = 0, t = 0, star = Bytes::npos, star_text = 0;
  while (t < text.size()) {
    bool matched = false;
    if (p < pattern.size()) {
      const char c = pattern[p];
      if (c == '*') {
        star = p++;
        star_text = t;
        continue;
      }
      if (c == '?') {
        ++p;
        matched = true;
      } else if (c == '[') {
        matched = match_class(pattern, p, text[t], nocase);
      } else {
        size_t literal = p + (c == '\\' && p + 1 < pattern.size() ? 1 : 0);
        matched = nocase ? lower(pattern[literal]) == lower(text[t]) : pattern[literal] == text[t];
        p = literal + 1;
      }
    }
    if (matched) {
      ++t;
    } else if (star != Bytes::npos) {
      p = star + 1;
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace hf
