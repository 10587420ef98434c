// Rows by name, and what is said of them to a person: the section's title, the name that was meant, what may
// be given.
#include <algorithm>

#include "base/number.h"
#include "config/parse.h"
#include "config/table.h"

namespace hf::config {
namespace {

char fold(char c) { return c == '_' ? '-' : lower(c); }

bool same_name(Bytes a, Bytes b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return fold(x) == fold(y); });
}

size_t edit_distance(Bytes a, Bytes b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (fold(a[i - 1]) == fold(b[j - 1]) ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

Bytes title(Section section) {
  switch (section) {
    case Section::Network: return "Network";
    case Section::Security: return "Security";
    case Section::Keyspace: return "Keyspace";
    case Section::Durability: return "Durability";
    case Section::Replication: return "Replication";
    case Section::Tasks: return "Tasks";
    case Section::Logging: return "Logging";
  }
  return "";
}

const Row* find(Bytes name) {
  for (const Row& row : table())
    if (same_name(name, row.name) || (!row.alias.empty() && same_name(name, row.alias))) return &row;
  return nullptr;
}

Bytes nearest(Bytes name) {
  if (name.empty() || name.size() > 64) return {};
  Bytes best;
  size_t best_distance = std::max<size_t>(2, name.size() / 3) + 1;
  for (const Row& row : table()) {
    if (row.hidden) continue;
    const size_t distance = edit_distance(name, row.name);
    if (distance < best_distance) best_distance = distance, best = row.name;
  }
  return best;
}

std::string allowed(const Row& row) {
  const std::string range =
      row.max == no_max ? to_text(row.min) + " or more" : to_text(row.min) + " to " + to_text(row.max);
  switch (row.shape) {
    case Shape::YesNo: return "yes or no";
    case Shape::Number: return range;
    case Shape::Memory: return "bytes, 64mb, 1gb";
    case Shape::Millis: return "milliseconds, 15s, 10m, 7d";
    case Shape::Fraction: return "0 to 1";
    case Shape::Octal: return "octal, up to " + print_octal(row.max);
    case Shape::DayTime: return "HH:MM, or empty";
    case Shape::Text:
    case Shape::Secret: return "text";
    case Shape::Words: return "words";
    case Shape::SavePoints: return "seconds changes, repeated";
    case Shape::Limits: return "class hard soft seconds, repeated";
    case Shape::Choice: break;
  }
  std::string list;
  for (const Bytes name : row.choices) list += (list.empty() ? "" : ", ") + std::string(name);
  return list;
}

}  // namespace hf::config
