// How much memory two data sets may take is measured, not guessed: a snapshot's bytes say little about what
// they become.
#include "node/beside.h"

#include "base/number.h"

namespace hf::node {

namespace {

constexpr MonoUs slice_every_us = 1'000;
// Of the machine's memory: the rest is for buffers, for the allocator's gaps, and for others.
constexpr uint64_t machine_percent = 80;

}  // namespace

Beside::Bound Beside::bound() const {
  if (options_.maxmemory > 0) return {static_cast<uint64_t>(options_.maxmemory), "maxmemory"};
  if (host_ == nullptr) return {0, ""};
  return {host_->memory_max() / 100 * machine_percent, "80 % of this machine's memory, or this cgroup's"};
}

void Beside::refuse(std::string why) {
  drop();
  state_ = State::NoRoom;
  reason_ = std::move(why);
}

void Beside::begin(uint64_t bytes) {
  drop();
  state_ = State::Loading;
  if (options_.replica_load == config::ReplicaLoad::DropFirst) return refuse("replica-load is drop-first");
  if (options_.replica_load == config::ReplicaLoad::Beside || host_ == nullptr) return;
  const auto [max, name] = bound();
  const uint64_t used = host_->used_memory();
  if (max > 0 && used + bytes > max)
    refuse(to_human(bytes) + " more than the " + to_human(used) + " in use would pass " + to_human(max) +
           " (" + name + ")");
}

bool Beside::has_room() {
  if (state_ != State::Loading) return false;
  if (options_.replica_load == config::ReplicaLoad::Beside || host_ == nullptr) return true;
  const auto [max, name] = bound();
  const uint64_t used = host_->used_memory();
  if (max == 0 || used <= max) return true;
  refuse("the two together have come to " + to_human(used) + ", which passes " + to_human(max) + " (" + name +
         ")");
  return false;
}

void Beside::drop() {
  if (state_ == State::Loading) store_.drop_beside();
  state_ = State::Idle;
  reason_.clear();
}

void Beside::turn(Now now, uint64_t commands) {
  now_us_ = now.mono_us;
  busy_ = commands != commands_;
  commands_ = commands;
}

bool Beside::slice_due() {
  if (now_us_ < next_us_) return false;
  next_us_ = busy_ ? now_us_ + slice_every_us : now_us_;
  return true;
}

}  // namespace hf::node
