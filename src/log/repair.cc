// The log is walked as Recovery would walk it; what comes first, a bad frame or a missing file, is its end.
#include "log/repair.h"

#include <algorithm>
#include <cerrno>
#include <optional>

#include "base/limits.h"
#include "log/incomplete.h"
#include "log/manifest.h"
#include "log/reader.h"
#include "log/segment.h"

namespace hf::log {
namespace {

using Kind = FileStep::Kind;
constexpr uint64_t chunk_bytes = 4 << 20;

/// The system would not let it be read (too many open files, a bad cable): that says nothing about what it
/// holds. A file that is missing is missing.
bool unreadable(const Error& error) { return error.code > 0 && error.code != ENOENT; }

struct Damage {
  size_t segment = 0;  ///< index of the one to be cut; its successors go
  uint64_t byte = 0;   ///< where
  uint64_t size = 0;
  LogOffset offset;
  std::string why;
};

class Planner {
 public:
  Planner(Files& files, WallMs now_ms) : files_(files), now_ms_(now_ms) {}

  Result<RepairPlan> plan(LogOffset base) {
    if (const Status status = read_manifest(); !status) return status.error();
    const auto damage = find_damage(base);
    if (!damage) return damage.error();
    if (!*damage) {
      out_.announcement.push_back(
          "Nothing to repair: the log is whole (a torn tail is cut by the server itself).");
      return std::move(out_);
    }
    if ((*damage)->offset < base)
      return Error{"the damage (" + (*damage)->why + ") lies before the newest whole snapshot, at offset " +
                   std::to_string(base.value) +
                   ", so cutting there would lose more than it saves; bring the "
                   "segment back from a backup, or --restore-to " +
                   std::to_string(base.value) + " into a fresh folder"};
    announce(**damage);
    if (const Status status = add_steps(**damage); !status) return status.error();
    return std::move(out_);
  }

 private:
  Status read_manifest() {
    if (const std::string why = why_incomplete(files_); !why.empty()) return Error{why};
    const auto size = files_.size(manifest_name);
    if (!size) return Error{"MANIFEST: " + size.error().message + "; without it the log can't be repaired"};
    if (*size > limits::manifest_bytes_max) return Error{"MANIFEST is larger than any MANIFEST can be"};
    const auto text = files_.read(manifest_name, 0, *size);
    if (!text) return text.error();
    auto manifest = decode_manifest(*text);
    if (!manifest) return Error{manifest.error().message + "; without it the log can't be repaired"};
    manifest_ = std::move(*manifest);
    return ok();
  }

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
        const std::string why = opened ? name + " does not continue the log" : opened.error().message;
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
    return durable > good.offset;
  }

  std::string rescue_name(const std::string& name) const {
    return "rescue/" + std::to_string(now_ms_) + "-" + name;
  }

  void announce(const Damage& damage) {
    const std::string name = segment_name(manifest_.segments[damage.segment].first);
    auto& say = out_.announcement;
    say.push_back("Damage: " + damage.why + ".");
    say.push_back("A copy of " + name + " and of MANIFEST goes to rescue/; then " + name + " is cut to " +
                  std::to_string(damage.byte) + " bytes.");
    for (size_t i = damage.segment + 1; i < manifest_.segments.size(); ++i)
      say.push_back(segment_name(manifest_.segments[i].first) + " is moved to rescue/.");
    say.push_back(
        "The log then ends at offset " + std::to_string(damage.offset.value) +
        "; what was written behind it is lost to the server, though it may have been acknowledged.");
  }

  Status copy_aside(const std::string& name) {
    const auto size = files_.size(name);
    if (!size) return size.error();
    for (uint64_t at = 0; at < *size;) {
      auto bytes = files_.read(name, at, std::min(chunk_bytes, *size - at));
      if (!bytes) return bytes.error();
      if (bytes->empty()) return Error{name + " became shorter while it was read"};
      const uint64_t here = at;
      at += bytes->size();
      out_.steps.push_back(
          {.kind = Kind::Write, .name = rescue_name(name), .offset = here, .bytes = std::move(*bytes)});
    }
    if (*size > 0) out_.steps.push_back({.kind = Kind::Sync, .name = rescue_name(name)});
    return ok();
  }

  Status add_steps(const Damage& damage) {
    const std::string name = segment_name(manifest_.segments[damage.segment].first);
    auto& steps = out_.steps;
    steps.push_back({.kind = Kind::MakeDir, .name = "rescue"});
    for (const std::string& original : {name, std::string(manifest_name)})
      if (const Status status = copy_aside(original); !status) return status;
    const auto move_aside = [&](const std::string& other) {
      if (files_.exists(other))
        steps.push_back({.kind = Kind::Rename, .name = other, .to = rescue_name(other)});
    };
    for (size_t i = damage.segment + 1; i < manifest_.segments.size(); ++i)
      move_aside(segment_name(manifest_.segments[i].first));
    // None of them is whole, or the base would be further on; a start would take them for proof of more log.
    const auto names = files_.list();
    if (!names) return names.error();
    for (const std::string& snapshot : *names)
      if (const auto offset = parse_snapshot_name(snapshot); offset && *offset > damage.offset) {
        out_.announcement.push_back(snapshot + ", which is damaged, is moved to rescue/.");
        move_aside(snapshot);
      }
    steps.push_back({.kind = Kind::SyncDir, .name = "rescue"});
    steps.push_back({.kind = Kind::SyncDir});
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

  Files& files_;
  WallMs now_ms_;
  Manifest manifest_;
  RepairPlan out_;
};

}  // namespace

Result<RepairPlan> plan_repair(Files& files, LogOffset base, WallMs now_ms) {
  return Planner(files, now_ms).plan(base);
}

}  // namespace hf::log
