// A log begun while the server serves without one: for its first replica, or by CONFIG SET appendonly yes.
#include "node/persistence.h"

namespace hf::node {

/// On disk it comes to what a start with a log makes of a folder that has only snapshots: the snapshot stands
/// first, then the log from before goes, then the log is begun where the snapshot was cut. Stopped anywhere
/// before, the next start finds what it would have found without.
Status Persistence::begin_log(Now now) {
  if (writer_ || beginning_ != Beginning::No) return ok();
  if (failed_lately(now))
    return Error{"the snapshot that a log has to begin with failed: " + snapshot_failure_};
  if (Status begun = begin_snapshot(now, {.reason = "log"}); !begun) return begun;
  beginning_ = Beginning::Cut;
  say(LogLevel::Notice, "A log is begun: first a snapshot of what is here");
  return ok();
}

/// In the reign that this process has had since its start.
void Persistence::log_from_cut(Now now) {
  log::ResumePoint from = log::fresh_start(cluster_id_);
  from.end = unlogged_end_;
  from.visible_end = unlogged_visible_;
  from.epoch_max = epoch_;
  from.wall_ms = now.wall_ms;
  make_writer(std::move(from));
  writer_->begin_reign(Reign{epoch_, reign_id_, unlogged_end_}, now.wall_ms);
  beginning_ = Beginning::Snapshot;
}

void Persistence::abandon_log() {
  unlogged_end_ = writer_->end();
  unlogged_visible_ = writer_->visible_end();
  writer_.reset();
  beginning_ = Beginning::No;
}

}  // namespace hf::node
