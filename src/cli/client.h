// The plain client without a prompt: one command, commands from stdin, raw protocol, a key scan, endless
// streams.
#pragma once
#include <csignal>
#include <string>

#include "cli/connection.h"
#include "cli/options.h"

namespace hf::cli {

/// Runs what `options` ask for (no REPL, no task modes) and returns the process's exit code.
int run_client(const Options& options);

/// The exit code a reply stands for: 0, kExitServerError, or kExitTryLater for LOADING, BUSY and their like.
int exit_code_of(const resp::Value& reply);
/// `Auto` resolved by whether stdout is a terminal.
Format resolve(Format format);
/// Says `what` on stderr, behind what stdout has had so far; returns `code`.
int complain(const std::string& what, int code);
/// Prints a reply in `format` (not Auto) to stdout.
void print_reply(const resp::Value& reply, Format format);
/// Sends `args`; prints the answer, and for SUBSCRIBE, MONITOR and their like everything that follows until a
/// signal or the end of the connection. Returns the exit code; an error means the connection is gone.
Result<int> execute(Connection& connection, const Arguments& args, Format format);
/// From now on SIGINT sets a mark instead of ending the process; it interrupts what waits.
void listen_for_interrupts();
/// Whether the mark was set; takes it away.
bool take_interrupt();
/// Makes SIGINT end a wait in `connection` instead of the process, while this lives.
class InterruptGuard {
 public:
  explicit InterruptGuard(Connection& connection);
  ~InterruptGuard();

 private:
  Connection& connection_;
  struct sigaction before_;
};

}  // namespace hf::cli
