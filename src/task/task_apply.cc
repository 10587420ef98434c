// Carrying changes out on a task: the same code for a client's command, a timer and the log. Everything that
// can be wrong with a change is looked at before the first byte is touched.
#include <algorithm>

#include "base/number.h"
#include "task/change.h"
#include "task/task_object.h"

namespace hf::task {
namespace {

Error misfit(const Change& change, const std::string& why) {
  return Error{"task change to run " + to_text(static_cast<int64_t>(change.run)) + " does not fit: " + why};
}

void record(Run& run, const Change& change, Event what, State before) {
  RunEvent event;
  event.at = change.at;
  event.what = what;
  event.before = before;
  event.after = run.state;
  event.reason = change.reason.empty()                ? Text()
                 : change.reason == run.reason.view() ? run.reason
                                                      : Text(change.reason);
  if (before == State::Running || run.state == State::Running) {
    event.token = run.token;
    event.worker = run.worker;
  }
  if (run.events.size() >= limits::task_events_max) {
    run.events.erase(run.events.begin());
    ++run.first_event;
  }
  run.events.push_back(std::move(event));
}

Blob blob_of(bool given, Bytes bytes) { return given ? std::make_shared<const std::string>(bytes) : nullptr; }

}  // namespace

Status TaskObject::apply(const Change& change) {
  using Kind = Change::Kind;
  if (change.kind == Kind::Submit) return apply_submit(change);
  if (change.kind == Kind::Restart) return apply_restart(change);
  Run* run = find(change.run);
  if (change.run == 0 || run == nullptr) return misfit(change, "there is no such run");
  run_bytes_ -= run->memory_bytes();
  const Status status = apply_to(*run, change);
  run_bytes_ += run->memory_bytes();
  if (status.ok() && change.kind == Kind::Trim) trim_below(change.trim_below);
  return status;
}

Status TaskObject::apply_to(Run& changed, const Change& change) {
  using Kind = Change::Kind;
  Run* run = &changed;
  switch (change.kind) {
    case Kind::Move: return apply_move(*run, change);
    case Kind::Checkpoint: return apply_checkpoint(*run, change);
    case Kind::Progress:
      run->progress = change.progress;
      run->total = change.total;
      if (run->note.view() != change.note) run->note = Text(change.note);
      run->updated_at = change.at;
      return ok();
    case Kind::AskCheckpoint:
      if (run->state != State::Running) return misfit(change, "it is not RUNNING");
      run->checkpoint_asked = true;
      run->updated_at = change.at;
      return ok();
    case Kind::Trim:
      if (change.trim_below > change.run) return misfit(change, "it would drop that very run");
      return ok();
    case Kind::Submit:
    case Kind::Restart: break;
  }
  return misfit(change, "unknown kind");
}

void TaskObject::trim_below(uint64_t number) {
  const auto end =
      std::find_if(runs_.begin(), runs_.end(), [&](const auto& run) { return run->number >= number; });
  trimmed_ += static_cast<uint64_t>(end - runs_.begin());
  for (auto run = runs_.begin(); run != end; ++run) run_bytes_ -= (*run)->memory_bytes();
  runs_.erase(runs_.begin(), end);
}

void TaskObject::add(std::unique_ptr<Run> run, const Change& change) {
  run->task = this;
  run->number = change.run;
  run->order = change.order;
  run->state = change.to;
  run->due_at = change.due_at;
  run->submitted_at = run->status_since = run->updated_at = change.at;
  run->unique = Text(change.unique);
  run->events.reserve(2);
  record(*run, change, Event::Submit, change.to);
  next_number_ = change.run + 1;
  run->count_checkpoint_bytes();
  run_bytes_ += run->memory_bytes();
  runs_.push_back(std::move(run));
  trim_below(std::min(change.trim_below, change.run));
}

Status TaskObject::apply_submit(const Change& c) {
  if (c.run < next_number_ || c.run == UINT64_MAX) return misfit(c, "its number was used already");
  if (active() != nullptr) return misfit(c, "the run before it is not final");
  if (c.to != State::Pending && c.to != State::Delayed) return misfit(c, "a run cannot begin in that state");
  auto run = std::make_unique<Run>();
  run->priority = c.priority;
  run->backoff = c.backoff;
  run->held = c.held;
  run->retries = c.retries;
  run->lease_ms = run->lease_now_ms = c.lease_ms;
  run->backoff_base_ms = c.backoff_base_ms;
  run->backoff_cap_ms = c.backoff_cap_ms;
  run->timeout_ms = c.timeout_ms;
  run->queue = Text(c.queue);
  run->trace = Text(c.trace);
  run->payload = blob_of(c.has_payload, c.payload);
  if (!c.tags.empty()) {
    run->tags = std::make_unique<Tags>();
    for (size_t i = 0; i + 1 < c.tags.size(); i += 2)
      run->tags->emplace_back(Text(c.tags[i]), Text(c.tags[i + 1]));
  }
  if (c.keep > 0) keep_ = c.keep;
  add(std::move(run), c);
  return ok();
}

Status TaskObject::apply_restart(const Change& c) {
  if (c.run < next_number_ || c.run == UINT64_MAX) return misfit(c, "its number was used already");
  if (active() != nullptr) return misfit(c, "the run before it is not final");
  if (c.to != State::Pending && c.to != State::Delayed) return misfit(c, "a run cannot begin in that state");
  const Run* from = c.from == 0 ? nullptr : find(c.from);
  if (from == nullptr) return misfit(c, "the run it restarts is not there");
  auto run = std::make_unique<Run>();
  run->priority = from->priority;
  run->backoff = from->backoff;
  run->held = from->held;
  run->retries = from->retries;
  run->lease_ms = run->lease_now_ms = from->lease_ms;
  run->backoff_base_ms = from->backoff_base_ms;
  run->backoff_cap_ms = from->backoff_cap_ms;
  run->timeout_ms = from->timeout_ms;
  run->queue = from->queue;
  run->trace = from->trace;
  run->payload = from->payload;
  if (from->tags) run->tags = std::make_unique<Tags>(*from->tags);
  if (from->checkpoints) run->checkpoints = std::make_unique<Checkpoints>(*from->checkpoints);
  run->progress = from->progress;
  run->total = from->total;
  add(std::move(run), c);
  return ok();
}

Status TaskObject::apply_move(Run& run, const Change& c) {
  const Move move = move_for(run.state, c.event);
  if (!leads_to(move, run.state, c.to))
    return misfit(c, std::string(event_name(c.event)) + " does not lead from " + state_name(run.state) +
                         " to " + state_name(c.to));
  const bool new_lease = c.event == Event::Claim || c.event == Event::Reissue;
  if (new_lease && c.token <= run.token) return misfit(c, "its token does not rise");
  const State before = run.state;
  if (new_lease) {
    run.token = c.token;
    ++run.attempt;
    run.claimed_at = c.at;
    run.lease_now_ms = c.lease_ms;
    if (run.worker.view() != c.worker) run.worker = Text(c.worker);
    run.request = Text(c.request);
    run.closed_by = Event::Submit;
    run.checkpoint_asked = false;
  } else if (c.event == Event::Readopt) {
    run.closed_by = Event::Submit;
  } else if (before == State::Running && c.to != State::Running) {
    run.closed_by = c.event;
    run.checkpoint_asked = false;
  }
  run.state = c.to;
  run.due_at = c.due_at;
  run.retry_count = c.retry_count;
  run.pause_asked = c.pause_asked;
  run.loss_counted = c.loss_counted;
  if (!c.reason.empty() || is_final(c.to)) run.reason = Text(c.reason);
  if (c.event == Event::Done) run.result = blob_of(c.has_result, c.result);
  if (run.state != before || new_lease) run.status_since = c.at;
  run.updated_at = c.at;
  record(run, c, c.event, before);
  return ok();
}

Status TaskObject::apply_checkpoint(Run& run, const Change& c) {
  if (run.state != State::Running) return misfit(c, "a checkpoint of a run that is not RUNNING");
  if (c.version < run.next_version() || c.version == UINT64_MAX)
    return misfit(c, "its version was used already");
  const Checkpoint* last = run.last_checkpoint();
  if (c.base != 0 && (last == nullptr || last->version != c.base))
    return misfit(c, "its base is not the last version");
  auto checkpoint = std::make_shared<Checkpoint>();
  checkpoint->version = c.version;
  checkpoint->base = c.base;
  checkpoint->step = c.step;
  checkpoint->at = c.at;
  checkpoint->token = c.token;
  checkpoint->sum = c.sum;
  checkpoint->meta = c.meta;
  checkpoint->tag = c.tag;
  checkpoint->payload = std::make_shared<const std::string>(c.payload);
  if (!run.checkpoints) run.checkpoints = std::make_unique<Checkpoints>();
  run.checkpoint_bytes += task::memory_bytes(*checkpoint);
  run.checkpoints->push_back(std::move(checkpoint));
  const size_t before = run.checkpoints->size();
  trim_chains(*run.checkpoints, c.keep);
  if (run.checkpoints->size() != before) run.count_checkpoint_bytes();
  run.checkpoint_asked = false;
  run.retry_count = 0;
  run.updated_at = c.at;
  return ok();
}

}  // namespace hf::task
