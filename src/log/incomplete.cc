// A file's being there is the mark: its text only tells people, and the next run, whose it is.
#include "log/incomplete.h"

#include <algorithm>

#include "log/manifest.h"
#include "log/segment.h"

namespace hf::log {
namespace {

using Kind = FileStep::Kind;
constexpr size_t mark_bytes_max = 1024;

std::string text_of(Unfinished what) {
  return what == Unfinished::Restore ? "restore\nA restore into this folder was not finished. Run the same "
                                       "--restore-to again, or remove "
                                       "the folder.\n"
                                     : "backup\nA backup into this folder was not finished. Run the same "
                                       "--backup-to again, which goes "
                                       "on from here.\n";
}

bool left_by_restore(const std::string& name) {
  if (name == manifest_name || name == manifest_temp_name || parse_snapshot_name(name)) return true;
  return name.ends_with(".tmp") && parse_snapshot_name(Bytes(name).substr(0, name.size() - 4));
}

}  // namespace

void add_mark_steps(Unfinished what, std::vector<FileStep>& steps) {
  const std::string text = text_of(what);
  steps.push_back({.kind = Kind::Write, .name = incomplete_name, .bytes = text});
  steps.push_back({.kind = Kind::Truncate, .name = incomplete_name, .offset = text.size()});
  steps.push_back({.kind = Kind::Sync, .name = incomplete_name});
  steps.push_back({.kind = Kind::SyncDir});
}

void add_unmark_steps(std::vector<FileStep>& steps) {
  steps.push_back({.kind = Kind::Remove, .name = incomplete_name});
  steps.push_back({.kind = Kind::SyncDir});
}

bool is_marked(Files& files, Unfinished what) {
  const auto text = files.read(incomplete_name, 0, mark_bytes_max);
  return text && *text == text_of(what);
}

std::string why_incomplete(Files& files) {
  if (!files.exists(incomplete_name)) return "";
  const bool restore = is_marked(files, Unfinished::Restore);
  const bool backup = is_marked(files, Unfinished::Backup);
  const std::string begun = restore ? "restore" : backup ? "backup" : "restore or backup";
  const std::string again = restore  ? "--restore-to again, or remove the folder"
                            : backup ? "--backup-to again, which goes on from here"
                                     : "command again";
  return "a " + begun + " into this folder was not finished (" + incomplete_name +
         " tells), so it does not hold the whole state. Run the same " + again;
}

Result<std::vector<FileStep>> begin_restore(Files& target) {
  const auto names = target.list();
  if (!names) return names.error();
  std::vector<FileStep> steps, removals;
  add_mark_steps(Unfinished::Restore, steps);
  const bool ours = is_marked(target, Unfinished::Restore);
  for (const std::string& name : *names) {
    if (name == "LOCK" || name == incomplete_name) continue;
    if (!ours || !left_by_restore(name))
      return Error{"the folder is not empty (it holds " + name + "); a restore makes a fresh data folder"};
    removals.push_back({.kind = Kind::Remove, .name = name});
  }
  steps.insert(steps.end(), removals.begin(), removals.end());
  if (!removals.empty()) steps.push_back({.kind = Kind::SyncDir});
  return steps;
}

}  // namespace hf::log
