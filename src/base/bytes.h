// A view of bytes somebody else owns, and the few things every floor does with one.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace hf {

/// Bytes owned by someone else. A view into a read buffer dies when that buffer grows: copy to keep.
using Bytes = std::string_view;

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
constexpr char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }

/// ASCII case-insensitive equality: how Redis compares command and option names.
constexpr bool equal_nocase(Bytes a, Bytes b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i)
    if (lower(a[i]) != lower(b[i])) return false;
  return true;
}

std::string to_lower(Bytes s);
std::string to_upper(Bytes s);

/// `s` as a double-quoted string in which every unprintable byte is escaped (\n, \xHH): Redis's `sdscatrepr`.
std::string quoted(Bytes s);
/// `s` as a JSON string. Bytes beyond printable ASCII become the code points of the same number: nothing is
/// lost, and nothing needs to be UTF-8.
std::string json_quoted(Bytes s);

/// Splits a line of arguments as redis-cli and inline commands do: blanks separate, "..." with \n \r \t \b \a
/// \xHH escapes, '...' with \' only. False on unbalanced quotes or a closing quote not followed by a blank.
bool split_arguments(Bytes line, std::vector<std::string>& out);

}  // namespace hf
