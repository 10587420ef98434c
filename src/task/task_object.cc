// The saved form of a task (FORMAT.md), and what a task knows about its runs.
#include "task/task_object.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "base/number.h"
#include "task/pack.h"

namespace hf::task {
namespace {

constexpr uint8_t format_version = 1;
enum RunFlag : uint8_t {
  FlagHeld = 1,
  FlagPauseAsked = 2,
  FlagCheckpointAsked = 4,
  FlagLossCounted = 8,
  FlagPayload = 16,
  FlagResult = 32,
  FlagsKnown = 63,
};

/// Shared bytes are written once and referred to by the number of their appearance, so that sharing survives
/// a save.
struct Saver {
  std::string& out;
  store::SavedParts* parts = nullptr;  ///< where large blobs go, by reference; null: into `out` like all else
  Packer pack{out};
  std::unordered_map<const void*, uint64_t> seen_payloads = {}, seen_checkpoints = {};

  static bool seen_before(std::unordered_map<const void*, uint64_t>& seen, const void* what, Packer& pack) {
    const auto [at, fresh] = seen.try_emplace(what, seen.size() + 1);
    pack.number(fresh ? 0 : at->second);
    return !fresh;
  }
  void checkpoint(const Checkpoint& c) {
    if (seen_before(seen_checkpoints, &c, pack)) return;
    pack.number(c.version);
    pack.number(c.base);
    pack.whole(c.step);
    pack.whole(c.at);
    pack.number(c.token.value);
    pack.number(c.sum.low);
    pack.number(c.sum.high);
    pack.text(c.meta);
    pack.text(c.tag);
    blob(c.payload);
  }
  void blob(const Blob& bytes) {
    if (parts == nullptr || bytes->size() < Payload::blob_bytes_min) return pack.text(*bytes);
    pack.number(bytes->size());
    parts->append(std::exchange(out, {}));
    parts->share(bytes);
  }
  void payload(const Payload& p) {
    if (p.blob() != nullptr) blob(*p.blob());
    else pack.text(p.view());
  }
  void event(const RunEvent& e) {
    pack.whole(e.at);
    pack.number(e.token.value);
    pack.text(e.worker);
    pack.text(e.reason);
    pack.byte(static_cast<uint8_t>(e.what));
    pack.byte(static_cast<uint8_t>(e.before));
    pack.byte(static_cast<uint8_t>(e.after));
  }
  void run(const Run& r) {
    const RareFields& rare = *r.rare;
    pack.number(r.number);
    pack.number(r.order);
    pack.whole(r.priority);
    pack.byte(static_cast<uint8_t>(r.state));
    pack.byte(static_cast<uint8_t>(r.backoff));
    pack.byte(static_cast<uint8_t>(r.closed_by));
    pack.byte(static_cast<uint8_t>((r.held ? FlagHeld : 0) | (r.pause_asked ? FlagPauseAsked : 0) |
                                   (r.checkpoint_asked ? FlagCheckpointAsked : 0) |
                                   (r.loss_counted ? FlagLossCounted : 0) | (r.payload ? FlagPayload : 0) |
                                   (rare.result ? FlagResult : 0)));
    for (const uint32_t n : {r.attempt, r.retry_count, r.retries, r.lease_ms, r.lease_now_ms,
                             r.backoff_base_ms, r.backoff_cap_ms})
      pack.number(n);
    pack.whole(rare.timeout_ms);
    for (const WallMs at : {r.submitted_at, r.status_since, r.updated_at, r.claimed_at, r.due_at})
      pack.whole(at);
    pack.number(r.token.value);
    pack.whole(rare.progress);
    pack.whole(rare.total);
    for (const Text* t :
         {&r.queue, &r.worker, &rare.request, &rare.note, &rare.reason, &rare.trace, &rare.unique})
      pack.text(t->view());
    if (r.payload && !seen_before(seen_payloads, r.payload.identity(), pack)) payload(r.payload);
    if (rare.result) payload(rare.result);
    pack.number(rare.tags ? rare.tags->size() : 0);
    if (rare.tags)
      for (const auto& [key, value] : *rare.tags) {
        pack.text(key.view());
        pack.text(value.view());
      }
    pack.number(rare.checkpoints ? rare.checkpoints->size() : 0);
    if (rare.checkpoints)
      for (const auto& c : *rare.checkpoints) checkpoint(*c);
    pack.number(r.events.first_id());
    pack.number(r.events.size());
    r.events.for_each([&](const RunEvent& e) { event(e); });
  }
};

struct Loader {
  Unpacker in;
  std::vector<Payload> payloads = {};
  std::vector<std::shared_ptr<const Checkpoint>> checkpoints = {};

  static constexpr size_t blob_bytes_max = limits::bulk_bytes_max_default;

  std::shared_ptr<const Checkpoint> checkpoint() {
    const uint64_t reference = in.number(checkpoints.size());
    if (reference > 0) return checkpoints[reference - 1];
    auto c = std::make_shared<Checkpoint>();
    c->version = in.number();
    c->base = in.number();
    c->step = in.whole();
    c->at = in.whole();
    c->token.value = in.number();
    c->sum.low = in.number();
    c->sum.high = in.number();
    c->meta = in.text(limits::task_meta_bytes_max);
    c->tag = in.text(limits::task_id_bytes_max);
    c->payload = std::make_shared<const std::string>(in.text(blob_bytes_max));
    if (in.ok()) checkpoints.push_back(c);
    return c;
  }
  template <class E>
  E small(size_t bound) {
    const uint8_t b = in.byte();
    if (b >= bound) in.fail();
    return b < bound ? static_cast<E>(b) : E{};
  }
  RunEvent event() {
    RunEvent e;
    e.at = in.whole();
    e.token.value = in.number();
    e.worker = in.text(limits::worker_id_bytes_max);
    e.reason = in.text(limits::task_reason_bytes_max);
    e.what = small<Event>(event_count);
    e.before = small<State>(state_count);
    e.after = small<State>(state_count);
    return e;
  }
  void checkpoints_of(RareFields& r) {
    const uint64_t count = in.number(2 * limits::task_checkpoints_max);
    if (count == 0) return;
    r.checkpoints = std::make_unique<Checkpoints>();
    for (uint64_t i = 0; i < count && in.ok(); ++i) {
      auto c = checkpoint();
      const uint64_t last = i == 0 ? 0 : r.checkpoints->back()->version;
      if (!in.ok() || c->version <= last || c->version == UINT64_MAX || (c->base != 0 && c->base != last)) {
        in.fail();
        return;
      }
      r.checkpoints->push_back(std::move(c));
    }
  }
  std::unique_ptr<Run> run() {
    auto run = std::make_unique<Run>();
    Run& r = *run;
    RareFields rare;
    r.number = in.number();
    r.order = in.number();
    const int64_t priority = in.whole();
    if (priority < INT32_MIN || priority > INT32_MAX) in.fail();
    r.priority = static_cast<int32_t>(priority);
    r.state = small<State>(state_count);
    r.backoff = small<Backoff>(3);
    r.closed_by = small<Event>(event_count);
    const uint8_t flags = in.byte();
    if ((flags & ~FlagsKnown) != 0) in.fail();
    r.held = (flags & FlagHeld) != 0;
    r.pause_asked = (flags & FlagPauseAsked) != 0;
    r.checkpoint_asked = (flags & FlagCheckpointAsked) != 0;
    r.loss_counted = (flags & FlagLossCounted) != 0;
    for (uint32_t* n : {&r.attempt, &r.retry_count, &r.retries, &r.lease_ms, &r.lease_now_ms,
                        &r.backoff_base_ms, &r.backoff_cap_ms})
      *n = static_cast<uint32_t>(in.number(UINT32_MAX));
    rare.timeout_ms = in.whole();
    for (PackedTime* t : {&r.submitted_at, &r.status_since, &r.updated_at, &r.claimed_at, &r.due_at}) {
      const WallMs at = in.whole();
      if (!PackedTime::valid(at)) in.fail();
      *t = at;
    }
    r.token.value = in.number();
    rare.progress = in.whole();
    rare.total = in.whole();
    r.queue = Text(in.text(limits::queue_name_bytes_max));
    r.worker = Text(in.text(limits::worker_id_bytes_max));
    rare.request = Text(in.text(limits::task_id_bytes_max));
    rare.note = Text(in.text(limits::task_note_bytes_max));
    rare.reason = Text(in.text(limits::task_reason_bytes_max));
    rare.trace = Text(in.text(limits::task_id_bytes_max));
    rare.unique = Text(in.text(limits::task_id_bytes_max));
    if ((flags & FlagPayload) != 0) {
      const uint64_t reference = in.number(payloads.size());
      if (reference == 0) payloads.emplace_back(in.text(blob_bytes_max));
      r.payload = reference == 0 ? payloads.back() : payloads[reference - 1];
    }
    if ((flags & FlagResult) != 0) rare.result = Payload(in.text(blob_bytes_max));
    if (const uint64_t tags = in.number(limits::task_tags_max); tags > 0) {
      rare.tags = std::make_unique<Tags>();
      for (uint64_t i = 0; i < tags && in.ok(); ++i) {
        Text key(in.text(limits::task_tag_bytes_max));
        rare.tags->emplace_back(std::move(key), Text(in.text(limits::task_tag_bytes_max)));
      }
    }
    checkpoints_of(rare);
    if (!rare.blank()) r.rare.edit() = std::move(rare);
    if (const uint64_t first = in.number(EventLog::first_id_max); first != 1) {
      if (first == 0) in.fail();
      else r.events.set_first_id(first);
    }
    const uint64_t events = in.number(limits::task_events_max);
    for (uint64_t i = 0; i < events && in.ok(); ++i) r.events.push(event());
    return run;
  }
};

}  // namespace

const RareFields Rare::none_;

bool RareFields::blank() const {
  for (const Text* t : {&request, &note, &reason, &trace, &unique})
    if (!t->empty()) return false;
  return timeout_ms == 0 && progress == 0 && total == 0 && !result && !tags && !checkpoints;
}

std::unique_ptr<RareFields> RareFields::clone() const {
  auto copy = std::make_unique<RareFields>();
  RareFields& c = *copy;
  c.timeout_ms = timeout_ms, c.progress = progress, c.total = total;
  c.request = request, c.note = note, c.reason = reason, c.trace = trace, c.unique = unique;
  c.result = result;
  if (tags) c.tags = std::make_unique<Tags>(*tags);
  if (checkpoints) c.checkpoints = std::make_unique<Checkpoints>(*checkpoints);
  c.checkpoint_bytes = checkpoint_bytes;
  return copy;
}

size_t RareFields::memory_bytes() const {
  size_t n = sizeof(RareFields) + checkpoint_bytes;
  for (const Text* t : {&request, &note, &reason, &trace, &unique}) n += t->memory_bytes();
  n += result.memory_bytes();
  if (tags)
    for (const auto& [key, value] : *tags)
      n += sizeof(Tags::value_type) + key.memory_bytes() + value.memory_bytes();
  return n;
}

std::unique_ptr<Run> Run::clone() const {
  auto copy = std::make_unique<Run>();
  Run& c = *copy;
  c.number = number, c.order = order, c.priority = priority;
  c.state = state, c.backoff = backoff, c.closed_by = closed_by;
  c.held = held, c.pause_asked = pause_asked, c.checkpoint_asked = checkpoint_asked,
  c.loss_counted = loss_counted;
  c.attempt = attempt, c.retry_count = retry_count, c.retries = retries;
  c.lease_ms = lease_ms, c.lease_now_ms = lease_now_ms;
  c.backoff_base_ms = backoff_base_ms, c.backoff_cap_ms = backoff_cap_ms;
  c.submitted_at = submitted_at, c.status_since = status_since, c.updated_at = updated_at;
  c.claimed_at = claimed_at, c.due_at = due_at, c.token = token;
  c.queue = queue, c.worker = worker, c.payload = payload, c.events = events;
  c.rare.copy(rare);
  return copy;
}

size_t Run::memory_bytes() const {
  size_t n = sizeof(Run) + events.memory_bytes() + worker.memory_bytes() + rare.memory_bytes();
  return n + payload.memory_bytes();
}

void Run::count_checkpoint_bytes() {
  if (!rare->checkpoints) return;
  RareFields& fields = rare.edit();
  fields.checkpoint_bytes = 0;
  for (const auto& c : *fields.checkpoints) fields.checkpoint_bytes += task::memory_bytes(*c);
}

RunList::~RunList() {
  drop_front(size_);
  if (capacity_ > 0) std::free(many_);
}

void RunList::push_back(std::unique_ptr<Run> run) {
  if (size_ == std::max(capacity_, 1u)) {
    const uint32_t wanted = capacity_ == 0 ? 4 : capacity_ * 2;
    auto** grown = static_cast<Run**>(std::realloc(capacity_ == 0 ? nullptr : many_, wanted * sizeof(Run*)));
    HF_CHECK(grown != nullptr);
    if (capacity_ == 0) grown[0] = one_;
    many_ = grown;
    capacity_ = wanted;
  }
  (capacity_ == 0 ? &one_ : many_)[size_++] = run.release();
}

void RunList::drop_front(size_t n) {
  HF_CHECK(n <= size_);
  Run** const runs = capacity_ == 0 ? &one_ : many_;
  for (size_t i = 0; i < n; ++i) delete runs[i];
  std::copy(runs + n, runs + size_, runs);
  size_ -= static_cast<uint32_t>(n);
}

void TaskObject::save(std::string& out) const {
  Saver saver{out};
  save_with(saver);
}

void TaskObject::save_parts(store::SavedParts& out) const {
  std::string small;
  Saver saver{small, &out};
  save_with(saver);
  out.append(std::move(small));
}

template <class S>
void TaskObject::save_with(S& saver) const {
  saver.pack.byte(format_version);
  saver.pack.number(next_number_);
  saver.pack.number(trimmed_);
  saver.pack.number(home.keep);
  saver.pack.number(runs_.size());
  for (const auto& run : runs_) saver.run(*run);
}

Result<std::unique_ptr<TaskObject>> TaskObject::load(Bytes saved) {
  Loader loader{Unpacker(saved)};
  Unpacker& in = loader.in;
  if (const uint8_t version = in.byte(); version != format_version)
    return Error{"task of format " + to_text(int64_t{version}) + "; this program reads format 1"};
  auto task = std::make_unique<TaskObject>();
  task->next_number_ = in.number();
  task->trimmed_ = in.number();
  task->home.keep = in.number(limits::task_runs_max) & 0xfffff;
  const uint64_t count = in.number();
  for (uint64_t i = 0; i < count && in.ok(); ++i) {
    auto run = loader.run();
    const uint64_t last = i == 0 ? 0 : task->runs_.back()->number;
    if (!in.ok() || run->number <= last || run->number >= task->next_number_ ||
        (i + 1 < count && !is_final(run->state))) {
      in.fail();
      break;
    }
    run->task = task.get();
    run->count_checkpoint_bytes();
    task->run_bytes_ += run->memory_bytes();
    task->runs_.push_back(std::move(run));
  }
  if (!in.ok() || !in.at_end() || task->runs_.empty())
    return Error{"malformed task: byte " + to_text(static_cast<int64_t>(saved.size() - in.left())) + " of " +
                 to_text(static_cast<int64_t>(saved.size())) + " or before it"};
  return task;
}

std::unique_ptr<store::Object> TaskObject::clone() const {
  auto copy = std::make_unique<TaskObject>();
  copy->next_number_ = next_number_, copy->trimmed_ = trimmed_, copy->home.keep = home.keep;
  for (const auto& run : runs_) {
    copy->runs_.push_back(run->clone());
    copy->runs_.back()->task = copy.get();
    copy->run_bytes_ += copy->runs_.back()->memory_bytes();
  }
  return copy;
}

size_t TaskObject::memory_bytes() const {
  return sizeof(TaskObject) + runs_.memory_bytes() + run_bytes_;
}

const Run* TaskObject::find(uint64_t number) const {
  if (number == 0) return newest();
  const auto at = std::lower_bound(runs_.begin(), runs_.end(), number,
                                   [](const Run* run, uint64_t n) { return run->number < n; });
  return at != runs_.end() && (*at)->number == number ? *at : nullptr;
}

const Run* TaskObject::find_unique(Bytes token) const {
  for (size_t i = runs_.size(); i-- > 0;)
    if (const Text& unique = runs_[i]->rare->unique; !unique.empty() && unique.view() == token)
      return runs_[i];
  return nullptr;
}

}  // namespace hf::task
