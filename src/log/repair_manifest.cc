// Every segment with a sound header is listed, but for those in front of a gap before the snapshot that the
// log goes on from. Whether what is listed is whole is for the next look at the folder to judge.
#include "log/repair_manifest.h"

#include <algorithm>
#include <cerrno>

#include "base/limits.h"
#include "log/reader.h"
#include "log/repair_steps.h"
#include "log/segment.h"

namespace hf::log {
namespace {

struct Found {
  std::string name;
  SegmentHeader header;
};

/// A segment that MANIFEST does not list, though it should, or "".
Result<std::string> not_listed(Files& files, const Manifest& manifest) {
  if (manifest.adopt || manifest.segments.empty()) return std::string();
  const auto names = files.list();
  if (!names) return names.error();
  for (const std::string& name : *names) {
    const auto first = parse_segment_name(name);
    if (!first || *first < manifest.segments.front().first || (manifest.cut && *first >= *manifest.cut))
      continue;
    const auto listed = [&](const SegmentRef& ref) { return ref.first == *first; };
    if (std::any_of(manifest.segments.begin(), manifest.segments.end(), listed)) continue;
    SegmentReader reader(files, name);
    const Status opened = reader.open();
    if (!opened && unreadable(opened.error())) return opened.error();
    if (!opened || reader.header().cluster_id != manifest.cluster_id) continue;
    const auto ahead = reader.look_ahead(segment_header_bytes);
    if (!ahead) return ahead.error();
    if (ahead->frames > 0) return name;
  }
  return std::string();
}

/// Ascending; those whose header can't be used are named in `others`.
Result<std::vector<Found>> find_segments(Files& files, const std::optional<SnapshotPoint>& base,
                                         std::vector<std::string>& others) {
  const auto names = files.list();
  if (!names) return names.error();
  std::vector<Found> found;
  for (const std::string& name : *names) {
    const auto first = parse_segment_name(name);
    if (!first) continue;
    SegmentReader reader(files, name);
    const Status opened = reader.open();
    if (!opened && (unreadable(opened.error()) || opened.error().code == newer_version))
      return opened.error();
    const bool ours = opened && reader.header().first == *first &&
                      (!base || reader.header().cluster_id == base->cluster_id);
    if (ours) found.push_back({name, reader.header()});
    else others.push_back(name);
  }
  return found;
}

/// Does `next` go on where `segment` ends?
Result<bool> joins(Files& files, const Found& segment, const Found& next) {
  SegmentReader reader(files, segment.name);
  if (const Status opened = reader.open(); !opened) return opened.error();
  ChainPoint chain{segment.header.first, segment.header.previous_sum, segment.header.epoch};
  SegmentReader::Frame frame;
  for (;;) {
    const auto verdict = reader.next(chain, frame);
    if (!verdict) return verdict.error();
    if (*verdict != Verdict::Valid) break;
  }
  return chain.offset == next.header.first && chain.sum == next.header.previous_sum;
}

}  // namespace

Result<ManifestFinding> read_for_repair(Files& files) {
  ManifestFinding out;
  const auto size = files.size(manifest_name);
  if (!size && unreadable(size.error())) return size.error();
  if (!size) return out.why = "MANIFEST is missing", out;
  const auto text = files.read(manifest_name, 0, std::min<uint64_t>(*size, limits::manifest_bytes_max));
  if (!text) return text.error();
  auto manifest = decode_manifest(*text);
  if (!manifest && manifest.error().code == newer_version) return manifest.error();
  if (!manifest) return out.why = manifest.error().message, out;
  out.manifest = std::move(*manifest);
  const auto forgotten = not_listed(files, out.manifest);
  if (!forgotten) return forgotten.error();
  if (!forgotten->empty()) out.why = "MANIFEST is older than the log: it does not list " + *forgotten;
  return out;
}

Result<RepairPlan> plan_manifest(Files& files, const std::string& why,
                                 const std::optional<SnapshotPoint>& base, WallMs now_ms) {
  std::vector<std::string> others;
  auto found = find_segments(files, base, others);
  if (!found) return found.error();
  const LogOffset from = base ? base->offset : LogOffset{0};
  // In front of a gap nothing can be reached any more.
  size_t begin = 0;
  for (size_t i = 0; i + 1 < found->size() && (*found)[i + 1].header.first <= from; ++i) {
    const auto joined = joins(files, (*found)[i], (*found)[i + 1]);
    if (!joined) return joined.error();
    if (!*joined) begin = i + 1;
  }
  for (size_t i = 0; i < begin; ++i) others.push_back((*found)[i].name);
  found->erase(found->begin(), found->begin() + static_cast<std::ptrdiff_t>(begin));
  if (found->empty() || found->front().header.first > from)
    return Error{why + ", and no log that is here goes on from " +
                 (base ? "the newest whole snapshot (offset " + std::to_string(from.value) + ")"
                       : std::string("the beginning, nor is there a snapshot")) +
                 ". Bring MANIFEST or the missing segments back from a copy of the folder"};
  RepairPlan plan;
  Manifest made;
  made.cluster_id = found->front().header.cluster_id;
  made.durable_upto = from;
  for (const Found& segment : *found) made.segments.push_back({segment.header.first, segment.header.salt});
  auto& say = plan.announcement;
  say.push_back("Damage: " + why + ".");
  say.push_back("A new MANIFEST is made that lists " + found->front().name + " to " + found->back().name +
                ", by their headers" +
                (files.exists(manifest_name) ? "; a copy of the old goes to rescue/." : "."));
  RepairSteps steps(files, now_ms, plan.steps);
  if (files.exists(manifest_name))
    if (const Status status = steps.copy_aside(manifest_name); !status) return status.error();
  for (const std::string& name : others) {
    say.push_back(name + ", which is not part of that log, is moved to rescue/.");
    steps.move_aside(name);
  }
  say.push_back(
      "What only the old one told is lost: tags given with SNAPSHOT TAG, and how far the log was synced. If "
      "bytes are "
      "missing at its end, that is taken for a torn tail.");
  steps.settle();
  add_manifest_steps(made, plan.steps);
  return plan;
}

}  // namespace hf::log
