// Sockets with poll(2): non-blocking underneath, so that a server that stops answering never holds us for
// longer than the deadline.
#include "cli/connection.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/number.h"
#include "cli/exit_codes.h"
#include "resp/writer.h"

namespace hf::cli {

int64_t steady_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

namespace {

bool wait_connected(int fd, int timeout_ms, int& code) {
  pollfd p{fd, POLLOUT, 0};
  const int64_t deadline = steady_ms() + timeout_ms;
  for (;;) {
    const int64_t left = deadline - steady_ms();
    const int n = ::poll(&p, 1, left > 0 ? static_cast<int>(left) : 0);
    if (n < 0 && errno == EINTR) continue;
    if (n == 0) return code = ETIMEDOUT, false;
    socklen_t size = sizeof code;
    ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size);
    return code == 0;
  }
}

int connect_to(const sockaddr* to, socklen_t size, int family, int timeout_ms, int& code) {
  const int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return code = errno, -1;
  code = 0;
  if (::connect(fd, to, size) != 0) {
    code = errno;
    if (code != EINPROGRESS || !wait_connected(fd, timeout_ms, code)) return ::close(fd), -1;
  }
  if (family != AF_UNIX) {
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  }
  return fd;
}

std::string no_server(const Address& a, const std::string& why) {
  std::string text = "no server answers at " + a.text() + " (" + why + "). ";
  if (!a.socket_path.empty())
    return text + "Start holdfast-server with --unixsocket " + a.socket_path +
           ", or give another path with -s.";
  return text + "Start one with `holdfast-server --port " + to_text(static_cast<int64_t>(a.port)) +
         "`, or name another with -h HOST -p PORT.";
}

}  // namespace

Status Connection::fail(std::string message, int code) {
  close();
  return Error{std::move(message), code};
}

void Connection::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  in_.clear();
  reader_ = resp::ReplyReader();
}

Status Connection::open_one(const Address& a, int timeout_ms) {
  close();
  int code = 0;
  if (!a.socket_path.empty()) {
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    if (a.socket_path.size() >= sizeof to.sun_path)
      return Error{"socket path " + a.socket_path + " is longer than a socket's name may be", kExitUsage};
    std::memcpy(to.sun_path, a.socket_path.data(), a.socket_path.size());
    fd_ = connect_to(reinterpret_cast<sockaddr*>(&to), sizeof to, AF_UNIX, timeout_ms, code);
  } else {
    addrinfo hints{}, *found = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    const std::string port = to_text(static_cast<int64_t>(a.port));
    if (const int e = ::getaddrinfo(a.host.c_str(), port.c_str(), &hints, &found); e != 0)
      return Error{
          "host " + a.host + " is not known (" + ::gai_strerror(e) + "); check the name given with -h",
          kExitNoServer};
    for (addrinfo* at = found; at != nullptr && fd_ < 0; at = at->ai_next)
      fd_ = connect_to(at->ai_addr, at->ai_addrlen, at->ai_family, timeout_ms, code);
    ::freeaddrinfo(found);
  }
  if (fd_ < 0) return Error{no_server(a, std::strerror(code)), kExitNoServer};
  address_ = a;
  return ok();
}

Status Connection::open(const ConnectOptions& options) {
  Status last = Error{"no address", kExitNoServer};
  for (const Address& a : options.addresses) {
    last = open_one(a, options.connect_timeout_ms);
    if (last) last = greet(options);
    if (last) return last;
  }
  return last;
}

Status Connection::greet(const ConnectOptions& o) {
  const int patience_ms = std::max(o.connect_timeout_ms, 1000);
  const auto refused = [&](const resp::Value& v) {
    const Bytes code = v.error_code();
    const bool later =
        code == "LOADING" || code == "BUSY" || v.text.find("max number of clients") != std::string::npos;
    return fail(address_.text() + " answered: " + v.text, later ? kExitTryLater : kExitServerError);
  };
  const std::string user = o.credentials.user.empty() ? "default" : o.credentials.user;
  const bool login = !o.credentials.password.empty();
  protocol_ = 2;
  bool logged_in = false;
  if (o.protocol == 3) {
    Arguments hello{"HELLO", "3"};
    if (login) hello.insert(hello.end(), {"AUTH", user, o.credentials.password});
    auto v = ask(hello, patience_ms);
    if (!v) return Error{v.error().message, kExitNoServer};
    if (!v->is_error()) {
      protocol_ = 3;
      logged_in = true;
    } else if (v->error_code() == "NOAUTH") {
      protocol_ = 2;  // connected all the same: the user may AUTH at the prompt
      logged_in = true;
    } else if (o.protocol_asked || v->text.find("unknown command") == std::string::npos) {
      return refused(*v);
    }
  }
  if (login && !logged_in) {
    Arguments auth{"AUTH"};
    if (!o.credentials.user.empty()) auth.push_back(user);
    auth.push_back(o.credentials.password);
    auto v = ask(auth, patience_ms);
    if (!v) return Error{v.error().message, kExitNoServer};
    if (v->is_error()) return refused(*v);
  }
  if (o.db != 0) {
    auto v = ask({"SELECT", to_text(static_cast<int64_t>(o.db))}, patience_ms);
    if (!v) return Error{v.error().message, kExitNoServer};
    if (v->is_error()) return refused(*v);
  }
  return ok();
}

Status Connection::send(const Arguments& args) {
  Buffer out;
  std::vector<Bytes> views(args.begin(), args.end());
  resp::Writer(out, 2).command(views);
  return send_raw(out.view());
}

Status Connection::send_raw(Bytes bytes) {
  if (fd_ < 0) return Error{"not connected", kExitNoServer};
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n > 0) {
      bytes.remove_prefix(static_cast<size_t>(n));
    } else if (n < 0 && errno == EAGAIN) {
      pollfd p{fd_, POLLOUT | POLLIN, 0};
      const int ready = ::poll(&p, 1, 30000);
      if (ready == 0)
        return fail(address_.text() + " takes no bytes for 30 s; connection given up", ETIMEDOUT);
      // A server that waits for us to read before it reads on must not stop both sides.
      if ((p.revents & POLLIN) != 0) {
        if (auto r = receive(0); !r) return r.error();
      }
    } else if (n < 0 && errno != EINTR) {
      return fail("connection to " + address_.text() + " lost: " + std::strerror(errno), errno);
    }
  }
  return ok();
}

Result<int> Connection::receive(int timeout_ms) {
  if (fd_ < 0) return Error{"not connected", kExitNoServer};
  pollfd p{fd_, POLLIN, 0};
  const int ready = ::poll(&p, 1, timeout_ms);
  if (ready < 0 && errno == EINTR) return 0;
  if (ready == 0) return 0;
  const size_t chunk = 64 * 1024;
  const ssize_t n = ::recv(fd_, in_.reserve(chunk), chunk, 0);
  if (n > 0) {
    in_.commit(static_cast<size_t>(n));
    return 1;
  }
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
  const std::string why = n == 0 ? "it closed the connection" : std::strerror(errno);
  const Status gone = fail("connection to " + address_.text() + " lost: " + why, n == 0 ? ECONNRESET : errno);
  return gone.error();
}

Result<bool> Connection::poll_reply(resp::Value& out) {
  for (bool read_once = false;; read_once = true) {
    if (!in_.empty()) {
      const auto outcome = reader_.next(in_.view());
      in_.consume(reader_.used());
      if (outcome == resp::ReplyReader::Outcome::Reply) {
        out = reader_.take();
        return true;
      }
      if (outcome == resp::ReplyReader::Outcome::Invalid) {
        const Status gone =
            fail(address_.text() + " does not speak Redis's protocol: " + reader_.error(), kExitBadData);
        return gone.error();
      }
    }
    if (read_once) return false;
    auto r = receive(0);
    if (!r) return r.error();
    if (*r == 0) return false;
  }
}

Result<resp::Value> Connection::read(int timeout_ms) {
  const int64_t deadline = timeout_ms < 0 ? INT64_MAX : steady_ms() + timeout_ms;
  for (;;) {
    resp::Value v;
    auto got = poll_reply(v);
    if (!got) return got.error();
    if (*got) return v;
    if (stop && stop()) return Error{"interrupted", EINTR};
    const int64_t left = deadline - steady_ms();
    if (left <= 0) {
      const Status gone = fail(
          address_.text() + " did not answer within " + to_text(static_cast<int64_t>(timeout_ms)) + " ms",
          ETIMEDOUT);
      return gone.error();
    }
    auto r = receive(static_cast<int>(std::min<int64_t>(left, 1000)));
    if (!r) return r.error();
  }
}

Result<resp::Value> Connection::ask(const Arguments& args, int timeout_ms) {
  if (const Status s = send(args); !s) return s.error();
  for (;;) {
    auto v = read(timeout_ms);
    if (!v || !v->is(resp::Value::Kind::Push)) return v;
    if (on_push) on_push(*v);
  }
}

}  // namespace hf::cli
