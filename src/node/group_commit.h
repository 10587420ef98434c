// When a batch of the log goes to the disk. One goes as soon as the lane is free: but where many clients
// write, those that the last sync answered are about to come again, and a sync that begins before they do
// covers the few that came meanwhile. On a fast disk syncs then follow each other so closely that they take a
// third of the processor. So a batch may wait until as many replies hang on it as the last one answered, and
// at most as long as that one kept the processor busy: what is lost by waiting in vain is no more than what
// waiting saves. One client, or few, or rare ones do not wait; nor does anybody where a sync takes time
// rather than work, since it is the time that counts there.
#pragma once
#include <algorithm>
#include <cstddef>
#include <utility>

#include "base/limits.h"
#include "base/types.h"

namespace hf::node {

class GroupCommit {
 public:
  /// One more reply waits for the sync of what is being gathered.
  void reply_waits() { ++gathered_; }
  /// What is gathered goes to the disk now.
  void begun(MonoUs now) {
    begun_at_ = now;
    in_flight_ = std::exchange(gathered_, 0);
    answered_ = 0;
  }
  /// It is there, which took `cpu_us` of work, and the lane is free.
  void ended(MonoUs now, int64_t cpu_us) {
    answered_ = std::exchange(in_flight_, 0);
    const bool is_work = cpu_us * little_work >= now - begun_at_;
    wait_until_ = is_work ? now + std::min<MonoUs>(cpu_us, limits::commit_wait_us_max) : now;
  }
  /// What is gathered should wait for more, until `wait_until` at the latest. Nothing waits where no reply
  /// does.
  bool waits(MonoUs now) const { return gathered_ > 0 && gathered_ < answered_ && now < wait_until_; }
  MonoUs wait_until() const { return wait_until_; }

 private:
  static constexpr int64_t little_work = 5;  ///< less than one part in so many of a sync's time
  size_t gathered_ = 0, in_flight_ = 0, answered_ = 0;
  MonoUs begun_at_ = 0, wait_until_ = 0;
};

}  // namespace hf::node
