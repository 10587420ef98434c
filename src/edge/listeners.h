// The sockets a server listens on: TCP on every address of `bind`, and a unix socket.
#pragma once
#include <uv.h>

#include <functional>
#include <list>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/options.h"

namespace hf::edge {

class Listeners {
 public:
  /// Called on the loop when a connection waits to be accepted from `listener`.
  using OnConnection = std::function<void(uv_stream_t* listener, bool unix_socket)>;

  explicit Listeners(uv_loop_t* loop, OnConnection on_connection)
      : loop_(loop), on_connection_(std::move(on_connection)) {}
  Listeners(const Listeners&) = delete;
  Listeners& operator=(const Listeners&) = delete;

  /// All or an error that says which address, who holds it, and what to do.
  Status open(const config::Options& options);
  /// Stops accepting; the handles are gone after the loop's next round. Needed before the object dies.
  void close();
  /// "127.0.0.1:6379", "/run/holdfast.sock": for people.
  const std::vector<std::string>& names() const { return names_; }

 private:
  struct Listener {
    union {
      uv_handle_t handle;
      uv_stream_t stream;
      uv_tcp_t tcp;
      uv_pipe_t pipe;
    };
    Listeners* owner;
    bool unix_socket;
  };
  Listener& add(bool unix_socket);
  Status open_tcp(const std::string& address, int port, int backlog);
  Status open_unix(const std::string& path, int permissions, int backlog);
  static void on_connection(uv_stream_t* stream, int status);

  uv_loop_t* loop_;
  OnConnection on_connection_;
  std::list<Listener> listeners_;  // handles must not move
  std::vector<std::string> names_;
};

}  // namespace hf::edge
