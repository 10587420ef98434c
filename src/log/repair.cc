// The log is walked as Recovery would walk it; what comes first, a bad frame or a missing file, is its end.
#include "log/repair.h"

#include <algorithm>
#include <optional>

#include "log/incomplete.h"
#include "log/manifest.h"
#include "log/reader.h"
#include "log/repair_manifest.h"
#include "log/repair_steps.h"
#include "log/segment.h"

namespace hf::log {
namespace {

using Kind = FileStep::Kind;

struct Damage {
  size_t segment = 0;  ///< index of the one to be cut; its successors go
  uint64_t byte = 0;   ///< where
  uint64_t size = 0;
  LogOffset offset;
  std::string why;
};

class Planner {
 public:
  Planner(Files& files, const std::optional<SnapshotPoint>& base, WallMs now_ms)
      : files_(files), base_(base), now_ms_(now_ms) {}

  Result<RepairPlan> plan() {
    if (const std::string why = why_incomplete(files_); !why.empty()) return Error{why};
    auto manifest = read_for_repair(files_);
    if (!manifest) return manifest.error();
    if (!manifest->why.empty()) return plan_manifest(files_, manifest->why, base_, now_ms_);
    manifest_ = std::move(manifest->manifest);
    const LogOffset base = base_ ? base_->offset : LogOffset{0};
    const auto damage = find_damage(base);
    if (!damage) return damage.error();
    if (!*damage) {
      out_.announcement.push_back(
          "Nothing to repair for a start: the log is whole from the newest snapshot on (a torn tail is "
          "cut by the server itself).");
      return std::move(out_);
    }
    if (const Status status = (*damage)->offset < base ? begin_at_base(**damage) : cut(**damage); !status)
      return status.error();
    return std::move(out_);
  }

 private:
  /// Empty: none. Only what Recovery would refuse is damage.
  Result<std::optional<Damage>> find_damage(LogOffset base) {
    const auto& segments = manifest_.segments;
    size_t i = 0;
    while (i + 1 < segments.size() && segments[i + 1].first <= base) ++i;
    std::optional<Damage> good;  // the end of what is whole so far
    std::optional<ChainPoint> chain;
    for (; i < segments.size(); ++i) {
      const std::string name = segment_name(segments[i].first);
      SegmentReader reader(files_, name);
      const Status opened = reader.open();
      if (!opened && unreadable(opened.error())) return opened.error();
      const SegmentHeader& header = reader.header();
      const bool joins = opened && header.salt == segments[i].salt &&
                         (!chain || (header.first == chain->offset && header.previous_sum == chain->sum));
      if (!joins) {
        const std::string why = opened                ? name + " does not continue the log"
                                : files_.exists(name) ? opened.error().message
                                                      : name + " is missing";
        if (!good) return Error{why + "; nothing before it is kept that could be saved"};
        good->why = why;
        return good;
      }
      chain = ChainPoint{header.first, header.previous_sum, header.epoch};
      good = Damage{i, segment_header_bytes, reader.size(), header.first, ""};
      SegmentReader::Frame frame;
      Verdict verdict = Verdict::Valid;
      while (verdict == Verdict::Valid) {
        const auto next = reader.next(*chain, frame);
        if (!next) return next.error();
        verdict = *next;
        if (verdict == Verdict::Valid && !frame.header.more)
          good->byte = reader.at(), good->offset = chain->offset;
      }
      const bool whole = good->byte == reader.at();
      if (whole && verdict == Verdict::Zeros) {
        const auto zeros = reader.zeros_to_the_end();
        if (!zeros) return zeros.error();
        if (*zeros) verdict = Verdict::End;
      }
      if (whole && verdict == Verdict::End && i + 1 < segments.size()) continue;
      good->why = name + ", byte " + std::to_string(reader.at()) + ": " + verdict_text(verdict);
      if (i + 1 < segments.size()) return good;
      const auto more = behind_the_end(reader, *good);
      if (!more) return more.error();
      return *more ? good : std::optional<Damage>();
    }
    return std::optional<Damage>();
  }

  /// Does anything tell that more than `good` was on disk?
  Result<bool> behind_the_end(SegmentReader& reader, const Damage& good) {
    LogOffset durable = std::max(manifest_.durable_upto, manifest_.clean_end.value_or(LogOffset{0}));
    const auto ahead = reader.look_ahead(good.byte);
    if (!ahead) return ahead.error();
    if (!manifest_.copying) durable = std::max(durable, ahead->durable_upto);
    const auto names = files_.list();
    if (!names) return names.error();
    for (const std::string& name : *names)
      if (const auto offset = parse_snapshot_name(name)) durable = std::max(durable, *offset);
    return durable > good.offset;
  }

  void announce(const Damage& damage) {
    const std::string name = segment_name(manifest_.segments[damage.segment].first);
    auto& say = out_.announcement;
    say.push_back("Damage: " + damage.why + ".");
    say.push_back("A copy of " + name + " and of MANIFEST goes to rescue/; then " + name + " is cut to " +
                  std::to_string(damage.byte) + " bytes.");
    for (size_t i = damage.segment + 1; i < manifest_.segments.size(); ++i)
      if (const std::string later = segment_name(manifest_.segments[i].first); files_.exists(later))
        say.push_back(later + " is moved to rescue/.");
    say.push_back(
        "The log then ends at offset " + std::to_string(damage.offset.value) +
        "; what was written behind it is lost to the server, though it may have been acknowledged.");
  }

  Status cut(const Damage& damage) {
    announce(damage);
    const std::string name = segment_name(manifest_.segments[damage.segment].first);
    RepairSteps aside(files_, now_ms_, out_.steps);
    for (const std::string& original : {name, std::string(manifest_name)})
      if (const Status status = aside.copy_aside(original); !status) return status;
    for (size_t i = damage.segment + 1; i < manifest_.segments.size(); ++i)
      aside.move_aside(segment_name(manifest_.segments[i].first));
    // None of them is whole, or the base would be further on; a start would take them for proof of more log.
    const auto names = files_.list();
    if (!names) return names.error();
    for (const std::string& snapshot : *names)
      if (const auto offset = parse_snapshot_name(snapshot); offset && *offset > damage.offset) {
        out_.announcement.push_back(snapshot + ", which is damaged, is moved to rescue/.");
        aside.move_aside(snapshot);
      }
    aside.settle();
    auto& steps = out_.steps;
    steps.push_back({.kind = Kind::Truncate, .name = name, .offset = damage.byte});
    steps.push_back({.kind = Kind::Sync, .name = name});
    Manifest mended = manifest_;
    mended.segments.resize(damage.segment + 1);
    mended.durable_upto = damage.offset;
    mended.clean_end.reset();
    mended.copying = false;
    std::erase_if(mended.snapshots, [&](const SnapshotNote& note) { return note.offset > damage.offset; });
    add_manifest_steps(mended, steps);
    out_.end = damage.offset;
    return ok();
  }

  /// What the snapshot holds need not be in the log: the frames behind it go on, in a segment of their own.
  Status begin_at_base(const Damage& damage) {
    const LogOffset base = base_->offset;
    const SegmentRef old = manifest_.segments[damage.segment];
    const std::string name = segment_name(old.first), made = segment_name(base);
    SegmentReader reader(files_, name);
    if (const Status opened = reader.open(); !opened) return opened;
    const auto found = reader.find(base, base_->previous_sum);
    if (!found) return found.error();
    const bool next_goes_on = damage.segment + 1 < manifest_.segments.size() &&
                              manifest_.segments[damage.segment + 1].first == base;
    if (!*found && !next_goes_on)
      return Error{"the damage (" + damage.why + ") reaches over the newest whole snapshot, at offset " +
                   std::to_string(base.value) + ", and the log is not found to go on behind it; bring the " +
                   "segment back from a backup, or --restore-to " + std::to_string(base.value) +
                   " into a fresh folder"};
    out_.announcement = {
        "Damage: " + damage.why + ".",
        "It lies before the newest whole snapshot, at offset " + std::to_string(base.value) +
            ", which does not need what was there: the log is made to begin at the snapshot. "
            "Nothing is lost to the server; points in time before it can't be restored any more.",
        "Segments up to " + name + ", and a copy of MANIFEST, go to rescue/."};
    RepairSteps aside(files_, now_ms_, out_.steps);
    for (const std::string& original : {std::string(manifest_name), name})
      if (const Status status = aside.copy_aside(original); !status) return status;
    for (size_t i = 0; i < damage.segment; ++i) aside.move_aside(segment_name(manifest_.segments[i].first));
    Manifest mended = manifest_;
    const auto end = mended.segments.begin() + static_cast<std::ptrdiff_t>(damage.segment) + 1;
    mended.segments.erase(mended.segments.begin(), end);
    if (*found) {
      SegmentHeader header = reader.header();
      header.first = base;
      header.previous_sum = base_->previous_sum;
      header.visible_offset = base_->visible_offset;
      header.epoch = base_->epoch;
      header.wall_ms = base_->wall_ms;
      const std::string temporary = made + ".tmp";  // half of it must not pass for a log
      out_.steps.push_back({.kind = Kind::Remove, .name = temporary});
      out_.steps.push_back({.kind = Kind::Write, .name = temporary, .bytes = encode_segment_header(header)});
      if (const Status status = aside.copy(name, **found, temporary, segment_header_bytes); !status)
        return status;
      out_.steps.push_back({.kind = Kind::Rename, .name = temporary, .to = made});
      mended.segments.insert(mended.segments.begin(), {base, old.salt});
    }
    mended.durable_upto = std::max(mended.durable_upto, base);
    aside.settle();
    add_manifest_steps(mended, out_.steps);
    out_.steps.push_back({.kind = Kind::Remove, .name = name});
    return ok();
  }

  Files& files_;
  const std::optional<SnapshotPoint>& base_;
  WallMs now_ms_;
  Manifest manifest_;
  RepairPlan out_;
};

}  // namespace

Result<RepairPlan> plan_repair(Files& files, const std::optional<SnapshotPoint>& base, WallMs now_ms) {
  return Planner(files, base, now_ms).plan();
}

}  // namespace hf::log
