// A bar is redrawn in place; a log file gets a line every ten seconds at most, and only when something moved.
#include "cli/progress_bar.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/number.h"
#include "cli/tables.h"

namespace hf::cli {

std::string bar_text(const Progress& p, size_t width) {
  std::string out;
  if (p.total > 0) {
    const int64_t n = std::clamp<int64_t>(p.n, 0, p.total);
    constexpr int64_t cells = 24;
    const int64_t full = static_cast<int64_t>(static_cast<double>(n) / static_cast<double>(p.total) * cells);
    out = "[" + std::string(static_cast<size_t>(full), '#') +
          std::string(static_cast<size_t>(cells - full), '-') + "] " +
          to_text(static_cast<int64_t>(static_cast<double>(n) * 100 / static_cast<double>(p.total))) + " % " +
          to_text(p.n) + "/" + to_text(p.total);
  } else {
    out = to_text(p.n);
  }
  if (!p.note.empty()) out += " " + clean_text(p.note);
  while (text_width(out) > width && !out.empty()) {
    while ((static_cast<unsigned char>(out.back()) & 0xC0) == 0x80) out.pop_back();
    out.pop_back();
  }
  return out;
}

ProgressBar::ProgressBar(bool quiet) : quiet_(quiet), terminal_(::isatty(STDERR_FILENO) != 0) {}

void ProgressBar::line(const std::string& text) {
  if (quiet_) return;
  end();
  std::fprintf(stderr, "holdfast: %s\n", clean_text(text).c_str());
}

void ProgressBar::phase(const std::string& text) {
  if (quiet_) return;
  if (terminal_) {
    std::fprintf(stderr, "\r\x1b[K%s", clean_text(text).c_str());
    drawn_ = true;
  } else if (text != last_phase_) {
    line(text);
  }
  last_phase_ = text;
}

void ProgressBar::show(const std::string& run, const Progress& p, bool connected, int64_t now) {
  if (quiet_ || (p.n == 0 && p.total == 0)) return;
  if (!terminal_) {
    if (p == last_ || now < next_line_at_) return;
    last_ = p;
    next_line_at_ = now + 10000;
    std::fprintf(stderr, "holdfast: %s %s\n", run.c_str(), bar_text(p, 200).c_str());
    return;
  }
  winsize size{};
  const size_t width = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
  const std::string head = run + (connected ? " " : " (server away) ");
  std::fprintf(stderr, "\r\x1b[K%s%s", head.c_str(),
               bar_text(p, width > head.size() + 1 ? width - head.size() - 1 : 0).c_str());
  drawn_ = true;
}

void ProgressBar::end() {
  if (drawn_) std::fputs("\r\x1b[K", stderr);
  drawn_ = false;
}

}  // namespace hf::cli
