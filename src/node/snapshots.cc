// Snapshots: when one is due, the cut, the walk, the file, and what is kept afterwards.
#include <algorithm>
#include <cstdio>

#include "base/number.h"
#include "node/persistence.h"

namespace hf::node {

namespace {

constexpr int64_t retry_after_failure_ms = 60'000;

}  // namespace

Status Persistence::begin_snapshot(Now now, std::string reason) {
  if (snapshot_running()) return Error{"Background save already in progress"};
  if (phase_ != Phase::Serving) return Error{"no snapshot can be taken in this phase"};
  snapshot_asked_ = true;
  snapshot_reason_ = std::move(reason);
  snapshot_begun_us_ = now.mono_us;
  last_try_ms_ = now.wall_ms;
  return ok();
}

Status Persistence::last_snapshot_status() const {
  if (snapshot_failure_.empty()) return ok();
  return Error{snapshot_failure_};
}

/// Called when the turn's frame is sealed: the log's end is then exactly what the store holds.
void Persistence::cut_snapshot(Now now) {
  snapshot_asked_ = false;
  snapshot::Header header;
  header.cluster_id = cluster_id_;
  header.epoch = epoch_;
  header.wall_ms = now.wall_ms;
  header.reason = snapshot_reason_;
  if (writer_) {
    const log::Writer::CutPoint cut = writer_->cut_point();
    header.offset = cut.offset;
    header.previous_sum = cut.previous_sum;
    header.visible_offset = cut.visible_offset;
    header.history = writer_->history();
    want_sync(cut.offset);
  } else {
    // Without a log offsets only have to rise from one snapshot to the next.
    unlogged_end_ = unlogged_end_ + 1;
    header.offset = unlogged_end_;
  }
  changes_at_cut_ = changes_;
  abort_sent_ = false;
  snapshot::WriterOptions options;
  options.first_job_id = next_snapshot_job_;
  snapshot_ = std::make_unique<snapshot::Writer>(std::move(header), options);
  walk_ = parts_.store.begin_walk(*snapshot_);
  walking_ = true;
}

bool Persistence::walk_some(size_t entries) {
  if (!walking_) return false;
  if (snapshot_->state() == snapshot::State::Failed) {
    parts_.store.abort_walk(walk_);
    walking_ = false;
    return false;
  }
  if (snapshot_->should_pause()) return false;
  if (parts_.store.walk_some(walk_, entries)) {
    walking_ = false;
    snapshot_->finish();
  }
  return walking_;
}

void Persistence::snapshot_job_done(const FileJobDone& done) {
  if (done.id == housekeeping_id_) {
    housekeeping_id_ = 0;
    if (!done.ok) say(LogLevel::Warning, "Can't remove an old snapshot: " + done.message);
    return;
  }
  if (!snapshot_) return;
  if (abort_sent_) {
    end_snapshot(now_);
    return;
  }
  snapshot_->job_done(done);
  if (snapshot_->state() == snapshot::State::Failed && walking_) {
    parts_.store.abort_walk(walk_);
    walking_ = false;
  }
  if (snapshot_->state() == snapshot::State::Done) end_snapshot(now_);
}

void Persistence::end_snapshot(Now now) {
  const double seconds = static_cast<double>(now.mono_us - snapshot_begun_us_) / 1e6;
  last_snapshot_s_ = static_cast<int64_t>(seconds);
  next_snapshot_job_ = snapshot_->next_job_id();
  snapshot_finished_ = true;
  if (snapshot_->state() == snapshot::State::Done) {
    snapshot_failure_.clear();
    last_save_ms_ = now.wall_ms;
    changes_at_save_ = changes_at_cut_;
    ++snapshots_taken_;
    const snapshot::Header& header = snapshot_->header();
    std::erase_if(notes_, [&](const log::SnapshotNote& note) { return note.offset == header.offset; });
    notes_.push_back({.offset = header.offset,
                      .epoch = header.epoch,
                      .wall_ms = header.wall_ms,
                      .bytes = snapshot_->file_bytes(),
                      .keys = snapshot_->keys(),
                      .reason = header.reason,
                      .tag = header.tag});
    char text[200];
    std::snprintf(text, sizeof text, "Snapshot %s: %llu keys, %s in %.2f s", snapshot_->name().c_str(),
                  static_cast<unsigned long long>(snapshot_->keys()), to_human(snapshot_->file_bytes()).c_str(),
                  seconds);
    say(LogLevel::Notice, text);
    forget_old_snapshots();
  } else {
    snapshot_failure_ = snapshot_->reason();
    say(LogLevel::Warning, "The snapshot failed: " + snapshot_failure_ + ". The data set is not affected.");
  }
  snapshot_.reset();
}

void Persistence::forget_old_snapshots() {
  std::sort(notes_.begin(), notes_.end(), [](const auto& a, const auto& b) { return a.offset < b.offset; });
  while (notes_.size() > static_cast<size_t>(std::max<int64_t>(1, parts_.options.snapshot_keep))) {
    housekeeping_.push_back({.kind = FileStep::Kind::Remove, .name = snapshot::file_name(notes_.front().offset)});
    notes_.erase(notes_.begin());
  }
  if (writer_) {
    writer_->set_snapshots(notes_);
    return;
  }
  // Without a log, an older log in the folder no longer leads to this state: the snapshot takes its place.
  if (auto names = parts_.files.list()) {
    for (const std::string& name : *names)
      if (name == log::manifest_name || log::parse_segment_name(name))
        housekeeping_.push_back({.kind = FileStep::Kind::Remove, .name = name});
  }
}

void Persistence::snapshot_when_due(Now now) {
  if (snapshot_running()) return;
  if (!snapshot_failure_.empty() && now.wall_ms - last_try_ms_ < retry_after_failure_ms) return;
  const int64_t since_s = (now.wall_ms - std::max(last_save_ms_, last_try_ms_)) / 1000;
  const uint64_t changed = changes_since_save();
  bool due = parts_.options.snapshot_interval > 0 && since_s >= parts_.options.snapshot_interval && changed > 0;
  for (const config::SavePoint& point : parts_.options.save)
    due = due || (since_s >= point.seconds && changed >= static_cast<uint64_t>(point.changes));
  if (!due) return;
  const Status begun = begin_snapshot(now, "interval");
  if (!begun.ok()) say(LogLevel::Warning, "A snapshot is due but can't begin: " + begun.error().message);
}

}  // namespace hf::node
