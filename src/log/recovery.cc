// Recovery, the start and the replay: which files there are, which snapshot to load, and the frames behind it
// in order. What the log's end means is judged in recovery_end.cc.
#include "log/recovery.h"

#include <algorithm>

#include "base/check.h"
#include "log/incomplete.h"

namespace hf::log {
namespace {

std::string at_offset(LogOffset offset) { return "offset " + std::to_string(offset.value); }

}  // namespace

Recovery::Recovery(Files& files, const RecoveryOptions& options) : files_(files), options_(options) {}

uint64_t Recovery::bytes_done() const {
  return phase_ == Phase::Done ? bytes_total_ : bytes_before_ + (reader_ ? reader_->at() : 0);
}

Recovery::Phase Recovery::refuse(std::string why) {
  outcome_ = Refused{std::move(why)};
  return phase_ = Phase::Done;
}

void Recovery::raise_floor(LogOffset durable, const std::string& source) {
  durable = std::min(durable, cut_at());
  if (durable <= floor_) return;
  floor_ = durable;
  floor_source_ = source;
}

// ---- what is there ------------------------------------------------------------------------------

Recovery::Phase Recovery::open() {
  const Result<std::vector<std::string>> names = files_.list();
  if (!names) return refuse("the data folder can't be read: " + names.error().message);
  if (const std::string why = why_incomplete(files_); !why.empty()) return refuse(why);
  for (const std::string& name : *names) {
    const auto offset = parse_snapshot_name(name);
    const auto skipped = [&] {
      return *offset > options_.stop.offset ||
             std::find(options_.skip.begin(), options_.skip.end(), *offset) != options_.skip.end();
    };
    if (offset && !skipped()) candidates_.push_back({name, *offset});
    // Of a snapshot that a crash interrupted.
    if (name.ends_with(".rdb.tmp") && parse_snapshot_name(Bytes(name).substr(0, name.size() - 4)))
      repair_.push_back({.kind = FileStep::Kind::Remove, .name = name});
  }
  std::sort(candidates_.begin(), candidates_.end(), [](auto& a, auto& b) { return a.offset < b.offset; });

  have_manifest_ = std::find(names->begin(), names->end(), manifest_name) != names->end();
  if (have_manifest_ && read_manifest() == Phase::Done) return phase_;
  settle_following(*names);
  if (const Status status = collect_segments(*names); !status) return refuse(status.error().message);
  if (!unlisted_.empty() && candidates_.empty()) return refuse_unlisted();
  if (!have_manifest_ && candidates_.empty()) {
    outcome_ = Fresh{std::move(repair_)};
    return phase_ = Phase::Done;
  }
  // A snapshot gets its final name only when the log is synced up to it.
  if (!candidates_.empty()) raise_floor(candidates_.back().offset, candidates_.back().name);
  return candidates_.empty() ? start_replay() : phase_ = Phase::LoadSnapshot;
}

Recovery::Phase Recovery::read_manifest() {
  const Result<uint64_t> size = files_.size(manifest_name);
  if (!size) return refuse("MANIFEST can't be read: " + size.error().message);
  if (*size > limits::manifest_bytes_max)
    return refuse("MANIFEST, byte " + std::to_string(limits::manifest_bytes_max) +
                  ": larger than any MANIFEST can be");
  const Result<std::string> text = files_.read(manifest_name, 0, *size);
  if (!text) return refuse("MANIFEST can't be read: " + text.error().message);
  Result<Manifest> manifest = decode_manifest(*text);
  if (!manifest)
    return refuse(
        manifest.error().message + ". The log can't be judged without it; " +
        (manifest.error().code == newer_version
             ? "start the newer version, or run holdfast-check on this folder"
             : "bring it back from a copy of the folder, or let holdfast-check --repair make it anew"));
  manifest_ = std::move(*manifest);
  if (manifest_.clean_end) raise_floor(*manifest_.clean_end, "MANIFEST (clean shutdown)");
  raise_floor(manifest_.durable_upto, "MANIFEST");
  if (!manifest_.history.empty()) epoch_max_ = manifest_.history.last().epoch;
  if (!manifest_.segments.empty()) listed_from_ = manifest_.segments.front().first;
  return phase_;
}

/// Segments that MANIFEST does not list hold no frame when we made them: a crash came between making the file
/// and listing it, or between unlisting and removing. Anything else is refused, since the log would be judged
/// by half of it.
Status Recovery::collect_segments(const std::vector<std::string>& names) {
  if (manifest_.adopt) return ok();
  for (const SegmentRef& ref : manifest_.segments) {
    File file{ref, segment_name(ref.first)};
    file.missing = !files_.exists(file.name);
    if (!file.missing) {
      const Result<uint64_t> size = files_.size(file.name);
      if (!size) return Error{"log segment " + file.name + ": " + size.error().message};
      file.size = *size;
    }
    segments_.push_back(std::move(file));
  }
  for (const std::string& name : names) {
    const auto first = parse_segment_name(name);
    if (!first) continue;
    const auto listed = [&](const File& file) { return file.ref.first == *first; };
    if (std::any_of(segments_.begin(), segments_.end(), listed)) continue;
    if (manifest_.cut && *first >= *manifest_.cut) continue;
    if (*first < listed_from_) {
      // MANIFEST is replaced first and the files go later: a crash came between. (An older MANIFEST would
      // list more of the past, not less.)
      notes_.push_back(name + " was trimmed off the log before the server stopped; it is removed");
      repair_.push_back({.kind = FileStep::Kind::Remove, .name = name});
      continue;
    }
    if (const Status status = set_aside(name); !status) return status;
  }
  return ok();
}

Status Recovery::set_aside(const std::string& name) {
  const Result<uint64_t> size = files_.size(name);
  if (!size) return Error{"log segment " + name + ": " + size.error().message};
  if (*size > segment_header_bytes) {
    if (!have_manifest_) {
      unlisted_.push_back(name);
      return ok();
    }
    SegmentReader reader(files_, name, options_.read_bytes);
    const Status opened = reader.open();
    if (!opened && opened.error().code == newer_version) return opened.error();
    // Without a header there is no salt, and without the salt no frame is valid.
    Result<SegmentReader::Ahead> ahead = SegmentReader::Ahead{};
    if (opened) ahead = reader.look_ahead(segment_header_bytes);
    if (!ahead) return ahead.error();
    if (ahead->frames > 0)
      return Error{
          "log segment " + name + " holds " + std::to_string(ahead->frames) +
          " valid frames, but MANIFEST does not list it: MANIFEST is older than the log. Bring the right one "
          "back, or let holdfast-check --repair make it anew"};
  }
  notes_.push_back(name +
                   " was being made when the server stopped and holds no frame; it is taken out of the way");
  if (!have_manifest_) return ok();  // a first start that never finished: the next one overwrites the header
  if (*size > segment_header_bytes) {
    keep_in_rescue(name);
    return ok();
  }
  repair_.push_back({.kind = FileStep::Kind::Remove, .name = name});
  repair_.push_back({.kind = FileStep::Kind::SyncDir});
  return ok();
}

void Recovery::keep_in_rescue(const std::string& name) {
  repair_.push_back({.kind = FileStep::Kind::MakeDir, .name = "rescue"});
  repair_.push_back({.kind = FileStep::Kind::Rename, .name = name, .to = rescue_name(name, 0)});
  repair_.push_back({.kind = FileStep::Kind::SyncDir, .name = "rescue"});
  repair_.push_back({.kind = FileStep::Kind::SyncDir});
}

Recovery::Phase Recovery::refuse_unlisted() {
  return refuse("MANIFEST is missing, but " + unlisted_.front() +
                " holds log (from byte 96 on). Bring MANIFEST back from where this folder was copied, or let "
                "holdfast-check --repair make it anew from what is there");
}

/// Offsets of a server without a log go on from where its last log ended, so a log that reaches the cut is a
/// later one.
bool Recovery::log_superseded() const {
  const bool unlogged = snapshot_ && snapshot_->history.empty() && snapshot_->offset > LogOffset{0};
  return unlogged && (segments_.empty() || segments_.back().ref.first < snapshot_->offset);
}

/// MANIFEST goes last: until then the next start finds what this one found.
void Recovery::set_log_aside() {
  for (const File& file : segments_)
    if (!file.missing) unlisted_.push_back(file.name);
  if (!unlisted_.empty()) {
    for (const std::string& name : unlisted_) keep_in_rescue(name);
    notes_.push_back("snapshot " + snapshot().name +
                     " was taken without a log and is newer than the log in the " +
                     "folder, which is kept under rescue/");
    if (have_manifest_) keep_in_rescue(manifest_name);
  }
  manifest_.segments.clear();
  manifest_.clean_end.reset();
  segments_.clear();
  unlisted_.clear();
}

// ---- snapshots ----------------------------------------------------------------------------------

Recovery::Phase Recovery::snapshot_loaded(const SnapshotPoint& point) {
  HF_CHECK(phase_ == Phase::LoadSnapshot);
  if (point.offset != snapshot().offset)
    return snapshot_damaged("its header says " + at_offset(point.offset) + ", its name another");
  if (have_manifest_ && point.cluster_id != manifest_.cluster_id)
    return snapshot_damaged("it belongs to another cluster (" + point.cluster_id + ")");
  snapshot_ = point;
  raise_floor(point.offset, snapshot().name);
  epoch_max_ = std::max(epoch_max_, point.epoch);
  if (!point.history.empty()) epoch_max_ = std::max(epoch_max_, point.history.last().epoch);
  return start_replay();
}

Recovery::Phase Recovery::snapshot_damaged(const std::string& why) {
  HF_CHECK(phase_ == Phase::LoadSnapshot);
  notes_.push_back("snapshot " + snapshot().name + " is damaged: " + why);
  const std::string damaged = snapshot().name;
  candidates_.pop_back();
  if (!candidates_.empty()) return phase_;
  const bool from_zero = !segments_.empty() && segments_.front().ref.first == LogOffset{0};
  if (!from_zero)
    return refuse("no snapshot can be used (" + damaged + ": " + why +
                  ") and the log does not reach back to the beginning; run holdfast-check on this folder");
  return start_replay();
}

// ---- the replay ---------------------------------------------------------------------------------

Recovery::Phase Recovery::start_replay() {
  const LogOffset start = snapshot_ ? snapshot_->offset : LogOffset{0};
  good_.offset = group_begin_ = start;
  if (snapshot_) {
    good_.history = snapshot_->history;
    good_.sum = snapshot_->previous_sum;
    good_.visible = snapshot_->visible_offset;
    good_.wall_ms = snapshot_->wall_ms;
  }
  phase_ = Phase::Replay;
  if (snapshot_ && start == options_.stop.offset) {
    stopped_ = true;
    return finish({});
  }
  if (log_superseded()) set_log_aside();
  if (!unlisted_.empty()) return refuse_unlisted();
  if (!have_manifest_) notes_.push_back("there is no log: starting from " + snapshot().name + " alone");
  if (segments_.empty()) return judge_end("there is no log", 0);

  size_t first = segments_.size();
  while (first > 0 && segments_[first - 1].ref.first > start) --first;
  if (first == 0)
    return refuse("the log begins at " + at_offset(segments_.front().ref.first) + " (" +
                  segments_.front().name + "), but " +
                  (snapshot_ ? "snapshot " + snapshot().name + " ends at " + at_offset(start)
                             : std::string("there is no snapshot of what came before")) +
                  ": the log no longer reaches back" +
                  (options_.stop.asked() ? "" : "; run holdfast-check on this folder"));
  for (size_t i = first - 1; i < segments_.size(); ++i) {
    if (segments_[i].missing)
      return refuse(
          "log segment " + segments_[i].name + " (from " + at_offset(segments_[i].ref.first) +
          ") is in MANIFEST, but the file is missing; bring it back, or run holdfast-check on this folder");
    bytes_total_ += segments_[i].size;
  }
  first -= give_up_past(first - 1);
  if (const Status status = enter(first - 1); !status) return refuse(status.error().message);
  const SegmentHeader& header = reader_->header();
  chain_ = {header.first, header.previous_sum, header.epoch};
  if (header.first == start || !snapshot_) {
    good_.sum = header.previous_sum;
    good_.visible = header.visible_offset;
  }
  good_.wall_ms = std::max(good_.wall_ms, header.wall_ms);
  good_.offset = header.first;
  if (const Status status = join_snapshot(); !status) return refuse(status.error().message);
  return phase_;
}

/// The start does not need what lies before segment `needed`; but where a file is missing there, nobody gets
/// past it: no backup, no replica, no restore. The log then begins behind it. Returns how many segments it
/// has lost by that.
size_t Recovery::give_up_past(size_t needed) {
  size_t lost = needed;
  while (lost > 0 && !segments_[lost - 1].missing) --lost;
  if (lost == 0) return 0;
  notes_.push_back("log segment " + segments_[lost - 1].name +
                   " is in MANIFEST, but the file is missing. It is older than " + snapshot().name +
                   ", so this start does not need it; the log now begins at " +
                   at_offset(segments_[lost].ref.first) +
                   ", and points in time before that can't be restored (tagged snapshots can)");
  for (size_t i = 0; i < lost; ++i)
    if (!segments_[i].missing) keep_in_rescue(segments_[i].name);
  const auto end = static_cast<std::ptrdiff_t>(lost);
  segments_.erase(segments_.begin(), segments_.begin() + end);
  manifest_.segments.erase(manifest_.segments.begin(), manifest_.segments.begin() + end);
  gave_up_past_ = true;
  return lost;
}

Status Recovery::enter(size_t index) {
  const File& file = segments_[index];
  reader_ = std::make_unique<SegmentReader>(files_, file.name, options_.read_bytes);
  segment_ = index;
  good_.byte = segment_header_bytes;
  marks_.assign(1, {file.ref.first, 0});
  const Status opened = reader_->open();
  if (!opened && opened.error().code > 0)
    return Error{opened.error().message +
                 ". Mend that (the owner and the permissions of the folder's files, or the "
                 "disk), then start again; if it stays, holdfast-check tells what else is sound"};
  if (!opened)
    return Error{opened.error().message + " (" + at_offset(file.ref.first) +
                 "); the header was on disk before MANIFEST listed the segment, so this is damage. Run "
                 "holdfast-check on "
                 "this folder"};
  const SegmentHeader& header = reader_->header();
  if (header.salt != file.ref.salt || header.first != file.ref.first ||
      header.cluster_id != manifest_.cluster_id)
    return Error{"log segment " + file.name + ", byte 16: the header is that of another segment (" +
                 at_offset(header.first) + ", cluster " + header.cluster_id +
                 ") than MANIFEST lists; run holdfast-check on this folder"};
  return ok();
}

/// Is the replay at the snapshot's offset? Then the frame before must be the one that the snapshot names.
Status Recovery::join_snapshot() {
  if (!snapshot_ || joined_ || chain_.offset < snapshot_->offset) return ok();
  const std::string where = segments_[segment_].name + ", byte " + std::to_string(reader_->at());
  if (chain_.offset != snapshot_->offset || in_group_)
    return Error{"snapshot " + snapshot().name + " was cut at " + at_offset(snapshot_->offset) +
                 ", which is inside a frame of log segment " + where + ": they do not belong together"};
  if (chain_.sum != snapshot_->previous_sum)
    return Error{"snapshot " + snapshot().name + " continues another history than log segment " + where +
                 " (" + at_offset(chain_.offset) +
                 "): the sums of the frame before differ. Run holdfast-check on this folder"};
  joined_ = true;
  good_.history = snapshot_->history;
  return ok();
}

Recovery::Phase Recovery::step(size_t budget_bytes, ReplaySink& sink) {
  HF_CHECK(phase_ == Phase::Replay);
  const uint64_t stop_at = bytes_done() + budget_bytes;
  SegmentReader::Frame frame;
  while (phase_ == Phase::Replay && bytes_done() <= stop_at) {
    const Result<Verdict> verdict = reader_->next(chain_, frame);
    if (!verdict) return refuse(verdict.error().message);
    if (*verdict == Verdict::Valid) {
      if (const Status status = take_frame(frame, sink); !status)
        return refuse("log segment " + reader_->name() + ", byte " + std::to_string(frame.at) + " (" +
                      at_offset(frame.header.offset) + "): " + status.error().message);
      if (cut_reached_) return cut_back(frame.at);
      if (stopped_) return finish({});
      continue;
    }
    if (*verdict == Verdict::Zeros) {
      const Result<bool> zeros = reader_->zeros_to_the_end();
      if (!zeros) return refuse(zeros.error().message);
      if (!*zeros) return bad_frame(*verdict);
      if (segment_ + 1 == segments_.size())
        return judge_end("zero bytes behind the last frame", reader_->at());
      return file_ended();
    }
    if (*verdict != Verdict::End) return bad_frame(*verdict);
    file_ended();
  }
  return phase_;
}

Status Recovery::take_frame(const SegmentReader::Frame& frame, ReplaySink& sink) {
  const FrameHeader& header = frame.header;
  ++frames_;
  epoch_max_ = std::max(epoch_max_, header.epoch);
  const bool ours = !manifest_.copying && !reader_->header().mirrored;
  if (ours) raise_floor(header.durable_upto, "a frame in " + reader_->name());
  Bytes content = frame.content;
  LogOffset begin = header.offset;
  if (header.more || in_group_) {
    if (!in_group_) group_begin_ = header.offset;
    if (group_.size() + content.size() > limits::log_group_bytes_max)
      return Error{"a transaction larger than " + std::to_string(limits::log_group_bytes_max) + " bytes"};
    group_.append(content);
    in_group_ = header.more;
    if (header.more) return join_snapshot();
    begin = group_begin_;
    content = group_.view();
  }
  const Status taken = take_group(frame, begin, content, sink);
  group_.clear();
  group_.shrink(0);
  return taken;
}

Status Recovery::take_group(const SegmentReader::Frame& frame, LogOffset begin, Bytes content,
                            ReplaySink& sink) {
  const FrameHeader& header = frame.header;
  stopped_ = header.end() > options_.stop.offset || header.wall_ms > options_.stop.wall_ms;
  cut_reached_ = header.end() > cut_at();
  if (stopped_ || cut_reached_) return ok();
  if (header.type == FrameType::Epoch) good_.reign = {header.epoch, header.visible_end};
  const bool wanted = !snapshot_ || begin >= snapshot_->offset;
  if (wanted) {
    if (header.type == FrameType::Epoch) {
      Result<Reign> reign = parse_epoch_command(content);
      if (!reign) return reign.error();
      if (reign->epoch != header.epoch || reign->first != begin || !good_.history.add(*reign))
        return Error{"an epoch record that does not follow the reign before"};
    }
    if (const Status status = sink.replay(header, begin, content); !status)
      return Error{status.error().message +
                   "; the frame is intact, so this is not disk damage: please report it"};
  }
  good_.byte = reader_->at();
  good_.offset = header.end();
  good_.sum = frame.sum;
  good_.visible = header.visible_end;
  good_.wall_ms = header.wall_ms;
  if (good_.byte - marks_.back().byte >= mark_bytes) marks_.push_back({good_.offset, good_.byte});
  return join_snapshot();
}

}  // namespace hf::log
