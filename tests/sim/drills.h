// Recovery drills: fixed short stories of each procedure that writes to a data folder, with the power cut at
// every one of their effects, in several outcomes each. Nothing acknowledged may be lost, nothing half-made
// be used, and the same procedure, done again, must get to its end.
#pragma once
#include <cstdint>
#include <string>

namespace hf::sim {

struct DrillFlags {
  uint64_t outcomes = 2;  ///< what chance makes of unsynced pages and names, at each effect
  unsigned jobs = 1;
  std::string only = {};  ///< drills whose names contain this
};

/// Prints a table; 0 when all held.
int run_drills(const DrillFlags& flags);

}  // namespace hf::sim
