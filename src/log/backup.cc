// The plan keeps the writer's own order (header, MANIFEST, frames), and puts snapshots behind the log they
// need.
#include "log/backup.h"

#include <algorithm>
#include <cerrno>

#include "base/limits.h"
#include "log/incomplete.h"
#include "log/manifest.h"
#include "log/reader.h"
#include "log/segment.h"

namespace hf::log {
namespace {

using Kind = FileStep::Kind;

Result<Manifest> read_manifest(Files& files) {
  const Result<uint64_t> size = files.size(manifest_name);
  if (!size) return size.error();
  if (*size > limits::manifest_bytes_max) return Error{"MANIFEST is larger than any MANIFEST can be"};
  const Result<std::string> text = files.read(manifest_name, 0, *size);
  if (!text) return text.error();
  return decode_manifest(*text);
}

/// How far a segment's frames go, at most to byte `stop`.
struct Reach {
  uint64_t byte = 0;
  ChainPoint chain;
};
Result<Reach> reach(Files& files, const SegmentRef& ref, uint64_t stop = UINT64_MAX) {
  SegmentReader reader(files, segment_name(ref.first));
  if (const Status opened = reader.open(); !opened) return opened.error();
  const SegmentHeader& header = reader.header();
  if (header.salt != ref.salt)
    return Error{"log segment " + reader.name() + " is not the one that its MANIFEST lists"};
  ChainPoint chain{header.first, header.previous_sum, header.epoch};
  Reach good{reader.at(), chain};  // behind the last whole group
  SegmentReader::Frame frame;
  while (reader.at() < stop) {
    const Result<Verdict> verdict = reader.next(chain, frame);
    if (!verdict) return verdict.error();
    if (*verdict != Verdict::Valid) break;
    if (!frame.header.more) good = {reader.at(), chain};
  }
  return good;
}

Error another_history(const std::string& what) {
  return Error{"the backup folder holds another history than this server's (" + what +
               "); give a fresh folder"};
}

/// A folder that is not ours is left alone.
Status check_target(Files& target, const std::vector<std::string>& names) {
  if (is_marked(target, Unfinished::Restore)) return Error{why_incomplete(target)};
  if (target.exists(manifest_name)) return ok();
  for (const std::string& name : names) {
    const bool temporary = name.ends_with(".tmp") && name.starts_with("snapshot-");
    if (!temporary && !parse_segment_name(name) && name != "LOCK" && name != manifest_temp_name &&
        name != incomplete_name)
      return Error{"the folder is neither empty nor a backup: it holds " + name};
  }
  return ok();
}

class Planner {
 public:
  Planner(Files& source, Files& target) : source_(source), target_(target) {}

  Result<BackupPlan> plan() {
    if (const std::string why = why_incomplete(source_); !why.empty()) return Error{why};
    // Before the log is looked at: each of them is covered by what is then read.
    const auto names = source_.list();
    if (!names) return names.error();
    auto manifest = read_manifest(source_);
    if (!manifest && manifest.error().code == ENOENT)
      return Error{"there is no MANIFEST: only a folder with a log (appendonly yes) can be backed up"};
    if (!manifest) return manifest.error();
    from_ = std::move(*manifest);
    if (from_.segments.empty())
      return Error{
          "the log is empty so far: nothing was written since the snapshot that it begins with; ask again "
          "after the next change"};
    if (const Status status = read_target(); !status) return status.error();
    if (const Status status = plan_segments(); !status) return status.error();
    if (const Status status = plan_snapshots(*names); !status) return status.error();
    out_.sync_first = segment_name(from_.segments.back().first);
    out_.begin = to_.segments.front().first;
    finish();
    return std::move(out_);
  }

 private:
  Status read_target() {
    const auto names = target_.list();
    if (!names) return names.error();
    target_names_ = *names;
    if (const Status status = check_target(target_, target_names_); !status) return status;
    to_.cluster_id = from_.cluster_id;
    to_.history = from_.history;
    if (!target_.exists(manifest_name)) return ok();
    auto manifest = read_manifest(target_);
    if (!manifest) return Error{"the backup's " + manifest.error().message};
    if (manifest->cluster_id != from_.cluster_id) return another_history("cluster " + manifest->cluster_id);
    to_.segments = std::move(manifest->segments);
    to_.durable_upto = manifest->durable_upto;
    to_.snapshots = std::move(manifest->snapshots);
    return ok();
  }

  /// Where the backup ends and this log goes on; gives up the backup's log when there is a gap between.
  Result<Reach> join() {
    if (to_.segments.empty()) return Reach{};
    const SegmentRef back = to_.segments.back();
    Result<Reach> reached = reach(target_, back);
    if (!reached) return Error{"the backup's " + reached.error().message};
    if (from_.segments.front().first > reached->chain.offset) {
      for (const SegmentRef& ref : to_.segments) old_.push_back(segment_name(ref.first));
      to_.segments.clear();
      anew_ = true;
    } else if (std::find(from_.segments.begin(), from_.segments.end(), back) == from_.segments.end() &&
               from_.segments.front().first <= back.first) {
      return another_history(segment_name(back.first));
    }
    return reached;
  }

  /// Until the snapshots that its log needs are copied too, this is not yet a folder to start from.
  void mark() {
    marked_ = true;
    BackupAction first;
    add_mark_steps(Unfinished::Backup, first.steps);
    out_.actions.push_back(std::move(first));
  }

  /// The backup that is there stays one to start from: what comes now is torn until it is whole.
  void note_copying() {
    BackupAction first;
    add_manifest_steps(to_, first.steps);
    out_.actions.push_back(std::move(first));
  }

  Status plan_segments() {
    const Result<Reach> last = join();
    if (!last) return last.error();
    to_.copying = true;
    if (to_.segments.empty() || target_.exists(incomplete_name)) mark();
    else note_copying();
    for (const SegmentRef& ref : from_.segments) {
      const bool closed = ref != from_.segments.back();
      const auto known = std::find_if(to_.segments.begin(), to_.segments.end(),
                                      [&](const SegmentRef& r) { return r.first == ref.first; });
      if (known != to_.segments.end() && *known != ref) return another_history(segment_name(ref.first));
      if (known != to_.segments.end() && *known != to_.segments.back()) continue;  // whole since long
      const Result<Reach> reached = reach(source_, ref);
      if (!reached) return reached.error();
      const std::string name = segment_name(ref.first);
      uint64_t begin = segment_header_bytes;
      if (known != to_.segments.end()) {
        const Result<Reach> same = reach(source_, ref, last->byte);
        if (!same) return same.error();
        if (same->byte != last->byte || same->chain.sum != last->chain.sum)
          return another_history(name + ", byte " + std::to_string(last->byte));
        begin = last->byte;
      } else {
        if (!to_.segments.empty() && copied_log_ && out_.end != ref.first)
          return Error{"log segment " + name + " does not continue the one before; run holdfast-check"};
        to_.segments.push_back(ref);
        to_.durable_upto = ref.first;
        BackupAction header{.name = name, .as = name, .to = segment_header_bytes};
        header.steps = {{.kind = Kind::Sync, .name = name}, {.kind = Kind::SyncDir}};
        if (!anew_) add_manifest_steps(to_, header.steps);
        out_.actions.push_back(std::move(header));
      }
      BackupAction frames{.name = name, .as = name, .from = begin, .to = reached->byte};
      // Whatever an interrupted copy left behind the frames goes.
      frames.steps = {{.kind = Kind::Truncate, .name = name, .offset = reached->byte},
                      {.kind = Kind::Sync, .name = name}};
      out_.actions.push_back(std::move(frames));
      out_.end = reached->chain.offset;
      copied_log_ = true;
      if (closed && out_.end != (&ref + 1)->first)
        return Error{"log segment " + name + " ends at offset " + std::to_string(out_.end.value) +
                     ", before the next one begins; run holdfast-check on the data folder"};
    }
    return ok();
  }

  Status plan_snapshots(const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      const auto offset = parse_snapshot_name(name);
      if (!offset || *offset > out_.end) continue;
      const Result<uint64_t> size = source_.size(name);
      if (!size) return size.error();
      const auto there = target_.size(name);
      if (there && *there == *size) continue;
      const std::string temporary = name + ".tmp";
      BackupAction copy{.name = name, .as = temporary, .to = *size};
      copy.steps = {{.kind = Kind::Truncate, .name = temporary, .offset = *size},
                    {.kind = Kind::Sync, .name = temporary},
                    {.kind = Kind::Rename, .name = temporary, .to = name},
                    {.kind = Kind::SyncDir}};
      out_.actions.push_back(std::move(copy));
    }
    return ok();
  }

  void finish() {
    for (const SnapshotNote& note : from_.snapshots) {
      std::erase_if(to_.snapshots, [&](const SnapshotNote& n) { return n.offset == note.offset; });
      to_.snapshots.push_back(note);
    }
    std::sort(to_.snapshots.begin(), to_.snapshots.end(),
              [](const SnapshotNote& a, const SnapshotNote& b) { return a.offset < b.offset; });
    to_.durable_upto = out_.end;
    to_.copying = false;
    BackupAction last;
    add_manifest_steps(to_, last.steps);
    for (const std::string& name : old_) last.steps.push_back({.kind = Kind::Remove, .name = name});
    if (marked_) add_unmark_steps(last.steps);
    out_.actions.push_back(std::move(last));
    for (const BackupAction& action : out_.actions) out_.bytes += action.to - action.from;
  }

  Files& source_;
  Files& target_;
  Manifest from_, to_;
  std::vector<std::string> target_names_, old_;
  /// The log in the backup ends before this one begins: its MANIFEST stays until all of the new log is there.
  bool anew_ = false;
  bool marked_ = false, copied_log_ = false;
  BackupPlan out_;
};

}  // namespace

Result<BackupPlan> plan_backup(Files& source, Files& target) { return Planner(source, target).plan(); }

}  // namespace hf::log
