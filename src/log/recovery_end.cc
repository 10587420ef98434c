// Recovery, the end: the first byte that is no frame is either where a power cut tore the log, or damage.
// This file holds that verdict and what follows from it.
#include <algorithm>

#include "base/check.h"
#include "base/planted.h"
#include "log/recovery.h"

namespace hf::log {
namespace {

constexpr size_t rescue_chunk_bytes = 4 * 1024 * 1024;

std::string at_offset(LogOffset offset) { return "offset " + std::to_string(offset.value); }

}  // namespace

/// The file ends behind a whole frame: on to the next segment, or done.
Recovery::Phase Recovery::file_ended() {
  if (segment_ + 1 == segments_.size() || in_group_)
    return judge_end(in_group_ ? "a transaction whose last frames are missing" : "the log ends",
                     in_group_ ? good_.byte : reader_->at());
  bytes_before_ += reader_->size();
  const std::string before = reader_->name();
  const uint64_t byte = reader_->size();
  if (const Status status = enter(segment_ + 1); !status) return refuse(status.error().message);
  const SegmentHeader& header = reader_->header();
  if (header.first != chain_.offset || header.previous_sum != chain_.sum)
    return refuse("log segment " + before + ", byte " + std::to_string(byte) + " (" +
                  at_offset(chain_.offset) + "): the segment ends here, but " + reader_->name() +
                  " continues from " + at_offset(header.first) +
                  (header.first == chain_.offset ? " with another history" : "") +
                  ". This is damage, nothing was changed; run holdfast-check on this folder");
  return phase_;
}

/// Looks past the bad byte for what else was durable, then judges.
Recovery::Phase Recovery::bad_frame(Verdict verdict) {
  const Result<SegmentReader::Ahead> ahead = reader_->look_ahead(reader_->at());
  if (!ahead) return refuse(ahead.error().message);
  if (!manifest_.copying) raise_floor(ahead->durable_upto, "a valid frame further on in " + reader_->name());
  epoch_max_ = std::max(epoch_max_, ahead->epoch_max);
  return judge_end(verdict_text(verdict), reader_->at());
}

/// `byte` is where good bytes end in the segment under way; x is the offset behind the last complete group.
Recovery::Phase Recovery::judge_end(const std::string& why, uint64_t byte) {
  // A successor is only begun when this segment is synced whole.
  if (reader_ && segment_ + 1 < segments_.size()) {
    const File& next = segments_[segment_ + 1];
    raise_floor(next.ref.first, "segment " + next.name);
    if (floor_ <= good_.offset)
      return refuse("log segment " + reader_->name() + ", byte " + std::to_string(byte) + " (" +
                    at_offset(good_.offset) + "): " + why +
                    ", though the segment was closed. This is damage, nothing was changed; run "
                    "holdfast-check on this folder");
  }
  const bool torn = good_.byte != (reader_ ? reader_->size() : 0);
  if ((floor_ > good_.offset && !planted(Bug::DamageCut)) || (torn && planted(Bug::TornRefused))) {
    const std::string where = reader_ ? "log segment " + reader_->name() + ", byte " + std::to_string(byte) +
                                            " (" + at_offset(good_.offset) + ")"
                                      : "data folder (" + at_offset(good_.offset) + ")";
    return refuse(where + ": " + why + ". This is damage, not a torn tail: " + floor_source_ +
                  " tells that everything up to " + at_offset(floor_) +
                  " was on disk. Nothing was changed; run holdfast-check on this folder");
  }
  if (!reader_ || good_.byte == reader_->size()) return finish({});
  return cut(why);
}

Recovery::Phase Recovery::cut(const std::string& why) {
  const uint64_t size = reader_->size();
  TornTail torn{reader_->name(), good_.byte, size - good_.byte, good_.offset, why};
  if (const Status status = add_rescue_steps(torn); !status) return refuse(status.error().message);
  if (torn.bytes == 0) return finish({});
  return finish(std::move(torn));
}

std::string Recovery::rescue_name(const std::string& name, uint64_t byte) const {
  return "rescue/" + std::to_string(options_.wall_ms) + "-" + name + "-from-" + std::to_string(byte);
}

/// The tail is safe under its new name before it goes from the old. Zeros at its end are no one's data (the
/// writer's ahead of its frames, or those of a file that grew in a power cut): they are not kept, and
/// `torn.bytes` is without them.
Status Recovery::add_rescue_steps(TornTail& torn) {
  using Kind = FileStep::Kind;
  const std::string copy = rescue_name(torn.segment, torn.byte);
  std::vector<FileStep> copying;
  for (uint64_t at = 0; at < torn.bytes;) {
    Result<std::string> bytes =
        files_.read(torn.segment, torn.byte + at, std::min<uint64_t>(rescue_chunk_bytes, torn.bytes - at));
    if (!bytes || bytes->empty())
      return Error{
          "log segment " + torn.segment + ", byte " + std::to_string(torn.byte + at) +
          ": the torn tail can't be saved: " + (bytes ? "the file became shorter" : bytes.error().message)};
    const uint64_t here = at;
    at += bytes->size();
    copying.push_back({.kind = Kind::Write, .name = copy, .offset = here, .bytes = std::move(*bytes)});
  }
  while (!copying.empty()) {
    std::string& last = copying.back().bytes;
    last.resize(last.find_last_not_of('\0') + 1);
    if (!last.empty()) break;
    copying.pop_back();
  }
  torn.bytes = copying.empty() ? 0 : copying.back().offset + copying.back().bytes.size();
  if (torn.bytes > 0) {
    repair_.push_back({.kind = Kind::MakeDir, .name = "rescue"});
    for (FileStep& step : copying) repair_.push_back(std::move(step));
    repair_.push_back({.kind = Kind::Sync, .name = copy});
    repair_.push_back({.kind = Kind::SyncDir, .name = "rescue"});
    repair_.push_back({.kind = Kind::SyncDir});
  }
  repair_.push_back({.kind = Kind::Truncate, .name = torn.segment, .offset = torn.byte});
  repair_.push_back({.kind = Kind::Sync, .name = torn.segment});
  if (torn.bytes == 0) return ok();
  notes_.push_back("log segment " + torn.segment + ", byte " + std::to_string(torn.byte) + " (" +
                   at_offset(torn.offset) + "): " + torn.why + "; a torn tail of " +
                   std::to_string(torn.bytes) +
                   " bytes, none of it known to have been synced, is cut and kept as " + copy);
  return ok();
}

/// After a failed sync the system may have dropped what it could not save and still show it to readers: a
/// later sync would then succeed over a hole. So what is not known to be durable is written again, and
/// synced, before anything builds on it.
Status Recovery::add_settle_steps() {
  using Kind = FileStep::Kind;
  if (!reader_ || stopped_ || floor_ >= good_.offset) return ok();
  const auto behind = std::upper_bound(marks_.begin(), marks_.end(), floor_,
                                       [](LogOffset floor, const Mark& mark) { return floor < mark.offset; });
  uint64_t at = behind == marks_.begin() ? 0 : std::prev(behind)->byte;
  while (at < good_.byte) {
    const size_t n = static_cast<size_t>(std::min<uint64_t>(rescue_chunk_bytes, good_.byte - at));
    Result<std::string> bytes = files_.read(reader_->name(), at, n);
    if (!bytes) return Error{"can't read " + reader_->name() + " again: " + bytes.error().message};
    if (bytes->size() != n) return Error{reader_->name() + " has become shorter while it was read"};
    settle_.push_back(
        {.kind = Kind::Write, .name = reader_->name(), .offset = at, .bytes = std::move(*bytes)});
    at += n;
  }
  settle_.push_back({.kind = Kind::Sync, .name = reader_->name()});
  return ok();
}

Recovery::Phase Recovery::finish(std::optional<TornTail> torn) {
  if (const Status status = add_settle_steps(); !status) return refuse(status.error().message);
  outcome_ = Recovered{resume_point(), std::move(torn), std::move(repair_), std::move(settle_)};
  return phase_ = Phase::Done;
}

ResumePoint Recovery::resume_point() {
  ResumePoint point;
  point.manifest = manifest_;
  if (!have_manifest_) point.manifest.cluster_id = snapshot_->cluster_id;
  point.manifest.history = good_.history;
  point.manifest.durable_upto = floor_;
  point.manifest.cut.reset();
  point.manifest.adopt.reset();
  point.manifest.adopt_keeps.reset();
  point.end = good_.offset;
  point.visible_end = good_.visible;
  if (!good_.history.empty() && good_.history.last().epoch == good_.reign.epoch)
    point.reign_visible = good_.reign.visible;
  point.last_sum = good_.sum;
  point.segment_bytes = reader_ ? good_.byte : 0;
  point.epoch_max = epoch_max_;
  point.wall_ms = good_.wall_ms;
  point.stopped = stopped_;
  point.mirrored = reader_ && reader_->header().mirrored;
  point.manifest_stale = !have_manifest_ || gave_up_past_ || manifest_.cut || manifest_.adopt ||
                         segments_.empty() || manifest_.history != good_.history;
  return point;
}

}  // namespace hf::log
