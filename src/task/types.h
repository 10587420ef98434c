// The words of this room: states and events of a run, and the options that bound it. See transitions.h for
// the table.
#pragma once
#include <cstdint>

#include "base/bytes.h"
#include "base/limits.h"

namespace hf::task {

/// Numbers are part of the saved format and of the log: never renumber.
enum class State : uint8_t {
  Blocked = 0,  ///< waits for other tasks
  Delayed = 1,  ///< waits for a time: first delay or retry backoff
  Pending = 2,  ///< may be claimed
  Running = 3,  ///< leased
  Paused = 4,
  Success = 5,  ///< final, as are the next two
  Failed = 6,
  Cancelled = 7,
};
constexpr size_t state_count = 8;
constexpr bool is_final(State s) { return s >= State::Success; }
/// "PENDING"
const char* state_name(State state);
/// False when `name` (any case) is no state.
bool parse_state(Bytes name, State& state);

/// Numbers are part of the log: never renumber.
enum class Backoff : uint8_t { None = 0, Fixed = 1, Exponential = 2 };
const char* backoff_name(Backoff backoff);

/// What the configuration says; the node fills it in. SUBMIT overrides most of it run by run.
struct Options {
  uint32_t runs_keep = 100;                        ///< task-runs-keep
  int64_t final_keep_ms = 7ll * 24 * 3600 * 1000;  ///< task-final-keep-ms
  uint32_t retries = 5;                            ///< [recovery] max_retries
  Backoff backoff = Backoff::Exponential;          ///< [recovery] backoff_strategy
  int64_t backoff_base_ms = 1000;
  int64_t backoff_cap_ms = 60 * 1000;
  int64_t timeout_ms = 0;  ///< [recovery] timeout; 0: none
  int64_t lease_ms = 15 * 1000;
  uint32_t checkpoint_keep = 3;        ///< chains kept a run, beside the tagged ones
  uint32_t checkpoint_full_every = 0;  ///< deltas after which BEAT asks for a full one; 0: never
  size_t checkpoint_bytes_max = limits::task_payload_bytes_max;
};

}  // namespace hf::task
