// The indexes over all tasks; see tasks.h. Each run stands in at most two heaps: by its place in a queue or
// its lease's deadline, and by a wall-clock time. A heap keeps each run's place in the run itself, so leaving
// one is cheap.
#include "task/tasks.h"

#include <algorithm>
#include <array>
#include <map>
#include <unordered_map>

#include "base/checksum.h"
#include "base/number.h"
#include "base/planted.h"
#include "task/change.h"
#include "task/decide.h"
#include "task/run_heap.h"
#include "task/task_object.h"

namespace hf::task {

struct QueueIndex {
  Text name;
  RunHeap<&Run::place, KeyAndOrder> claimable;  // key: -priority, then order of submission
  QueueStats stats;
  uint64_t runs = 0;
  uint64_t told_ready = 0;  // as TaskObject::Home::told_ready
};

namespace {

constexpr uint64_t told_ready_max = (1ull << 44) - 1;  // what TaskObject::Home has room for

struct BytesHash {
  using is_transparent = void;
  size_t operator()(Bytes b) const { return static_cast<size_t>(sum64(b)); }
};

uint64_t request_sum(Bytes worker, Bytes request) { return sum64(request, sum64(worker)); }

/// The indexes of one database.
struct Shelf {
  std::unordered_map<std::string, std::unique_ptr<QueueIndex>, BytesHash, std::equal_to<>> queues;
  RunHeap<&Run::place, KeyOnly> leases;      // key: monotonic deadline
  RunHeap<&Run::time_place, KeyOnly> times;  // key: due_at, of DELAYED runs and RUNNING ones with a timeout
  RunHeap<&Run::time_place, KeyAndOrder> ages;  // key: status_since, of final runs
  std::multimap<uint64_t, Run*> requests;  // leases claimed with REQ; a tree never rehashes a million at once
  uint64_t trimmed = 0;

  /// Of a flushed database, whose runs are gone. True: nothing is left that takes long. Counts `entries`
  /// down.
  bool free_some(size_t& entries) {
    while (entries > 0 && !requests.empty()) requests.erase(requests.begin()), --entries;
    while (entries > 0 && !queues.empty()) queues.erase(queues.begin()), --entries;
    return requests.empty() && queues.empty();
  }
  QueueIndex& queue(Bytes name) {
    auto at = queues.find(name);
    if (at == queues.end()) {
      at = queues.emplace(std::string(name), std::make_unique<QueueIndex>()).first;
      at->second->name = Text(name);
    }
    return *at->second;
  }
  void retire(QueueIndex& queue) {
    if (queue.runs > 0) return;
    const auto at = queues.find(queue.name.view());
    HF_CHECK(at != queues.end());
    queues.erase(at);
  }
};

MonoUs deadline_of(const Run& run, Now now) { return now.mono_us + int64_t{run.lease_now_ms} * 1000; }

}  // namespace

struct Tasks::Inside {
  std::vector<Shelf> shelves, flushed;
  uint64_t token_floor = 0, last_token = 0, last_order = 0;
  std::vector<std::pair<DbIndex, std::string>> ready;
  uint64_t ready_round = 1;
  ChangeEncoder encoder;
  std::array<Text, 1024> workers;  // some of the latest names

  bool asked =
      false;  // before the first take_ready nobody waits: a data set that loads leaves no list behind

  void tell_ready(DbIndex db, QueueIndex& queue) {
    if (asked && std::exchange(queue.told_ready, ready_round) != ready_round)
      ready.emplace_back(db, queue_key(queue.name.view()));
  }
  void tell_ready(DbIndex db, TaskObject& task) {
    if (!asked || task.home.told_ready == ready_round) return;
    task.home.told_ready = ready_round & told_ready_max;
    ready.emplace_back(db, task.key());
  }
  /// Lets go of the run's copy of its worker's name where a recent run has the same.
  void share_worker(Run& run) {
    Text& recent = workers[sum64(run.worker.view()) % workers.size()];
    if (recent.view() == run.worker.view()) run.worker = recent;
    else recent = run.worker;
  }

  /// Puts a run where its state says it belongs. Its queue_index may still be null. The deadline is a
  /// lease's; INT64_MAX: it is not armed yet.
  void enter(DbIndex db, Run& run, MonoUs lease_deadline = INT64_MAX) {
    Shelf& shelf = shelves[db];
    if (run.queue_index == nullptr) {
      run.queue_index = &shelf.queue(run.queue.view());
      run.queue = run.queue_index->name;
      ++run.queue_index->runs;
    }
    QueueIndex& queue = *run.queue_index;
    ++queue.stats.by_state[static_cast<size_t>(run.state)];
    if (run.state == State::Pending && run.held) ++queue.stats.held;
    if (run.claimable()) {
      queue.claimable.push(-int64_t{run.priority}, run);
      tell_ready(db, queue);
    } else if (run.state == State::Running) {
      shelf.leases.push(lease_deadline, run);
      if (run.due_at > 0) shelf.times.push(run.due_at, run);
      if (!run.rare->request.empty())
        shelf.requests.emplace(request_sum(run.worker.view(), run.rare->request.view()), &run);
    } else if (run.state == State::Delayed) {
      shelf.times.push(run.due_at, run);
    } else if (is_final(run.state)) {
      shelf.ages.push(run.status_since, run);
    }
    last_order = std::max(last_order, run.order);
    last_token = std::max(last_token, run.token.value);
  }

  /// The reverse; to be called before the change that would move it.
  void leave(DbIndex db, Run& run) {
    Shelf& shelf = shelves[db];
    QueueIndex& queue = *run.queue_index;
    --queue.stats.by_state[static_cast<size_t>(run.state)];
    if (run.state == State::Pending && run.held) --queue.stats.held;
    if (run.claimable()) {
      queue.claimable.erase(run);
    } else if (run.state == State::Running) {
      shelf.leases.erase(run);
      if (run.due_at > 0) shelf.times.erase(run);
      if (!run.rare->request.empty()) {
        auto [at, end] = shelf.requests.equal_range(request_sum(run.worker.view(), run.rare->request.view()));
        while (at != end && at->second != &run) ++at;
        HF_CHECK(at != end);
        shelf.requests.erase(at);
      }
    } else if (run.state == State::Delayed) {
      shelf.times.erase(run);
    } else if (is_final(run.state)) {
      shelf.ages.erase(run);
    }
  }

  /// The run is gone from its queue for good.
  void quit_queue(DbIndex db, QueueIndex& queue) {
    --queue.runs;
    shelves[db].retire(queue);
  }
};

Tasks::Tasks(uint32_t databases, Options options) : options_(options), in_(std::make_unique<Inside>()) {
  in_->shelves.resize(2 * size_t{databases});  // the second half: see store::Store::beside
}
Tasks::~Tasks() = default;

void Tasks::object_inserted(DbIndex db, Bytes, store::Object& object) {
  if (object.type() != store::Type::Task) return;
  auto& task = static_cast<TaskObject&>(object);
  in_->shelves[db].trimmed += task.trimmed();
  for (Run* run : task.runs()) {
    run->queue_index = nullptr;
    if (!run->worker.empty()) in_->share_worker(*run);
    in_->enter(db, *run);
  }
  in_->tell_ready(db, task);
}

void Tasks::object_removed(DbIndex db, Bytes, store::Object& object) {
  if (object.type() != store::Type::Task) return;
  auto& task = static_cast<TaskObject&>(object);
  in_->shelves[db].trimmed -= task.trimmed();
  for (Run* run : task.runs()) {
    in_->leave(db, *run);
    in_->quit_queue(db, *std::exchange(run->queue_index, nullptr));
  }
  in_->tell_ready(db, task);
}

void Tasks::objects_flushed(DbIndex db) { in_->flushed.push_back(std::exchange(in_->shelves[db], Shelf())); }

bool Tasks::free_some(size_t entries) {
  while (entries > 0 && !in_->flushed.empty()) {
    if (in_->flushed.back().free_some(entries)) in_->flushed.pop_back();
  }
  return !in_->flushed.empty();
}

void Tasks::objects_swapped(DbIndex a, DbIndex b) {
  std::swap(in_->shelves[a], in_->shelves[b]);
  // What was loaded beside: whoever waits, for whatever, is woken by the node (database_changed).
  if (std::max(a, b) >= in_->shelves.size() / 2) return;
  for (const DbIndex db : {a, b})
    for (auto& [name, queue] : in_->shelves[db].queues) {
      queue->told_ready = 0;
      if (!queue->claimable.empty()) in_->tell_ready(db, *queue);
    }
}

void Tasks::set_epoch(Epoch epoch) { in_->token_floor = epoch.value << 44; }

Token Tasks::next_token() {
  if (planted(Bug::TokenNotRaised) && in_->last_token != 0) return {in_->last_token};
  in_->last_token = std::max(in_->last_token, in_->token_floor) + 1;
  return {in_->last_token};
}

uint64_t Tasks::next_order() const { return in_->last_order + 1; }

void Tasks::rearm(Now now) {
  for (Shelf& shelf : in_->shelves)
    shelf.leases.rekey_all([&](const Run& run) { return deadline_of(run, now); });
}

MonoUs Tasks::next_due(Now now) const {
  int64_t wall = never_ms;
  MonoUs mono = INT64_MAX;
  for (const Shelf& shelf : in_->shelves) {
    if (!shelf.leases.empty()) mono = std::min(mono, shelf.leases.top().key);
    if (!shelf.times.empty()) wall = std::min(wall, shelf.times.top().key);
    if (!shelf.ages.empty() && shelf.ages.top().key <= never_ms - options_.final_keep_ms)
      wall = std::min(wall, shelf.ages.top().key + options_.final_keep_ms);
  }
  if (wall <= now.wall_ms) return std::min(mono, now.mono_us);
  constexpr int64_t far_ms = 365ll * 24 * 3600 * 1000;  // what is further off is looked at again by then
  if (wall == never_ms) return mono;
  return std::min(mono, now.mono_us + std::min(wall - now.wall_ms, far_ms) * 1000);
}

Due Tasks::due(Now now, DbIndex& db, const Run*& run) const {
  for (db = 0; db < in_->shelves.size(); ++db) {
    const Shelf& shelf = in_->shelves[db];
    if (!shelf.leases.empty() && shelf.leases.top().key <= now.mono_us) {
      run = shelf.leases.top().run;
      return Due::LeaseLost;
    }
    if (!shelf.times.empty() && shelf.times.top().key <= now.wall_ms) {
      run = shelf.times.top().run;
      return Due::WallTime;
    }
    if (!shelf.ages.empty() && shelf.ages.top().key <= now.wall_ms - options_.final_keep_ms) {
      run = shelf.ages.top().run;
      return Due::Age;
    }
  }
  return Due::Nothing;
}

void Tasks::take_ready(std::vector<std::pair<DbIndex, std::string>>& ready) {
  if (ready.empty()) {
    std::swap(ready, in_->ready);
  } else {
    for (auto& key : in_->ready) ready.push_back(std::move(key));
    in_->ready.clear();
  }
  in_->ready_round = std::max<uint64_t>(1, (in_->ready_round + 1) & told_ready_max);
  in_->asked = true;
}

Status Tasks::apply(store::Store& store, DbIndex db, const store::Key& key, const Change& change, Now now) {
  using Kind = Change::Kind;
  store::Object* object = store.edit_object(db, key);
  if (object == nullptr && change.kind == Kind::Submit) {
    if (store.find(db, key) != nullptr)
      return Error{"task change to " + quoted(key.bytes) + ", which is no task"};
    auto fresh = std::make_unique<TaskObject>();
    const Status status = fresh->apply(change);
    if (status.ok()) store.insert_object(db, key, std::move(fresh));  // and object_inserted does the rest
    return status;
  }
  if (object == nullptr || object->type() != store::Type::Task)
    return Error{"task change to " + quoted(key.bytes) + ", which is no task"};
  auto& task = static_cast<TaskObject&>(*object);
  if (change.kind == Kind::Progress || change.kind == Kind::Checkpoint || change.kind == Kind::AskCheckpoint)
    return task.apply(change);  // these move nothing in the indexes

  // What the change moves or drops leaves the indexes as it is now, and comes back as it is then.
  std::vector<QueueIndex*> quits;
  size_t dropped = 0;
  while (dropped < task.runs().size() && task.runs()[dropped]->number < change.trim_below) {
    in_->leave(db, *task.runs()[dropped]);
    quits.push_back(task.runs()[dropped++]->queue_index);
  }
  Run* moved = change.kind == Kind::Move && change.run != 0 ? task.find(change.run) : nullptr;
  MonoUs deadline = INT64_MAX;
  if (moved != nullptr) {
    deadline = lease_deadline(db, *moved);
    in_->leave(db, *moved);
  }
  const uint64_t trimmed_before = task.trimmed();
  const Status status = task.apply(change);
  if (!status.ok()) {
    for (size_t i = 0; i < dropped; ++i) in_->enter(db, *task.runs()[i]);
    if (moved != nullptr) in_->enter(db, *moved, deadline);
    return status;
  }
  in_->shelves[db].trimmed += task.trimmed() - trimmed_before;
  for (QueueIndex* queue : quits) in_->quit_queue(db, *queue);
  if (change.kind == Kind::Submit || change.kind == Kind::Restart) moved = task.find(change.run);
  if (moved != nullptr) {
    if (change.event == Event::Claim || change.event == Event::Reissue || change.event == Event::Readopt) {
      deadline = deadline_of(*moved, now);
      in_->share_worker(*moved);
      moved->beaten = change.event == Event::Readopt;
      if (moved->rare.present()) moved->rare->progress_logged_at = RareFields::never_logged;
      moved->live.reset();
    }
    in_->enter(db, *moved, deadline);
    in_->tell_ready(db, task);
  }
  return ok();
}

std::span<const Bytes> Tasks::encode(Bytes key, const Change& change) {
  return in_->encoder.encode(key, change);
}

void Tasks::beat(DbIndex db, const Run& run, Now now) {
  HF_CHECK(run.state == State::Running);
  run.beaten = true;
  in_->shelves[db].leases.rekey(run, deadline_of(run, now));
}

MonoUs Tasks::lease_deadline(DbIndex db, const Run& run) const {
  return run.state == State::Running ? in_->shelves[db].leases.key(run) : INT64_MAX;
}

const Run* Tasks::first_pending(DbIndex db, Bytes queue) const {
  const auto& queues = in_->shelves[db].queues;
  const auto at = queues.find(queue);
  return at == queues.end() || at->second->claimable.empty() ? nullptr : at->second->claimable.top().run;
}

std::vector<const Run*> Tasks::leases_of(DbIndex db, Bytes worker, Bytes req) const {
  std::vector<const Run*> runs;
  const auto [begin, end] = in_->shelves[db].requests.equal_range(request_sum(worker, req));
  for (auto at = begin; at != end; ++at)
    if (at->second->worker.view() == worker && at->second->rare->request.view() == req)
      runs.push_back(at->second);
  std::sort(runs.begin(), runs.end(), [](const Run* a, const Run* b) { return a->token < b->token; });
  return runs;
}

QueueStats Tasks::stats(DbIndex db) const {
  QueueStats sum;
  for (const auto& [name, queue] : in_->shelves[db].queues) {
    for (size_t s = 0; s < state_count; ++s) sum.by_state[s] += queue->stats.by_state[s];
    sum.held += queue->stats.held;
  }
  sum.trimmed = in_->shelves[db].trimmed;
  return sum;
}

QueueStats Tasks::stats(DbIndex db, Bytes queue) const {
  const auto at = in_->shelves[db].queues.find(queue);
  return at == in_->shelves[db].queues.end() ? QueueStats{} : at->second->stats;
}

uint64_t Tasks::index_digest() const {
  uint64_t digest = 0;
  for (size_t db = 0; db < in_->shelves.size(); ++db) {
    const Shelf& shelf = in_->shelves[db];
    const auto add = [&](const char* what, const Run& run, int64_t key) {
      digest +=
          sum64(to_text(static_cast<int64_t>(db)) + what + run_id(run.task->key(), run.number) +
                "=" + to_text(key) + "/" + std::string(run.queue_index->name.view()));
    };
    for (const auto& [name, queue] : shelf.queues) {
      queue->claimable.for_each([&](const auto& item) { add(" claimable ", *item.run, item.key); });
      std::string counts = name + ":" + to_text(static_cast<int64_t>(queue->runs));
      for (const uint64_t n : queue->stats.by_state) counts += " " + to_text(static_cast<int64_t>(n));
      digest += sum64(counts + " " + to_text(static_cast<int64_t>(queue->stats.held)));
    }
    shelf.leases.for_each([&](const auto& item) { add(" lease ", *item.run, 0); });
    shelf.times.for_each([&](const auto& item) { add(" time ", *item.run, item.key); });
    shelf.ages.for_each([&](const auto& item) { add(" age ", *item.run, item.key); });
    for (const auto& [sum, run] : shelf.requests) add(" request ", *run, 0);
    digest += shelf.trimmed * 0x9e3779b97f4a7c15ull;
  }
  return digest;
}

bool active(const store::Object& object) {
  const TaskObject* task = as_task(&object);
  return task != nullptr && task->active() != nullptr;
}

std::string active_error(Bytes key, const store::Object& object) {
  HF_CHECK(active(object));
  const Run& run = *as_task(&object)->active();
  std::string text =
      "ACTIVE " + std::string(key) + " is " + state_name(run.state) + " as " + run_id(key, run.number);
  if (run.state == State::Running) text += " by worker " + std::string(run.worker.view());
  return text + " since " + when(run.status_since) + "; cancel it or submit with FORCE";
}

Result<std::unique_ptr<store::Object>> load_task(Bytes saved) {
  auto task = TaskObject::load(saved);
  if (!task.ok()) return task.error();
  return std::unique_ptr<store::Object>(std::move(task.value()));
}

std::string queue_key(Bytes queue) { return "__queue__:" + std::string(queue); }

}  // namespace hf::task
