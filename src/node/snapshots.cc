// Snapshots: when one is due, the cut, the walk, the file, and what is kept afterwards.
#include <algorithm>
#include <cstdio>
#include <utility>

#include "base/number.h"
#include "log/trim.h"
#include "node/persistence.h"

namespace hf::node {

namespace {

constexpr int64_t retry_after_failure_ms = 60'000;
constexpr MonoUs report_every_us = 10'000'000;
// The loop sleeps between slices. One that asks for the next turn at once is never asleep when a request
// comes, and the scheduler lets who has had more than its share of a processor wait for the others: some
// milliseconds.
constexpr MonoUs slice_every_us = 1'000;
// A replica waits for it: slices come more often, and each is as large as the time since the last one asks
// for, so that the walk keeps its pace of `entries` in so many microseconds however busy the loop is.
constexpr MonoUs awaited_slice_every_us = 500, awaited_slice_us = 750;
// A slice that is due lets those go first whose request is here, or whose reply comes with the end of a
// write; but not for ever.
constexpr MonoUs slice_patience_us = 1'000;
// Where it is ahead of its pace, or of the disk.
constexpr MonoUs pace_step_us = 5'000;
// Copying so much takes about as long as a slice may. Entries differ in size: it is looked at between steps.
constexpr uint64_t slice_bytes_max = 512 * 1024;
constexpr size_t entries_a_step = 128;
constexpr size_t tag_bytes_max = 128;
constexpr const char* asked_for = "save";  // the reason of BGSAVE and SAVE

/// Tags stand in MANIFEST's lines and in file headers.
Status check_tag(Bytes tag) {
  if (tag.size() > tag_bytes_max)
    return Error{"a tag has " + std::to_string(tag_bytes_max) + " bytes at most"};
  for (const char c : tag)
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f)
      return Error{"a tag has no blanks and no control characters"};
  return ok();
}

}  // namespace

Status Persistence::begin_snapshot(Now now, SnapshotPlan plan) {
  if (phase_ != Phase::Serving) return Error{"no snapshot can be taken in this phase"};
  if (following_ && !writer_ && !unlogged_) return Error{"this replica has no data set yet"};
  if (Status s = check_tag(plan.tag); !s) return s;
  if (Status s = tag_is_free(end(), plan.tag); !s) return s;
  last_try_ms_ = now.wall_ms;
  if (snapshot_running()) {
    // As in Redis what a client asks for may follow a rewrite, but not a save like itself.
    const bool behind_rewrite = plan_.rewrite && plan.reason == asked_for;
    if (next_ || (plan_.spread_us == 0 && !behind_rewrite))
      return Error{"Background save already in progress"};
    next_ = std::move(plan);
    plan_.spread_us = 0;  // nobody waits for an hour's pacing
    return ok();
  }
  asked_ = true;
  plan_ = std::move(plan);
  snapshot_begun_us_ = now.mono_us;
  return ok();
}

Status Persistence::begin_rewrite(Now now) {
  if (rewriting()) return Error{"Background append only file rewriting already in progress"};
  if (snapshot_running() && !next_ &&
      plan_.reason != shutdown_reason) {  // as in Redis it follows the one that runs
    next_ = SnapshotPlan{.reason = "rewrite", .rewrite = true};
    plan_.spread_us = 0;
    return ok();
  }
  return begin_snapshot(now, {.reason = "rewrite", .rewrite = true});
}

bool Persistence::failed_lately(Now now) const {
  return !snapshot_failure_.empty() && now.wall_ms - last_try_ms_ < retry_after_failure_ms;
}

Status Persistence::last_snapshot_status() const {
  if (snapshot_failure_.empty()) return ok();
  return Error{snapshot_failure_};
}

void Persistence::describe_tables(snapshot::Header& header) const {
  header.hash_seed = parts_.store.hash_seed();
  for (DbIndex db = 0; db < parts_.store.databases(); ++db)
    if (const size_t keys = parts_.store.size(db);
        keys > 0 && header.tables.size() < limits::snapshot_tables_max)
      header.tables.push_back({db, keys});
}

/// Called when the turn's frame is sealed: the log's end is then exactly what the store holds.
void Persistence::cut_snapshot(Now now) {
  asked_ = false;
  snapshot::Header header;
  header.cluster_id = cluster_id_;
  header.epoch = epoch_;
  header.wall_ms = now.wall_ms;
  header.reason = plan_.reason;
  header.tag = plan_.tag;
  if (writer_) {
    const log::Writer::CutPoint cut = writer_->cut_point();
    header.offset = cut.offset;
    header.previous_sum = cut.previous_sum;
    header.visible_offset = cut.visible_offset;
    header.history = writer_->history();
    if (plan_.rewrite) writer_->roll();
    want_sync(cut.offset);
  } else {
    // Without a log offsets only have to rise from one snapshot to the next.
    unlogged_end_ = unlogged_end_ + 1;
    header.offset = unlogged_end_;
    header.visible_offset = unlogged_visible_;
    if (beginning_ == Beginning::Cut) log_from_cut(now);
  }
  changes_at_cut_ = changes_;
  abort_sent_ = false;
  snapshot::WriterOptions options;
  options.block_bytes = parts_.snapshot_block_bytes;
  options.first_job_id = next_snapshot_job_;
  options.waiting_bytes_max = static_cast<size_t>(parts_.options.snapshot_copy_bytes_max);
  last_cut_ = header.offset;
  keys_at_cut_ = 0;
  describe_tables(header);
  for (DbIndex db = 0; db < parts_.store.databases(); ++db) keys_at_cut_ += parts_.store.size(db);
  copy_peak_ = 0;
  next_snapshot_report_us_ = now.mono_us + report_every_us;
  snapshot_ = std::make_unique<snapshot::Writer>(std::move(header), options);
  walk_ = parts_.store.begin_walk(*snapshot_);
  walking_ = true;
}

void Persistence::fail_walk() {
  parts_.store.abort_walk(walk_);
  walking_ = false;
}

/// True while a spread snapshot has walked its share of the time that has passed.
bool Persistence::ahead_of_pace(Now now) const {
  if (plan_.spread_us == 0 || keys_at_cut_ == 0) return false;
  const auto passed = static_cast<double>(now.mono_us - snapshot_begun_us_);
  return static_cast<double>(snapshot_->keys()) / static_cast<double>(keys_at_cut_) >
         passed / static_cast<double>(plan_.spread_us);
}

bool Persistence::walk_some(Now now, size_t entries, bool clients_wait) {
  if (!walking_) return false;
  const size_t copied = snapshot_copy_bytes();
  copy_peak_ = std::max(copy_peak_, copied);
  if (copied > static_cast<size_t>(parts_.options.snapshot_copy_bytes_max) + store::piece_bytes_max)
    snapshot_->fail("more than snapshot-copy-bytes-max (" +
                    to_human(static_cast<uint64_t>(parts_.options.snapshot_copy_bytes_max)) +
                    ") had to be copied aside");
  if (snapshot_->state() == snapshot::State::Failed) {
    fail_walk();
    return false;
  }
  asked_since_slice_ = asked_since_slice_ || clients_wait;
  const MonoUs due_us = next_slice_us_ + (clients_wait ? slice_patience_us : 0);
  if (now.mono_us < due_us || snapshot_->should_pause() || ahead_of_pace(now)) return false;
  const uint64_t stop_at = snapshot_->raw_bytes() + slice_bytes_max;
  // While nobody asks for anything there is more of the processor for it; who comes in between waits for one
  // slice. One that is spread over time is in no hurry.
  const bool asked = std::exchange(asked_since_slice_, false);
  size_t slice = asked || plan_.spread_us > 0 ? entries : 2 * entries;
  if (asked && plan_.awaited) {
    const auto since = static_cast<double>(now.mono_us - last_slice_us_) / awaited_slice_us;
    slice = 1 + static_cast<size_t>(static_cast<double>(entries) * std::clamp(since, 0.3, 2.0));
  }
  last_slice_us_ = now.mono_us;
  for (size_t left = slice; walking_ && left > 0 && snapshot_->raw_bytes() < stop_at;) {
    const size_t step = std::min(left, entries_a_step);
    left -= step;
    walking_ = !parts_.store.walk_some(walk_, step);
  }
  if (!walking_) snapshot_->finish();
  // Nobody is served any more, or yet.
  const bool alone = phase_ != Phase::Serving || plan_.reason == shutdown_reason;
  next_slice_us_ = alone ? 0 : now.mono_us + (plan_.awaited ? awaited_slice_every_us : slice_every_us);
  return walking_ && alone;
}

MonoUs Persistence::next_slice(Now now, bool clients_wait) const {
  if (!walking_) return INT64_MAX;
  // The end of the job that it waits for makes a turn, too.
  if (snapshot_->should_pause() || ahead_of_pace(now)) return now.mono_us + pace_step_us;
  return std::max(now.mono_us, next_slice_us_ + (clients_wait ? slice_patience_us : 0));
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
  if (snapshot_->state() == snapshot::State::Failed && walking_) fail_walk();
  if (snapshot_->state() == snapshot::State::Done) end_snapshot(now_);
}

void Persistence::end_snapshot(Now now) {
  if (phase_ == Phase::Restoring) return end_restore();
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
    // Nothing changed since an earlier one: this file took its place, and its tag stays.
    const log::SnapshotNote* same = find_note(header.offset);
    const std::string tag = header.tag.empty() && same != nullptr ? same->tag : header.tag;
    std::erase_if(notes_, [&](const log::SnapshotNote& note) { return note.offset == header.offset; });
    notes_.push_back({.offset = header.offset,
                      .epoch = header.epoch,
                      .wall_ms = header.wall_ms,
                      .bytes = snapshot_->file_bytes(),
                      .keys = snapshot_->keys(),
                      .reason = header.reason,
                      .tag = tag,
                      .milliseconds = static_cast<int64_t>(seconds * 1000)});
    facts_[header.offset.value] = {FileState::Written, {}};
    char text[200];
    std::snprintf(text, sizeof text, "Snapshot %s: %llu keys, %s in %.2f s", snapshot_->name().c_str(),
                  static_cast<unsigned long long>(snapshot_->keys()),
                  to_human(snapshot_->file_bytes()).c_str(), seconds);
    say(LogLevel::Notice, text);
    forget_old_snapshots(plan_.rewrite);
    if (beginning_ == Beginning::Snapshot) {
      writer_->set_snapshots(notes_);
      beginning_ = Beginning::Folder;
    }
  } else {
    snapshot_failure_ = snapshot_->reason();
    say(LogLevel::Warning, "The snapshot failed: " + snapshot_failure_ + ". The data set is not affected.");
    if (beginning_ == Beginning::Snapshot) abandon_log();
  }
  if (plan_.rewrite) rewrite_failed_ = snapshot_->state() != snapshot::State::Done;
  snapshot_.reset();
  if (!next_) return;
  asked_ = true;
  plan_ = std::move(*next_);
  next_.reset();
  snapshot_begun_us_ = now.mono_us;
}

void Persistence::report_snapshot(Now now) {
  if (!snapshot_ || now.mono_us < next_snapshot_report_us_) return;
  next_snapshot_report_us_ = now.mono_us + report_every_us;
  char text[160];
  std::snprintf(text, sizeof text, "Snapshot %s: %llu of %llu keys, %s written, %s copied aside",
                snapshot_->name().c_str(), static_cast<unsigned long long>(snapshot_->keys()),
                static_cast<unsigned long long>(keys_at_cut_), to_human(snapshot_->file_bytes()).c_str(),
                to_human(snapshot_copy_bytes()).c_str());
  say(LogLevel::Notice, text);
}

// ---- what is kept -----------------------------------------------------------------------------------------

/// At start: what MANIFEST tells, as far as the files are there, and files that it does not (any more) tell
/// of.
void Persistence::find_snapshots(const std::vector<log::SnapshotNote>& told) {
  const auto names = parts_.files.list();
  if (!names) return;
  for (const std::string& name : *names) {
    const auto offset = log::parse_snapshot_name(name);
    if (!offset) continue;
    const auto at =
        std::find_if(told.begin(), told.end(), [&](const auto& n) { return n.offset == *offset; });
    const auto size = parts_.files.size(name);
    if (at != told.end() && (!size || *size == at->bytes)) {
      notes_.push_back(*at);
      continue;
    }
    // Not told of; or a later one of the same offset took its place, and MANIFEST had not heard of it.
    snapshot::Reader reader(parts_.files, name);
    if (reader.open() == snapshot::Reader::Phase::Damaged) continue;
    const snapshot::Header& header = reader.header();
    notes_.push_back({*offset, header.epoch, header.wall_ms, reader.bytes_total(), reader.footer().keys,
                      header.reason, at == told.end() ? header.tag : at->tag});
  }
  std::sort(notes_.begin(), notes_.end(), [](auto& a, auto& b) { return a.offset < b.offset; });
  if (!notes_.empty()) last_cut_ = notes_.back().offset;
  if (loaded_ && find_note(*loaded_) != nullptr) facts_[loaded_->value].state = FileState::Verified;
}

log::SnapshotNote* Persistence::find_note(LogOffset offset) {
  return const_cast<log::SnapshotNote*>(std::as_const(*this).find_note(offset));
}

const log::SnapshotNote* Persistence::find_note(LogOffset offset) const {
  for (const log::SnapshotNote& note : notes_)
    if (note.offset == offset) return &note;
  return nullptr;
}

/// One that grows at the offset of one that is whole can't be told from it: it counts once it has taken its
/// place.
std::optional<LogOffset> Persistence::growing_snapshot() const {
  if (!snapshot_ || snapshot_->state() == snapshot::State::Failed || snapshot_->written_bytes() == 0)
    return {};
  const LogOffset offset = snapshot_->header().offset;
  if (find_note(offset) != nullptr) return {};
  return offset;
}

std::optional<Persistence::SnapshotFile> Persistence::snapshot_file(LogOffset offset) const {
  if (const log::SnapshotNote* note = find_note(offset))
    return SnapshotFile{snapshot::file_name(offset), note->bytes, note->bytes, true};
  if (growing_snapshot() != offset) return {};
  // Of what there was at the cut the walk has seen a part, and of that a part is written.
  const auto share = [](uint64_t part, uint64_t all) {
    return std::clamp(static_cast<double>(part) / static_cast<double>(std::max<uint64_t>(1, all)), 0.001,
                      1.0);
  };
  const uint64_t raw = snapshot_->raw_bytes(), bytes = snapshot_->written_bytes();
  const double written = share(raw - std::min<uint64_t>(raw, snapshot_->waiting_bytes()), raw);
  const double seen = walking_ ? share(snapshot_->keys(), keys_at_cut_) : 1;
  return SnapshotFile{snapshot::temp_name(offset), bytes,
                      static_cast<uint64_t>(static_cast<double>(bytes) / written / seen), false};
}

Persistence::SnapshotFacts Persistence::snapshot_facts(LogOffset offset) const {
  const auto at = facts_.find(offset.value);
  return at == facts_.end() ? SnapshotFacts() : at->second;
}

Status Persistence::tag_is_free(LogOffset offset, Bytes tag) const {
  for (const log::SnapshotNote& note : notes_)
    if (!tag.empty() && note.tag == tag && note.offset != offset)
      return Error{"snapshot " + std::to_string(note.offset.value) + " has that tag already"};
  return ok();
}

Status Persistence::tag_snapshot(LogOffset offset, std::string tag) {
  log::SnapshotNote* note = find_note(offset);
  if (note == nullptr) return Error{"no such snapshot"};
  if (!writer_)
    return Error{"tags are kept in MANIFEST, which needs appendonly yes; BGSAVE TAG works without"};
  if (Status s = check_tag(tag); !s) return s;
  if (Status s = tag_is_free(offset, tag); !s) return s;
  note->tag = std::move(tag);
  writer_->set_snapshots(notes_);
  notes_awaited_ = true;
  return ok();
}

Status Persistence::delete_snapshot(LogOffset offset) {
  if (find_note(offset) == nullptr) return Error{"no such snapshot"};
  if (verifier_ && verifying_ == offset) return Error{"it is being verified"};
  if (parts_.snapshot_in_use && parts_.snapshot_in_use(offset)) return Error{"a replica is being sent it"};
  // A start needs one whose log goes on to the end: the newest, and the one before it should that be damaged.
  if (notes_.back().offset == offset) return Error{"the newest snapshot stays: a start would need it"};
  housekeeping_.push_back({.kind = FileStep::Kind::Remove, .name = snapshot::file_name(offset)});
  std::erase_if(notes_, [&](const log::SnapshotNote& n) { return n.offset == offset; });
  facts_.erase(offset.value);
  if (writer_) writer_->set_snapshots(notes_);
  return ok();
}

Status Persistence::begin_verify(LogOffset offset) {
  if (find_note(offset) == nullptr) return Error{"no such snapshot"};
  if (verifier_) return Error{"a snapshot is being verified already"};
  verifier_ = std::make_unique<snapshot::Reader>(parts_.files, snapshot::file_name(offset));
  verifying_ = offset;
  verifier_->open();
  return ok();
}

bool Persistence::verify_some() {
  if (!verifier_) return false;
  class Discard final : public snapshot::EntrySink {
    Status entry(DbIndex, Bytes) override { return ok(); }
  } discard;
  if (verifier_->phase() == snapshot::Reader::Phase::Loading) verifier_->step(0, discard);
  if (verifier_->phase() == snapshot::Reader::Phase::Loading) return true;
  const bool sound = verifier_->phase() == snapshot::Reader::Phase::Done;
  if (find_note(verifying_) != nullptr) {  // else retention took it in between
    facts_[verifying_.value].state = sound ? FileState::Verified : FileState::Damaged;
    facts_[verifying_.value].finding = verifier_->reason();
    if (!sound) say(LogLevel::Warning, "A snapshot is damaged: " + verifier_->reason());
  }
  verifier_.reset();
  verify_finished_ = true;
  return false;
}

/// `trim_all`: without the past that only the options ask for.
void Persistence::forget_old_snapshots(bool trim_all) {
  look_at_rescue();  // somebody may have tidied up there
  std::sort(notes_.begin(), notes_.end(), [](const auto& a, const auto& b) { return a.offset < b.offset; });
  const config::Options& options = parts_.options;
  log::KeepPolicy policy{.snapshots = static_cast<size_t>(std::max<int64_t>(1, options.snapshot_keep))};
  if (logging() && !trim_all) {
    policy.log_bytes = static_cast<uint64_t>(options.log_keep_bytes);
    policy.log_ms = options.log_keep_seconds * 1000;
  }
  const log::Keep keep =
      log::decide_keep(notes_, policy, logging() ? writer_->begin() : end(), end(), now_.wall_ms,
                       parts_.log_pins ? parts_.log_pins() : std::vector<LogOffset>());
  for (const LogOffset offset : keep.forget) {
    if (parts_.snapshot_in_use && parts_.snapshot_in_use(offset)) continue;  // the next round takes it
    housekeeping_.push_back({.kind = FileStep::Kind::Remove, .name = snapshot::file_name(offset)});
    std::erase_if(notes_, [&](const log::SnapshotNote& note) { return note.offset == offset; });
    facts_.erase(offset.value);
  }
  if (logging()) {
    writer_->set_snapshots(notes_);
    writer_->trim_to(keep.log_from);
    return;
  }
  // Without a log, an older log in the folder no longer leads to this state: the snapshot takes its place.
  if (auto names = parts_.files.list()) {
    for (const std::string& name : *names)
      if (name == log::manifest_name || log::parse_segment_name(name))
        housekeeping_.push_back({.kind = FileStep::Kind::Remove, .name = name});
  }
}

/// On the snapshots' lane: giving a large file back takes a disk its time.
void Persistence::remove_dropped_segments() {
  if (!writer_) return;
  const std::vector<std::string> names = writer_->take_dropped();
  for (const std::string& name : names)
    housekeeping_.push_back({.kind = FileStep::Kind::Remove, .name = name});
  if (!names.empty())
    say(LogLevel::Verbose, "Trimmed " + to_text(static_cast<int64_t>(names.size())) +
                               " segments off the log, which now begins at offset " +
                               std::to_string(writer_->begin().value));
}

void Persistence::snapshot_when_due(Now now) {
  const bool spread = snapshot_running() && plan_.spread_us > 0;
  if (snapshot_running() && !spread) return;
  if (failed_lately(now)) return;
  const int64_t since_s = (now.wall_ms - std::max(last_save_ms_, last_try_ms_)) / 1000;
  const uint64_t changed = changes_ - (spread ? changes_at_cut_ : changes_at_save_);
  int64_t interval_s = 0;  // of what is due, the one that allows the least time
  const auto allow = [&](int64_t seconds) {
    interval_s = interval_s == 0 ? seconds : std::min(interval_s, seconds);
  };
  if (parts_.options.snapshot_interval > 0 && since_s >= parts_.options.snapshot_interval && changed > 0)
    allow(parts_.options.snapshot_interval);
  for (const config::SavePoint& point : parts_.options.save)
    if (since_s >= point.seconds && changed >= static_cast<uint64_t>(point.changes)) allow(point.seconds);
  const bool timed = parts_.options.snapshot_interval > 0 || !parts_.options.save.empty();
  const uint64_t log_bytes = log::log_growth_max(static_cast<uint64_t>(parts_.options.snapshot_log_bytes),
                                                 timed, static_cast<uint64_t>(parts_.options.log_keep_bytes),
                                                 static_cast<uint64_t>(parts_.options.log_segment_bytes));
  const bool grown = log_bytes > 0 && writer_ && changed > 0 && end().value - last_cut_.value >= log_bytes;
  if (interval_s == 0 && !grown) return;
  if (spread) {
    plan_.spread_us = 0;  // the next one is due: get done with this one
    return;
  }
  const double target = parts_.options.snapshot_completion_target;
  const auto spread_us = static_cast<MonoUs>(static_cast<double>(interval_s) * 1e6 * target);
  const Status begun = begin_snapshot(
      now, {.reason = interval_s > 0 ? "interval" : "log", .spread_us = grown ? 0 : spread_us});
  if (!begun.ok()) say(LogLevel::Warning, "A snapshot is due but can't begin: " + begun.error().message);
}

}  // namespace hf::node
