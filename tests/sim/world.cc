// The loop of a world, the node's life in it, and the connections. Chance and the operator stand in
// operator.cc.
#include "world.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "resp/writer.h"
#include "snapshot/reader.h"
#include "store/store.h"
#include "task/tasks.h"

namespace hf::sim {
namespace {

constexpr size_t events_kept = 60;
constexpr size_t links_max = 64;
constexpr uint64_t idle_turns_max = 2'000;

std::string encode(const std::vector<std::string>& args) {
  std::string out = "*" + std::to_string(args.size()) + "\r\n";
  for (const std::string& arg : args) out += "$" + std::to_string(arg.size()) + "\r\n" + arg + "\r\n";
  return out;
}

}  // namespace

// ---- time ---------------------------------------------------------------------------------------

void World::after(int64_t delay_us, std::function<void()> what) {
  agenda_.push({now_us_ + std::max<int64_t>(0, delay_us), ++event_number_, std::move(what)});
}

void World::wake(Actor& actor, int64_t delay_us) {
  const uint64_t alarm = ++actor.alarm_;
  after(delay_us, [&actor, alarm] {
    if (actor.alarm_ == alarm) actor.wake();
  });
}

void World::trace(const std::function<std::string()>& text) {
  if (!options_.trace) return;
  events_.push_back("t=" + std::to_string(now_us_) + "us #" + std::to_string(steps_) + " " + text());
  if (events_.size() > events_kept) events_.pop_front();
}

void World::run_until(const std::function<bool()>& done, int64_t limit_us, const char* what) {
  const int64_t deadline = now_us_ + limit_us;
  while (!done()) {
    check(!agenda_.empty() && agenda_.top().at <= deadline, [&] {
      return std::string(what) + " did not happen within " + std::to_string(limit_us / 1000) + " ms";
    });
    // The queue's top is const for its order's sake, which moving `what` out leaves as it is.
    Event event = std::move(const_cast<Event&>(agenda_.top()));
    agenda_.pop();
    now_us_ = event.at;
    ++steps_;
    event.what();
  }
}

// ---- the node's life ----------------------------------------------------------------------------

node::HostFacts World::facts() {
  node::HostFacts facts;
  facts.version = "0";
  facts.process_id = static_cast<int64_t>(life_);
  return facts;
}

void World::start_node() {
  HF_CHECK(!node_);
  node::Setup setup;
  setup.options = draw_options();
  setup.seed = prng_.next();
  setup.files = &disk_;
  setup.host = this;
  setup.walk_entries_a_slice = static_cast<size_t>(prng_.between(1, 40));
  always_ = always_next_ = setup.options.appendfsync == config::FsyncPolicy::Always;
  came_back_ = served_ = shutting_down_ = shutdown_by_command_ = false;
  log_end_ = epoch_ = 0;
  disk_failures_at_start_ = disk_.failures();
  mono_base_us_ = prng_.between(0, 1'000'000'000) - now_us_;
  trace([&] { return "node starts, life " + std::to_string(life_); });
  node_ = std::make_unique<node::ServerNode>(std::move(setup));
  // A start is a thing to crash in as well.
  if (!winding_down_ && life_ > 0 && prng_.chance(1, 4))
    fuse(static_cast<uint64_t>(prng_.between(1, 14)), prng_.chance(1, 2));
  schedule_turn(0);
}

void World::schedule_turn(int64_t delay_us) {
  if (!node_) return;
  const int64_t at = now_us_ + delay_us;
  if (turn_at_ <= at) return;
  turn_at_ = at;
  const uint64_t ticket = ++turn_ticket_;
  after(delay_us, [this, ticket] {
    if (ticket != turn_ticket_ || !node_) return;
    turn_at_ = INT64_MAX;
    if (now_us_ < paused_until_) return schedule_turn(paused_until_ - now_us_);
    run_turn();
  });
}

void World::run_turn() {
  ++turns_;
  for (auto& link : links_)
    if (link->open && !link->undelivered.empty()) flush_undelivered(*link);
  effects_.clear();
  node_->turn({wall_base_ms_ + now_us_ / 1000, mono_base_us_ + now_us_}, effects_);
  after_turn();
  carry_out(effects_);
}

void World::after_turn() {
  const node::ServerNode::LogPlace place = node_->log_place();
  idle_turns_ = place.end.value == log_end_ ? idle_turns_ + 1 : 0;
  check(idle_turns_ < idle_turns_max,
        [] { return std::string("the node runs in circles: turn after turn with nothing to do"); });
  if (place.end.value != log_end_) {
    check(place.end.value > log_end_, [&] { return std::string("the log's end went back"); });
    const std::string digest = node_->digest();
    if (!came_back_) {
      came_back_ = true;
      epoch_ = place.epoch.value;
      check(epoch_ > epoch_served_, [&] {
        return "epoch " + std::to_string(epoch_) + " does not rise above " + std::to_string(epoch_served_) +
               ", which has served";
      });
      node_back(place.reign_begin.value);
    }
    oracle_.ended(place.end.value, digest);
    log_end_ = place.end.value;
  }
  note_executed();
  always_ = always_next_;
}

/// Recovery is over, nobody is served yet.
void World::node_back(uint64_t offset) {
  trace([&] { return "recovered up to " + std::to_string(offset); });
  const std::string wrong = oracle_.recovered(offset, node_->digest());
  if (!wrong.empty()) broken(wrong);
  for (auto& actor : actors_) actor->recovered(offset);
}

/// What arrived whole has been executed in this turn.
void World::note_executed() {
  for (auto& link : links_) {
    if (!link->open) continue;
    for (Request& request : link->waiting) {
      if (request.end_at > link->delivered - link->undelivered.size()) break;
      if (request.turn != 0) continue;
      request.turn = turns_;
      request.log_end = log_end_;
      request.synced = request.task || (always_ && always_next_);
      ++commands_;
      if (request.value != 0) value_ends_[request.value] = log_end_;
      if (request.args[0] == "PSETEX" || (request.args.size() == 5 && request.args[3] == "PX"))
        expiring_.insert(request.args[1]);
      if (request.kind == shutdown_kind && !shutting_down_) {
        count(Fault::ShutdownCommand);
        shutdown_begins();
        shutdown_by_command_ = true;
      }
      if (request.kind == policy_kind) always_next_ = always_ && request.a == 1;
    }
  }
}

/// True: it was the last one of this process.
bool World::effect_done() {
  if (fuse_ == 0 || --fuse_ > 0) return false;
  count(fuse_power_ ? Fault::PowerCutAtEffect : Fault::KillAtEffect);
  crash(fuse_power_);
  return true;
}

void World::carry_out(node::Effects& effects) {
  for (const node::LogLine& line : effects.lines) {
    trace([&] { return "node says: " + line.text; });
    if (line.text.find("a torn tail of") != std::string::npos) count(Fault::TornTailCut);
    if (line.text.starts_with("Loaded snapshot")) count(Fault::SnapshotLoaded);
    if (line.text.starts_with("The snapshot failed")) count(Fault::SnapshotFailed);
  }
  if (!served_ && node_->serving()) {
    served_ = true;
    epoch_served_ = epoch_;
    trace([&] { return "serving, epoch " + std::to_string(epoch_); });
    for (auto& actor : actors_) actor->settled();
  }
  // Jobs first or output first: real loops differ, and it must not matter.
  const bool output_first = prng_.chance(1, 2);
  for (int part = 0; part < 2; ++part) {
    if ((part == 0) == output_first) {
      for (const node::ConnId conn : effects.send) {
        if (Link* link = link_of(conn)) take_output(*link);
        if (effect_done()) return;
      }
    } else {
      for (FileJob& job : effects.jobs) {
        for (const FileStep& step : job.steps)
          if (step.kind == FileStep::Kind::Write && step.offset == 0 && step.name.starts_with("log-") &&
              log_end_ > 100)
            count(Fault::SegmentRolled);
        disk_.submit(std::move(job));
        if (effect_done()) return;
      }
    }
  }
  for (const node::ConnId conn : effects.close) {
    if (Link* link = link_of(conn)) drop(*link);
    if (effect_done()) return;
  }
  if (effects.exit) return node_exited(*effects.exit);
  if (effects.again) schedule_turn(prng_.between(1, 20));
  if (effects.wake_at != INT64_MAX)
    schedule_turn(std::max<int64_t>(1, effects.wake_at - (mono_base_us_ + now_us_)));
}

void World::node_exited(int code) {
  trace([&] { return "node exits with " + std::to_string(code); });
  for (const auto& link : links_)
    for (const Request& request : link->waiting)
      trace([&] {
        return "  unanswered: " + request.args[0] + " executed in turn " + std::to_string(request.turn) +
               ", now is " + std::to_string(turns_);
      });
  const bool disk_failed = disk_.failures() > disk_failures_at_start_;
  if (code == 0) {
    check(shutting_down_, [] { return std::string("exit 0 that nobody asked for"); });
    // A clean end: all of it is on disk, whatever happens next.
    if (served_) oracle_.promised(log_end_, true);
  } else if (expect_refusal_) {
    refused_ = true;
  } else {
    check(disk_failed, [&] {
      std::string why =
          came_back_ ? "the node gave up though the disk did not fail" : "the node refuses to start";
      for (const node::LogLine& line : effects_.lines) why += "\n    it says: " + line.text;
      return why;
    });
  }
  // After a failed sync some mend the disk and boot, others just start the server again: the pages that the sync
  // dropped can then still be read, and are gone at the next power cut.
  const bool power = code != 0 ? disk_failed && prng_.chance(1, 2) : prng_.chance(1, 4);
  disk_.clear_faults();
  oracle_.crashed(power);
  if (power) disk_.power_cut();
  else disk_.kill();
  node_gone(prng_.between(1'000, 50'000));
}

void World::crash(bool power) {
  if (!node_) return;
  trace([&] { return power ? "POWER CUT" : "KILL -9"; });
  ++crashes_;
  if (!served_) count(Fault::CrashWhileStarting);
  oracle_.crashed(power);
  if (power) disk_.power_cut();
  else disk_.kill();
  node_gone(prng_.between(1'000, 30'000));
}

void World::node_gone(int64_t restart_in_us) {
  fuse_ = 0;
  ++life_;
  turn_at_ = INT64_MAX;
  ++turn_ticket_;
  node_.reset();
  shutting_down_ = false;
  for (size_t i = 0; i < links_.size(); ++i)
    if (links_[i]->open) drop(*links_[i]);
  after(restart_in_us, [this] {
    if (!node_ && !refused_) start_node();
  });
}

// ---- connections --------------------------------------------------------------------------------

Link* World::link_of(node::ConnId conn) {
  for (auto& link : links_)
    if (link->open && link->life == life_ && link->conn == conn) return link.get();
  return nullptr;
}

Link* World::connect(Actor& owner) {
  if (!node_ || shutting_down_) return nullptr;
  std::erase_if(links_, [](const auto& link) { return !link->open && link.use_count() == 1; });
  HF_CHECK(links_.size() < links_max);
  auto link = std::make_shared<Link>();
  node::Peer peer;
  peer.peer_address = "127.0.0.1:" + std::to_string(10'000 + event_number_ % 50'000);
  peer.local_address = "127.0.0.1:6379";
  link->conn = node_->connected(peer);
  link->life = life_;
  link->owner = &owner;
  links_.push_back(link);
  return link.get();
}

void World::send(Link& link, std::vector<Request> requests) {
  HF_CHECK(link.open);
  std::string bytes;
  for (Request& request : requests) {
    bytes += encode(request.args);
    request.end_at = link.sent + bytes.size();
    link.waiting.push_back(std::move(request));
  }
  link.sent += bytes.size();
  const std::shared_ptr<Link> held = shared(link);
  size_t at = 0;
  int64_t delay = std::max<int64_t>(prng_.between(5, 300), held->last_arrival - now_us_);
  while (at < bytes.size()) {
    size_t n = bytes.size() - at;
    if (n > 1 && prng_.chance(1, 5)) {
      n = static_cast<size_t>(prng_.between(1, static_cast<int64_t>(n) - 1));
      count(Fault::RequestCut);
    }
    after(delay, [this, held, piece = bytes.substr(at, n)] {
      if (held->open && held->life == life_ && node_) deliver(*held, piece);
    });
    held->last_arrival = now_us_ + delay;
    at += n;
    delay += prng_.between(1, 400);
  }
}

void World::deliver(Link& link, Bytes bytes) {
  idle_turns_ = 0;
  link.delivered += bytes.size();
  link.undelivered += bytes;
  flush_undelivered(link);
  schedule_turn(prng_.between(0, 150));
}

void World::flush_undelivered(Link& link) {
  while (!link.undelivered.empty()) {
    size_t room = 0;
    char* space = node_->read_space(link.conn, room);
    if (space == nullptr) return;
    const size_t n = std::min(room, link.undelivered.size());
    std::memcpy(space, link.undelivered.data(), n);
    link.undelivered.erase(0, n);
    node_->received(link.conn, n);
  }
}

void World::take_output(Link& link) {
  Buffer out = node_->take_output(link.conn);
  if (out.empty()) return;
  const size_t n = out.size();
  link.tail.append(out.view());
  size_t at = 0;
  while (at < link.tail.size()) {
    const resp::ReplyReader::Outcome outcome = link.reader.next(Bytes(link.tail).substr(at));
    at += link.reader.used();
    if (outcome == resp::ReplyReader::Outcome::Incomplete) break;
    check(outcome == resp::ReplyReader::Outcome::Reply,
          [&] { return "a reply is not RESP: " + link.reader.error(); });
    reply_leaves(link, link.reader.take());
  }
  link.tail.erase(0, at);
  // The kernel takes it all, or some now and some later.
  const std::shared_ptr<Link> held = shared(link);
  const auto sent = [this, held](size_t bytes) {
    if (!held->open || held->life != life_ || !node_) return;
    if (node_->sent(held->conn, bytes, Buffer()) == node::ServerNode::AfterSend::Close) {
      node_->disconnected(held->conn);
      drop(*held);
    }
    schedule_turn(prng_.between(0, 100));
  };
  if (n > 1 && prng_.chance(1, 8)) {
    count(Fault::ReplyCut);
    const size_t first = static_cast<size_t>(prng_.between(1, static_cast<int64_t>(n) - 1));
    sent(first);
    after(prng_.between(10, 2'000), [sent, n, first] { sent(n - first); });
  } else {
    sent(n);
  }
}

void World::reply_leaves(Link& link, resp::Value value) {
  check(!link.waiting.empty(), [&] { return "a reply that nobody asked for: " + value.as_text(); });
  Request request = std::move(link.waiting.front());
  link.waiting.pop_front();
  check(request.turn != 0 || value.is_error(),
        [&] { return "a reply to a request that has not arrived whole"; });
  trace([&] {
    std::string text = "reply leaves:";
    for (const std::string& arg : request.args) text += " " + quoted(Bytes(arg).substr(0, 40));
    return text + " -> " + value.as_text().substr(0, 80);
  });
  if (value.is_error() && value.error_code() == "MISCONF") count(Fault::WritesRefused);
  link.owner->left(request, value);
  link.coming.emplace_back(std::move(request), std::move(value));
  const std::shared_ptr<Link> held = shared(link);
  const int64_t at = std::max(now_us_ + prng_.between(5, 300), held->last_reply);
  held->last_reply = at;
  after(at - now_us_, [held] {
    if (!held->open || held->coming.empty()) return;
    auto [answered, answer] = std::move(held->coming.front());
    held->coming.pop_front();
    held->owner->reply(answered, answer);
  });
}

void World::hang_up(Link& link) {
  if (!link.open) return;
  if (node_ && link.life == life_) {
    count(Fault::ConnectionLost);
    if (!link.waiting.empty()) count(Fault::ConnectionLostBeforeReply);
    node_->disconnected(link.conn);
    schedule_turn(prng_.between(0, 100));
  }
  drop(link);
}

/// The connection is gone: its actor learns what was never answered.
void World::drop(Link& link) {
  if (!link.open) return;
  link.open = false;
  const std::shared_ptr<Link> held = shared(link);
  std::deque<Request> unanswered;
  unanswered.swap(link.waiting);
  link.coming.clear();
  link.owner->lost(unanswered);
}

std::shared_ptr<Link> World::shared(Link& link) {
  for (auto& held : links_)
    if (held.get() == &link) return held;
  HF_CHECK(!"a link of this world");
  return nullptr;
}

// ---- snapshots ----------------------------------------------------------------------------------

/// A snapshot got its final name: what is in it must be the state at its cut.
void World::check_snapshot(const std::string& name) {
  if (!name.starts_with("snapshot-") || !name.ends_with(".rdb")) return;
  count(Fault::SnapshotTaken);
  store::Store store({.databases = 16, .hash_seed = 7});
  store.set_loader(store::Type::Task, task::load_task);
  snapshot::Reader reader(disk_, name);
  snapshot::StoreSink sink(store);
  auto phase = reader.open();
  while (phase == snapshot::Reader::Phase::Loading) phase = reader.step(1 << 20, sink);
  check(phase == snapshot::Reader::Phase::Done,
        [&] { return "a fresh snapshot is damaged: " + reader.reason(); });
  const uint64_t offset = reader.header().offset.value;
  const std::string* expected = oracle_.digest_at(offset);
  check(expected != nullptr,
        [&] { return name + " was cut at " + std::to_string(offset) + ", which is no end of a turn"; });
  check(*expected == to_hex(store.digest()),
        [&] { return name + " does not hold the state at its cut, offset " + std::to_string(offset); });
}

}  // namespace hf::sim
