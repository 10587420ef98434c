// Drives one node with libuv. Callbacks only hand events to the node; after each poll one turn runs, and its
// effects are carried out. Nothing is decided here.
#pragma once
#include <uv.h>

#include <memory>
#include <string>
#include <vector>

#include "edge/backup_worker.h"
#include "edge/file_lanes.h"
#include "edge/listeners.h"
#include "edge/log_sink.h"
#include "node/server_node.h"

namespace hf::edge {

class ServerLoop {
 public:
  /// All must outlive the loop. `data_folder` exists and is locked.
  ServerLoop(node::ServerNode& node, LogSink& log, const std::string& data_folder);
  ~ServerLoop();
  ServerLoop(const ServerLoop&) = delete;
  ServerLoop& operator=(const ServerLoop&) = delete;

  Status listen(const config::Options& options) { return listeners_.open(options); }
  const std::vector<std::string>& listening_on() const { return listeners_.names(); }
  /// Runs until the node asks to exit; its exit code.
  int run();

 private:
  struct Connection;

  // events
  void accept(uv_stream_t* listener, bool unix_socket);
  void on_read(Connection& c, ssize_t n);
  void on_signal(int signal);
  void jobs_done();
  // the turn
  void begin_turn();
  void turn();
  void carry_out();
  void rearm();
  void wake_at(MonoUs at);
  void wake_from_lane();
  void resume_paused();
  void close_half_open();
  // output and ends
  void flush(Connection& c);
  void write_rest(Connection& c);
  void written(Connection& c, int status);
  void lost(Connection& c);   ///< tells the node
  void close(Connection& c);  ///< the node knows
  void start_reading(Connection& c);
  // connections of our own making
  void dial(const node::Dial& target);
  void resolved(Connection& c, int status, addrinfo* found);
  void connected(Connection& c, int status);
  void dial_failed(Connection& c, int status);
  void keep(Connection& c);
  Connection* find(node::ConnId id);
  void finish();
  bool writes_pending() const;

  node::ServerNode& node_;
  LogSink& log_;
  uv_loop_t loop_;
  uv_check_t after_poll_;
  uv_idle_t at_once_;
  uv_poll_t clock_;
  int clock_fd_ = -1;
  MonoUs clock_set_to_ = INT64_MAX;  // INT64_MAX: it is off
  uv_timer_t farewell_;
  uv_poll_t lanes_wake_;
  int lanes_fd_ = -1;
  uv_signal_t signals_[3];
  FileLanes lanes_;
  BackupWorker backups_;
  Listeners listeners_;
  std::vector<Connection*> connections_;  // by the slot of their ConnId
  std::vector<node::ConnId> paused_;      // the node had no room for their input
  std::vector<node::ConnId> half_open_;   // the client sends no more, but is owed replies
  node::Effects effects_;
  uint64_t turn_began_ns_ = 0;  // at its first event; 0: none yet
  bool stopping_ = false;
  int exit_code_ = 0;
};

}  // namespace hf::edge
