// An orderly end: the snapshot that is asked for, then the log closed with the mark of a clean end, then exit
// 0. It can be called off until the log is being closed.
#include "node/inside.h"

namespace hf::node {

Status ServerNode::Impl::shutdown(command::SaveMode save, bool, bool force, bool abort) {
  if (abort) {
    if (!shutdown_asked_ || persistence_.phase() != Persistence::Phase::Serving)
      return Error{"No shutdown in progress."};
    give_up_shutdown();
    return ok();
  }
  request_shutdown();
  if (save == command::SaveMode::Save) shutdown_save_ = true;
  if (save == command::SaveMode::NoSave) shutdown_save_ = false;
  shutdown_forced_ = force;
  return ok();
}

void ServerNode::Impl::request_shutdown() {
  if (shutdown_asked_) return;
  shutdown_asked_ = true;
  shutdown_save_ = options_.snapshot_on_shutdown || (!options_.save.empty() && !options_.appendonly);
  persistence_.say(LogLevel::Notice, "Shutting down: finishing what is acknowledged");
}

void ServerNode::Impl::step_shutdown(Effects& effects) {
  if (!persistence_.serving() && !persistence_.dead()) {
    effects.exit = 0;  // still loading: nothing was acknowledged, nothing to write
    return;
  }
  if (shutdown_save_ && !shutdown_snapshot_begun_) {
    const Status begun = persistence_.begin_snapshot(now_, {.reason = Persistence::shutdown_reason});
    if (!begun.ok() && persistence_.snapshot_running()) return;
    shutdown_snapshot_begun_ = true;
    if (!begun.ok()) shutdown_save_ = false;
  }
  if (shutdown_snapshot_begun_ && persistence_.snapshot_running()) return;
  if (shutdown_save_ && !shutdown_forced_ && !persistence_.last_snapshot_status().ok()) {
    persistence_.say(LogLevel::Warning,
                     "Not shutting down: the snapshot that was asked for failed. SHUTDOWN NOSAVE or "
                     "SHUTDOWN FORCE end without it.");
    return give_up_shutdown();
  }
  executor_.gate.refuse_all = "ERR Holdfast is shutting down";
  if (persistence_.close_log() && !persistence_.dead()) effects.exit = 0;
}

void ServerNode::Impl::give_up_shutdown() {
  shutdown_asked_ = shutdown_forced_ = shutdown_snapshot_begun_ = false;
  everyone_ready(shutdown_key);
}

}  // namespace hf::node
