// A bar on the terminal's last line, for work that is counted in bytes; silent where there is no terminal.
#pragma once
#include <cstdint>

#include "base/types.h"

namespace hf::edge {

class Bar {
 public:
  Bar();
  void show(uint64_t done, uint64_t total, MonoUs now_us);
  /// Takes it off the screen, so that a line can be written.
  void clear();

 private:
  const bool terminal_;
  bool drawn_ = false;
  MonoUs next_us_ = 0;
};

}  // namespace hf::edge
