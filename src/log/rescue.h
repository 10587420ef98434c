// What lies under rescue/: tails that were cut off a log, and originals of what a repair changed. They are
// data that somebody may have been promised, and perhaps nowhere else, so nothing here ever removes them:
// they are counted, and shown. One comes with a start or a change of primary at most, never while a node
// serves.
#pragma once
#include <cstdint>

#include "base/files.h"

namespace hf::log {

constexpr const char* rescue_folder = "rescue";

struct RescueHeld {
  uint64_t files = 0, bytes = 0;
};
/// Reads the folder's names and sizes; zeros where there is none.
RescueHeld held_under_rescue(Files& files);

}  // namespace hf::log
