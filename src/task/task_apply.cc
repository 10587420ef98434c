// Carrying changes out on a task: the same code for a client's command, a timer and the log. Everything that
// can be wrong with a change is looked at before the first byte is touched.
#include <algorithm>

#include "base/limits.h"
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
  event.reason = change.reason;
  if (before == State::Running || run.state == State::Running) {
    event.token = run.token;
    event.worker = run.worker.view();
  }
  run.events.push(event);
}

void set_progress(Run& run, int64_t progress, int64_t total, Bytes note) {
  if (!run.rare.present() && progress == 0 && total == 0 && note.empty()) return;
  RareFields& rare = run.rare.edit();
  rare.progress = progress;
  rare.total = total;
  if (rare.note.view() != note) rare.note = Text(note);
}

Payload payload_of(bool given, Bytes bytes) { return given ? Payload(bytes) : Payload(); }

}  // namespace

Status TaskObject::apply(const Change& change) {
  using Kind = Change::Kind;
  if (!PackedTime::valid(change.at) || !PackedTime::valid(change.due_at))
    return misfit(change, "its time is out of range");
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
      set_progress(*run, change.progress, change.total, change.note);
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
  size_t n = 0;
  for (; n < runs_.size() && runs_[n]->number < number; ++n) run_bytes_ -= runs_[n]->memory_bytes();
  trimmed_ += n;
  runs_.drop_front(n);
}

void TaskObject::add(std::unique_ptr<Run> run, const Change& change) {
  run->task = this;
  run->number = change.run;
  run->order = change.order;
  run->state = change.to;
  run->due_at = change.due_at;
  run->submitted_at = run->status_since = run->updated_at = change.at;
  if (!change.unique.empty()) run->rare.edit().unique = Text(change.unique);
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
  if (c.priority < INT32_MIN || c.priority > INT32_MAX) return misfit(c, "its priority is out of range");
  auto run = std::make_unique<Run>();
  run->priority = static_cast<int32_t>(c.priority);
  run->backoff = c.backoff;
  run->held = c.held;
  run->retries = c.retries;
  run->lease_ms = run->lease_now_ms = c.lease_ms;
  run->backoff_base_ms = c.backoff_base_ms;
  run->backoff_cap_ms = c.backoff_cap_ms;
  if (c.timeout_ms != 0) run->rare.edit().timeout_ms = c.timeout_ms;
  run->queue = Text(c.queue);
  if (!c.trace.empty()) run->rare.edit().trace = Text(c.trace);
  run->payload = payload_of(c.has_payload, c.payload);
  if (!c.tags.empty()) {
    auto& tags = run->rare.edit().tags = std::make_unique<Tags>();
    for (size_t i = 0; i + 1 < c.tags.size(); i += 2)
      tags->emplace_back(Text(c.tags[i]), Text(c.tags[i + 1]));
  }
  if (c.keep > 0) home.keep = std::min<uint64_t>(c.keep, limits::task_runs_max);
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
  run->queue = from->queue;
  run->payload = from->payload;
  // Its result, its note, why it ended and what it was claimed with stay behind.
  RareFields rare;
  rare.timeout_ms = from->rare->timeout_ms;
  rare.trace = from->rare->trace;
  if (from->rare->tags) rare.tags = std::make_unique<Tags>(*from->rare->tags);
  if (from->rare->checkpoints) rare.checkpoints = std::make_unique<Checkpoints>(*from->rare->checkpoints);
  rare.progress = from->rare->progress;
  rare.total = from->rare->total;
  if (!rare.blank()) run->rare.edit() = std::move(rare);
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
    if (run.rare->request.view() != c.request) run.rare.edit().request = Text(c.request);
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
  const bool new_reason = !c.reason.empty() || is_final(c.to);
  if (new_reason && run.rare->reason.view() != c.reason) run.rare.edit().reason = Text(c.reason);
  if (c.event == Event::Done && (c.has_result || run.rare->result))
    run.rare.edit().result = payload_of(c.has_result, c.result);
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
  RareFields& rare = run.rare.edit();
  if (!rare.checkpoints) rare.checkpoints = std::make_unique<Checkpoints>();
  rare.checkpoint_bytes += task::memory_bytes(*checkpoint);
  rare.checkpoints->push_back(std::move(checkpoint));
  const size_t before = rare.checkpoints->size();
  trim_chains(*rare.checkpoints, c.keep);
  if (rare.checkpoints->size() != before) run.count_checkpoint_bytes();
  run.checkpoint_asked = false;
  run.retry_count = 0;
  run.updated_at = c.at;
  return ok();
}

}  // namespace hf::task
