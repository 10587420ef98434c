// What one turn of the loop may do beside what clients ask for, and how long it may put off what they wait for. Nobody
// is served meanwhile: the counts are such that each of these stays below half a millisecond.
#pragma once
#include <cstddef>

#include "base/types.h"

namespace hf::node::turn_limits {

/// Entries and runs freed of what was deleted whole.
constexpr size_t freed_entries = 512;
/// Leases, delays, timeouts and the like that are due, and leases given back for claims that were not delivered: some
/// two to four microseconds each.
constexpr size_t due_tasks = 128;
constexpr size_t expired_keys = 256;
constexpr size_t swept_buckets = 512;
/// A batch of the log waits this long at most for more clients to join it.
constexpr MonoUs commit_wait_us_max = 200;

}  // namespace hf::node::turn_limits
