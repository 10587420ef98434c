// Active expiry: which expired keys nobody has touched. A circular sweep over a part of each database every
// tick (`hz`). What a tick sweeps is spread over as many turns as it takes, since each bucket may cost some
// cache misses; and over more of them while it finds many.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/types.h"
#include "config/options.h"
#include "store/store.h"

namespace hf::node {

class ExpirySweep {
 public:
  /// Both must outlive it.
  ExpirySweep(const config::Options& options, store::Store& store) : options_(options), store_(store) {}

  /// This turn's slice: the database it lies in, and in `keys` those of it that have expired, for the caller
  /// to delete. None when nothing is due.
  std::optional<DbIndex> next_slice(Now now, std::vector<std::string>& keys);
  /// When the next slice is due, if any key has a time to live.
  MonoUs next_wake() const { return next_slice_at_; }

 private:
  size_t buckets_of_tick(DbIndex db) const;

  const config::Options& options_;
  store::Store& store_;
  DbIndex db_ = UINT32_MAX;  ///< behind the last: the tick's share is swept
  size_t buckets_ = 0;       ///< left of that database in this tick
  MonoUs next_tick_ = 0, next_slice_at_ = 0;
};

}  // namespace hf::node
