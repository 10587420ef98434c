// holdfast-check DIR: verifies a data folder without changing it; a dump of Redis's, too. Exit 0 sound, 1
// damaged, 2 unusable.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <string>
#include <vector>

#include "edge/data_folder.h"
#include "edge/file_lanes.h"
#include "edge/posix_files.h"
#include "edge/redis_dump.h"
#include "log/check.h"
#include "log/list.h"
#include "log/repair.h"
#include "log/restore.h"
#include "node/verify.h"

namespace {

using hf::json_quoted;
using hf::log::FileReport;
using hf::log::FolderReport;

constexpr const char* help_text =
    "Usage: holdfast-check [--json] DIR\n"
    "       holdfast-check --list [--from POINT] [--to POINT] [--json] DIR\n"
    "       holdfast-check --repair DIR\n"
    "       holdfast-check [--json] DUMP\n"
    "       holdfast-check --to-redis FILE DIR|DUMP\n"
    "       holdfast-check [--list ...] [--json] FILE\n"
    "\n"
    "Verifies the data folder DIR of a Holdfast server: MANIFEST, every log segment, every snapshot. "
    "Changes\n"
    "nothing but with --repair. Stop the server first, or check a backup: a log that is being written looks\n"
    "torn. FILE is a piece of a log by itself, such as a replica keeps under rescue/ when it cuts off what "
    "its\n"
    "primary does not have.\n"
    "With a file, DUMP, which a Redis or Valkey has saved (dump.rdb): verifies it, and tells what a move to\n"
    "Holdfast would take and what it would refuse.\n"
    "\n"
    "  --json    one JSON object instead of a table; with --list, one a frame\n"
    "  --list    the log's frames and their commands\n"
    "  --from, --to\n"
    "            only those between: times (2026-11-22T05:00:00Z) or offsets\n"
    "  --repair  make a lost or damaged MANIFEST anew; cut a damaged log before the damage, or where\n"
    "            that lies before the newest whole snapshot, let the log begin there. Originals go to\n"
    "            rescue/ first. Says what it does and what is lost by it, and does only that\n"
    "  --to-redis FILE\n"
    "            write FILE, a dump that redis-server 7.0 or newer loads: of the newest snapshot in DIR"
    " (tasks,\n"
    "            which Redis does not know, are left out and counted), or of another DUMP\n"
    "  --help    this text\n"
    "\n"
    "Exit status: 0 sound (a torn tail, which the server cuts by itself at the next start, is sound),\n"
    "             1 damaged, or a dump with what would be refused,\n"
    "             2 unusable (no data folder, unreadable, written by a newer version, or bad "
    "usage).\n";

void print_json(const std::string& folder, const FolderReport& report) {
  std::string out = "{\"folder\":" + json_quoted(folder);
  out += ",\"state\":" + json_quoted(soundness_text(report.soundness));
  out += ",\"verdict\":" + json_quoted(report.verdict);
  out += ",\"end\":" + std::to_string(report.end.value);
  out += ",\"durable_upto\":" + std::to_string(report.durable_upto.value) + ",\"files\":[";
  for (size_t i = 0; i < report.files.size(); ++i) {
    const FileReport& file = report.files[i];
    out += i == 0 ? "{" : ",{";
    out += "\"name\":" + json_quoted(file.name) + ",\"kind\":" + json_quoted(file.kind);
    out += ",\"bytes\":" + std::to_string(file.bytes) + ",\"items\":" + std::to_string(file.items);
    out += ",\"first\":" + std::to_string(file.first.value) + ",\"end\":" + std::to_string(file.end.value);
    out += ",\"state\":" + json_quoted(soundness_text(file.soundness));
    out += ",\"finding\":" + json_quoted(file.finding) + "}";
  }
  std::printf("%s]}\n", out.c_str());
}

void print_table(const std::string& folder, const FolderReport& report) {
  std::printf("%s\n\n", folder.c_str());
  std::printf("%-34s %-9s %14s %10s %20s %20s  %-8s  %s\n", "FILE", "KIND", "BYTES", "ITEMS", "FROM OFFSET",
              "TO OFFSET", "STATE", "FINDING");
  for (const FileReport& file : report.files)
    std::printf("%-34s %-9s %14llu %10llu %20llu %20llu  %-8s  %s\n", file.name.c_str(), file.kind.c_str(),
                static_cast<unsigned long long>(file.bytes), static_cast<unsigned long long>(file.items),
                static_cast<unsigned long long>(file.first.value),
                static_cast<unsigned long long>(file.end.value), soundness_text(file.soundness),
                file.finding.c_str());
  std::printf("\n%s: %s\n", soundness_text(report.soundness), report.verdict.c_str());
}

int usage(const std::string& what) {
  std::fprintf(stderr, "holdfast-check: %s\n%s", what.c_str(), help_text);
  return 2;
}

int complain(const std::string& what) {
  std::fprintf(stderr, "holdfast-check: %s\n", what.c_str());
  return 2;
}

/// By its first bytes; all else is taken for a dump.
bool is_log_piece(const std::string& path) {
  const std::filesystem::path whole = std::filesystem::absolute(path);
  hf::edge::PosixFiles files(whole.parent_path().string());
  const auto front = files.read(whole.filename().string(), 0, 8);
  return front && *front == "HFLogSeg";
}

/// A file in a folder, or the whole folder when `name` is empty.
int list(const std::string& folder, const std::string& name, const hf::log::ListRange& range) {
  hf::edge::PosixFiles files(folder);
  const auto names = files.list();
  if (!names) return complain("can't read the folder " + names.error().message);
  if (name.empty() && std::none_of(names->begin(), names->end(), hf::log::parse_segment_name))
    return complain(folder + ": there is no log in this folder");
  const auto print = [](const std::string& line) { std::printf("%s\n", line.c_str()); };
  const hf::Status listed =
      name.empty() ? hf::log::list_log(files, range, print) : hf::log::list_file(files, name, range, print);
  if (listed) return 0;
  std::fflush(stdout);
  complain(listed.error().message);
  return 1;
}

/// One thing after the other: what a repair leaves is looked at again.
int repair(const std::string& path) {
  constexpr int repairs_max = 8;
  hf::edge::PosixFiles there(path);
  const auto names = there.list();
  if (!names) return complain("can't read the folder " + names.error().message);
  const bool ours = std::any_of(names->begin(), names->end(), [](const std::string& name) {
    return name == hf::log::manifest_name || hf::log::parse_segment_name(name);
  });
  if (!ours) return complain(path + ": no MANIFEST and no log there, nothing that could be repaired");
  const auto folder = hf::edge::DataFolder::open(path);  // no server may be at it meanwhile
  if (!folder) return complain(folder.error().message);
  for (int i = 0; i < repairs_max; ++i) {
    hf::edge::PosixFiles files(folder->path());
    const auto base = hf::node::newest_whole(files);
    if (!base) return complain(base.error().message + "; nothing was changed");
    auto plan = hf::log::plan_repair(files, *base, std::time(nullptr) * 1000 + i);
    if (!plan) return complain(plan.error().message);
    if (plan->steps.empty() && i > 0) break;
    for (const std::string& line : plan->announcement) std::printf("%s\n", line.c_str());
    if (plan->steps.empty()) return 0;
    std::fflush(stdout);
    hf::edge::FileLanes lanes(folder->path(), [] {});
    lanes.submit({.id = 1, .lane = hf::Lane::Log, .steps = std::move(plan->steps)});
    lanes.drain();
    for (const hf::FileJobDone& done : lanes.take_done())
      if (!done.ok) return complain(done.message + "; run it again when that is mended");
  }
  std::printf("Done.\n");
  return 0;
}

/// False: not understood.
bool read_bound(const std::string& text, hf::WallMs& wall_ms, hf::LogOffset& offset) {
  const auto point = hf::log::parse_restore_point(text);
  if (!point || point->kind == hf::log::RestorePoint::Kind::Tag) return false;
  if (point->kind == hf::log::RestorePoint::Kind::Time) wall_ms = point->wall_ms;
  else offset = point->offset;
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  bool listing = false, repairing = false;
  hf::log::ListRange range;
  std::string folder, to_redis;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--help" || argument == "-h") {
      std::fputs(help_text, stdout);
      return 0;
    }
    if (argument == "--json") range.json = true;
    else if (argument == "--list") listing = true;
    else if (argument == "--repair") repairing = true;
    else if (argument == "--to-redis") {
      if (++i == argc) return usage(argument + " needs a file to write");
      to_redis = argv[i];
    } else if (argument == "--from" || argument == "--to") {
      const bool from = argument == "--from";
      if (++i == argc) return usage(argument + " needs a time or an offset");
      if (!read_bound(argv[i], from ? range.from_ms : range.to_ms, from ? range.from : range.to))
        return usage(std::string(argv[i]) + " is neither a time (2026-11-22T05:00:00Z) nor an offset");
      listing = true;
    } else if (argument.starts_with("-")) return usage("unknown option " + argument);
    else if (!folder.empty()) return usage("one folder at a time");
    else folder = argument;
  }
  if (folder.empty()) return usage("which folder?");
  if (listing + repairing + !to_redis.empty() > 1)
    return usage("one of --list, --repair and --to-redis at a time");
  if (!to_redis.empty()) return hf::edge::write_dump(folder, to_redis);
  if (!listing && !repairing && hf::edge::is_file(folder) && !is_log_piece(folder))
    return hf::edge::check_dump(folder, range.json);
  if (repairing) return repair(folder);
  std::string name;
  if (std::filesystem::is_regular_file(folder)) {
    const std::filesystem::path path = std::filesystem::absolute(folder);
    folder = path.parent_path().string();
    name = path.filename().string();
  }
  if (listing) return list(folder, name, range);

  hf::edge::PosixFiles files(folder);
  const FolderReport report = name.empty() ? hf::log::check_folder(files, hf::node::verify_snapshots(files))
                                           : hf::log::check_file(files, name);
  if (range.json) print_json(folder, report);
  else print_table(folder, report);
  return static_cast<int>(report.soundness);
}
