// A thread that works in what others leave of the processors, and notices when they leave nothing.
#pragma once
#include <cstdint>

namespace hf::edge {

/// The calling thread comes after all others (SCHED_IDLE where the system allows it, else a high nice value),
/// and last in the disk's queue. An unprivileged thread can't take it back.
void take_only_leftovers();
/// The calling thread gives way, but gets a share of a busy processor: a tenth of what another thread gets.
void take_a_small_share();

/// How long a thread ran and how long it was ready to run and did not, in nanoseconds.
struct ProcessorTime {
  uint64_t ran = 0, waited = 0;
  ProcessorTime operator-(const ProcessorTime& other) const {
    return {ran - other.ran, waited - other.waited};
  }
};
/// Of the calling thread since its start. Zero where the system does not tell.
ProcessorTime processor_time();

/// Between jobs: must work that took leftovers now ask for a share, or need it one no longer? `last` is what
/// the last job met. The two bounds lie apart, since a share of a tenth means waiting nine times as long as
/// running.
bool needs_a_share(bool has_one, const ProcessorTime& last);

}  // namespace hf::edge
