// A folder is judged by the very code that would start from it, then every file is read for what that code
// passes over.
#include "log/check.h"

#include <algorithm>
#include <cerrno>
#include <functional>

#include "log/manifest.h"
#include "log/reader.h"
#include "log/rescue.h"
#include "resp/parser.h"

namespace hf::log {
namespace {

/// Replays into nothing, but insists on commands.
class CommandsOnly final : public ReplaySink {
 public:
  Status replay(const FrameHeader&, LogOffset begin, Bytes content) override {
    size_t at = 0;
    if (!resp::for_each_command(content, at, [](auto&&...) {}))
      return Error{"offset " + std::to_string(begin.value + at) + ": what the frame holds is not a command"};
    return ok();
  }
};

Soundness soundness_of(const Error& error) {
  return error.code == newer_version || error.code == EACCES || error.code == EPERM ? Soundness::Unusable
                                                                                    : Soundness::Damaged;
}

struct Judged {
  Outcome outcome;
  LogOffset floor;
  std::vector<std::string> notes;
};

Judged judge(Files& files, const std::vector<VerifiedSnapshot>& snapshots) {
  Recovery recovery(files, {});
  CommandsOnly sink;
  recovery.open();
  while (recovery.phase() == Recovery::Phase::LoadSnapshot) {
    const auto found = std::find_if(snapshots.begin(), snapshots.end(),
                                    [&](const auto& s) { return s.report.name == recovery.snapshot().name; });
    if (found == snapshots.end()) recovery.snapshot_damaged("it was not verified");
    else if (found->point) recovery.snapshot_loaded(*found->point);
    else recovery.snapshot_damaged(found->report.finding);
  }
  while (recovery.phase() == Recovery::Phase::Replay) recovery.step(64 << 20, sink);
  return {std::move(recovery.outcome()), recovery.durable_floor(), recovery.notes()};
}

FileReport check_manifest(Files& files, std::optional<Manifest>& manifest) {
  FileReport report{.name = manifest_name, .kind = "manifest"};
  const auto fail = [&](const Error& error) {
    report.soundness = soundness_of(error);
    report.finding = error.message;
    return report;
  };
  const Result<uint64_t> size = files.size(manifest_name);
  if (!size) return fail(size.error());
  report.bytes = *size;
  if (*size > limits::manifest_bytes_max) return fail({"larger than any MANIFEST can be"});
  const Result<std::string> text = files.read(manifest_name, 0, *size);
  if (!text) return fail(text.error());
  Result<Manifest> decoded = decode_manifest(*text);
  if (!decoded) return fail(decoded.error());
  manifest = std::move(*decoded);
  report.items = manifest->segments.size();
  report.end = manifest->durable_upto;
  if (!manifest->segments.empty()) report.first = manifest->segments.front().first;
  if (manifest->clean_end)
    report.finding = "clean shutdown at offset " + std::to_string(manifest->clean_end->value);
  return report;
}

/// `torn_at`: the byte at which the server would cut this segment.
FileReport check_segment(Files& files, const std::string& name, std::optional<uint64_t> torn_at) {
  FileReport report{.name = name, .kind = "segment"};
  if (const auto first = parse_segment_name(name)) report.first = report.end = *first;
  const auto fail = [&](const Error& error) {
    report.soundness = soundness_of(error);
    report.finding = error.message;
    return report;
  };
  const Result<uint64_t> size = files.size(name);
  if (!size) return fail(size.error());
  report.bytes = *size;
  SegmentReader reader(files, name);
  if (const Status status = reader.open(); !status) return fail(status.error());
  report.first = report.end = reader.header().first;
  ChainPoint chain{reader.header().first, reader.header().previous_sum, reader.header().epoch};
  SegmentReader::Frame frame;
  while (true) {
    const Result<Verdict> verdict = reader.next(chain, frame);
    if (!verdict) return fail(verdict.error());
    report.end = chain.offset;
    if (*verdict == Verdict::Valid) {
      ++report.items;
      continue;
    }
    const std::string where = "byte " + std::to_string(reader.at()) + ": ";
    if (torn_at) {
      report.finding = "byte " + std::to_string(*torn_at) + ": torn tail of " +
                       std::to_string(*size - *torn_at) + " bytes, cut at the next start";
      return report;
    }
    if (*verdict == Verdict::End) return report;
    if (*verdict == Verdict::Zeros) {
      const Result<bool> zeros = reader.zeros_to_the_end();
      if (zeros && *zeros) {
        report.finding = where + "zeros to the end of the file";
        return report;
      }
    }
    return fail({where + "(offset " + std::to_string(chain.offset.value) + ") " + verdict_text(*verdict)});
  }
}

/// Each segment must begin where the one before ended; the judge only looked at those behind the snapshot.
void check_joints(std::vector<FileReport>& segments) {
  for (size_t i = 1; i < segments.size(); ++i) {
    FileReport& before = segments[i - 1];
    if (before.soundness != Soundness::Sound || before.end == segments[i].first) continue;
    before.soundness = Soundness::Damaged;
    before.finding = "ends at offset " + std::to_string(before.end.value) + ", but " + segments[i].name +
                     " begins at " + std::to_string(segments[i].first.value);
  }
}

/// Aside, and no part of what a start reads: whatever it is, the folder is as sound as it was.
FileReport check_rescued(Files& files, const std::string& name) {
  FileReport report = check_segment(files, name, {});
  report.kind = "rescue";
  if (report.soundness != Soundness::Sound || report.items == 0)
    report = {.name = name,
              .kind = "rescue",
              .bytes = report.bytes,
              .finding = "kept aside; not read by the server"};
  else report.finding = "kept aside, cut off the log; --list " + name + " shows it";
  return report;
}

/// What MANIFEST lists and is not there. A snapshot's file goes before MANIFEST is told, so that alone is no
/// damage.
void add_missing(const Manifest& manifest, const std::function<bool(const std::string&)>& there,
                 std::vector<FileReport>& segments, std::vector<FileReport>& others) {
  const std::string finding = "is in MANIFEST, but the file is missing";
  for (const SegmentRef& ref : manifest.segments) {
    const std::string name = segment_name(ref.first);
    if (there(name) || (manifest.cut && ref.first >= *manifest.cut)) continue;
    const auto behind = std::find_if(segments.begin(), segments.end(),
                                     [&](const FileReport& segment) { return segment.first > ref.first; });
    segments.insert(behind, {.name = name,
                             .kind = "segment",
                             .first = ref.first,
                             .end = ref.first,
                             .soundness = Soundness::Damaged,
                             .finding = finding});
  }
  for (const SnapshotNote& note : manifest.snapshots) {
    const std::string name = snapshot_name(note.offset);
    if (!there(name))
      others.push_back({.name = name,
                        .kind = "snapshot",
                        .first = note.offset,
                        .end = note.offset,
                        .finding = finding + (note.tag.empty() ? "" : "; tag " + note.tag)});
  }
}

void write_verdict(const Judged& judged, FolderReport& report) {
  if (const auto* refused = std::get_if<Refused>(&judged.outcome)) {
    report.soundness = std::max(report.soundness, Soundness::Damaged);
    report.verdict = "The server would refuse to start: " + refused->why;
    return;
  }
  if (const auto* recovered = std::get_if<Recovered>(&judged.outcome)) {
    report.end = recovered->resume.end;
    report.verdict = "The server would start at offset " + std::to_string(report.end.value);
    if (recovered->torn)
      report.verdict +=
          ", after moving a torn tail of " + std::to_string(recovered->torn->bytes) + " bytes aside";
  } else {
    report.verdict = "The server would start empty";
  }
  report.verdict +=
      report.soundness == Soundness::Sound ? "." : ", but not everything in the folder is sound.";
}

}  // namespace

const char* soundness_text(Soundness soundness) {
  switch (soundness) {
    case Soundness::Sound: return "sound";
    case Soundness::Damaged: return "damaged";
    case Soundness::Unusable: return "unusable";
  }
  return "unknown";
}

FolderReport check_folder(Files& files, const std::vector<VerifiedSnapshot>& snapshots) {
  FolderReport report;
  const Result<std::vector<std::string>> names = files.list();
  if (!names) {
    report.soundness = Soundness::Unusable;
    report.verdict = "The folder can't be read: " + names.error().message;
    return report;
  }
  const auto there = [&](const std::string& name) {
    return std::find(names->begin(), names->end(), name) != names->end();
  };
  const bool any_segment =
      std::any_of(names->begin(), names->end(), [](auto& n) { return parse_segment_name(n).has_value(); });
  if (!there(manifest_name) && !any_segment && snapshots.empty()) {
    report.soundness = Soundness::Unusable;
    report.verdict = "This is no data folder: it holds no MANIFEST, no log and no snapshot.";
    return report;
  }

  const Judged judged = judge(files, snapshots);
  report.durable_upto = judged.floor;
  const auto* recovered = std::get_if<Recovered>(&judged.outcome);
  std::optional<Manifest> manifest;
  if (there(manifest_name)) report.files.push_back(check_manifest(files, manifest));
  std::vector<FileReport> segments, leftovers;
  for (const std::string& name : *names) {
    const auto first = parse_segment_name(name);
    const bool temporary =
        name == manifest_temp_name || (name.starts_with("snapshot-") && name.ends_with(".rdb.tmp"));
    if (temporary)
      leftovers.push_back(
          {.name = name, .kind = "leftover", .finding = "of a write that was not finished; ignored"});
    const auto transfer = parse_received_name(name);
    if (transfer && !(manifest && manifest->adopt == transfer))
      leftovers.push_back({.name = name,
                           .kind = "leftover",
                           .finding = "of a full sync that was not finished; removed at the next start"});
    if (!first) continue;
    if (manifest && (manifest->adopt || (manifest->cut && *first >= *manifest->cut))) {
      leftovers.push_back({.name = name,
                           .kind = "leftover",
                           .first = *first,
                           .finding = manifest->adopt
                                          ? "the snapshot received from the primary takes its place"
                                          : "behind the cut; goes to rescue/ at the next start"});
      continue;
    }
    std::optional<uint64_t> torn_at;
    if (recovered && recovered->torn && recovered->torn->segment == name) torn_at = recovered->torn->byte;
    const bool listed = !manifest || std::any_of(manifest->segments.begin(), manifest->segments.end(),
                                                 [&](const SegmentRef& ref) { return ref.first == *first; });
    FileReport segment = check_segment(files, name, torn_at);
    if (listed) {
      segments.push_back(std::move(segment));
      continue;
    }
    // What this means is the judge's to say: a leftover that is taken out of the way, or a MANIFEST older
    // than the log.
    segment.kind = "leftover";
    if (segment.soundness == Soundness::Damaged) segment.soundness = Soundness::Sound;
    segment.finding = "not in MANIFEST";
    leftovers.push_back(std::move(segment));
  }
  check_joints(segments);
  if (manifest && !manifest->adopt) add_missing(*manifest, there, segments, leftovers);
  for (FileReport& segment : segments) report.files.push_back(std::move(segment));
  for (const VerifiedSnapshot& snapshot : snapshots) report.files.push_back(snapshot.report);
  for (FileReport& leftover : leftovers) report.files.push_back(std::move(leftover));
  if (const auto rescued = files.list_in(rescue_folder))
    for (const std::string& name : *rescued) report.files.push_back(check_rescued(files, name));
  for (const FileReport& file : report.files) report.soundness = std::max(report.soundness, file.soundness);
  write_verdict(judged, report);
  return report;
}

FolderReport check_file(Files& files, const std::string& name) {
  FolderReport report;
  report.files.push_back(check_segment(files, name, {}));
  const FileReport& file = report.files.front();
  report.soundness = file.soundness;
  report.end = file.end;
  report.verdict =
      file.soundness == Soundness::Sound
          ? std::to_string(file.items) + " frames, each with its sum; --list shows their commands"
          : file.finding;
  return report;
}

}  // namespace hf::log
