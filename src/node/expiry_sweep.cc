#include "node/expiry_sweep.h"

#include <algorithm>

#include "base/limits.h"

namespace hf::node {
namespace {

constexpr MonoUs second_us = 1'000'000;
constexpr size_t buckets_an_effort = 2048;

}  // namespace

/// A database has no more buckets than keys.
size_t ExpirySweep::buckets_of_tick(DbIndex db) const {
  if (store_.size_with_expiry(db) == 0) return 0;
  const auto effort = static_cast<size_t>(std::max<int64_t>(1, options_.active_expire_effort));
  return std::min(buckets_an_effort * effort, store_.size(db));
}

std::optional<DbIndex> ExpirySweep::next_slice(Now now, std::vector<std::string>& keys) {
  if (now.mono_us < next_slice_at_) return {};
  if (db_ >= store_.databases()) {  // the tick before is done: the next begins
    db_ = 0;
    buckets_ = buckets_of_tick(0);
    next_tick_ = now.mono_us + second_us / std::max<int64_t>(1, options_.hz);
  }
  while (db_ < store_.databases() && buckets_ == 0)
    if (++db_ < store_.databases()) buckets_ = buckets_of_tick(db_);
  if (db_ >= store_.databases()) {
    next_slice_at_ = next_tick_;
    return {};
  }
  next_slice_at_ = now.mono_us;
  const size_t buckets = std::min(buckets_, limits::swept_buckets_a_turn);
  store_.collect_expired(db_, now.wall_ms, buckets, limits::expired_keys_a_turn, keys);
  if (keys.size() < limits::expired_keys_a_turn) buckets_ -= buckets;  // else there is more where it stopped
  return db_;
}

}  // namespace hf::node
