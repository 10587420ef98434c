// Copies and moves to rescue/, as steps of a job.
#include "log/repair_steps.h"

#include <algorithm>
#include <cerrno>

namespace hf::log {
namespace {

using Kind = FileStep::Kind;
constexpr uint64_t chunk_bytes = 4 << 20;

}  // namespace

bool unreadable(const Error& error) { return error.code > 0 && error.code != ENOENT; }

RepairSteps::RepairSteps(Files& files, WallMs now_ms, std::vector<FileStep>& out)
    : files_(files), now_ms_(now_ms), out_(out) {
  out_.push_back({.kind = Kind::MakeDir, .name = "rescue"});
}

std::string RepairSteps::rescue_name(const std::string& name) const {
  return "rescue/" + std::to_string(now_ms_) + "-" + name;
}

Status RepairSteps::copy(const std::string& name, uint64_t from, const std::string& to, uint64_t at) {
  const auto size = files_.size(name);
  if (!size) return size.error();
  while (from < *size) {
    auto bytes = files_.read(name, from, std::min(chunk_bytes, *size - from));
    if (!bytes) return bytes.error();
    if (bytes->empty()) return Error{name + " became shorter while it was read"};
    const uint64_t length = bytes->size();
    out_.push_back({.kind = Kind::Write, .name = to, .offset = at, .bytes = std::move(*bytes)});
    from += length, at += length;
  }
  if (at > 0) out_.push_back({.kind = Kind::Sync, .name = to});
  return ok();
}

Status RepairSteps::copy_aside(const std::string& name) { return copy(name, 0, rescue_name(name), 0); }

void RepairSteps::move_aside(const std::string& name) {
  if (files_.exists(name)) out_.push_back({.kind = Kind::Rename, .name = name, .to = rescue_name(name)});
}

void RepairSteps::settle() {
  out_.push_back({.kind = Kind::SyncDir, .name = "rescue"});
  out_.push_back({.kind = Kind::SyncDir});
}

}  // namespace hf::log
