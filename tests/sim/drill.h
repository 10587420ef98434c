// What a drill is made of: a life before it, the procedure, and the judgement of what a power cut left.
#pragma once
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "config/options.h"
#include "log/restore.h"
#include "stage.h"

namespace hf::sim {

/// Small segments, so that short stories fill several; replies wait for the sync.
config::Options drill_options();

/// A folder after a clean end, and what is known about it.
struct Life {
  Contents disk;
  Oracle oracle;
  uint64_t end = 0;
  std::string digest;
  struct Mark {
    uint64_t offset;
    std::string digest;
  };
  std::vector<Mark> marks;  ///< behind each line of the story
};
/// Starts on what `life` left, says `lines`, settles after each, ends cleanly.
Life live_on(const Life& life, const config::Options& options, const std::vector<std::string>& lines);
/// Several segments, two snapshots (the first tagged "one"), three segments behind the last.
Life long_life();

/// One performance of a drill.
struct Run {
  explicit Run(uint64_t seed) : source(stage, faults, seed), target(stage, faults, seed + 1) {}
  FaultCounts faults;
  Stage stage;
  SimDisk source, target;
  Oracle oracle;
  std::set<std::string> tags;  ///< that a reply has promised
  std::unique_ptr<Player> player;
};

/// What a start of the server makes of a folder.
struct Started {
  std::string refusal;  ///< empty: it serves
  uint64_t offset = 0;
  std::string digest, snapshots;
  Contents disk;  ///< after a clean end
  uint64_t end = 0;
};
/// Starts, looks, and ends cleanly. With `use`: writes and takes a snapshot first, starts once more, and
/// looks whether the folder is sound and holds nothing left over.
Started start_on(const Contents& disk, bool use);

enum class Left : uint8_t { Whole, Incomplete, Nothing };

class Drill {
 public:
  explicit Drill(std::string name) : name_(std::move(name)) {}
  virtual ~Drill() = default;
  const std::string& name() const { return name_; }
  /// Before the power can be cut.
  virtual void set_up(Run& run) = 0;
  virtual void perform(Run& run) = 0;
  /// The power is back (or was never cut: `cut` is false). Throws Wrong.
  virtual Left judge(Run& run, bool cut) = 0;

 private:
  std::string name_;
};

using Drills = std::vector<std::unique_ptr<Drill>>;
/// One file each.
void add_live_drills(Drills& drills);
void add_restore_drills(Drills& drills);
void add_backup_drills(Drills& drills);
void add_repair_drills(Drills& drills);
void add_adopt_drills(Drills& drills);
void add_begin_drills(Drills& drills);

inline void must(bool holds, const std::string& what) {
  if (!holds) throw Wrong{what};
}

}  // namespace hf::sim
