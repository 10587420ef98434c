// See decide.h.
#include "task/decide.h"

#include <algorithm>
#include <cstdio>

#include "base/number.h"

namespace hf::task {
namespace {

std::string text(uint64_t n) { return to_text(static_cast<int64_t>(n)); }

WallMs later(WallMs at, int64_t by_ms) { return by_ms > never_ms - at ? never_ms : at + by_ms; }

/// A move that leaves everything but the state as it is.
Change move_of(const Run& run, Event event, State to, Now now) {
  Change c;
  c.kind = Change::Kind::Move;
  c.event = event;
  c.run = run.number;
  c.at = now.wall_ms;
  c.to = to;
  c.retry_count = run.retry_count;
  c.pause_asked = run.pause_asked && !is_final(to) && to != State::Paused;
  c.loss_counted = run.loss_counted;
  return c;
}

WallMs timeout_at(const Run& run, WallMs claimed_at) {
  return run.rare->timeout_ms == 0 ? 0 : later(claimed_at, run.rare->timeout_ms);
}

uint64_t trim_bound(uint64_t number, uint32_t keep) { return number > keep ? number - keep + 1 : 0; }

}  // namespace

std::string run_id(Bytes task, uint64_t run) {
  std::string id(task);
  id += '#';
  id += text(run);
  return id;
}

std::string when(WallMs at) {
  // Days to a date: H. Hinnant, "chrono-compatible low-level date algorithms".
  const int64_t ms_of_day = ((at % 86400000) + 86400000) % 86400000;
  const int64_t z = (at - ms_of_day) / 86400000 + 719468;
  const int64_t era = (z >= 0 ? z : z - 146096) / 146097;
  const int64_t doe = z - era * 146097;
  const int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  const int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  const int64_t mp = (5 * doy + 2) / 153;
  const int64_t day = doy - (153 * mp + 2) / 5 + 1;
  const int64_t month = mp < 10 ? mp + 3 : mp - 9;
  const int64_t year = yoe + era * 400 + (month <= 2 ? 1 : 0);
  const int64_t s = ms_of_day / 1000;
  char out[64];
  std::snprintf(out, sizeof out, "%04lld-%02d-%02dT%02d:%02d:%02d.%03dZ", static_cast<long long>(year),
                static_cast<int>(month), static_cast<int>(day), static_cast<int>(s / 3600),
                static_cast<int>(s / 60 % 60), static_cast<int>(s % 60), static_cast<int>(ms_of_day % 1000));
  return out;
}

bool parse_run_id(Bytes id, Bytes& task, uint64_t& run) {
  task = id;
  run = 0;
  const size_t hash = id.rfind('#');
  if (hash != Bytes::npos && hash + 1 < id.size() &&
      id.find_first_not_of("0123456789", hash + 1) == Bytes::npos) {
    const auto number = parse_uint(id.substr(hash + 1));
    if (!number || *number == 0) return false;
    task = id.substr(0, hash);
    run = *number;
  }
  return !task.empty();
}

std::string name_error(Bytes name) {
  if (name.empty()) return "ERR a task's name cannot be empty";
  if (name.size() > limits::task_name_bytes_max)
    return "ERR the task's name has " + text(name.size()) + " bytes; at most " +
           text(limits::task_name_bytes_max) + " are allowed";
  const size_t hash = name.rfind('#');
  if (hash != Bytes::npos && hash + 1 < name.size() &&
      name.find_first_not_of("0123456789", hash + 1) == Bytes::npos)
    return "ERR the task's name " + quoted(name) +
           " ends in '#' and digits, which names a run; choose another";
  return {};
}

Change decide_submit(const TaskObject* task, Change c, int64_t delay_ms, uint64_t order, Now now,
                     const Options& options) {
  HF_CHECK(task == nullptr || task->active() == nullptr);
  c.kind = Change::Kind::Submit;
  c.run = task == nullptr ? 1 : task->next_number();
  c.order = order;
  c.at = now.wall_ms;
  c.to = delay_ms > 0 ? State::Delayed : State::Pending;
  c.due_at = delay_ms > 0 ? later(now.wall_ms, delay_ms) : 0;
  const uint32_t kept = task == nullptr ? 0 : task->keep();
  c.trim_below = trim_bound(c.run, c.keep > 0 ? c.keep : kept > 0 ? kept : std::max(options.runs_keep, 1u));
  return c;
}

Change decide_restart(const TaskObject& task, const Run& from, Bytes unique, uint64_t order, Now now,
                      const Options& options) {
  HF_CHECK(task.active() == nullptr);
  Change c;
  c.kind = Change::Kind::Restart;
  c.run = task.next_number();
  c.from = from.number;
  c.order = order;
  c.at = now.wall_ms;
  c.to = State::Pending;
  c.unique = unique;
  c.trim_below = trim_bound(c.run, task.keep() > 0 ? task.keep() : std::max(options.runs_keep, 1u));
  return c;
}

Change decide_lease(const Run& run, Event event, Bytes worker, Bytes request, uint32_t lease_ms, Token token,
                    Now now) {
  HF_CHECK(run.state == (event == Event::Claim ? State::Pending : State::Running));
  Change c = move_of(run, event, State::Running, now);
  c.token = token;
  c.worker = worker;
  c.request = request;
  c.lease_ms = lease_ms > 0 ? lease_ms : run.lease_ms;
  c.due_at = timeout_at(run, now.wall_ms);
  c.loss_counted = false;
  return c;
}

Hold hold_of(const Run& run, Token token) {
  if (token != run.token || token.value == 0) return Hold::None;
  if (run.state == State::Running) return Hold::Holder;
  const bool may = move_for(run.state, Event::Readopt) == Move::ToRunning;
  return may && run.closed_by == Event::LeaseLost ? Hold::Readopts : Hold::None;
}

Change decide_readopt(const Run& run, Now now) {
  Change c = move_of(run, Event::Readopt, State::Running, now);
  c.token = run.token;
  c.due_at = timeout_at(run, run.claimed_at);
  if (run.loss_counted && c.retry_count > 0) --c.retry_count;
  c.loss_counted = false;
  c.reason = "worker " + std::string(run.worker.view()) + " came back before anyone else claimed";
  return c;
}

std::string fenced_error(Bytes task, const Run& run, Token token) {
  HF_CHECK(hold_of(run, token) == Hold::None);
  const std::string id = run_id(task, run.number), worker(run.worker.view());
  const std::string is = std::string(state_name(run.state)) + " since " + when(run.status_since);
  const std::string why = run.rare->reason.empty() ? "" : " (" + std::string(run.rare->reason.view()) + ")";
  if (run.token.value == 0)
    return "FENCED " + id + ": token " + text(token.value) + " was never given; the run is " + is +
           " and was not claimed yet; claim it first";
  if (token > run.token)
    return "FENCED " + id + ": token " + text(token.value) + " was never given; the last is " +
           text(run.token.value) + " (worker " + worker + "); stop this work and claim again";
  if (token < run.token)
    return "FENCED " + id + ": token " + text(token.value) + " superseded by " + text(run.token.value) +
           " (worker " + worker + ") at " + when(run.claimed_at) + "; stop this work";
  if (run.state == State::Cancelled)
    return "CANCELLED " + id + " since " + when(run.status_since) + why + "; stop this work";
  return "FENCED " + id + ": token " + text(token.value) + " (worker " + worker + ") ended with " +
         event_name(run.closed_by) + "; the run is " + is + why + "; stop this work";
}

bool closed_with(const Run& run, Token token, Event event) {
  if (token.value == 0) return false;
  if (token == run.token) return run.state != State::Running && run.closed_by == event;
  bool closed = false;  // the last such event counts
  run.events.for_each([&](const RunEvent& e) {
    if (e.token == token && e.before == State::Running && e.after != State::Running) closed = e.what == event;
  });
  return closed;
}

Change decide_done(const Run& run, bool has_result, Bytes result, Now now) {
  HF_CHECK(run.state == State::Running);
  Change c = move_of(run, Event::Done, State::Success, now);
  c.has_result = has_result;
  c.result = result;
  return c;
}

Change decide_release(const Run& run, int64_t delay_ms, Now now) {
  HF_CHECK(run.state == State::Running);
  const State free = delay_ms > 0 ? State::Delayed : State::Pending;
  Change c = move_of(run, Event::Release, run.pause_asked ? State::Paused : free, now);
  c.due_at = delay_ms > 0 ? later(now.wall_ms, delay_ms) : 0;
  return c;
}

Change decide_fail_permanent(const Run& run, Bytes reason, Now now) {
  HF_CHECK(run.state == State::Running);
  Change c = move_of(run, Event::FailPermanent, State::Failed, now);
  c.reason = reason;
  return c;
}

int64_t draw_backoff(Backoff backoff, int64_t base_ms, int64_t cap_ms, uint32_t n, Prng& prng) {
  if (backoff == Backoff::None) return 0;
  if (backoff == Backoff::Fixed) return base_ms;
  int64_t bound = std::min(base_ms, cap_ms);
  for (; n > 0 && bound < cap_ms && bound > 0; --n) bound = std::min(cap_ms, bound * 2);
  return prng.between(0, bound);
}

Change decide_retry(const Run& run, Event event, std::string reason, bool counted, Now now, Prng& prng) {
  HF_CHECK(run.state == State::Running && move_for(run.state, event) == Move::Retry);
  const bool over = counted && run.retry_count >= run.retries;
  Change c = move_of(run, event,
                     over              ? State::Failed
                     : run.pause_asked ? State::Paused
                                       : State::Delayed,
                     now);
  c.loss_counted = event == Event::LeaseLost && counted && !over;
  if (!over) {
    c.due_at = later(now.wall_ms, draw_backoff(run.backoff, run.backoff_base_ms, run.backoff_cap_ms,
                                               run.retry_count, prng));
    if (counted) ++c.retry_count;
  } else if (run.retries > 0) {
    reason += "; no attempt left after " + text(run.retries) + (run.retries == 1 ? " retry" : " retries");
  }
  if (reason.size() > limits::task_reason_bytes_max) reason.resize(limits::task_reason_bytes_max);
  c.reason = std::move(reason);
  return c;
}

Change decide_lease_lost(const Run& run, Now now, Prng& prng) {
  std::string reason = "lease lost: worker " + std::string(run.worker.view()) +
                       (run.beaten ? " has not beaten for " : " never beat in ") + text(run.lease_now_ms) +
                       " ms";
  return decide_retry(run, Event::LeaseLost, std::move(reason), run.beaten, now, prng);
}

Change decide_timeout(const Run& run, Now now, Prng& prng) {
  return decide_retry(run, Event::Timeout,
                      "timeout: the attempt of worker " + std::string(run.worker.view()) +
                          " took longer than " + to_text(run.rare->timeout_ms) + " ms",
                      true, now, prng);
}

Change decide_time_comes(const Run& run, Now now) {
  HF_CHECK(run.state == State::Delayed);
  return move_of(run, Event::TimeComes, State::Pending, now);
}

Decision decide_steer(Bytes task, const Run& run, Event event, Bytes reason, Now now) {
  Decision d;
  d.verdict = Decision::Verdict::Apply;
  switch (move_for(run.state, event)) {
    case Move::Same: d.verdict = Decision::Verdict::Same; return d;
    case Move::ToPaused:
      d.change = move_of(run, event, State::Paused, now);
      d.change.due_at = run.due_at;
      return d;
    case Move::AskPause:
    case Move::TakeBackPause:
      if (run.pause_asked == (event == Event::Pause)) {
        d.verdict = Decision::Verdict::Same;
        return d;
      }
      d.change = move_of(run, event, State::Running, now);
      d.change.due_at = run.due_at;
      d.change.pause_asked = event == Event::Pause;
      return d;
    case Move::Unpause: {
      const bool waits = run.due_at > now.wall_ms;
      d.change = move_of(run, event, waits ? State::Delayed : State::Pending, now);
      d.change.due_at = waits ? WallMs{run.due_at} : 0;
      return d;
    }
    case Move::ToCancelled:
      d.change = move_of(run, event, State::Cancelled, now);
      d.change.reason = reason;
      return d;
    default: break;
  }
  d.verdict = Decision::Verdict::Refused;
  d.error =
      "FINAL " + run_id(task, run.number) + " is " + state_name(run.state) + " since " +
      when(run.status_since) +
      (run.rare->reason.empty() ? "" : " (" + std::string(run.rare->reason.view()) + ")") +
      " and cannot be changed; " +
      (run.state == State::Success ? "submit a new run" : "TASK.RESTART makes a new run from its checkpoint");
  return d;
}

}  // namespace hf::task
