// A disk in memory that forgets like a real one: what was not synced may be lost, kept or garbled at a crash,
// page by page and in any order; names that were not synced with their folder may be lost too. Runs FileJobs,
// fails on request.
#pragma once
#include <cerrno>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/files.h"
#include "base/prng.h"

namespace hf::test {

/// How the next job goes wrong: at step `fail_step` with `code`; a write leaves `short_bytes` of its bytes
/// behind.
struct DiskFault {
  size_t fail_step = SIZE_MAX;
  int code = ENOSPC;
  size_t short_bytes = 0;
};

class MemoryFiles final : public Files {
 public:
  // ---- Files ------------------------------------------------------------------------------------
  Result<std::vector<std::string>> list() override {
    std::vector<std::string> names;
    for (const auto& [name, inode] : names_)
      if (name.find('/') == std::string::npos) names.push_back(name);
    return names;
  }
  Result<std::vector<std::string>> list_in(const std::string& folder) override {
    std::vector<std::string> names;
    for (const auto& [name, inode] : names_)
      if (name.starts_with(folder + "/")) names.push_back(name);
    return names;
  }
  Result<uint64_t> size(const std::string& name) override {
    const auto found = names_.find(name);
    if (found == names_.end()) return Error{"no such file", ENOENT};
    return static_cast<uint64_t>(found->second->now.size());
  }
  bool exists(const std::string& name) override { return names_.count(name) != 0; }
  Result<std::string> read(const std::string& name, uint64_t offset, size_t n) override {
    if (name == unreadable) return Error{"Input/output error", EIO};
    const auto found = names_.find(name);
    if (found == names_.end()) return Error{"no such file", ENOENT};
    const std::string& all = found->second->now;
    return offset >= all.size() ? std::string() : all.substr(offset, n);
  }
  std::string unreadable;  ///< reading this file fails

  // ---- jobs -------------------------------------------------------------------------------------
  FileJobDone run(const FileJob& job, DiskFault fault = {}) {
    FileJobDone done{.id = job.id, .lane = job.lane};
    for (size_t i = 0; i < job.steps.size(); ++i) {
      const FileStep& step = job.steps[i];
      const bool fails = i == fault.fail_step;
      if (fails && step.kind == FileStep::Kind::Write && fault.short_bytes > 0)
        write(step.name, step.offset, step.bytes.substr(0, fault.short_bytes));
      if (fails || !apply(step)) {
        done.ok = false, done.failed_step = i, done.failed_kind = step.kind;
        done.code = fails ? fault.code : ENOENT;
        done.message = done.code == ENOSPC ? "No space left on device"
                       : done.code == EIO  ? "Input/output error"
                                           : "no such file";
        return done;
      }
      if (step.kind == FileStep::Kind::Read) done.bytes += *read(step.name, step.offset, step.length);
    }
    return done;
  }
  /// Only the first `steps` of the job, and `short_bytes` of the one after if that is a write: a crash comes
  /// next.
  void run_part(const FileJob& job, size_t steps, size_t short_bytes) {
    for (size_t i = 0; i < std::min(steps, job.steps.size()); ++i) HF_CHECK(apply(job.steps[i]));
    if (steps < job.steps.size() && job.steps[steps].kind == FileStep::Kind::Write)
      write(job.steps[steps].name, job.steps[steps].offset, job.steps[steps].bytes.substr(0, short_bytes));
  }

  /// Power cut. Synced bytes and names stay; of the rest, each page and each run of names is kept, lost or
  /// garbled.
  void crash(Prng& prng) {
    const size_t kept = prng.below(name_ops_.size() + 1);
    names_ = durable_names_;
    for (size_t i = 0; i < kept; ++i) name_ops_[i](names_);
    name_ops_.clear();
    durable_names_ = names_;
    for (auto& [name, inode] : names_) inode->crash(prng);
  }
  /// kill -9: the process is gone, the page cache is not.
  void kill() {}

  // ---- for tests that write files by hand -------------------------------------------------------
  std::string& content(const std::string& name) {
    auto& inode = names_[name];
    if (!inode) inode = std::make_shared<Inode>();
    return inode->now;
  }
  void remove(const std::string& name) { names_.erase(name), durable_names_.erase(name); }
  const std::map<std::string, std::string> snapshot() const {
    std::map<std::string, std::string> all;
    for (const auto& [name, inode] : names_) all[name] = inode->now;
    return all;
  }
  void restore(const std::map<std::string, std::string>& all) {
    names_.clear(), durable_names_.clear(), name_ops_.clear();
    for (const auto& [name, bytes] : all) {
      names_[name] = std::make_shared<Inode>();
      names_[name]->now = names_[name]->durable = bytes;
    }
    durable_names_ = names_;
  }

 private:
  static constexpr size_t page_bytes = 64;  // small, so that small logs are torn in many ways
  struct Inode {
    std::string now, durable;
    void crash(Prng& prng) {
      std::string left = durable;
      const uint64_t mode = prng.below(4);
      if (mode == 0) left = now;  // everything made it
      if (mode >= 2) {            // page by page, in no order; the size is one of many
        const size_t longest = std::max(now.size(), durable.size());
        const size_t shortest = std::min(now.size(), durable.size());
        left.resize(prng.chance(1, 2) ? longest : shortest + prng.below(longest - shortest + 1), '\0');
        for (size_t at = 0; at < left.size(); at += page_bytes) {
          const size_t n = std::min(page_bytes, left.size() - at);
          if (at + n <= now.size() && at + n <= durable.size() && now.compare(at, n, durable, at, n) == 0)
            continue;
          if (!prng.chance(1, 2)) continue;
          for (size_t i = at; i < at + n; ++i) {
            const bool same = i < now.size() && i < durable.size() && now[i] == durable[i];
            if (i < now.size() && !same) left[i] = now[i];
            if (mode == 3 && !same && prng.chance(1, 40)) left[i] = static_cast<char>(prng.next());
          }
        }
      }
      now = durable = left;
    }
  };
  using Names = std::map<std::string, std::shared_ptr<Inode>>;

  void change_names(std::function<void(Names&)> op) {
    op(names_);
    name_ops_.push_back(std::move(op));
  }
  Inode& open(const std::string& name) {
    if (!names_.count(name)) {
      auto inode = std::make_shared<Inode>();
      change_names([name, inode](Names& names) { names[name] = inode; });
    }
    return *names_[name];
  }
  void write(const std::string& name, uint64_t offset, const std::string& bytes) {
    std::string& all = open(name).now;
    if (all.size() < offset + bytes.size()) all.resize(offset + bytes.size(), '\0');
    all.replace(offset, bytes.size(), bytes);
  }
  bool apply(const FileStep& step) {
    switch (step.kind) {
      case FileStep::Kind::Write: write(step.name, step.offset, step.bytes); return true;
      case FileStep::Kind::Append: write(step.name, open(step.name).now.size(), step.produce()); return true;
      case FileStep::Kind::Sync:
        if (!names_.count(step.name)) return false;
        names_[step.name]->durable = names_[step.name]->now;
        return true;
      case FileStep::Kind::SyncDir:  // of one folder; syncing both is what the order of operations allows at
                                     // most
        durable_names_ = names_;
        name_ops_.clear();
        return true;
      case FileStep::Kind::Truncate:
        if (!names_.count(step.name)) return false;
        names_[step.name]->now.resize(step.offset, '\0');
        return true;
      case FileStep::Kind::Rename:
        if (!names_.count(step.name)) return false;
        change_names([from = step.name, to = step.to](Names& names) {
          if (!names.count(from)) return;
          names[to] = names[from];
          names.erase(from);
        });
        return true;
      case FileStep::Kind::Remove:
        change_names([name = step.name](Names& names) { names.erase(name); });
        return true;
      case FileStep::Kind::MakeDir: return true;
      case FileStep::Kind::Read: return names_.count(step.name) != 0;
    }
    return false;
  }

  Names names_, durable_names_;
  std::vector<std::function<void(Names&)>> name_ops_;
};

}  // namespace hf::test
