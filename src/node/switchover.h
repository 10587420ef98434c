// Giving the primary's role to a replica, on purpose: writes wait, the replica gets everything, it reigns,
// this node follows it. Undone while that is still possible. A state machine without I/O; the node acts on
// what it says.
//
//   None -> Draining -> HandedOver -> None: as its replica, or because somebody who knows says so
//             \-> None: aborted, timed out, or the target went
#pragma once
#include <optional>
#include <string>
#include <utility>

#include "base/types.h"
#include "node/effects.h"

namespace hf::node {

class Switchover {
 public:
  enum class State : uint8_t { None, Draining, HandedOver };
  State state() const { return state_; }
  bool pausing() const { return state_ != State::None; }

  /// `timeout_ms` 0: none.
  void begin(ConnId target, std::string host, int port, Now now, int64_t timeout_ms);
  const std::string& host() const { return host_; }
  int port() const { return port_; }
  ConnId target() const { return target_; }

  enum class Step : uint8_t { Wait, HandOver, GiveUp };
  /// `end`: of the log, which no longer grows; `target_synced`: empty when its link is gone.
  Step step(Now now, LogOffset end, std::optional<LogOffset> target_synced);
  /// The target reigns. Returns how long writes were paused.
  MonoUs promoted(Now now);
  /// HandedOver, and the target's link is gone. True once.
  bool take_lost() { return !std::exchange(lost_said_, true); }
  /// Writes go on here.
  void give_up(std::string why);

  const std::string& last_error() const { return last_error_; }
  MonoUs last_pause_us() const { return last_pause_us_; }
  uint64_t done() const { return done_; }
  uint64_t given_up() const { return given_up_; }
  MonoUs next_wake() const { return state_ == State::Draining ? deadline_us_ : INT64_MAX; }

 private:
  State state_ = State::None;
  ConnId target_;
  std::string host_, last_error_;
  int port_ = 0;
  bool lost_said_ = false;
  MonoUs begun_us_ = 0, deadline_us_ = INT64_MAX, last_pause_us_ = -1;
  uint64_t done_ = 0, given_up_ = 0;
};

}  // namespace hf::node
