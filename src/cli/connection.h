// One connection to a server, for people: it blocks, with deadlines, and its errors say what to do.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "base/result.h"
#include "cli/options.h"
#include "resp/reader.h"

namespace hf::cli {

using Arguments = std::vector<std::string>;

/// The monotonic clock, milliseconds since some moment.
int64_t steady_ms();

class Connection {
 public:
  Connection() = default;
  ~Connection() { close(); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Connects to the first address that answers, greets (HELLO, or AUTH and SELECT for protocol 2).
  /// The error is a sentence; its code is kExitNoServer, kExitTryLater or kExitServerError.
  Status open(const ConnectOptions& options);
  void close();
  bool is_open() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  const Address& address() const { return address_; }
  int protocol() const { return protocol_; }

  /// Sends a command and waits for its answer; `timeout_ms` -1 waits for ever. An error means the connection
  /// is gone (closed here); an error that the server answered is a Value. Pushes that arrive meanwhile go to
  /// `on_push`.
  Result<resp::Value> ask(const Arguments& args, int timeout_ms = -1);
  Status send(const Arguments& args);
  Status send_raw(Bytes bytes);
  /// The next reply or push.
  Result<resp::Value> read(int timeout_ms = -1);
  /// Without waiting: what has arrived, if it makes a whole reply. False: not yet. Reads the socket at most
  /// once.
  Result<bool> poll_reply(resp::Value& out);
  /// As read(), but ends with code EINTR when `stop` says so after a signal.
  std::function<bool()> stop;
  std::function<void(const resp::Value&)> on_push;

 private:
  Status open_one(const Address& address, int timeout_ms);
  Status greet(const ConnectOptions& options);
  Status fail(std::string message, int code = 0);
  /// 1 bytes arrived, 0 nothing yet.
  Result<int> receive(int timeout_ms);

  int fd_ = -1;
  int protocol_ = 2;
  Address address_;
  Buffer in_;
  resp::ReplyReader reader_;
};

}  // namespace hf::cli
