// A small stage for drills: virtual time, disks, at most one node, and a power cut at a chosen effect. Where
// a World meets its faults by chance, a drill goes through them one by one.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <vector>

#include "disk.h"
#include "node/server_node.h"
#include "oracle.h"

namespace hf::sim {

/// Thrown by the stage at the effect it was told.
struct PowerCut {};
/// Thrown where a drill finds something wrong.
struct Wrong {
  std::string what;
};

/// What is on a disk.
using Contents = std::map<std::string, std::string>;

/// Before: the effect is in flight, and comes out anyhow. After: it is done, and nothing behind it has begun.
enum class CutWhen : uint8_t { Before, After };

class Stage final : public Agenda {
 public:
  void after(int64_t delay_us, std::function<void()> what) override;
  /// The next effect of a disk; false: there is none.
  bool step();
  /// Effects are counted from here on; the `at`-th cuts the power (0: none does).
  void arm(uint64_t at, CutWhen when) { effects_ = 0, cut_at_ = at, when_ = when; }
  uint64_t effects() const { return effects_; }
  int64_t now_us() const { return now_us_; }
  void pass(int64_t us) { now_us_ += us; }

 private:
  struct Event {
    int64_t at;
    uint64_t number;
    std::function<void()> what;
    bool operator<(const Event& other) const {
      return at != other.at ? at > other.at : number > other.number;
    }
  };
  std::priority_queue<Event> events_;
  uint64_t number_ = 0, effects_ = 0, cut_at_ = 0;
  CutWhen when_ = CutWhen::Before;
  int64_t now_us_ = 1'000'000;
};

/// Does a job's steps on `disk` to the end. Error: what failed.
Status carry_out(Stage& stage, SimDisk& disk, std::vector<FileStep> steps);

/// A node on the stage with one client. It reads `files`; its jobs go to `disk` (the same, but for a
/// restore).
class Player {
 public:
  Player(Stage& stage, SimDisk& disk, node::Setup setup, Oracle* oracle = nullptr);
  ~Player();
  Player(const Player&) = delete;
  Player& operator=(const Player&) = delete;

  /// Until nothing is left to do without time passing.
  void settle();
  /// One inline command up to its reply, which promises what it says.
  std::string ask(const std::string& line);
  /// The same; Wrong when it is an error.
  void tell(const std::string& line);
  /// SHUTDOWN as by a signal, up to the exit.
  void shut_down();
  /// Bytes on a connection of one's own, as fast as the node takes them, and until it is quiet.
  void feed(node::ConnId conn, Bytes bytes);
  /// What it wanted to connect to, in order.
  const std::vector<node::Dial>& dialed() const { return dialed_; }
  node::ServerNode& node() { return *node_; }
  std::optional<int> exit() const { return exit_; }
  const std::string& said() const { return said_; }

 private:
  void turn();
  bool sleep_a_moment();

  Stage& stage_;
  SimDisk& disk_;
  Oracle* oracle_;
  std::unique_ptr<node::ServerNode> node_;
  node::ConnId conn_;
  std::vector<node::Dial> dialed_;
  node::Effects effects_;
  uint64_t end_ = 0;
  std::optional<int> exit_;
  std::string said_;
};

}  // namespace hf::sim
