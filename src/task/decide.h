// What a command or a timer leads to, decided without doing it: pure functions over the task as it is, the
// time, and (for backoff) a random number. The outcome is a Change, for Tasks::apply and the log, or a
// refusal in words.
#pragma once
#include <optional>
#include <string>

#include "base/prng.h"
#include "base/result.h"
#include "base/types.h"
#include "task/change.h"
#include "task/task_object.h"

namespace hf::task {

/// "nlp#6"
std::string run_id(Bytes task, uint64_t run);
/// "2026-03-01T12:00:00.250Z"
std::string when(WallMs at);
/// Splits "nlp#6" into "nlp" and 6; "nlp" gives 0, the newest. False: no name, or a number out of range.
bool parse_run_id(Bytes text, Bytes& task, uint64_t& run);
/// Empty when `name` may be a task's name, else what is wrong with it (a whole error text).
std::string name_error(Bytes name);

/// What became of an event. Same: it is so already, answer OK. Refused: `error` is the whole error text.
struct Decision {
  enum class Verdict : uint8_t { Apply, Same, Refused };
  Verdict verdict = Verdict::Same;
  Change change;
  std::string error;
};

/// Fills in what a new run's number, state, times and trimming come to. `asked` carries the options of
/// SUBMIT, `delay_ms` is its DELAY; `task` may be null. CHECK: no active run.
Change decide_submit(const TaskObject* task, Change asked, int64_t delay_ms, uint64_t order, Now now,
                     const Options& options);
/// A new run out of `from`. CHECK: no active run.
Change decide_restart(const TaskObject& task, const Run& from, Bytes unique, uint64_t order, Now now,
                      const Options& options);

/// `event` is Claim (CHECK: PENDING) or Reissue (CHECK: RUNNING); lease_ms 0: as submitted.
Change decide_lease(const Run& run, Event event, Bytes worker, Bytes request, uint32_t lease_ms, Token token,
                    Now now);

/// What a token allows its sender.
enum class Hold : uint8_t {
  Holder,    ///< it is the lease in force
  Readopts,  ///< its lease was lost, nobody claimed since: the run is its again, after decide_readopt
  None,      ///< see fenced_error
};
Hold hold_of(const Run& run, Token token);
Change decide_readopt(const Run& run, Now now);
/// Why `token` has no right to the run: FENCED or CANCELLED, with who, since when and what to do. CHECK: it
/// has none.
std::string fenced_error(Bytes task, const Run& run, Token token);
/// The attempt that `token` stood for was ended by one of these events (so the same command again is OK).
bool closed_with(const Run& run, Token token, Event event);

// The end of an attempt. CHECK: RUNNING.
Change decide_done(const Run& run, bool has_result, Bytes result, Now now);
Change decide_release(const Run& run, int64_t delay_ms, Now now);
Change decide_fail_permanent(const Run& run, Bytes reason, Now now);
/// FailTransient, LeaseLost (`counted` false when the lease was never beaten for) or Timeout.
Change decide_retry(const Run& run, Event event, std::string reason, bool counted, Now now, Prng& prng);
/// LeaseLost and Timeout with their reasons, and TimeComes: what the timers bring.
Change decide_lease_lost(const Run& run, Now now, Prng& prng);
Change decide_timeout(const Run& run, Now now, Prng& prng);
Change decide_time_comes(const Run& run, Now now);

/// Pause, Resume, Cancel.
Decision decide_steer(Bytes task, const Run& run, Event event, Bytes reason, Now now);

/// Full jitter: uniform in [0, min(cap, base * 2^n)]; FIXED: base; NONE: 0.
int64_t draw_backoff(Backoff backoff, int64_t base_ms, int64_t cap_ms, uint32_t n, Prng& prng);

}  // namespace hf::task
