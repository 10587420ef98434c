// Expiry times in arguments: SET, GETEX and the EXPIRE family read them by the same rules.
#pragma once
#include <string>

#include "base/number.h"
#include "command/context.h"

namespace hf::command {

/// How an argument states a time.
struct TimeUnit {
  bool seconds;   ///< else milliseconds
  bool absolute;  ///< Unix time, else from now
};

/// `value` in `unit` as an absolute time; false when it does not fit into 64 bits of milliseconds.
inline bool absolute_ms(int64_t value, TimeUnit unit, WallMs now, WallMs& at) {
  if (unit.seconds) {
    if (value > INT64_MAX / 1000 || value < INT64_MIN / 1000) return false;
    value *= 1000;
  }
  if (!unit.absolute) {
    if (value > INT64_MAX - now) return false;
    value += now;
  }
  at = value == store::no_expiry ? store::no_expiry - 1 : value;
  return true;
}

inline void invalid_expire_time(Context& ctx) {
  ctx.error("ERR invalid expire time in '" + std::string(ctx.spec->name) + "' command");
}

/// True when setting this expiry means deleting: its time has passed. Never in a replay, where the primary
/// has said so.
inline bool already_expired(const Context& ctx, WallMs at) {
  return !ctx.replaying() && at <= ctx.now.wall_ms;
}

/// Digits of a number as Bytes, for canonical commands.
class Digits {
 public:
  explicit Digits(int64_t value) : size_(write_int(text_, value)) {}
  operator Bytes() const { return {text_, size_}; }

 private:
  char text_[24];
  size_t size_;
};

}  // namespace hf::command
