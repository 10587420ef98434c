// A node on a disk in memory, driven by hand: the smallest driver there is.
#pragma once
#include <string>
#include <vector>

#include "log/memory_files.h"
#include "node/server_node.h"
#include "resp/writer.h"

namespace hf::test {

class NodeDriver {
 public:
  explicit NodeDriver(MemoryFiles& files, config::Options options = {}, uint64_t seed = 1,
                      node::Host* host = nullptr)
      : files_(files) {
    node_ = std::make_unique<node::ServerNode>(node::Setup{std::move(options), seed, &files, host});
    settle();
  }

  node::ConnId connect() { return node_->connected({"127.0.0.1:1", "127.0.0.1:2", false, true}); }

  void send(node::ConnId conn, Bytes bytes) {
    while (!bytes.empty()) {
      size_t room = 0;
      char* space = node_->read_space(conn, room);
      if (space == nullptr) return;
      const size_t n = std::min(room, bytes.size());
      std::memcpy(space, bytes.data(), n);
      node_->received(conn, n);
      bytes.remove_prefix(n);
    }
  }
  /// Sends one line as an inline command, runs the node until it is quiet, returns what came back.
  std::string ask(node::ConnId conn, const std::string& line) {
    send(conn, line + "\r\n");
    settle();
    return take(conn);
  }
  std::string take(node::ConnId conn) {
    Buffer out = node_->take_output(conn);
    const std::string text(out.view());
    if (!text.empty()) node_->sent(conn, text.size(), Buffer());
    return text;
  }

  /// One turn; its jobs stay in `jobs` until run_jobs.
  void turn() {
    effects.clear();
    node_->turn({wall_ms, mono_us}, effects);
    for (FileJob& job : effects.jobs) jobs.push_back(std::move(job));
    for (const node::Dial& dial : effects.dial) dials.push_back(dial.conn);
    for (node::LogLine& line : effects.lines) lines.push_back(line.text);
    if (effects.exit) exit = effects.exit;
    mono_us += 100;
  }
  void run_jobs() {
    std::vector<FileJob> list;
    list.swap(jobs);
    for (const FileJob& job : list) node_->job_done(files_.run(job));
  }
  /// Until it wants nothing more, now or within a millisecond.
  void settle() {
    for (int quiet = 0; quiet < 3;) {
      turn();
      const bool soon = effects.wake_at <= mono_us + 1'000;
      const bool busy = effects.again || soon || !jobs.empty();
      if (soon && effects.wake_at > mono_us) mono_us = effects.wake_at;
      run_jobs();
      quiet = busy ? 0 : quiet + 1;
    }
  }
  void pass_ms(int64_t ms) {
    wall_ms += ms;
    mono_us += ms * 1000;
  }

  node::ServerNode& node() { return *node_; }
  node::Effects effects;
  std::vector<FileJob> jobs;
  std::vector<node::ConnId> dials;  ///< not answered yet
  std::vector<std::string> lines;
  std::optional<int> exit;
  int64_t wall_ms = 1'700'000'000'000;
  MonoUs mono_us = 1'000'000;

 private:
  MemoryFiles& files_;
  std::unique_ptr<node::ServerNode> node_;
};

}  // namespace hf::test
