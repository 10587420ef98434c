// Reads snapshots block by block into nothing.
#include "node/verify.h"

#include <algorithm>

#include "base/limits.h"
#include "log/manifest.h"
#include "log/segment.h"
#include "snapshot/reader.h"

namespace hf::node {
namespace {

constexpr size_t slice_bytes = 64 << 20;

/// Blocks are verified by their sums; what is inside them is the store's business at loading.
class Discard final : public snapshot::EntrySink {
 public:
  Status entry(DbIndex, Bytes) override { return ok(); }
};

}  // namespace

log::VerifiedSnapshot verify_snapshot(Files& files, const std::string& name) {
  log::VerifiedSnapshot result;
  log::FileReport& report = result.report;
  report.name = name;
  report.kind = "snapshot";
  const auto received = log::parse_received_name(name);
  report.first = report.end = received ? *received : *log::parse_snapshot_name(name);
  snapshot::Reader reader(files, name);
  Discard sink;
  reader.open();
  while (reader.phase() == snapshot::Reader::Phase::Loading) reader.step(slice_bytes, sink);
  report.bytes = reader.bytes_total();
  report.items = reader.keys();
  if (reader.phase() == snapshot::Reader::Phase::Damaged) {
    result.unreadable = reader.unreadable();
    const bool unusable = reader.newer() || reader.unreadable();
    report.soundness = unusable ? log::Soundness::Unusable : log::Soundness::Damaged;
    report.finding = reader.reason();
    return result;
  }
  const snapshot::Header& header = reader.header();
  if (header.offset != report.end) {
    report.soundness = log::Soundness::Damaged;
    report.finding =
        "byte 16: the header says offset " + std::to_string(header.offset.value) + ", the name another";
    return result;
  }
  report.finding = header.reason + (header.tag.empty() ? "" : ", tag " + header.tag);
  result.point = log::SnapshotPoint{.offset = header.offset,
                                    .previous_sum = header.previous_sum,
                                    .visible_offset = header.visible_offset,
                                    .wall_ms = header.wall_ms,
                                    .cluster_id = header.cluster_id,
                                    .history = header.history,
                                    .epoch = header.epoch};
  return result;
}

std::vector<log::VerifiedSnapshot> verify_snapshots(Files& files) {
  std::vector<log::VerifiedSnapshot> snapshots;
  if (const auto names = files.list())
    for (const std::string& name : *names)
      if (log::parse_snapshot_name(name)) snapshots.push_back(verify_snapshot(files, name));
  // One that was received and is about to take the place of all else counts as one.
  const auto text = files.read(log::manifest_name, 0, limits::manifest_bytes_max);
  const auto manifest = text ? log::decode_manifest(*text) : Result<log::Manifest>(text.error());
  if (manifest && manifest->adopt) {
    const std::string name = log::received_name(*manifest->adopt);
    if (files.exists(name)) snapshots.push_back(verify_snapshot(files, name));
  }
  return snapshots;
}

Result<std::optional<log::SnapshotPoint>> newest_whole(Files& files) {
  if (const auto names = files.list(); !names) return names.error();
  std::optional<log::SnapshotPoint> newest;
  for (const log::VerifiedSnapshot& snapshot : verify_snapshots(files)) {
    if (snapshot.unreadable) return Error{snapshot.report.finding};
    if (snapshot.point && (!newest || snapshot.point->offset > newest->offset)) newest = snapshot.point;
  }
  return newest;
}

}  // namespace hf::node
