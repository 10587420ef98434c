// Drawn on standard error ten times a second at most.
#include "edge/bar.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace hf::edge {
namespace {

constexpr MonoUs every_us = 100'000;
constexpr int width = 40;

}  // namespace

Bar::Bar() : terminal_(isatty(STDERR_FILENO) == 1) {}

void Bar::show(uint64_t done, uint64_t total, MonoUs now_us) {
  if (!terminal_ || now_us < next_us_ || total == 0) return;
  next_us_ = now_us + every_us;
  const double part = std::min(static_cast<double>(done) / static_cast<double>(total), 1.0);
  const int full = static_cast<int>(width * part);
  std::fprintf(stderr, "\r[%.*s%.*s] %3.0f %% of %.1f MB ", full, "########################################",
               width - full, "----------------------------------------", 100 * part,
               static_cast<double>(total) / 1e6);
  drawn_ = true;
}

void Bar::clear() {
  if (drawn_) std::fputs("\r\x1b[K", stderr);
  drawn_ = false;
}

}  // namespace hf::edge
