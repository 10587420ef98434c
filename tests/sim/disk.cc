// Steps in virtual time, and what is left of them after a crash.
#include "disk.h"

#include <algorithm>
#include <cerrno>

#include "base/check.h"

namespace hf::sim {
namespace {

using Kind = FileStep::Kind;
constexpr uint64_t page_bytes = 4096;
constexpr uint64_t sector_bytes = 512;

}  // namespace

SimDisk::SimDisk(Agenda& agenda, FaultCounts& faults, uint64_t seed)
    : agenda_(agenda), faults_(faults), prng_(seed) {}

// ---- reading ------------------------------------------------------------------------------------

Result<std::vector<std::string>> SimDisk::list() {
  std::vector<std::string> out;
  for (const auto& [name, file] : names_)
    if (name.find('/') == std::string::npos) out.push_back(name);
  return out;
}

Result<std::vector<std::string>> SimDisk::list_in(const std::string& folder) {
  std::vector<std::string> out;
  for (const auto& [name, file] : names_)
    if (name.starts_with(folder + "/")) out.push_back(name);
  return out;
}

Result<uint64_t> SimDisk::size(const std::string& name) {
  const auto it = names_.find(name);
  if (it == names_.end()) return Error{name + ": no such file", ENOENT};
  return static_cast<uint64_t>(it->second->now.size());
}

bool SimDisk::exists(const std::string& name) { return names_.count(name) > 0; }

Result<std::string> SimDisk::read(const std::string& name, uint64_t offset, size_t n) {
  const auto it = names_.find(name);
  if (it == names_.end()) return Error{name + ": no such file", ENOENT};
  const std::string& now = it->second->now;
  if (offset >= now.size()) return std::string();
  return now.substr(offset, n);
}

// ---- jobs ---------------------------------------------------------------------------------------

void SimDisk::submit(FileJob job) {
  const Lane lane = job.lane;
  LaneState& state = lanes_[static_cast<size_t>(lane)];
  state.queue.push_back(std::move(job));
  if (!state.busy) begin_step(lane);
}

bool SimDisk::idle() const {
  return std::none_of(lanes_.begin(), lanes_.end(),
                      [](const LaneState& lane) { return !lane.queue.empty(); });
}

int64_t SimDisk::duration_of(const FileStep& step) {
  switch (step.kind) {
    case Kind::Write:
    case Kind::Append: return prng_.between(5, 60) * slowness_;
    case Kind::Sync:
    case Kind::SyncDir: return prng_.between(50, 900) * slowness_;
    default: return prng_.between(5, 40) * slowness_;
  }
}

void SimDisk::begin_step(Lane lane) {
  LaneState& state = lanes_[static_cast<size_t>(lane)];
  HF_CHECK(!state.queue.empty());
  state.busy = true;
  FileJob& job = state.queue.front();
  if (job.steps.empty()) {
    finish_job(lane, {.id = job.id, .lane = lane});
    return;
  }
  const FileStep& step = job.steps[state.step];
  if (step.kind == Kind::Sync || step.kind == Kind::SyncDir) begin_sync(step, state.sync);
  int64_t delay = duration_of(step);
  if (state.stall_us > 0) {
    delay += state.stall_us;
    state.stall_us = 0;
    faults_.add(Fault::LaneStalled);
  }
  agenda_.after(delay, [this, lane, life = life_] {
    if (life == life_) end_step(lane);
  });
}

void SimDisk::end_step(Lane lane) {
  LaneState& state = lanes_[static_cast<size_t>(lane)];
  FileJob& job = state.queue.front();
  FileStep& step = job.steps[state.step];
  const uint64_t life = life_;
  const int code = perform(step, state);
  const bool renamed = code == 0 && step.kind == Kind::Rename;
  const std::string renamed_to = renamed ? step.to : std::string();
  FileJobDone done{.id = job.id, .lane = lane};
  done.cpu_us = static_cast<int64_t>(job.id % 200);  // of some weight, without a draw
  if (code != 0) {
    ++failures_;
    done.ok = false;
    done.failed_step = state.step;
    done.failed_kind = step.kind;
    done.code = code;
    done.message = step.name + ": " + (code == ENOSPC ? "No space left on device" : "Input/output error");
  }
  if (state.step + 1 == job.steps.size() || code != 0) done.bytes = std::exchange(state.read, {});
  state.busy = false;  // done: should the process end in one of the calls below, it is not done again
  const bool finished = code != 0 || state.step + 1 == job.steps.size();
  if (renamed && on_renamed) on_renamed(renamed_to);
  if (after_step) after_step();
  if (life != life_) return;  // it was the last thing this process did
  if (finished) return finish_job(lane, done);
  ++state.step;
  begin_step(lane);
}

void SimDisk::finish_job(Lane lane, FileJobDone done) {
  LaneState& state = lanes_[static_cast<size_t>(lane)];
  state.queue.pop_front();
  state.step = 0;
  state.busy = false;
  if (!state.queue.empty()) begin_step(lane);
  on_done(done);
}

int SimDisk::planned_failure(Kind kind) {
  for (size_t i = 0; i < plans_.size(); ++i) {
    if (plans_[i].kind != kind || --plans_[i].left > 0) continue;
    const int code = plans_[i].code;
    plans_.erase(plans_.begin() + static_cast<std::ptrdiff_t>(i));
    return code;
  }
  return 0;
}

void SimDisk::fail_step(Kind kind, uint64_t nth, int code) {
  plans_.push_back({kind, std::max<uint64_t>(1, nth), code});
}

void SimDisk::clear_faults() {
  plans_.clear();
  full_ = false;
  for (LaneState& lane : lanes_) lane.stall_us = 0;
}

int SimDisk::perform(FileStep& step, LaneState& lane) {
  int code = planned_failure(step.kind == Kind::Append ? Kind::Write : step.kind);
  switch (step.kind) {
    case Kind::Write: return write(step.name, step.offset, step.bytes, false, code);
    case Kind::Append: {
      const std::string bytes = step.produce ? step.produce() : std::move(step.bytes);
      return write(step.name, 0, bytes, true, code);
    }
    case Kind::Sync:
      if (!lane.sync.file) return ENOENT;
      if (code != 0) {
        faults_.add(Fault::SyncFailed);
        drop_unsynced(lane.sync.file);
        return code;
      }
      end_sync(lane.sync);
      return 0;
    case Kind::SyncDir:
      if (code != 0) {
        faults_.add(Fault::FolderSyncFailed);
        return code;
      }
      end_sync(lane.sync);
      return 0;
    case Kind::Truncate: {
      if (code != 0) {
        faults_.add(Fault::TruncateFailed);
        return code;
      }
      const auto it = names_.find(step.name);
      if (it == names_.end()) return ENOENT;
      File& file = *it->second;
      if (step.offset >= file.now.size()) return 0;
      file.now.resize(step.offset);
      file.cut_to = std::min<uint64_t>(file.cut_to.value_or(UINT64_MAX), step.offset);
      ++writes_;
      for (auto p = file.dirty.lower_bound(step.offset / page_bytes); p != file.dirty.end();)
        p = p->first * page_bytes >= step.offset ? file.dirty.erase(p) : std::next(p);
      return 0;
    }
    case Kind::Rename: {
      if (code != 0) {
        faults_.add(Fault::RenameFailed);
        return code;
      }
      const auto it = names_.find(step.name);
      if (it == names_.end()) return ENOENT;
      const FileRef file = it->second;
      names_.erase(it);
      names_[step.to] = file;
      name_changes_.push_back({step.name, step.to, file, ++renames_});
      return 0;
    }
    case Kind::Remove: {
      if (code != 0) return code;
      const auto it = names_.find(step.name);
      if (it == names_.end()) return 0;
      name_changes_.push_back({step.name, "", it->second, ++renames_});
      names_.erase(it);
      return 0;
    }
    case Kind::MakeDir: return code;
    case Kind::Read: {
      if (code != 0) return code;
      Result<std::string> bytes = read(step.name, step.offset, step.length);
      if (!bytes) return EIO;
      lane.read += *bytes;
      return 0;
    }
  }
  return EINVAL;
}

int SimDisk::write(const std::string& name, uint64_t offset, Bytes bytes, bool append, int code) {
  if (code == 0 && full_) {
    code = ENOSPC;
    faults_.add(Fault::DiskFull);
  } else if (code != 0) {
    faults_.add(Fault::WriteFailed);
  }
  // A failing write may have done a part of its work.
  const size_t n = code == 0 ? bytes.size() : static_cast<size_t>(prng_.below(bytes.size() + 1));
  if (code != 0 && n == 0 && names_.count(name) == 0 && prng_.chance(1, 2)) return code;
  const FileRef file = create(name);
  put(file, append ? file->now.size() : offset, bytes.substr(0, n));
  return code;
}

SimDisk::FileRef SimDisk::create(const std::string& name) {
  FileRef& file = names_[name];
  if (!file) {
    file = std::make_shared<File>();
    name_changes_.push_back({"", name, file, ++renames_});
  }
  return file;
}

void SimDisk::put(const FileRef& file, uint64_t offset, Bytes bytes) {
  if (bytes.empty()) return;
  const uint64_t end = offset + bytes.size();
  if (end > file->now.size()) {
    file->now.resize(end);
  }
  file->now.replace(offset, bytes.size(), bytes);
  ++writes_;
  for (uint64_t page = offset / page_bytes; page <= (end - 1) / page_bytes; ++page)
    file->dirty[page] = writes_;
}

// ---- syncing ------------------------------------------------------------------------------------

void SimDisk::begin_sync(const FileStep& step, SyncImage& image) {
  image = SyncImage();
  if (step.kind == Kind::SyncDir) {
    image.names = renames_;
    return;
  }
  const auto it = names_.find(step.name);
  if (it == names_.end()) return;
  image.file = it->second;
  image.pages = image.file->dirty;
  image.bytes = image.file->now;
  image.cut_to = image.file->cut_to;
  image.begun = writes_;
}

void SimDisk::end_sync(SyncImage& image) {
  if (!image.file) {
    // Names made after the sync began may wait for the next one. Names of all folders: one journal, as most
    // have. Another lane's sync may have saved some of them meanwhile.
    while (!name_changes_.empty() && name_changes_.front().number <= image.names) {
      const NameChange& change = name_changes_.front();
      const auto from = durable_names_.find(change.from);
      if (from != durable_names_.end() && from->second == change.file) durable_names_.erase(from);
      if (!change.to.empty()) durable_names_[change.to] = change.file;
      name_changes_.pop_front();
    }
    image = SyncImage();
    return;
  }
  File& file = *image.file;
  // Two lanes may sync one file: what began earlier and ends later has nothing to add.
  if (image.begun < file.synced_from) {
    image = SyncImage();
    return;
  }
  file.synced_from = image.begun;
  if (image.cut_to && *image.cut_to < file.durable.size()) file.durable.resize(*image.cut_to);
  if (image.bytes.size() > file.durable.size()) file.durable.resize(image.bytes.size());
  for (const auto& [page, stamp] : image.pages) {
    const uint64_t begin = page * page_bytes;
    if (begin >= image.bytes.size()) continue;
    const uint64_t n = std::min<uint64_t>(page_bytes, image.bytes.size() - begin);
    file.durable.replace(begin, n, image.bytes, begin, n);
    const auto now = file.dirty.find(page);
    if (now != file.dirty.end() && now->second == stamp) file.dirty.erase(now);
  }
  if (file.cut_to == image.cut_to) file.cut_to.reset();
  image = SyncImage();
}

/// What Linux does when it can't write pages back: they count as clean from then on.
void SimDisk::drop_unsynced(const FileRef& file) { file->dirty.clear(); }

// ---- crashes ------------------------------------------------------------------------------------

void SimDisk::kill() {
  ++life_;
  for (LaneState& lane : lanes_) {
    if (lane.busy && !lane.queue.empty()) {
      FileStep& step = lane.queue.front().steps[lane.step];
      // The call the thread is in ends somewhere: a write anywhere within it, other steps wholly or not at
      // all.
      if (step.kind == Kind::Write || step.kind == Kind::Append) {
        const std::string bytes =
            step.kind == Kind::Append && step.produce ? step.produce() : std::move(step.bytes);
        const size_t n = static_cast<size_t>(prng_.below(bytes.size() + 1));
        if (n > 0 && n < bytes.size()) faults_.add(Fault::KilledInsideWrite);
        if (n > 0 && !full_) {
          const FileRef file = create(step.name);
          put(file, step.kind == Kind::Append ? file->now.size() : step.offset, Bytes(bytes).substr(0, n));
        }
      } else if (prng_.chance(1, 2)) {
        if (perform(step, lane) == 0 && step.kind == Kind::Rename && on_renamed) on_renamed(step.to);
      }
    }
    lane = LaneState();
  }
}

void SimDisk::power_cut() {
  kill();
  settle_names();
  std::map<std::string, FileRef> left;
  for (const auto& [name, file] : durable_names_) {
    std::string bytes = after_power_cut(*file);
    auto fresh = std::make_shared<File>();
    fresh->now = fresh->durable = std::move(bytes);
    left[name] = std::move(fresh);
  }
  names_ = left;
  durable_names_ = std::move(left);
}

void SimDisk::wipe() {
  kill();
  names_.clear();
  durable_names_.clear();
  name_changes_.clear();
}

void SimDisk::each(const std::function<void(const std::string& name, Bytes bytes)>& call) const {
  for (const auto& [name, file] : names_) call(name, file->now);
}

std::map<std::string, std::string> SimDisk::contents() const {
  std::map<std::string, std::string> all;
  for (const auto& [name, file] : names_) all[name] = file->now;
  return all;
}

void SimDisk::fill(const std::map<std::string, std::string>& files) {
  HF_CHECK(names_.empty());
  for (const auto& [name, bytes] : files) {
    auto file = std::make_shared<File>();
    file->now = file->durable = bytes;
    names_[name] = durable_names_[name] = std::move(file);
  }
}

void SimDisk::settle_names() {
  for (const NameChange& change : name_changes_) {
    const bool kept = prng_.chance(1, 2);
    faults_.add(kept ? Fault::NameKept : Fault::NameLost);
    if (!kept) continue;
    const auto from = durable_names_.find(change.from);
    if (from != durable_names_.end() && from->second == change.file) durable_names_.erase(from);
    if (!change.to.empty()) durable_names_[change.to] = change.file;
  }
  name_changes_.clear();
}

std::string SimDisk::after_power_cut(File& file) {
  std::string result = file.durable;
  if (file.cut_to && *file.cut_to < result.size() && prng_.chance(1, 2)) result.resize(*file.cut_to);
  if (file.now.size() > result.size()) {
    const bool kept = prng_.chance(2, 3);
    faults_.add(kept ? Fault::SizeKept : Fault::SizeLost);
    if (kept) result.resize(file.now.size());
  }
  for (const auto& [page, stamp] : file.dirty) settle_page(file, page, result);
  return result;
}

/// Sector by sector: one that has synced bytes is old or new; the others may be anything.
void SimDisk::settle_page(const File& file, uint64_t page, std::string& result) {
  enum class Fate { Kept, Lost, Torn, Garbled, Stale };
  const uint64_t dice = prng_.below(16);
  const Fate fate = dice < 6    ? Fate::Kept
                    : dice < 10 ? Fate::Lost
                    : dice < 13 ? Fate::Torn
                    : dice < 15 ? Fate::Garbled
                                : Fate::Stale;
  constexpr Fault names[] = {Fault::PageKept, Fault::PageLost, Fault::PageTorn, Fault::PageGarbled,
                             Fault::PageStale};
  faults_.add(names[static_cast<size_t>(fate)]);
  const uint64_t begin = page * page_bytes;
  const uint64_t end = std::min<uint64_t>({begin + page_bytes, file.now.size(), result.size()});
  for (uint64_t at = begin; at < end; at += sector_bytes) {
    const uint64_t n = std::min(sector_bytes, end - at);
    const bool holds_synced = at < file.durable.size();
    const bool keep = fate == Fate::Kept || (fate != Fate::Lost && prng_.chance(1, 2));
    if (keep) {
      result.replace(at, n, file.now, at, n);
    } else if (holds_synced) {
      continue;
    } else if (fate == Fate::Garbled) {
      for (uint64_t i = 0; i < n; ++i) result[at + i] = static_cast<char>(prng_.next());
    } else if (fate == Fate::Stale && at >= sector_bytes) {
      const uint64_t from = prng_.below(at / sector_bytes) * sector_bytes;
      if (from + n <= file.now.size()) result.replace(at, n, file.now, from, n);
    }
  }
}

void SimDisk::flip(const std::string& name, uint64_t byte, int bit) {
  const auto it = names_.find(name);
  HF_CHECK(it != names_.end() && byte < it->second->now.size());
  File& file = *it->second;
  file.now[byte] = static_cast<char>(file.now[byte] ^ (1 << bit));
  if (byte < file.durable.size()) file.durable[byte] = file.now[byte];
  faults_.add(Fault::BitRot);
}

}  // namespace hf::sim
