// What `holdfast-cli run` shows on stderr: messages, and progress as a bar on a terminal or plain lines
// elsewhere.
#pragma once
#include <cstdint>
#include <string>

#include "cli/run_folder.h"

namespace hf::cli {

/// "[#####-----] 50 % 5/10 epoch 3", `width` columns at most.
std::string bar_text(const Progress& progress, size_t width);

class ProgressBar {
 public:
  explicit ProgressBar(bool quiet);
  /// A message on a line of its own, with "holdfast: " before it.
  void line(const std::string& text);
  /// What is going on where there is nothing to count: in the bar's place, or a line when it is another.
  void phase(const std::string& text);
  void show(const std::string& run, const Progress& progress, bool connected, int64_t now_ms);
  /// Takes the bar off the screen.
  void end();

 private:
  bool quiet_, terminal_, drawn_ = false;
  Progress last_;
  std::string last_phase_;
  int64_t next_line_at_ = 0;
};

}  // namespace hf::cli
