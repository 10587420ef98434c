// Bytes, files, timers and signals on one side, the node on the other.
#include "edge/server_loop.h"

#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <utility>

namespace hf::edge {
namespace {

/// How long replies that are on their way may take once the node has ended.
constexpr uint64_t farewell_ms = 1000;

Now sample_time() {
  timespec wall{}, mono{};
  clock_gettime(CLOCK_REALTIME, &wall);
  clock_gettime(CLOCK_MONOTONIC, &mono);
  return {wall.tv_sec * 1000 + wall.tv_nsec / 1'000'000, mono.tv_sec * 1'000'000 + mono.tv_nsec / 1000};
}

std::string address_text(const sockaddr_storage& address) {
  char ip[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET6) {
    const auto& a = reinterpret_cast<const sockaddr_in6&>(address);
    uv_ip6_name(&a, ip, sizeof ip);
    return "[" + std::string(ip) + "]:" + std::to_string(ntohs(a.sin6_port));
  }
  const auto& a = reinterpret_cast<const sockaddr_in&>(address);
  uv_ip4_name(&a, ip, sizeof ip);
  return std::string(ip) + ":" + std::to_string(ntohs(a.sin_port));
}

bool is_loopback(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET6) {
    const in6_addr& a = reinterpret_cast<const sockaddr_in6&>(address).sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(&a) || (IN6_IS_ADDR_V4MAPPED(&a) && a.s6_addr[12] == 127);
  }
  return ntohl(reinterpret_cast<const sockaddr_in&>(address).sin_addr.s_addr) >> 24 == 127;
}

}  // namespace

struct ServerLoop::Connection {
  union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  };
  uv_write_t write;
  uv_getaddrinfo_t resolve;
  uv_connect_t connect;
  std::string target;  ///< of a connection that we make
  ServerLoop* loop = nullptr;
  node::ConnId id;
  Buffer out;  ///< taken from the node and not yet in the kernel
  bool writing = false, closing = false, half_open = false;
  bool resolving = false;  ///< libuv still holds `resolve`

  static Connection& of(void* handle) {
    return *static_cast<Connection*>(static_cast<uv_handle_t*>(handle)->data);
  }
};

ServerLoop::ServerLoop(node::ServerNode& node, LogSink& log, const std::string& data_folder)
    : node_(node),
      log_(log),
      lanes_(data_folder, [this] { wake_from_lane(); }),
      backups_(data_folder, [this] { wake_from_lane(); }),
      listeners_(&loop_, [this](uv_stream_t* listener, bool unix_socket) { accept(listener, unix_socket); }) {
  std::signal(SIGPIPE, SIG_IGN);
  HF_CHECK(uv_loop_init(&loop_) == 0);
  loop_.data = this;
  uv_check_init(&loop_, &after_poll_);
  uv_check_start(&after_poll_, [](uv_check_t* h) { static_cast<ServerLoop*>(h->loop->data)->turn(); });
  uv_idle_init(&loop_, &at_once_);
  // libuv's timers count milliseconds: too coarse for a batch that waits for a part of one.
  clock_fd_ = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  HF_CHECK(clock_fd_ >= 0);
  uv_poll_init(&loop_, &clock_, clock_fd_);
  uv_poll_start(&clock_, UV_READABLE, [](uv_poll_t* h, int, int) {
    auto* loop = static_cast<ServerLoop*>(h->loop->data);
    uint64_t times = 0;
    if (read(loop->clock_fd_, &times, sizeof times) > 0) loop->clock_set_to_ = INT64_MAX;
  });
  uv_timer_init(&loop_, &farewell_);
  lanes_fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  HF_CHECK(lanes_fd_ >= 0);
  uv_poll_init(&loop_, &lanes_wake_, lanes_fd_);
  uv_poll_start(&lanes_wake_, UV_READABLE, [](uv_poll_t* h, int, int) {
    auto* loop = static_cast<ServerLoop*>(h->loop->data);
    uint64_t times = 0;
    if (read(loop->lanes_fd_, &times, sizeof times) > 0) loop->jobs_done();
  });
  const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
  for (size_t i = 0; i < 3; ++i) {
    uv_signal_init(&loop_, &signals_[i]);
    uv_signal_start(
        &signals_[i],
        [](uv_signal_t* h, int number) { static_cast<ServerLoop*>(h->loop->data)->on_signal(number); },
        numbers[i]);
  }
}

ServerLoop::~ServerLoop() {
  backups_.stop();
  lanes_.drain();
  listeners_.close();
  for (Connection* c : connections_)
    if (c != nullptr) close(*c);
  uv_handle_t* own[] = {
      reinterpret_cast<uv_handle_t*>(&after_poll_), reinterpret_cast<uv_handle_t*>(&at_once_),
      reinterpret_cast<uv_handle_t*>(&clock_),      reinterpret_cast<uv_handle_t*>(&farewell_),
      reinterpret_cast<uv_handle_t*>(&lanes_wake_), reinterpret_cast<uv_handle_t*>(&signals_[0]),
      reinterpret_cast<uv_handle_t*>(&signals_[1]), reinterpret_cast<uv_handle_t*>(&signals_[2])};
  for (uv_handle_t* handle : own) uv_close(handle, nullptr);
  uv_run(&loop_, UV_RUN_DEFAULT);
  HF_CHECK(uv_loop_close(&loop_) == 0);
  ::close(clock_fd_);
  ::close(lanes_fd_);
}

/// On a lane's thread. Not uv_async_send: the loop that finds one half sent spins until the sender has gone
/// on, and a sender that takes only what others leave of the processor does not, while the loop spins on the
/// same one.
void ServerLoop::wake_from_lane() {
  const uint64_t once = 1;
  while (write(lanes_fd_, &once, sizeof once) < 0 && errno == EINTR) {
  }
}

int ServerLoop::run() {
  uv_idle_start(&at_once_, [](uv_idle_t*) {});  // the first turn starts recovery
  uv_run(&loop_, UV_RUN_DEFAULT);
  return exit_code_;
}

// ---- events -----------------------------------------------------------------------------------------------

void ServerLoop::accept(uv_stream_t* listener, bool unix_socket) {
  begin_turn();
  auto* c = new Connection;
  c->loop = this;
  if (unix_socket) {
    uv_pipe_init(&loop_, &c->pipe, 0);
  } else {
    uv_tcp_init(&loop_, &c->tcp);
  }
  c->handle.data = c;
  const auto discard = [](uv_handle_t* h) { delete &Connection::of(h); };
  if (uv_accept(listener, &c->stream) != 0) {
    c->closing = true;
    uv_close(&c->handle, discard);
    return;
  }
  node::Peer peer;
  peer.unix_socket = unix_socket;
  if (unix_socket) {
    char path[128] = "";
    size_t size = sizeof path - 1;
    uv_pipe_getsockname(reinterpret_cast<uv_pipe_t*>(listener), path, &size);
    peer.peer_address = peer.local_address = std::string(path, strnlen(path, size)) + ":0";
  } else {
    sockaddr_storage remote{}, local{};
    int size = sizeof remote;
    uv_tcp_getpeername(&c->tcp, reinterpret_cast<sockaddr*>(&remote), &size);
    size = sizeof local;
    uv_tcp_getsockname(&c->tcp, reinterpret_cast<sockaddr*>(&local), &size);
    peer.peer_address = address_text(remote);
    peer.local_address = address_text(local);
    peer.local = is_loopback(remote);
    uv_tcp_nodelay(&c->tcp, 1);
    const auto keepalive = static_cast<unsigned>(node_.options().tcp_keepalive);
    if (keepalive > 0) uv_tcp_keepalive(&c->tcp, 1, keepalive);
  }
  c->id = node_.connected(peer);
  keep(*c);
  start_reading(*c);
}

void ServerLoop::keep(Connection& c) {
  if (connections_.size() <= c.id.slot) connections_.resize(c.id.slot + 1);
  connections_[c.id.slot] = &c;
}

// ---- connections of our own making ------------------------------------------------------------------------

void ServerLoop::dial(const node::Dial& target) {
  auto* c = new Connection;
  c->loop = this;
  c->id = target.conn;
  c->target = target.host + ":" + std::to_string(target.port);
  uv_tcp_init(&loop_, &c->tcp);
  c->handle.data = c;
  keep(*c);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  c->resolve.data = c;
  c->resolving = true;
  const int code = uv_getaddrinfo(
      &loop_, &c->resolve,
      [](uv_getaddrinfo_t* request, int status, addrinfo* found) {
        Connection& self = *static_cast<Connection*>(request->data);
        self.resolving = false;
        self.loop->resolved(self, status, found);
        uv_freeaddrinfo(found);
      },
      target.host.c_str(), std::to_string(target.port).c_str(), &hints);
  if (code != 0) {
    c->resolving = false;
    dial_failed(*c, code);
  }
}

void ServerLoop::resolved(Connection& c, int status, addrinfo* found) {
  if (c.closing) {  // given up meanwhile: closing waited for this
    uv_close(&c.handle, [](uv_handle_t* h) { delete &Connection::of(h); });
    return;
  }
  if (status != 0) return dial_failed(c, status);
  const int code = uv_tcp_connect(&c.connect, &c.tcp, found->ai_addr, [](uv_connect_t* request, int result) {
    Connection& self = Connection::of(request->handle);
    self.loop->connected(self, result);
  });
  if (code != 0) dial_failed(c, code);
}

void ServerLoop::connected(Connection& c, int status) {
  if (c.closing) return;
  if (status != 0) return dial_failed(c, status);
  uv_tcp_nodelay(&c.tcp, 1);
  uv_tcp_keepalive(&c.tcp, 1, 60);
  node_.dialed(c.id, true, "");
  start_reading(c);
}

void ServerLoop::dial_failed(Connection& c, int status) {
  node_.dialed(c.id, false, c.target + ": " + uv_strerror(status));
  close(c);
}

void ServerLoop::start_reading(Connection& c) {
  uv_read_start(
      &c.stream,
      [](uv_handle_t* h, size_t, uv_buf_t* buf) {
        Connection& self = Connection::of(h);
        self.loop->begin_turn();
        size_t room = 0;
        buf->base = self.loop->node_.read_space(self.id, room);
        buf->len = buf->base == nullptr ? 0 : room;  // 0: libuv answers ENOBUFS and we pause
      },
      [](uv_stream_t* s, ssize_t n, const uv_buf_t*) {
        Connection::of(s).loop->on_read(Connection::of(s), n);
      });
}

void ServerLoop::on_read(Connection& c, ssize_t n) {
  if (n > 0) return node_.received(c.id, static_cast<size_t>(n));
  if (n == 0) return;
  if (n == UV_ENOBUFS) {
    uv_read_stop(&c.stream);
    paused_.push_back(c.id);
    return;
  }
  // A client may close its sending side and still wait for what it asked (`printf ... | nc`).
  if (n == UV_EOF && node_.owes_reply(c.id)) {
    uv_read_stop(&c.stream);
    c.half_open = true;
    half_open_.push_back(c.id);
    return;
  }
  lost(c);
}

void ServerLoop::on_signal(int number) {
  if (number == SIGHUP) {
    if (Status opened = log_.reopen(); !opened) log_.write(node::LogLevel::Warning, opened.error().message);
    return;
  }
  static bool asked = false;
  if (asked && number == SIGINT) {
    log_.write(node::LogLevel::Warning, "Interrupted again: exiting at once");
    _exit(130);
  }
  asked = true;
  log_.write(node::LogLevel::Notice, std::string("Received ") + (number == SIGINT ? "SIGINT" : "SIGTERM"));
  node_.request_shutdown();
}

void ServerLoop::jobs_done() {
  begin_turn();
  for (const FileJobDone& done : lanes_.take_done()) node_.job_done(done);
  for (const node::BackupReport& report : backups_.take_reports()) node_.backup_report(report);
}

// ---- the turn ---------------------------------------------------------------------------------------------

/// What arrives belongs to the turn that executes it: its time counts from the first event behind the poll.
void ServerLoop::begin_turn() {
  if (turn_began_ns_ == 0) turn_began_ns_ = uv_hrtime();
}

void ServerLoop::turn() {
  if (stopping_) {
    if (!writes_pending()) uv_stop(&loop_);
    return;
  }
  begin_turn();
  effects_.clear();
  node_.turn(sample_time(), effects_);
  carry_out();
  node_.turn_took(static_cast<int64_t>((uv_hrtime() - std::exchange(turn_began_ns_, 0)) / 1000));
  if (effects_.exit) return finish();
  resume_paused();
  close_half_open();
  rearm();
}

void ServerLoop::carry_out() {
  log_.set_level(node_.options().loglevel);
  for (const node::LogLine& line : effects_.lines) log_.write(line.level, line.text);
  // Before the jobs: one of them may be what a backup is called off for.
  if (effects_.backup) backups_.submit(std::move(*effects_.backup));
  for (FileJob& job : effects_.jobs) lanes_.submit(std::move(job));
  for (const node::Dial& target : effects_.dial) dial(target);
  for (const node::ConnId id : effects_.send)
    if (Connection* c = find(id)) flush(*c);
  for (const node::ConnId id : effects_.close)
    if (Connection* c = find(id)) close(*c);
}

void ServerLoop::rearm() {
  if (effects_.again || node_.wants_turn()) {
    uv_idle_start(&at_once_, [](uv_idle_t*) {});
    return;
  }
  uv_idle_stop(&at_once_);
  wake_at(effects_.wake_at);
}

/// One that is set to an earlier time stays: a turn too many costs less than setting it in each.
void ServerLoop::wake_at(MonoUs at) {
  if (at >= clock_set_to_) return;
  const MonoUs us = std::max<MonoUs>(at, 1);  // zero would turn it off
  itimerspec when{};
  when.it_value = {us / 1'000'000, us % 1'000'000 * 1000};
  HF_CHECK(timerfd_settime(clock_fd_, TFD_TIMER_ABSTIME, &when, nullptr) == 0);
  clock_set_to_ = at;
}

void ServerLoop::resume_paused() {
  if (paused_.empty()) return;
  std::vector<node::ConnId> still;
  for (const node::ConnId id : paused_) {
    Connection* c = find(id);
    if (c == nullptr || c->closing) continue;
    size_t room = 0;
    if (node_.read_space(id, room) == nullptr) {
      still.push_back(id);
    } else {
      start_reading(*c);
    }
  }
  paused_.swap(still);
}

void ServerLoop::close_half_open() {
  if (half_open_.empty()) return;
  std::vector<node::ConnId> still;
  for (const node::ConnId id : half_open_) {
    Connection* c = find(id);
    if (c == nullptr) continue;
    if (node_.owes_reply(id) || c->writing) {
      still.push_back(id);
    } else {
      lost(*c);
    }
  }
  half_open_.swap(still);
}

/// The node has ended: what has been written out still leaves, for a moment; then the loop stops.
void ServerLoop::finish() {
  exit_code_ = *effects_.exit;
  stopping_ = true;
  listeners_.close();
  lanes_.drain();
  backups_.stop();
  uv_idle_stop(&at_once_);
  if (!writes_pending()) return uv_stop(&loop_);
  uv_timer_start(
      &farewell_, [](uv_timer_t* h) { uv_stop(h->loop); }, farewell_ms, 0);
}

bool ServerLoop::writes_pending() const {
  for (const Connection* c : connections_)
    if (c != nullptr && c->writing) return true;
  return false;
}

// ---- output and ends --------------------------------------------------------------------------------------

/// Writes what may leave, straight into the kernel while it takes it. What it does not take goes to libuv;
/// until that has left, further output stays with the node, where its limits are kept.
void ServerLoop::flush(Connection& c) {
  while (!c.writing && !c.closing) {
    c.out = node_.take_output(c.id);
    if (c.out.empty()) return;
    const size_t size = c.out.size();
    uv_buf_t buf = uv_buf_init(c.out.data(), static_cast<unsigned>(std::min<size_t>(size, 1u << 30)));
    const int n = uv_try_write(&c.stream, &buf, 1);
    if (n < 0 && n != UV_EAGAIN) return lost(c);
    const size_t sent = n < 0 ? 0 : static_cast<size_t>(n);
    c.out.consume(sent);
    if (!c.out.empty()) {
      if (sent > 0) node_.sent(c.id, sent, Buffer());
      return write_rest(c);
    }
    if (node_.sent(c.id, sent, std::move(c.out)) == node::ServerNode::AfterSend::Close) return lost(c);
  }
}

void ServerLoop::write_rest(Connection& c) {
  c.writing = true;
  uv_buf_t bufs[8];
  unsigned count = 0;
  // One buffer of libuv holds 4 GiB at most.
  for (size_t at = 0; at < c.out.size() && count < 8; ++count) {
    const size_t part = std::min<size_t>(c.out.size() - at, 1u << 30);
    bufs[count] = uv_buf_init(c.out.data() + at, static_cast<unsigned>(part));
    at += part;
  }
  const int code = uv_write(&c.write, &c.stream, bufs, count, [](uv_write_t* w, int status) {
    Connection& self = Connection::of(w->handle);
    self.loop->written(self, status);
  });
  if (code != 0) {
    c.writing = false;
    lost(c);
  }
}

void ServerLoop::written(Connection& c, int status) {
  c.writing = false;
  if (c.closing) return;
  if (status != 0) return lost(c);
  const size_t part = std::min<size_t>(c.out.size(), 8ull << 30);
  if (part < c.out.size()) {
    c.out.consume(part);
    node_.sent(c.id, part, Buffer());
    return write_rest(c);
  }
  c.out.clear();
  if (node_.sent(c.id, part, std::move(c.out)) == node::ServerNode::AfterSend::Close) return lost(c);
  flush(c);
}

void ServerLoop::lost(Connection& c) {
  if (c.closing) return;
  node_.disconnected(c.id);
  close(c);
}

void ServerLoop::close(Connection& c) {
  if (c.closing) return;
  c.closing = true;
  connections_[c.id.slot] = nullptr;
  if (c.resolving) {  // its memory is libuv's until the answer is here
    uv_cancel(reinterpret_cast<uv_req_t*>(&c.resolve));
    return;
  }
  uv_close(&c.handle, [](uv_handle_t* h) { delete &Connection::of(h); });
}

ServerLoop::Connection* ServerLoop::find(node::ConnId id) {
  if (id.slot >= connections_.size()) return nullptr;
  Connection* c = connections_[id.slot];
  return c != nullptr && c->id == id ? c : nullptr;
}

}  // namespace hf::edge
