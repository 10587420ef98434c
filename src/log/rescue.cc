// A file that goes while it is counted is no error: a person is tidying up.
#include "log/rescue.h"

namespace hf::log {

RescueHeld held_under_rescue(Files& files) {
  RescueHeld held;
  const auto names = files.list_in(rescue_folder);
  if (!names) return held;
  for (const std::string& name : *names) {
    const auto size = files.size(name);
    if (!size) continue;
    ++held.files;
    held.bytes += *size;
  }
  return held;
}

}  // namespace hf::log
