// Persistence as a replica: frames are stored as they come, and the state is exchanged for another one by
// saying so in MANIFEST first and loading again: a reset is a restart without the process.
#include <algorithm>

#include "base/planted.h"
#include "node/persistence.h"

namespace hf::node {

namespace {

// Enough to keep a disk busy while the next batch comes together. More only means that each batch lies in
// memory that the system has to clear first: with 64 MiB that was a third of what catching up cost.
constexpr size_t behind_bytes_max = 4ull * 1024 * 1024;

}  // namespace

void Persistence::follow() { following_ = true; }

replication::Holding Persistence::holding() const {
  if (!logging() || cluster_id_.empty()) return {};
  return {cluster_id_, writer_->history(), writer_->begin(), writer_->end()};
}

LogOffset Persistence::can_go_back_to() const {
  const LogOffset begin = writer_->begin();
  if (begin == LogOffset{0}) return begin;
  for (const log::SnapshotNote& note : notes_)
    if (note.offset >= begin) return note.offset;
  return writer_->end();
}

bool Persistence::can_mirror() const {
  if (phase_ != Phase::Serving || !following_) return false;
  return !logging() ||
         (writer_->health() == log::Health::Good && writer_->unwritten_bytes() < behind_bytes_max);
}

Status Persistence::mirror(const std::vector<log::MirrorFrame>& group) {
  if (!logging()) return Error{"frames came, but no snapshot to begin with"};
  const LogOffset begin = writer_->end();
  tee();
  if (Status stored = writer_->mirror(group); !stored) return stored;
  const Reign& reign = writer_->history().last();
  epoch_ = reign.epoch;
  reign_id_ = reign.id;
  epoch_max_ = std::max(epoch_max_, epoch_);
  clock_.raise(group.back().header.wall_ms);
  hand_on(begin);
  return ok();
}

// ---- another state ----------------------------------------------------------------------------------------

void Persistence::cut_back(LogOffset at) {
  if (!writer_) return;
  log::Manifest manifest;
  manifest.cut = at;  // the rest follows when the log is at rest
  reset(std::move(manifest));
}

void Persistence::adopt(const snapshot::Header& header, bool beside) {
  if (beside) beside_ = header;
  log::Manifest manifest;
  manifest.cluster_id = header.cluster_id;
  manifest.history = header.history;
  manifest.adopt = header.offset;
  // Of a folder that is refused nobody knows how far it is the primary's.
  if (!unusable_.empty()) manifest.adopt_keeps = LogOffset{};
  else if (writer_ && writer_->end() > shared_) manifest.adopt_keeps = shared_;
  reset(std::move(manifest));
}

/// What is under way comes to its end first: jobs of the old log, a snapshot of the old state.
void Persistence::reset(log::Manifest manifest) {
  if (phase_ != Phase::Serving) return drop_beside();
  manifest.clean_end.reset();
  reset_to_ = std::move(manifest);
  asked_ = false;
  if (beginning_ == Beginning::Cut) beginning_ = Beginning::No;
  next_.reset();
  verifier_.reset();
  if (snapshot_) snapshot_->fail("the data set is being replaced by the primary's");
  if (walking_) fail_walk();
  phase_ = Phase::Resetting;
}

void Persistence::step_reset(Effects& effects) {
  if (!reset_to_ || snapshot_ || housekeeping_id_ != 0 || (writer_ && !writer_->idle())) return;
  if (reset_to_->cut) {
    // As the log is now: what still waited to be written may have opened segments.
    const LogOffset at = *reset_to_->cut;
    *reset_to_ = writer_->manifest();
    reset_to_->cut = at;
    reset_to_->durable_upto = std::min(reset_to_->durable_upto, at);
    reset_to_->clean_end.reset();
  }
  writer_.reset();
  housekeeping_.clear();
  effects.jobs.push_back({.id = 0, .lane = Lane::Log});
  log::add_manifest_steps(*reset_to_, effects.jobs.back().steps);
  reset_to_.reset();
  reset_in_flight_ = true;
}

void Persistence::load_again() {
  notes_.clear();
  facts_.clear();
  unlogged_ = false;
  unlogged_visible_ = 0;
  unusable_.clear();
  last_cut_ = sync_wanted_ = {};
  cluster_id_.clear();
  notes_said_ = 0;
  started_us_ = now_.mono_us;
  next_report_us_ = now_.mono_us + 1'000'000;
  recovery_ = std::make_unique<log::Recovery>(parts_.files, log::RecoveryOptions{.wall_ms = now_.wall_ms});
  phase_ = Phase::Loading;
  recovery_->open();
  if (!take_beside()) drop_served();
}

/// The data set from now on is what the store has beside: MANIFEST says so, and nothing more has to be read.
bool Persistence::take_beside() {
  const bool found = beside_ && recovery_->phase() == log::Recovery::Phase::LoadSnapshot &&
                     recovery_->snapshot().offset == beside_->offset;
  if (!found) return false;
  uint64_t keys = 0;
  parts_.store.take_beside();
  for (DbIndex db = 0; db < parts_.store.databases(); ++db) keys += parts_.store.size(db);
  snapshot_loaded(*beside_, keys);
  return true;
}

void Persistence::drop_beside() {
  if (beside_) parts_.store.drop_beside();
  beside_.reset();
}

void Persistence::drop_served() {
  drop_beside();
  parts_.store.flush_all();
}

// ---- promotion --------------------------------------------------------------------------------------------

Status Persistence::begin_own_reign(Now now) {
  if (!unusable_.empty()) return Error{"this node's folder can't be used: " + unusable_};
  if (phase_ != Phase::Serving)
    return Error{"this node is changing over to its primary's state; ask again later"};
  following_ = false;
  if (!writer_) {
    // Without a log it has had its reign since its start.
    if (!unlogged_) open_log(log::fresh_start(random_hex40(parts_.prng)));
    return ok();
  }
  if (!planted(Bug::PromotedWithoutReign)) open_reign(std::max(clock_.wall_ms(), now.wall_ms));
  return ok();
}

bool Persistence::reign_open() const {
  if (following_ || !serving()) return false;
  return !writer_ || writer_->synced() >= reign_needs_;
}

}  // namespace hf::node
