// Who sits on a port, and which one is free: for the message when we can't have it.
#pragma once
#include <string>

namespace hf::edge {

/// "redis-server (process 123)", or empty when the system does not tell us.
std::string port_holder(int port);
/// The next port above `port` that nobody listens on; 0 when none of the next hundred is free.
int free_port_after(int port);

}  // namespace hf::edge
