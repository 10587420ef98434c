// Recovery, what following a primary leaves to finish: a log being cut back to where two histories part, a
// received snapshot taking the place of everything else. MANIFEST announces both before anything else
// changes, so that a crash at any step only means that the next start goes on with it.
#include <algorithm>

#include "base/check.h"
#include "base/planted.h"
#include "log/recovery.h"

namespace hf::log {
namespace {

using Kind = FileStep::Kind;
constexpr size_t copy_chunk_bytes = 4 * 1024 * 1024;

}  // namespace

void Recovery::settle_following(const std::vector<std::string>& names) {
  if (manifest_.adopt) return adopt_received(names);
  for (const std::string& name : names)  // of a transfer that was broken off
    if (parse_received_name(name)) repair_.push_back({.kind = Kind::Remove, .name = name});
  if (manifest_.cut) drop_behind_cut(names);
}

/// What was here goes, and the received snapshot gets its name, once it has been loaded.
void Recovery::adopt_received(const std::vector<std::string>& names) {
  const LogOffset offset = *manifest_.adopt;
  const std::string received = received_name(offset), adopted = snapshot_name(offset);
  const bool waiting = files_.exists(received);
  candidates_.clear();
  if (waiting || files_.exists(adopted)) candidates_.push_back({waiting ? received : adopted, offset});
  manifest_.segments.clear();
  manifest_.snapshots.clear();
  manifest_.clean_end.reset();
  floor_ = {};
  rescue_segments(names);
  for (const std::string& name : names) {
    const bool old_snapshot = parse_snapshot_name(name) && name != adopted;
    const bool other_transfer = parse_received_name(name) && name != received;
    if (old_snapshot || other_transfer) repair_.push_back({.kind = Kind::Remove, .name = name});
  }
  if (waiting) repair_.push_back({.kind = Kind::Rename, .name = received, .to = adopted});
  repair_.push_back({.kind = Kind::SyncDir});
  notes_.push_back("the snapshot at offset " + std::to_string(offset.value) +
                   ", received from the primary, takes the place of what was here");
}

/// Segments with what the new primary's history does not have behind `adopt_keeps` get a name under rescue/,
/// whole (what they hold before it is there twice then); the others go. A crash in between finds the rest
/// where it was.
void Recovery::rescue_segments(const std::vector<std::string>& names) {
  std::vector<LogOffset> firsts;
  for (const std::string& name : names)
    if (const auto first = parse_segment_name(name)) firsts.push_back(*first);
  std::sort(firsts.begin(), firsts.end());
  for (size_t i = 0; i < firsts.size(); ++i) {
    const std::string name = segment_name(firsts[i]);
    const bool behind =
        manifest_.adopt_keeps && (i + 1 == firsts.size() || firsts[i + 1] > *manifest_.adopt_keeps);
    if (behind && !planted(Bug::FullRescueSkipped)) keep_tail(name);
    else repair_.push_back({.kind = Kind::Remove, .name = name});
  }
}

/// A whole segment that is nowhere in the new history goes to rescue/, if any command is in it.
void Recovery::keep_tail(const std::string& name) {
  const std::string kept = tail_name(name);
  if (kept.empty()) {
    repair_.push_back({.kind = Kind::Remove, .name = name});
    return;
  }
  repair_.push_back({.kind = Kind::MakeDir, .name = "rescue"});
  repair_.push_back({.kind = Kind::Sync, .name = name});
  repair_.push_back({.kind = Kind::Rename, .name = name, .to = kept});
  repair_.push_back({.kind = Kind::SyncDir, .name = "rescue"});
  repair_.push_back({.kind = Kind::SyncDir});
  rescued_.push_back(kept);
  notes_.push_back("what is nowhere in the primary's history is kept as " + kept);
}

/// "rescue/<epoch>-<from>-<to>.aof". Empty: nothing but the begin of a reign is in there. A segment that
/// can't be read to its end is kept as it is.
std::string Recovery::tail_name(const std::string& segment) {
  SegmentReader reader(files_, segment, options_.read_bytes);
  if (!reader.open()) return rescue_name(segment, 0);
  const SegmentHeader& header = reader.header();
  ChainPoint chain{header.first, header.previous_sum, header.epoch};
  SegmentReader::Frame frame;
  Result<Verdict> verdict = Verdict::Valid;
  bool any = false;
  while ((verdict = reader.next(chain, frame)) && *verdict == Verdict::Valid) {
    epoch_max_ = std::max(epoch_max_, frame.header.epoch);
    any = any || frame.header.type == FrameType::Data;
  }
  bool whole = verdict && *verdict == Verdict::End;
  if (verdict && *verdict == Verdict::Zeros) {
    const Result<bool> zeros = reader.zeros_to_the_end();
    whole = zeros && *zeros;
  }
  if (!whole) return rescue_name(segment, 0);
  if (!any) return "";
  return "rescue/" + std::to_string(chain.epoch.value) + "-" + std::to_string(header.first.value) + "-" +
         std::to_string(chain.offset.value) + ".aof";
}

/// Snapshots and whole segments behind the cut. The rest of the segment that holds it is cut_back's.
void Recovery::drop_behind_cut(const std::vector<std::string>& names) {
  const LogOffset cut = cut_at();
  for (const std::string& name : names) {
    const auto offset = parse_snapshot_name(name);
    if (offset && *offset > cut) repair_.push_back({.kind = Kind::Remove, .name = name});
    const auto first = parse_segment_name(name);
    if (first && *first >= cut) keep_tail(name);
  }
  std::erase_if(candidates_, [&](const SnapshotFile& file) { return file.offset > cut; });
  std::erase_if(manifest_.snapshots, [&](const SnapshotNote& note) { return note.offset > cut; });
  std::erase_if(manifest_.segments, [&](const SegmentRef& ref) { return ref.first >= cut; });
  manifest_.clean_end.reset();
  notes_.push_back("the log is cut back to offset " + std::to_string(cut.value) +
                   ", where it parts from the primary's; what lies behind is kept under rescue/");
}

/// `byte` is where the first frame behind the cut begins: from there on to the last valid frame the segment
/// is copied into a segment of its own, which holdfast-check can read, and then cut.
Recovery::Phase Recovery::cut_back(uint64_t byte) {
  const SegmentHeader& opened = reader_->header();
  byte = std::min(byte, good_.byte);
  SegmentReader::Frame frame;
  for (;;) {
    const Result<Verdict> verdict = reader_->next(chain_, frame);
    if (!verdict) return refuse(verdict.error().message);
    if (*verdict != Verdict::Valid) break;
    epoch_max_ = std::max(epoch_max_, frame.header.epoch);
  }
  const std::string copy = "rescue/" + std::to_string(chain_.epoch.value) + "-" +
                           std::to_string(good_.offset.value) + "-" + std::to_string(chain_.offset.value) +
                           ".aof";
  repair_.push_back({.kind = Kind::MakeDir, .name = "rescue"});
  repair_.push_back({.kind = Kind::Write,
                     .name = copy,
                     .bytes = encode_segment_header({.salt = opened.salt,
                                                     .first = good_.offset,
                                                     .epoch = opened.epoch,
                                                     .visible_offset = good_.visible,
                                                     .previous_sum = good_.sum,
                                                     .wall_ms = good_.wall_ms,
                                                     .cluster_id = opened.cluster_id,
                                                     .mirrored = opened.mirrored})});
  for (uint64_t at = byte; at < reader_->at() && !planted(Bug::RescueSkipped);) {
    Result<std::string> bytes =
        files_.read(reader_->name(), at, std::min<uint64_t>(copy_chunk_bytes, reader_->at() - at));
    if (!bytes || bytes->empty())
      return refuse("log segment " + reader_->name() + ", byte " + std::to_string(at) +
                    ": what is to be cut off can't be saved: " +
                    (bytes ? "the file became shorter" : bytes.error().message));
    const uint64_t to = segment_header_bytes + at - byte;
    at += bytes->size();
    repair_.push_back({.kind = Kind::Write, .name = copy, .offset = to, .bytes = std::move(*bytes)});
  }
  repair_.push_back({.kind = Kind::Sync, .name = copy});
  repair_.push_back({.kind = Kind::SyncDir, .name = "rescue"});
  repair_.push_back({.kind = Kind::SyncDir});
  repair_.push_back({.kind = Kind::Truncate, .name = reader_->name(), .offset = byte});
  repair_.push_back({.kind = Kind::Sync, .name = reader_->name()});
  notes_.push_back("offsets " + std::to_string(good_.offset.value) + " to " +
                   std::to_string(chain_.offset.value) + " are kept as " + copy);
  rescued_.push_back(copy);
  group_.clear();
  in_group_ = false;
  return finish({});
}

}  // namespace hf::log
