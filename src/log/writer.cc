// Sealing frames, planning jobs, taking answers. The order of steps inside a job is what makes a crash at any
// of them harmless; each order is explained where it is made.
#include "log/writer.h"

#include <algorithm>
#include <iterator>

#include "base/check.h"
#include "base/compress.h"
#include "base/planted.h"

namespace hf::log {
namespace {

using Kind = FileStep::Kind;

// After this many contents in a row that lz4 could not shrink, the next ones are not even tried.
constexpr unsigned misses_before_skipping = 4, contents_skipped = 64;
// A batch's memory is used again up to this size.
constexpr size_t spare_bytes_max = 8 * 1024 * 1024;

bool is_sync(Kind kind) { return kind == Kind::Sync || kind == Kind::SyncDir; }

}  // namespace

ResumePoint fresh_start(std::string cluster_id) {
  HF_CHECK(is_id(cluster_id));
  ResumePoint point;
  point.manifest.cluster_id = std::move(cluster_id);
  return point;
}

Writer::Writer(WriterOptions options, ResumePoint from)
    : options_(options),
      ahead_(options.ahead_bytes, options.segment_bytes),
      salts_(options.salt_seed),
      manifest_(std::move(from.manifest)),
      manifest_dirty_(from.manifest_stale),
      end_(from.end),
      written_(from.end),
      synced_(std::min(from.end, manifest_.durable_upto)),
      visible_end_(from.visible_end),
      last_sum_(from.last_sum),
      reign_visible_(from.reign_visible),
      wall_ms_(from.wall_ms),
      sealing_bytes_(from.segment_bytes),
      sealing_mirrored_(from.mirrored) {
  HF_CHECK(is_id(manifest_.cluster_id));
  manifest_.clean_end.reset();
  manifest_.copying = false;
  if (from.segment_bytes > 0) {
    HF_CHECK(!manifest_.segments.empty());
    sealing_ = manifest_.segments.back();
    current_ = sealing_;
    current_bytes_ = from.segment_bytes;
  }
}

// ---- appending ----------------------------------------------------------------------------------

LogOffset Writer::append(const FrameInput& input) {
  HF_CHECK(!input.content.empty());
  HF_CHECK(input.visible_bytes <= input.content.size());
  wall_ms_ = std::max(wall_ms_, input.wall_ms);
  // Only here, between groups: a group never spans segments.
  if (segment_is_full() || sealing_mirrored_) open_segment(input.epoch, {});
  roll_due_ = false;

  const uint64_t visible_end = visible_end_ + input.visible_bytes;
  Bytes rest = input.content;
  while (rest.size() > limits::frame_content_bytes_max) {
    seal(input, rest.substr(0, limits::frame_content_bytes_max), true, visible_end_);
    rest.remove_prefix(limits::frame_content_bytes_max);
  }
  seal(input, rest, false, visible_end);
  visible_end_ = visible_end;
  return end_;
}

LogOffset Writer::begin_reign(const Reign& reign, WallMs wall_ms) {
  HF_CHECK(reign.first == end_);
  HF_CHECK(manifest_.history.add(reign));
  manifest_dirty_ = true;
  reign_visible_ = visible_end_;
  const std::string content = epoch_command(reign);
  return append({.type = FrameType::Epoch, .epoch = reign.epoch, .wall_ms = wall_ms, .content = content});
}

Status Writer::mirror(const std::vector<MirrorFrame>& group) {
  HF_CHECK(!group.empty());
  LogOffset end = end_;
  uint64_t sum = last_sum_;
  for (const MirrorFrame& frame : group) {
    const FrameHeader& header = frame.header;
    if (header.offset != end || header.previous_sum != sum || header.salt != group[0].header.salt)
      return Error{"the frame at offset " + std::to_string(header.offset.value) +
                   " does not continue this log, which ends at offset " + std::to_string(end.value)};
    end = header.end(), sum = frame.sum;
  }
  for (const MirrorFrame& frame : group) {
    if (frame.header.type != FrameType::Epoch) continue;
    Result<Reign> reign = parse_epoch_command(frame.content);
    if (!reign) return reign.error();
    if (reign->first != frame.header.offset || !manifest_.history.add(*reign))
      return Error{"the reign of epoch " + std::to_string(reign->epoch.value) +
                   " does not follow the one before"};
    manifest_dirty_ = true;
    reign_visible_ = frame.header.visible_end;
  }
  const uint64_t salt = group[0].header.salt;
  wall_ms_ = std::max(wall_ms_, group.back().header.wall_ms);
  if (segment_is_full() || sealing_.salt != salt) open_segment(group[0].header.epoch, salt);
  roll_due_ = false;
  Batch& batch = gathering();
  for (const MirrorFrame& frame : group) {
    batch.frames += frame.bytes;
    if (tee_ != nullptr) *tee_ += frame.bytes;
    sealing_bytes_ += frame.bytes.size();
    unwritten_ += frame.bytes.size();
    bytes_sealed_ += frame.bytes.size();
  }
  last_sum_ = sum;
  visible_end_ = group.back().header.visible_end;
  end_ = batch.end = end;
  return ok();
}

bool Writer::segment_is_full() const {
  const bool full = sealing_bytes_ >= options_.segment_bytes || roll_due_;
  return sealing_bytes_ == 0 || (full && sealing_bytes_ > segment_header_bytes);
}

void Writer::open_segment(Epoch epoch, std::optional<uint64_t> mirrored_salt) {
  sealing_ = {end_, mirrored_salt ? *mirrored_salt : salts_.next()};
  sealing_mirrored_ = mirrored_salt.has_value();
  Batch batch;
  batch.segment = sealing_;
  batch.opens = true;
  batch.at = segment_header_bytes;
  batch.end = end_;
  batch.header = encode_segment_header({.salt = sealing_.salt,
                                        .first = end_,
                                        .epoch = epoch,
                                        .visible_offset = visible_end_,
                                        .previous_sum = last_sum_,
                                        .wall_ms = wall_ms_,
                                        .cluster_id = manifest_.cluster_id,
                                        .mirrored = sealing_mirrored_ && !planted(Bug::MirroredForgotten)});
  batches_.push_back(std::move(batch));
  sealing_bytes_ = segment_header_bytes;
}

Writer::Batch& Writer::gathering() {
  const size_t taken = front_taken_ ? 1 : 0;
  if (batches_.size() > taken) return batches_.back();
  Batch batch;
  batch.segment = sealing_;
  batch.at = sealing_bytes_;
  batch.end = end_;
  batch.frames = std::move(spare_);
  batch.frames.clear();
  batches_.push_back(std::move(batch));
  return batches_.back();
}

void Writer::seal(const FrameInput& input, Bytes content, bool more, uint64_t visible_end) {
  std::string packed;
  if (options_.compress && content.size() >= compress_bytes_min && content.size() <= compress_bytes_max) {
    if (compress_skips_ > 0) {
      --compress_skips_;
    } else {
      packed = lz4_compress(content);
      compress_misses_ = packed.empty() ? compress_misses_ + 1 : 0;
      if (compress_misses_ >= misses_before_skipping) compress_skips_ = contents_skipped;
    }
  }
  const Bytes stored = packed.empty() ? content : Bytes(packed);
  Batch& batch = gathering();
  const FrameHeader header{.type = input.type,
                           .compressed = !packed.empty(),
                           .more = more,
                           .stored_bytes = static_cast<uint32_t>(stored.size()),
                           .raw_bytes = static_cast<uint32_t>(content.size()),
                           .salt = sealing_.salt,
                           .epoch = input.epoch,
                           .offset = end_,
                           .visible_end = visible_end,
                           .wall_ms = wall_ms_,
                           .commit = input.commit,
                           .durable_upto = synced_,
                           .previous_sum = last_sum_};
  const size_t before = batch.frames.size();
  last_sum_ = encode_frame(header, stored, batch.frames);
  if (tee_ != nullptr) tee_->append(batch.frames, before);
  end_ = header.end();
  batch.end = end_;
  sealing_bytes_ += header.frame_bytes();
  unwritten_ += header.frame_bytes();
  bytes_sealed_ += header.frame_bytes();
}

// ---- jobs ---------------------------------------------------------------------------------------

FileJob Writer::new_job(InFlight what) {
  HF_CHECK(in_flight_ == InFlight::Nothing);
  in_flight_ = what;
  log_id_ = next_id_++;
  log_job_covers_.reset();
  job_name_ = current_ ? segment_name(current_->first) : std::string(manifest_name);
  return {.id = log_id_, .lane = Lane::Log};
}

void Writer::add_manifest(std::vector<FileStep>& steps) {
  add_manifest_steps(manifest_, steps);
  manifest_dirty_ = false;
  notes_planned_ = notes_set_;
  unlisting_ = unlisted_.size();
}

std::optional<FileJob> Writer::next_job(bool want_sync) {
  if (health_ == Health::Dead || in_flight_ != InFlight::Nothing) return {};
  if (health_ == Health::Failing) {
    if (!may_try_) return {};
    may_try_ = false;
    if (cut_due_) return cut_job();
  }
  if (!batches_.empty()) {
    const Batch& next = batches_.front();
    if (ahead_.in_the_way(next.opens, next.at + next.frames.size())) return {};
    return batch_job(want_sync);
  }
  if (manifest_dirty_) {
    FileJob job = new_job(InFlight::Manifest);
    job_name_ = manifest_name;
    manifest_.durable_upto = synced_;
    add_manifest(job.steps);
    return job;
  }
  if (want_sync && synced_ < written_ && current_) {
    FileJob job = new_job(InFlight::Sync);
    job.steps.push_back({.kind = Kind::Sync, .name = job_name_});
    log_job_covers_ = written_;
    return job;
  }
  return {};
}

/// The old segment is synced before the new one exists, the new one's header before MANIFEST lists it, and
/// MANIFEST is on disk before the first frame: so only the last listed segment can be torn, and an unlisted
/// one holds no frame.
void Writer::add_opening_steps(const Batch& batch, std::vector<FileStep>& steps) {
  replaced_.reset();
  auto& segments = manifest_.segments;
  if (!segments.empty() && segments.back().first == batch.segment.first && segments.back() != batch.segment) {
    // A crash left one there that was opened and got no frame. Its name is this one's: it is unlisted and
    // goes first, or a crash in between would leave a header with another salt than MANIFEST lists.
    replaced_ = segments.back();
    segments.pop_back();
    manifest_.durable_upto = synced_;
    add_manifest(steps);
    replaced_upto_ = steps.size() - 2;
    steps.push_back({.kind = Kind::Remove, .name = job_name_});
    steps.push_back({.kind = Kind::SyncDir});
    current_.reset();
  }
  if (current_) {
    add_length_step(steps);
    steps.push_back({.kind = Kind::Sync, .name = segment_name(current_->first)});
  }
  steps.push_back({.kind = Kind::Write, .name = job_name_, .bytes = batch.header});
  steps.push_back({.kind = Kind::Sync, .name = job_name_});
  steps.push_back({.kind = Kind::SyncDir});
  if (segments.empty() || segments.back() != batch.segment) segments.push_back(batch.segment);
  manifest_.durable_upto = batch.segment.first;
  add_manifest(steps);
  for (size_t i = 0; i < steps.size(); ++i)
    if (steps[i].kind == Kind::Rename) rename_step_ = i;
}

FileJob Writer::batch_job(bool want_sync) {
  Batch& batch = batches_.front();
  front_taken_ = true;
  FileJob job = new_job(InFlight::Batch);
  job_name_ = segment_name(batch.segment.first);
  if (batch.opens) {
    add_opening_steps(batch, job.steps);
  } else if (manifest_dirty_) {
    // Before the frames: a reign's number is used up before anything of it can be seen.
    manifest_.durable_upto = synced_;
    add_manifest(job.steps);
  }
  // A copy: should the write fail, the batch is still here to be written again.
  job.steps.push_back({.kind = Kind::Write, .name = job_name_, .offset = batch.at, .bytes = batch.frames});
  if (batch.opens) log_job_covers_ = batch.segment.first;
  if (want_sync) {
    if (!planted(Bug::SyncSkipped)) job.steps.push_back({.kind = Kind::Sync, .name = job_name_});
    log_job_covers_ = batch.end;
  }
  return job;
}

/// What a failed write left behind goes before anything is written there again; synced, so that no crash
/// brings it back.
FileJob Writer::cut_job() {
  const Batch& batch = batches_.front();
  FileJob job = new_job(InFlight::Cut);
  job_name_ = segment_name(batch.segment.first);
  if (cut_removes_) {
    job.steps.push_back({.kind = Kind::Remove, .name = job_name_});
    job.steps.push_back({.kind = Kind::Remove, .name = manifest_temp_name});
    job.steps.push_back({.kind = Kind::SyncDir});
  } else {
    job.steps.push_back({.kind = Kind::Truncate, .name = job_name_, .offset = batch.at});
    job.steps.push_back({.kind = Kind::Sync, .name = job_name_});
  }
  return job;
}

std::optional<FileJob> Writer::sync_job() {
  if (health_ == Health::Dead || sync_id_ != 0 || synced_ >= written_ || !current_) return {};
  // Segments before the current one were synced when it was opened, so its file alone covers everything
  // written. A batch in flight is not claimed, whether or not the sync happens to catch it.
  sync_id_ = next_id_++;
  sync_job_covers_ = written_;
  FileJob job{.id = sync_id_, .lane = Lane::Sync};
  job.steps.push_back({.kind = Kind::Sync, .name = segment_name(current_->first)});
  return job;
}

bool Writer::idle() const {
  return batches_.empty() && in_flight_ == InFlight::Nothing && sync_id_ == 0 && !ahead_.in_flight();
}

// ---- zeros ahead --------------------------------------------------------------------------------

std::optional<FileJob> Writer::ahead_job() {
  if (health_ != Health::Good || in_flight_ == InFlight::Shutdown) return {};
  if (!current_ || sealing_ != *current_ || !ahead_.due(sealing_bytes_)) return {};
  return ahead_.begin(next_id_++, segment_name(current_->first), sealing_bytes_);
}

/// A log at rest ends with its last frame.
void Writer::add_length_step(std::vector<FileStep>& steps) const {
  if (ahead_.allocated() <= current_bytes_) return;
  steps.push_back({.kind = Kind::Truncate, .name = segment_name(current_->first), .offset = current_bytes_});
}

WriterEvent Writer::ahead_done(const FileJobDone& done) {
  ahead_.ended(done.ok, sealing_bytes_);
  if (health_ == Health::Dead) return WriterEvent::Died;
  // The system tells of a page it could not write only once: another sync of this file might not hear of it.
  if (!done.ok && is_sync(done.failed_kind)) return die(done);
  return WriterEvent::Advanced;
}

FileJob Writer::shutdown_job() {
  HF_CHECK(idle() && health_ == Health::Good && written_ == end_);
  FileJob job = new_job(InFlight::Shutdown);
  if (current_) {
    add_length_step(job.steps);
    job.steps.push_back({.kind = Kind::Sync, .name = job_name_});
  }
  manifest_.durable_upto = end_;
  manifest_.clean_end = end_;
  add_manifest(job.steps);
  log_job_covers_ = end_;
  return job;
}

void Writer::set_snapshots(std::vector<SnapshotNote> snapshots) {
  manifest_.snapshots = std::move(snapshots);
  ++notes_set_;
  manifest_dirty_ = true;
}

void Writer::trim_to(LogOffset from) {
  trim_from_ = from;
  trim();
}

void Writer::trim() {
  auto& segments = manifest_.segments;
  size_t n = 0;
  while (n + 1 < segments.size() && current_ && segments[n].first < current_->first &&
         segments[n + 1].first <= trim_from_)
    unlisted_.push_back(segment_name(segments[n++].first));
  if (n == 0) return;
  segments.erase(segments.begin(), segments.begin() + static_cast<ptrdiff_t>(n));
  manifest_dirty_ = true;
}

// ---- answers ------------------------------------------------------------------------------------

void Writer::retry() {
  if (health_ == Health::Failing) may_try_ = true;
}

WriterEvent Writer::job_done(const FileJobDone& done) {
  HF_CHECK(done.lane == Lane::Log || done.lane == Lane::Sync);
  if (done.lane == Lane::Log) {
    HF_CHECK(in_flight_ != InFlight::Nothing && done.id == log_id_);
    if (health_ == Health::Dead) {
      in_flight_ = InFlight::Nothing;
      return WriterEvent::Died;
    }
    const bool forgiven = planted(Bug::FailedSyncForgiven) && is_sync(done.failed_kind);
    return done.ok || forgiven ? log_job_succeeded() : log_job_failed(done);
  }
  if (ahead_.is(done.id)) return ahead_done(done);
  HF_CHECK(sync_id_ != 0 && done.id == sync_id_);
  sync_id_ = 0;
  if (health_ == Health::Dead) return WriterEvent::Died;
  if (!done.ok && !planted(Bug::FailedSyncForgiven)) return die(done);
  synced_ = std::max(synced_, sync_job_covers_);
  return WriterEvent::Advanced;
}

WriterEvent Writer::batch_written() {
  Batch& batch = batches_.front();
  written_ = batch.end;
  if (!current_ || *current_ != batch.segment) ahead_.new_segment();
  current_ = batch.segment;
  current_bytes_ = batch.at + batch.frames.size();
  if (batch.opens) trim();
  unwritten_ -= batch.frames.size();
  if (batch.frames.capacity() <= spare_bytes_max) spare_ = std::move(batch.frames);
  batches_.pop_front();
  front_taken_ = false;
  const bool was_failing = health_ == Health::Failing;
  health_ = Health::Good;
  reason_.clear();
  return was_failing ? WriterEvent::Recovered : WriterEvent::Advanced;
}

WriterEvent Writer::log_job_succeeded() {
  const InFlight what = in_flight_;
  in_flight_ = InFlight::Nothing;
  const auto unlisted = unlisted_.begin() + static_cast<ptrdiff_t>(std::exchange(unlisting_, 0));
  std::move(unlisted_.begin(), unlisted, std::back_inserter(dropped_));
  unlisted_.erase(unlisted_.begin(), unlisted);
  notes_written_ = notes_planned_;
  WriterEvent event = WriterEvent::Advanced;
  if (what == InFlight::Cut) {
    cut_due_ = false;
    ahead_.gone();
    return WriterEvent::Repaired;
  }
  if (what == InFlight::Batch) event = batch_written();
  if (what == InFlight::Manifest && health_ == Health::Failing) {
    health_ = Health::Good;
    reason_.clear();
    event = WriterEvent::Recovered;
  }
  if (log_job_covers_) synced_ = std::max(synced_, *log_job_covers_);
  return what == InFlight::Shutdown ? WriterEvent::ShutDown : event;
}

WriterEvent Writer::log_job_failed(const FileJobDone& done) {
  if (is_sync(done.failed_kind)) return die(done);
  const InFlight what = in_flight_;
  in_flight_ = InFlight::Nothing;
  unlisting_ = 0;
  notes_planned_ = notes_written_;
  health_ = Health::Failing;
  may_try_ = false;
  reason_ = "cannot write the log (" + job_name_ + "): " + done.message +
            "; make room, or mend the disk or the permissions";
  if (what == InFlight::Manifest || what == InFlight::Shutdown) manifest_dirty_ = true;
  if (what == InFlight::Shutdown) manifest_.clean_end.reset();
  if (what == InFlight::Batch && batches_.front().opens && replaced_ && done.failed_step <= replaced_upto_) {
    // MANIFEST still lists the segment that was to give way: its file stays, and nothing has to be cut.
    manifest_.segments.back() = *replaced_;
    current_ = *replaced_;
    manifest_dirty_ = true;
  } else if (what == InFlight::Batch) {
    Batch& batch = batches_.front();
    cut_removes_ = batch.opens && done.failed_step <= rename_step_;
    // Listed in MANIFEST by now: the next attempt only writes its frames.
    if (batch.opens && !cut_removes_) {
      batch.opens = false;
      current_ = batch.segment;
      current_bytes_ = segment_header_bytes;
      ahead_.new_segment();
      synced_ = std::max(synced_, batch.segment.first);
    }
    if (!batch.opens) manifest_dirty_ = true;
    cut_due_ = true;
    may_try_ = true;  // the cut at once, the write after retry()
  }
  return WriterEvent::Failed;
}

/// The system may have dropped the pages it could not write and may call the next sync a success: there is no
/// telling what is on disk any more.
WriterEvent Writer::die(const FileJobDone& done) {
  if (done.lane == Lane::Log) in_flight_ = InFlight::Nothing;
  health_ = Health::Dead;
  reason_ = "cannot sync the log: " + done.message +
            "; nothing is acknowledged any more. Check the disk, then start again";
  return WriterEvent::Died;
}

}  // namespace hf::log
