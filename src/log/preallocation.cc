#include "log/preallocation.h"

#include <algorithm>

#include "base/check.h"

namespace hf::log {

using Kind = FileStep::Kind;

uint64_t Preallocation::from(uint64_t sealed) const { return std::max(allocated_, sealed); }

uint64_t Preallocation::upto(uint64_t sealed) const {
  return std::min(from(sealed) + bytes_ahead_, segment_bytes_);
}

bool Preallocation::due(uint64_t sealed) const {
  if (id_ != 0 || off_ || bytes_ahead_ == 0) return false;
  return allocated_ < sealed + bytes_ahead_ / 2 && from(sealed) < upto(sealed);
}

FileJob Preallocation::begin(uint64_t id, const std::string& name, uint64_t sealed) {
  HF_CHECK(due(sealed));
  id_ = id;
  from_ = from(sealed), to_ = upto(sealed);
  FileJob job{.id = id, .lane = Lane::Sync};
  std::string zeros(to_ - from_, '\0');
  job.steps.push_back({.kind = Kind::Write, .name = name, .offset = from_, .bytes = std::move(zeros)});
  job.steps.push_back({.kind = Kind::Sync, .name = name});
  return job;
}

void Preallocation::ended(bool ok, uint64_t sealed) {
  id_ = 0;
  if (ok) allocated_ = std::max(allocated_, to_);
  // A full disk is the frames' to report; and who has outrun the zeros gains nothing by them.
  off_ = !ok || sealed >= to_;
}

}  // namespace hf::log
