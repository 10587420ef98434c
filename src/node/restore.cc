// Back in time: recovery up to a point, then the state there as a snapshot and a MANIFEST. The node reads one
// folder; its driver carries out the jobs in another, fresh one.
#include "log/restore.h"

#include <algorithm>

#include "log/incomplete.h"
#include "log/segment.h"
#include "node/persistence.h"

namespace hf::node {

/// Tags in MANIFEST were given or taken after the file was written; for all else the file's word counts.
std::vector<log::SnapshotNote> Persistence::snapshots_in_folder() {
  std::vector<log::SnapshotNote> told, found;
  if (const auto size = parts_.files.size(log::manifest_name); size && *size <= limits::manifest_bytes_max)
    if (const auto text = parts_.files.read(log::manifest_name, 0, *size))
      if (auto manifest = log::decode_manifest(*text)) told = std::move(manifest->snapshots);
  const auto names = parts_.files.list();
  if (!names) return found;
  for (const std::string& name : *names) {
    const auto offset = log::parse_snapshot_name(name);
    if (!offset) continue;
    snapshot::Reader reader(parts_.files, name);
    if (reader.open() == snapshot::Reader::Phase::Damaged) continue;
    const snapshot::Header& header = reader.header();
    found.push_back({*offset, header.epoch, header.wall_ms, reader.bytes_total(), reader.footer().keys,
                     header.reason, header.tag});
    for (const log::SnapshotNote& note : told)
      if (note.offset == *offset) found.back().tag = note.tag;
  }
  return found;
}

void Persistence::start_restore(log::RecoveryOptions options) {
  restore_snapshots_ = snapshots_in_folder();
  const Result<log::RestorePlan> plan = log::plan_restore(*parts_.restore, restore_snapshots_);
  if (!plan) return die("Can't restore: " + plan.error().message);
  options.stop = plan->stop;
  options.skip = plan->skip;
  recovery_ = std::make_unique<log::Recovery>(parts_.files, std::move(options));
  recovery_->open();
}

void Persistence::restored() {
  const log::Outcome& outcome = recovery_->outcome();
  const std::string there = ". In this folder: " + log::list_snapshots(restore_snapshots_);
  if (const auto* refused = std::get_if<log::Refused>(&outcome))
    return die("Can't restore to that point: " + refused->why + there);
  if (std::holds_alternative<log::Fresh>(outcome)) return die("Can't restore: the folder holds no data");
  const log::ResumePoint& reached = std::get<log::Recovered>(outcome).resume;
  if (const Status status = log::judge_restore(*parts_.restore, reached); !status)
    return die("Can't restore to that point: " + status.error().message + there);
  say(LogLevel::Notice, "The state at offset " + std::to_string(reached.end.value) + ", last written to at " +
                            log::time_text(reached.wall_ms) +
                            (reached.stopped ? "" : ", which is the end of the log"));
  if (parts_.restore_nothing_written) {
    phase_ = Phase::Closed;
    return;
  }
  snapshot::Header header;
  header.cluster_id = cluster_id_ = reached.manifest.cluster_id;
  header.offset = reached.end;
  header.previous_sum = reached.last_sum;
  header.visible_offset = reached.visible_end;
  // Of the folder left behind: no reign begun from here may share a number with one of its future.
  header.epoch = reached.epoch_max;
  header.wall_ms = reached.wall_ms;
  header.reason = "restore";
  header.history = reached.manifest.history;
  describe_tables(header);
  unlogged_end_ = reached.end;
  snapshot_begun_us_ = now_.mono_us;
  plan_ = {.reason = header.reason};
  snapshot_ = std::make_unique<snapshot::Writer>(std::move(header), snapshot::WriterOptions{});
  walk_ = parts_.store.begin_walk(*snapshot_);
  walking_ = true;
  phase_ = Phase::Restoring;
}

/// The snapshot is in place, or has failed; MANIFEST makes a folder of it.
void Persistence::end_restore() {
  if (snapshot_->state() != snapshot::State::Done) return die("Can't restore: " + snapshot_->reason());
  const snapshot::Header& header = snapshot_->header();
  log::Manifest manifest;
  manifest.cluster_id = header.cluster_id;
  manifest.history = header.history;
  manifest.durable_upto = header.offset;
  manifest.snapshots = {{header.offset, header.epoch, header.wall_ms, snapshot_->file_bytes(),
                         snapshot_->keys(), header.reason, header.tag}};
  log::add_manifest_steps(manifest, repair_);
  log::add_unmark_steps(repair_);
  say(LogLevel::Notice, "Restored " + std::to_string(snapshot_->keys()) + " keys into " + snapshot_->name());
  snapshot_.reset();
}

}  // namespace hf::node
