// What a node asks of the world after a turn, and the few words both sides share. The edge carries effects
// out with libuv, the simulator in virtual time.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/files.h"
#include "base/types.h"
#include "node/backup_order.h"

namespace hf::node {

/// Names a connection. The generation makes a stale id harmless: calls with one do nothing.
struct ConnId {
  uint32_t slot = 0;
  uint32_t generation = 0;
  bool operator==(const ConnId&) const = default;
};

enum class LogLevel : uint8_t { Debug, Verbose, Notice, Warning };

struct LogLine {
  LogLevel level;
  std::string text;
};

struct Dial {
  ConnId conn;
  std::string host;  ///< a name or an address
  int port = 0;
};

struct Effects {
  /// These have output that may leave: take_output, write, sent.
  std::vector<ConnId> send;
  /// Close these now, whatever they have not been sent.
  std::vector<ConnId> close;
  /// Hand these to their lanes, in this order; each is answered by job_done.
  std::vector<FileJob> jobs;
  std::vector<LogLine> lines;
  /// Connect to these; each is answered by dialed(), and by disconnected() at its end.
  std::vector<Dial> dial;
  /// Hand this to the copier, beside the loop, before any of `jobs`; it is answered by backup_report.
  std::optional<BackupOrder> backup;
  /// The process ends with this code once everything above is carried out.
  std::optional<int> exit;
  /// There is work left: come back for another turn without waiting for an event.
  bool again = false;
  /// Come back at this monotonic time at the latest.
  MonoUs wake_at = INT64_MAX;

  void clear() {
    send.clear();
    close.clear();
    jobs.clear();
    dial.clear();
    lines.clear();
    backup.reset();
    exit.reset();
    again = false;
    wake_at = INT64_MAX;
  }
};

/// Who connected.
struct Peer {
  std::string peer_address;   ///< "127.0.0.1:50312", "/run/holdfast.sock:0"
  std::string local_address;  ///< "127.0.0.1:6379"
  bool unix_socket = false;
  bool local = true;  ///< loopback or unix socket: what protected mode lets in
};

/// What only the process knows; INFO prints it. Asked when INFO is.
struct HostFacts {
  std::string version, build_id, os, arch, executable, config_file, compiler, allocator;
  int64_t process_id = 0;
  int tcp_port = 0;
  uint64_t used_memory = 0;      ///< allocated by the program, as the allocator counts
  uint64_t used_memory_peak = 0;
  uint64_t resident_memory = 0;
  uint64_t allocator_active = 0, allocator_resident = 0;
  uint64_t system_memory = 0;
  double cpu_user_s = 0, cpu_system_s = 0;
  double cpu_user_children_s = 0, cpu_system_children_s = 0;
};

/// What the node may call in the world: facts, and the user's config file for CONFIG REWRITE.
class Host {
 public:
  virtual ~Host() = default;
  virtual HostFacts facts() = 0;
  /// Bytes allocated by the program, for maxmemory: asked often, so it should be cheap.
  virtual uint64_t used_memory() { return facts().used_memory; }
  /// What the machine (or the cgroup) has for it; 0: not known.
  virtual uint64_t memory_max() { return facts().system_memory; }
  /// The config file's text; error when there is none.
  virtual Result<std::string> read_config() = 0;
  /// Replaces it atomically.
  virtual Status write_config(const std::string& text) = 0;
};

}  // namespace hf::node
