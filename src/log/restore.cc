// Points in time: reading them, and the choice of a base.
#include "log/restore.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "base/number.h"

namespace hf::log {
namespace {

constexpr Bytes tag_prefix = "tag:";

Error not_a_point(Bytes text) {
  return Error{
      "'" + std::string(text.substr(0, 64)) +
      "' is no point in time: give a time as 2026-11-22T05:00:00Z, an offset as digits, or tag:NAME"};
}

/// `digits` decimal digits at `at`, which is moved on; -1: not that.
int64_t take_digits(Bytes text, size_t& at, size_t digits) {
  int64_t value = 0;
  for (size_t i = 0; i < digits; ++i, ++at) {
    if (at >= text.size() || text[at] < '0' || text[at] > '9') return -1;
    value = value * 10 + (text[at] - '0');
  }
  return value;
}

std::optional<WallMs> parse_time(Bytes text) {
  namespace chr = std::chrono;
  constexpr size_t digits[] = {4, 2, 2, 2, 2, 2};
  constexpr char behind[] = {'-', '-', 'T', ':', ':'};
  int64_t part[6];
  size_t at = 0;
  for (size_t i = 0; i < 6; ++i) {
    part[i] = take_digits(text, at, digits[i]);
    if (part[i] < 0) return {};
    if (i < 5 && (at >= text.size() || text[at++] != behind[i])) return {};
  }
  int64_t ms = 0, weight = 100;
  if (at < text.size() && text[at] == '.') {
    const size_t begin = ++at;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, weight /= 10)
      ms += (text[at] - '0') * weight;
    if (at == begin || at - begin > 3) return {};
  }
  if (text.substr(at) != "Z") return {};
  const chr::year_month_day date{chr::year(static_cast<int>(part[0])),
                                 chr::month(static_cast<unsigned>(part[1])),
                                 chr::day(static_cast<unsigned>(part[2]))};
  if (!date.ok() || part[3] > 23 || part[4] > 59 || part[5] > 59) return {};
  const int64_t days = chr::sys_days(date).time_since_epoch().count();
  return ((days * 24 + part[3]) * 60 + part[4]) * 60'000 + part[5] * 1000 + ms;
}

}  // namespace

Result<RestorePoint> parse_restore_point(Bytes text) {
  if (text.starts_with(tag_prefix) && text.size() > tag_prefix.size())
    return RestorePoint{.kind = RestorePoint::Kind::Tag, .tag = std::string(text.substr(tag_prefix.size()))};
  if (const auto offset = parse_uint(text)) return RestorePoint{.offset = {*offset}};
  if (const auto wall_ms = parse_time(text))
    return RestorePoint{.kind = RestorePoint::Kind::Time, .wall_ms = *wall_ms};
  return not_a_point(text);
}

std::string time_text(WallMs wall_ms) {
  namespace chr = std::chrono;
  const chr::sys_time<chr::milliseconds> time{chr::milliseconds(wall_ms)};
  const auto day = chr::floor<chr::days>(time);
  const chr::year_month_day date(day);
  const chr::hh_mm_ss<chr::milliseconds> clock(time - day);
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()), static_cast<int>(clock.subseconds().count()));
  return text;
}

std::string list_snapshots(const std::vector<SnapshotNote>& snapshots) {
  if (snapshots.empty()) return "there is no snapshot";
  std::string out = "snapshots:";
  for (const SnapshotNote& note : snapshots)
    out += (&note == &snapshots.front() ? " offset " : "; offset ") + std::to_string(note.offset.value) +
           " of " + time_text(note.wall_ms) + (note.tag.empty() ? "" : ", tag " + note.tag);
  return out;
}

Result<RestorePlan> plan_restore(const RestorePoint& point, const std::vector<SnapshotNote>& snapshots) {
  RestorePlan plan;
  if (point.kind == RestorePoint::Kind::Offset) {
    plan.stop.offset = point.offset;
  } else if (point.kind == RestorePoint::Kind::Time) {
    plan.stop.wall_ms = point.wall_ms;
  } else {
    const auto found = std::find_if(snapshots.begin(), snapshots.end(),
                                    [&](const SnapshotNote& note) { return note.tag == point.tag; });
    if (found == snapshots.end())
      return Error{"no snapshot has the tag '" + point.tag + "'; " + list_snapshots(snapshots)};
    plan.stop.offset = found->offset;
  }
  // A snapshot's time is that of its cut: nothing before it is later, nothing behind it is earlier.
  for (const SnapshotNote& note : snapshots)
    if (note.offset > plan.stop.offset || note.wall_ms > plan.stop.wall_ms) plan.skip.push_back(note.offset);
  return plan;
}

Status judge_restore(const RestorePoint& point, const ResumePoint& reached) {
  const std::string end = "offset " + std::to_string(reached.end.value) + ", " + time_text(reached.wall_ms);
  if (reached.end == LogOffset{0})
    return Error{"the point asked for lies before the first record that is kept"};
  if (reached.stopped || point.kind == RestorePoint::Kind::Time) return ok();
  if (reached.end < point.offset)
    return Error{"offset " + std::to_string(point.offset.value) + " lies behind the end of the log (" + end +
                 ")"};
  return ok();
}

}  // namespace hf::log
