// Sums are compared slice by slice; a database that one side leaves out counts as empty.
#include "replication/audit.h"

#include <array>

#include "base/little_endian.h"
#include "base/planted.h"

namespace hf::replication {
namespace {

constexpr size_t sum_bytes = 16;
constexpr size_t database_bytes = 4 + store::digest_slices * sum_bytes;
constexpr std::array<Bytes, 4> finding_names = {"agrees", "differs", "skipped", "healed"};

}  // namespace

std::optional<Difference> compare(const store::StateSums& ours, const store::StateSums& theirs) {
  if (planted(Bug::AuditBlind)) return {};
  static const store::StateSums::mapped_type empty{};
  std::optional<Difference> found;
  const auto look = [&](DbIndex db, const auto& a, const auto& b) {
    for (uint32_t slice = 0; slice < store::digest_slices; ++slice) {
      if (a[slice] == b[slice]) continue;
      if (!found) found = Difference{db, slice, 0};
      ++found->slices;
    }
  };
  auto a = ours.begin();
  auto b = theirs.begin();
  while (a != ours.end() || b != theirs.end()) {
    const bool only_a = b == theirs.end() || (a != ours.end() && a->first < b->first);
    const bool only_b = a == ours.end() || (b != theirs.end() && b->first < a->first);
    look(only_b ? b->first : a->first, only_b ? empty : a->second, only_a ? empty : b->second);
    if (!only_b) ++a;
    if (!only_a) ++b;
  }
  return found;
}

std::string encode_sums(const store::StateSums& sums) {
  std::string out;
  out.reserve(sums.size() * database_bytes);
  for (const auto& [db, slices] : sums) {
    put_le<uint32_t>(out, db);
    for (const Sum128& sum : slices) {
      put_le<uint64_t>(out, sum.low);
      put_le<uint64_t>(out, sum.high);
    }
  }
  return out;
}

std::optional<store::StateSums> decode_sums(Bytes in) {
  if (in.size() % database_bytes != 0) return {};
  store::StateSums sums;
  for (; !in.empty(); in.remove_prefix(database_bytes)) {
    const DbIndex db = get_le<uint32_t>(in, 0);
    if (!sums.empty() && sums.rbegin()->first >= db) return {};
    auto& slices = sums[db];
    for (size_t i = 0; i < slices.size(); ++i)
      slices[i] = {get_le<uint64_t>(in, 4 + i * sum_bytes), get_le<uint64_t>(in, 12 + i * sum_bytes)};
  }
  return sums;
}

Bytes finding_name(Finding finding) { return finding_names[static_cast<size_t>(finding)]; }

std::optional<Finding> finding_of(Bytes name) {
  for (size_t i = 0; i < finding_names.size(); ++i)
    if (name == finding_names[i]) return static_cast<Finding>(i);
  return {};
}

std::string describe(const AuditReport& report) {
  std::string text = "at offset " + std::to_string(report.at.value);
  if (report.finding == Finding::Differs || report.finding == Finding::Healed)
    text += ": database " + std::to_string(report.where.db) + ", slice " +
            std::to_string(report.where.slice) +
            (report.where.slices > 1 ? ", and " + std::to_string(report.where.slices - 1) + " more" : "");
  return text;
}

std::optional<AuditReport> AuditMatch::take_report() {
  if (!at_ || !own_ || !theirs_) return {};
  AuditReport report{.at = *at_};
  if (const auto difference = compare(*own_, *theirs_)) {
    report.finding = Finding::Differs;
    report.where = *difference;
  }
  own_.reset(), theirs_.reset();
  return report;
}

}  // namespace hf::replication
