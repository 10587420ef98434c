// Phases in order of a life: load, repair, open a reign, serve, close. Snapshots stand in snapshots.cc.
#include "node/persistence.h"

#include <algorithm>
#include <cstdio>
#include <iterator>

#include "base/number.h"
#include "base/planted.h"

namespace hf::node {

namespace {

constexpr size_t replay_bytes_a_slice = 4 * 1024 * 1024;
constexpr size_t unwritten_bytes_max = 512ull * 1024 * 1024;
constexpr MonoUs second_us = 1'000'000;
/// Clocks that are kept right by small steps are not worth a word.
constexpr int64_t clock_step_ms = 2'000;
constexpr MonoUs sync_overdue_us = 2 * second_us;

}  // namespace

std::string random_hex40(Prng& prng) {
  constexpr char digits[] = "0123456789abcdef";
  std::string out;
  while (out.size() < 40) out += digits[prng.below(16)];
  return out;
}

Persistence::Persistence(const Parts& parts) : parts_(parts) {}

// ---- loading ----------------------------------------------------------------------------------------------

void Persistence::start(Now now) {
  now_ = now;
  started_us_ = now.mono_us;
  next_report_us_ = now.mono_us + second_us;
  last_save_ms_ = last_try_ms_ = now.wall_ms;
  log::RecoveryOptions options{.wall_ms = now.wall_ms};
  if (parts_.restore) return start_restore(std::move(options));
  recovery_ = std::make_unique<log::Recovery>(parts_.files, std::move(options));
  recovery_->open();
}

bool Persistence::recover_some(Now now) {
  now_ = now;
  if (phase_ != Phase::Loading) return false;
  switch (recovery_->phase()) {
    case log::Recovery::Phase::LoadSnapshot: load_snapshot(); break;
    case log::Recovery::Phase::Replay: recovery_->step(replay_bytes_a_slice, *this); break;
    case log::Recovery::Phase::Done: break;
  }
  const auto& notes = recovery_->notes();
  for (; notes_said_ < notes.size(); ++notes_said_) say(LogLevel::Warning, notes[notes_said_]);
  report_progress(now);
  if (recovery_->phase() != log::Recovery::Phase::Done) return true;
  if (parts_.restore) restored();
  else recovered();
  return phase_ == Phase::Loading;
}

bool Persistence::load_snapshot() {
  if (!reader_) {
    parts_.store.flush_all();
    reader_ = std::make_unique<snapshot::Reader>(parts_.files, recovery_->snapshot().name);
    reader_->open();
  } else {
    snapshot::StoreSink sink(parts_.store);
    reader_->step(replay_bytes_a_slice, sink);
  }
  if (reader_->phase() == snapshot::Reader::Phase::Damaged) {
    parts_.store.flush_all();
    recovery_->snapshot_damaged(reader_->reason());
    reader_.reset();
  } else if (reader_->phase() == snapshot::Reader::Phase::Done) {
    snapshot_loaded(reader_->header(), reader_->keys());
    reader_.reset();
  }
  return true;
}

void Persistence::snapshot_loaded(const snapshot::Header& header, uint64_t keys) {
  say(LogLevel::Notice,
      "Loaded " + recovery_->snapshot().name + ": " + to_text(static_cast<int64_t>(keys)) + " keys");
  recovery_->snapshot_loaded({.offset = header.offset,
                              .previous_sum = header.previous_sum,
                              .visible_offset = header.visible_offset,
                              .wall_ms = header.wall_ms,
                              .cluster_id = header.cluster_id,
                              .history = header.history,
                              .epoch = header.epoch});
  last_save_ms_ = header.wall_ms;
  loaded_ = header.offset;
}

Status Persistence::replay(const log::FrameHeader& header, LogOffset, Bytes content) {
  if (header.type == log::FrameType::Epoch) return ok();
  return parts_.executor.replay(content, header.wall_ms);
}

void Persistence::report_progress(Now now) {
  if (now.mono_us < next_report_us_) return;
  next_report_us_ = now.mono_us + second_us;
  const Progress p = progress();
  const double seconds = static_cast<double>(now.mono_us - started_us_) / 1e6;
  const double percent =
      p.total == 0 ? 0 : 100.0 * static_cast<double>(p.done) / static_cast<double>(p.total);
  const double rate = static_cast<double>(p.done) / 1e6 / std::max(seconds, 0.001);
  char text[160];
  std::snprintf(text, sizeof text, "Loading: %.0f %% of %.1f MB, %.0f MB/s, about %.0f s left", percent,
                static_cast<double>(p.total) / 1e6, rate,
                rate > 0 ? static_cast<double>(p.total - p.done) / 1e6 / rate : 0.0);
  say(LogLevel::Notice, text);
}

Persistence::Progress Persistence::progress() const {
  if (!recovery_) return {};
  Progress p{recovery_->bytes_done(), recovery_->bytes_total(), recovery_->frames()};
  if (reader_) p.done += reader_->bytes_done(), p.total += reader_->bytes_total();
  return p;
}

void Persistence::recovered() {
  rescued_.files += recovery_->rescued().size();
  if (!recovery_->rescued().empty()) rescued_.last = recovery_->rescued().back();
  log::Outcome& outcome = recovery_->outcome();
  if (auto* refused = std::get_if<log::Refused>(&outcome)) {
    if (!following_) return die(refused->why);
    unusable_ = refused->why;
    say(LogLevel::Warning, unusable_ + ". There is a primary: everything is fetched again from it");
    drop_served();
    phase_ = Phase::Serving;
    return;
  }
  if (auto* fresh = std::get_if<log::Fresh>(&outcome)) {
    if (fresh->leftovers.empty()) return begin_fresh();
    // Before anything else: what is made or received next may have the name of one of them.
    repair_ = std::move(fresh->leftovers);
    phase_ = Phase::Repairing;
    return;
  }
  if (const std::string why = following_ || !parts_.why_not_reign ? "" : parts_.why_not_reign(); !why.empty())
    return die(why);
  auto& back = std::get<log::Recovered>(outcome);
  char text[160];
  std::snprintf(text, sizeof text, "Recovered up to offset %llu in %.2f s (%llu frames replayed)",
                static_cast<unsigned long long>(back.resume.end.value),
                static_cast<double>(now_.mono_us - started_us_) / 1e6,
                static_cast<unsigned long long>(recovery_->frames()));
  say(LogLevel::Notice, text);
  std::move(back.settle.begin(), back.settle.end(), std::back_inserter(back.repair));
  if (back.repair.empty()) {
    open_log(std::move(back.resume));
    return;
  }
  resume_ = std::move(back.resume);
  repair_ = std::move(back.repair);
  phase_ = Phase::Repairing;
}

void Persistence::look_at_rescue() {
  const uint64_t before = std::exchange(rescue_held_, log::held_under_rescue(parts_.files)).bytes;
  const auto bound = static_cast<uint64_t>(parts_.options.rescue_warn_bytes);
  if (bound == 0 || rescue_held_.bytes <= std::max(bound, before)) return;
  say(LogLevel::Warning,
      "rescue/ holds " + to_human(rescue_held_.bytes) + " in " + std::to_string(rescue_held_.files) +
          " files, more than rescue-warn-bytes: what was cut off this node's log, kept until "
          "somebody looks. holdfast-check lists them, and with --list shows what is in one; "
          "remove those that nobody needs");
}

/// In a folder that holds nothing: a primary begins history, a replica waits for its primary's.
void Persistence::begin_fresh() {
  if (!following_) return open_log(log::fresh_start(random_hex40(parts_.prng)));
  phase_ = Phase::Serving;
}

void Persistence::open_log(log::ResumePoint from) {
  cluster_id_ = from.manifest.cluster_id;
  look_at_rescue();
  find_snapshots(from.manifest.snapshots);
  clock_.raise(from.wall_ms);
  epoch_max_ = from.epoch_max;
  if (!parts_.options.appendonly && !following_) {
    unlogged_ = true;
    unlogged_end_ = from.end;
    unlogged_visible_ = from.visible_end;
    epoch_ = Epoch{epoch_max_.value + 1};
    reign_id_ = random_hex40(parts_.prng);
    phase_ = Phase::Serving;
    say(LogLevel::Warning, "appendonly is no: what comes after the last snapshot is lost in a crash");
    return;
  }
  // A reign's record brings a MANIFEST along; frames of a primary do not, and the process before may have
  // been killed between renaming its last one and syncing the folder.
  if (following_) from.manifest_stale = true;
  make_writer(std::move(from));
  beside_.reset();
  if (following_) {
    phase_ = Phase::Serving;
    if (!writer_->history().empty()) {
      epoch_ = writer_->history().last().epoch;
      reign_id_ = writer_->history().last().id;
    }
    recovery_.reset();
    return;
  }
  if (planted(Bug::ReignResumed) && !writer_->history().empty()) {
    epoch_ = writer_->history().last().epoch;
    reign_id_ = writer_->history().last().id;
    phase_ = Phase::Serving;
    return;
  }
  open_reign(std::max(clock_.wall_ms(), now_.wall_ms));
  phase_ = Phase::Opening;
}

void Persistence::make_writer(log::ResumePoint from) {
  log::WriterOptions options;
  options.segment_bytes = static_cast<uint64_t>(parts_.options.log_segment_bytes);
  options.ahead_bytes = static_cast<uint64_t>(parts_.options.log_preallocate_bytes);
  options.salt_seed = parts_.prng.next();
  writer_ = std::make_unique<log::Writer>(options, std::move(from));
}

void Persistence::open_reign(WallMs wall_ms) {
  epoch_max_ = epoch_ = Epoch{epoch_max_.value + 1};
  reign_id_ = random_hex40(parts_.prng);
  const LogOffset begin = writer_->end();
  tee();
  writer_->begin_reign(Reign{epoch_, reign_id_, begin}, wall_ms);
  reign_needs_ = writer_->end();
  want_sync(reign_needs_);
  hand_on(begin);
}

/// What is sealed next is copied for replicas, if there are any.
void Persistence::tee() {
  writer_->set_tee(parts_.frames_wanted && parts_.frames_wanted() ? &tee_ : nullptr);
}

void Persistence::hand_on(LogOffset begin) {
  if (!tee_.empty()) parts_.on_frame(begin, writer_->end(), std::exchange(tee_, {}));
}

void Persistence::die(std::string why) {
  say(LogLevel::Warning, std::move(why));
  phase_ = Phase::Dead;
  update_refusal();
}

// ---- serving ----------------------------------------------------------------------------------------------

Now Persistence::never_backwards(Now now) {
  now_ = now;
  now_.wall_ms = clock_.read(now);
  if (writer_ && writer_->synced() == writer_->written()) last_sync_us_ = now.mono_us;  // nothing is overdue
  return now_;
}

void Persistence::seal(Now now, const command::Journal& journal) {
  if (!writer_) {
    unlogged_end_ = unlogged_end_ + journal.size();
    unlogged_visible_ += journal.visible_bytes();
    return;
  }
  if (phase_ == Phase::Dead || phase_ == Phase::Closed) return;
  const LogOffset begin = writer_->end();
  tee();
  writer_->append({.type = log::FrameType::Data,
                   .epoch = epoch_,
                   .wall_ms = now.wall_ms,
                   .visible_bytes = journal.visible_bytes(),
                   .commit = std::max(commit_, std::min(writer_->synced(), on_copies_[1])),
                   .content = journal.content()});
  hand_on(begin);
}

Safe Persistence::safe() const {
  if (!logging()) {
    Safe all{{UINT64_MAX}, {UINT64_MAX}};
    all.on_copies.fill({UINT64_MAX});
    return all;
  }
  // everysec promises a second, not more: a disk whose syncs hang holds the replies back.
  const bool overdue = parts_.options.appendfsync == config::FsyncPolicy::Everysec &&
                       writer_->synced() < writer_->written() &&
                       now_.mono_us - last_sync_us_ > sync_overdue_us;
  return {overdue ? writer_->synced() : writer_->written(), writer_->synced(), on_copies_};
}

void Persistence::update_refusal() {
  refusal_.clear();
  doubt_.clear();
  if (phase_ == Phase::Dead) {
    refusal_ = "MISCONF The log can't be written any more; Holdfast is stopping. See its log for the reason.";
  } else if (writer_ && writer_->health() == log::Health::Failing) {
    refusal_ = "MISCONF Writes are refused because the log can't be written: " + writer_->reason() +
               ". They are accepted again by themselves once it can; reads of what is safe go on.";
    doubt_ =
        "MISCONF The answer would show a write that is not in the log yet, and the log can't be written: " +
        writer_->reason() + ". Other reads go on; ask again later.";
  } else if (writer_ && writer_->unwritten_bytes() > unwritten_bytes_max) {
    refusal_ = "MISCONF Writes are refused because the disk is too far behind: " +
               to_human(writer_->unwritten_bytes()) + " wait to be written. Reads go on.";
  }
}

void Persistence::job_done(const FileJobDone& done) {
  if (done.lane == Lane::Snapshot) return snapshot_job_done(done);
  log_job_done(done);
}

void Persistence::log_job_done(const FileJobDone& done) {
  if (repair_in_flight_ && done.lane == Lane::Log) {
    repair_in_flight_ = false;
    if (phase_ == Phase::Restoring) {
      if (!done.ok) return die("Can't restore: " + done.message);
      phase_ = Phase::Closed;
      return;
    }
    if (!resume_) {
      if (!done.ok) return die("Can't remove what a first start left half-made: " + done.message);
      return begin_fresh();
    }
    if (!done.ok)
      return die("Can't cut the torn tail off the log: " + done.message +
                 ". Free the disk or mend the folder's permissions, then start again.");
    // What was not known to be durable has been written again, and synced.
    resume_->manifest.durable_upto = std::max(resume_->manifest.durable_upto, resume_->end);
    open_log(std::move(*resume_));
    resume_.reset();
    return;
  }
  if (reset_in_flight_ && done.lane == Lane::Log) {
    reset_in_flight_ = false;
    if (!done.ok) return die("Can't change over to the primary's state: " + done.message);
    return load_again();
  }
  if (!writer_) return;
  if (done.lane == Lane::Log) lane_back_ = done.cpu_us;
  const LogOffset synced = writer_->synced();
  switch (writer_->job_done(done)) {
    case log::WriterEvent::Failed:
      if (refusal_.empty())
        say(LogLevel::Warning, "Can't write the log: " + writer_->reason() +
                                   ". New writes are refused; trying again each second.");
      if (phase_ == Phase::Opening) die("Can't begin a reign: " + writer_->reason() + ", then start again");
      break;
    case log::WriterEvent::Recovered:
      say(LogLevel::Notice, "The log can be written again: accepting writes");
      break;
    case log::WriterEvent::Died:
      die("A sync of the log failed and is not tried again, because what it should have saved may be gone "
          "from the system's memory: " +
          writer_->reason() + ". Stopping without acknowledging what was not synced.");
      break;
    case log::WriterEvent::ShutDown: phase_ = Phase::Closed; break;
    case log::WriterEvent::Advanced:
    case log::WriterEvent::Repaired: break;
  }
  if (writer_->synced() > synced || writer_->synced() == writer_->written()) last_sync_us_ = now_.mono_us;
  if (phase_ == Phase::Opening && writer_->synced() == writer_->end()) {
    phase_ = Phase::Serving;
    say(LogLevel::Notice, "Epoch " + std::to_string(epoch_.value) + " begins at offset " +
                              std::to_string(writer_->end().value) + ": ready to accept connections");
    recovery_.reset();
  }
  update_refusal();
}

void Persistence::pump(Now now, Effects& effects) {
  if ((phase_ == Phase::Repairing || phase_ == Phase::Restoring) && !repair_.empty() && !repair_in_flight_) {
    effects.jobs.push_back({.id = 0, .lane = Lane::Log, .steps = std::move(repair_)});
    repair_.clear();
    repair_in_flight_ = true;
  }
  if (beginning_ == Beginning::Folder && housekeeping_.empty() && housekeeping_id_ == 0) {
    beginning_ = Beginning::No;
    say(LogLevel::Notice, "The log begins at offset " + std::to_string(last_cut_.value));
  }
  if (logging() && phase_ != Phase::Dead && phase_ != Phase::Closed) {
    const bool want = replies_wait_for_sync() || sync_wanted_ > writer_->synced();
    if (lane_back_) commits_.ended(now.mono_us, *std::exchange(lane_back_, {}));
    const bool may_wait = want && phase_ == Phase::Serving && writer_->health() == log::Health::Good;
    if (!may_wait || !commits_.waits(now.mono_us)) {
      if (auto job = writer_->next_job(want)) {
        commits_.begun(now.mono_us);
        effects.jobs.push_back(std::move(*job));
      }
    }
    // Only where replies wait for syncs: one a second gains nothing.
    if (want && phase_ == Phase::Serving)
      if (auto job = writer_->ahead_job()) effects.jobs.push_back(std::move(*job));
    if (parts_.options.appendfsync == config::FsyncPolicy::Everysec && now.mono_us >= next_sync_us_ &&
        writer_->synced() < writer_->written()) {
      next_sync_us_ = now.mono_us + second_us;
      if (auto job = writer_->sync_job()) effects.jobs.push_back(std::move(*job));
    }
    update_refusal();
  }
  if (phase_ == Phase::Resetting) step_reset(effects);
  if (asked_ && applied_all_) cut_snapshot(now);
  if (snapshot_ && !snapshot_->job_in_flight()) {
    if (snapshot_->state() == snapshot::State::Failed && !abort_sent_) {
      abort_sent_ = true;
      effects.jobs.push_back(snapshot_->abort_job());
    } else if (auto job = snapshot_->next_job(logging() ? writer_->synced() : snapshot_->header().offset)) {
      effects.jobs.push_back(std::move(*job));
    }
  }
  remove_dropped_segments();
  if (!snapshot_ && !housekeeping_.empty() && housekeeping_id_ == 0) {
    housekeeping_id_ = next_snapshot_job_++;
    effects.jobs.push_back(
        {.id = housekeeping_id_, .lane = Lane::Snapshot, .steps = std::move(housekeeping_)});
    housekeeping_.clear();
  }
  if (closing_job_) effects.jobs.push_back(std::move(*closing_job_));
  closing_job_.reset();
  for (LogLine& line : lines_) effects.lines.push_back(std::move(line));
  lines_.clear();
  if (!exit_said_ && (phase_ == Phase::Dead || (parts_.restore && phase_ == Phase::Closed))) {
    exit_said_ = true;
    effects.exit = phase_ == Phase::Dead ? 1 : 0;
  }
}

void Persistence::watch_clock() {
  const int64_t behind_ms = clock_.behind_ms();
  if (clock_said_ ? behind_ms > 0 : behind_ms < clock_step_ms) return;
  clock_said_ = !clock_said_;
  if (!clock_said_)
    return say(LogLevel::Notice, "The system's clock has caught up with the log's last record");
  say(LogLevel::Warning,
      "The system's clock is " + to_text(behind_ms / 1000) +
          " s behind the log's last record: it was set back, or was ahead when that was written. "
          "Time goes on from that record, each second an eighth longer, until it has caught up: "
          "EXPIRE and leases last what they should, what is due at a time of day comes early");
}

void Persistence::once_a_second(Now now) {
  if (writer_ && writer_->health() == log::Health::Failing) writer_->retry();
  // CONFIG SET appendonly yes. Refused while another snapshot runs, and for a while behind one that failed.
  if (phase_ == Phase::Serving && without_log() && parts_.options.appendonly)
    static_cast<void>(begin_log(now));
  if (phase_ == Phase::Serving) snapshot_when_due(now);
  if (phase_ == Phase::Serving && !following_) watch_clock();
  report_snapshot(now);
}

MonoUs Persistence::next_wake(Now now, bool clients_wait) const {
  MonoUs wake = next_slice(now, clients_wait);
  if (commits_.waits(now.mono_us)) wake = std::min(wake, commits_.wait_until());
  if (writer_ && parts_.options.appendfsync == config::FsyncPolicy::Everysec &&
      writer_->synced() < writer_->written() && !writer_->sync_in_flight())
    return std::min(wake, next_sync_us_);
  return wake;
}

// ---- ending -----------------------------------------------------------------------------------------------

bool Persistence::close_log() {
  if (phase_ == Phase::Closed || phase_ == Phase::Dead) return true;
  if (writer_ && !logging()) return false;  // what it has gathered is nowhere else yet
  if (!writer_) {
    phase_ = Phase::Closed;
    return true;
  }
  phase_ = Phase::Closing;
  if (writer_->health() == log::Health::Failing) {
    die("Stopping while the log can't be written (" + writer_->reason() + "): " +
        std::to_string(writer_->unwritten_bytes()) + " bytes that were never acknowledged are dropped.");
    return true;
  }
  if (!closing_sent_ && writer_->idle()) {
    closing_sent_ = true;
    closing_job_ = writer_->shutdown_job();
  }
  return false;
}

}  // namespace hf::node
