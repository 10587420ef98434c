// Opens listening sockets, and explains why one can't be had.
#include "edge/listeners.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "edge/ports.h"

namespace hf::edge {
namespace {

/// True when somebody answers on the unix socket at `path`.
bool answers(const std::string& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  const bool yes = connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return yes;
}

Error port_taken(const std::string& name, int port) {
  const std::string holder = port_holder(port);
  std::string text = "port " + std::to_string(port) + " is in use" + (holder.empty() ? "" : " by " + holder) +
                     ": can't listen on " + name + ". Stop it, or choose another port";
  if (const int free = free_port_after(port))
    text += ": make run PORT=" + std::to_string(free) + ", or holdfast-server --port " + std::to_string(free);
  return Error{text, EADDRINUSE};
}

}  // namespace

Status Listeners::open(const config::Options& options) {
  const int backlog = static_cast<int>(options.tcp_backlog);
  if (options.port != 0) {
    for (const std::string& address : options.bind)
      if (Status opened = open_tcp(address, static_cast<int>(options.port), backlog); !opened) return opened;
    if (listeners_.empty())
      return Error{"none of the addresses in bind exists on this machine: " + options.bind.front()};
  }
  if (!options.unixsocket.empty())
    return open_unix(options.unixsocket, static_cast<int>(options.unixsocketperm), backlog);
  return ok();
}

Listeners::Listener& Listeners::add(bool unix_socket) {
  Listener& listener = listeners_.emplace_back();
  listener.owner = this;
  listener.unix_socket = unix_socket;
  if (unix_socket) {
    HF_CHECK(uv_pipe_init(loop_, &listener.pipe, 0) == 0);
  } else {
    HF_CHECK(uv_tcp_init(loop_, &listener.tcp) == 0);
  }
  listener.handle.data = &listener;
  return listener;
}

Status Listeners::open_tcp(const std::string& address, int port, int backlog) {
  const bool optional = address.starts_with('-');
  std::string ip = optional ? address.substr(1) : address;
  if (ip == "*") ip = "0.0.0.0";
  if (ip == "::*") ip = "::";
  sockaddr_storage where{};
  const bool is_ip6 = ip.find(':') != std::string::npos;
  const int parsed = is_ip6 ? uv_ip6_addr(ip.c_str(), port, reinterpret_cast<sockaddr_in6*>(&where))
                            : uv_ip4_addr(ip.c_str(), port, reinterpret_cast<sockaddr_in*>(&where));
  if (parsed != 0)
    return Error{"bind: '" + address + "' is not an IP address; such as 127.0.0.1, ::1, * or ::*"};
  const std::string name = (is_ip6 ? "[" + ip + "]" : ip) + ":" + std::to_string(port);

  Listener& listener = add(false);
  // An IPv6 socket that also took IPv4 would collide with the IPv4 one beside it.
  int code = uv_tcp_bind(&listener.tcp, reinterpret_cast<sockaddr*>(&where), is_ip6 ? UV_TCP_IPV6ONLY : 0);
  if (code == 0) code = uv_listen(&listener.stream, backlog, on_connection);
  if (code == 0) {
    names_.push_back(name);
    return ok();
  }
  uv_close(&listener.handle, nullptr);
  if (code == UV_EADDRINUSE) return port_taken(name, port);
  const bool absent = code == UV_EADDRNOTAVAIL || code == UV_EAFNOSUPPORT || code == UV_EPROTONOSUPPORT;
  if (optional && absent) return ok();
  return Error{"can't listen on " + name + ": " + uv_strerror(code) +
                   (absent ? "; put a '-' in front of an address that may be missing" : ""),
               -code};
}

Status Listeners::open_unix(const std::string& path, int permissions, int backlog) {
  if (path.size() >= sizeof(sockaddr_un::sun_path))
    return Error{"unixsocket " + path + ": longer than the " +
                 std::to_string(sizeof(sockaddr_un::sun_path) - 1) + " bytes that the system allows"};
  struct stat info {};
  if (lstat(path.c_str(), &info) == 0) {
    if (!S_ISSOCK(info.st_mode)) return Error{"unixsocket " + path + ": a file of another kind is there"};
    if (answers(path)) return Error{"unixsocket " + path + ": another server answers there; stop it first"};
    unlink(path.c_str());  // left behind by a server that was killed
  }
  Listener& listener = add(true);
  // Restrictive from its birth: chmod afterwards would leave a moment in which anybody may connect.
  const mode_t before = umask(static_cast<mode_t>(0777 & ~permissions));
  int code = uv_pipe_bind(&listener.pipe, path.c_str());
  umask(before);
  if (code == 0 && chmod(path.c_str(), static_cast<mode_t>(permissions)) != 0)
    code = uv_translate_sys_error(errno);
  if (code == 0) code = uv_listen(&listener.stream, backlog, on_connection);
  if (code == 0) {
    names_.push_back(path);
    return ok();
  }
  uv_close(&listener.handle, nullptr);
  return Error{"unixsocket " + path + ": " + uv_strerror(code), -code};
}

void Listeners::close() {
  for (Listener& listener : listeners_)
    if (uv_is_closing(&listener.handle) == 0) uv_close(&listener.handle, nullptr);
}

void Listeners::on_connection(uv_stream_t* stream, int status) {
  if (status != 0) return;  // out of descriptors: libuv has turned the client away
  const Listener* listener = static_cast<Listener*>(stream->data);
  listener->owner->on_connection_(stream, listener->unix_socket);
}

}  // namespace hf::edge
