// Once the role is handed over there is no way back by itself: the target may reign already.
#include "node/switchover.h"

#include "base/planted.h"

namespace hf::node {

void Switchover::begin(ConnId target, std::string host, int port, Now now, int64_t timeout_ms) {
  state_ = State::Draining;
  target_ = target;
  host_ = std::move(host);
  port_ = port;
  begun_us_ = now.mono_us;
  deadline_us_ = timeout_ms > 0 ? now.mono_us + timeout_ms * 1000 : INT64_MAX;
  last_error_.clear();
  lost_said_ = false;
}

Switchover::Step Switchover::step(Now now, LogOffset end, std::optional<LogOffset> target_synced) {
  if (state_ != State::Draining) return Step::Wait;
  if (!target_synced) {
    give_up("the target's link was lost");
    return Step::GiveUp;
  }
  if (*target_synced >= end || planted(Bug::HandedOverEarly)) {
    state_ = State::HandedOver;
    return Step::HandOver;
  }
  if (now.mono_us < deadline_us_) return Step::Wait;
  give_up("the target did not catch up in time");
  return Step::GiveUp;
}

MonoUs Switchover::promoted(Now now) {
  state_ = State::None;
  last_pause_us_ = now.mono_us - begun_us_;
  ++done_;
  return last_pause_us_;
}

void Switchover::give_up(std::string why) {
  state_ = State::None;
  last_error_ = std::move(why);
  ++given_up_;
}

}  // namespace hf::node
