// A wall-clock time in six bytes: a run has five of them.
#pragma once
#include <cstdint>

#include "base/types.h"

namespace hf::task {

/// Times from 1970 to the year 10889, which is what `valid` says; anything else is cut.
class PackedTime {
 public:
  static constexpr WallMs max = (WallMs{1} << 48) - 1;
  static constexpr bool valid(WallMs ms) { return ms >= 0 && ms <= max; }

  constexpr PackedTime() = default;
  constexpr PackedTime(WallMs ms)
      : parts_{static_cast<uint16_t>(ms), static_cast<uint16_t>(ms >> 16), static_cast<uint16_t>(ms >> 32)} {}
  constexpr operator WallMs() const {
    return static_cast<WallMs>(parts_[0] | uint64_t{parts_[1]} << 16 | uint64_t{parts_[2]} << 32);
  }

 private:
  uint16_t parts_[3] = {};
};

}  // namespace hf::task
