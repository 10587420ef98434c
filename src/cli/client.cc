// One reply a command keeps scripts simple; streams print as they come and are flushed at once.
#include "cli/client.h"

#include <poll.h>
#include <unistd.h>
#include <csignal>

#include <cerrno>
#include <cstdio>
#include <iostream>
#include <thread>

#include "base/number.h"
#include "base/prng.h"
#include "cli/exit_codes.h"
#include "cli/render.h"

namespace hf::cli {

using resp::Value;

int complain(const std::string& what, int code) {
  std::fflush(stdout);
  std::fprintf(stderr, "holdfast-cli: %s\n", what.c_str());
  return code;
}

namespace {

volatile std::sig_atomic_t g_interrupted = 0;
void on_interrupt(int) { g_interrupted = 1; }

bool is_stream(const Arguments& args) {
  for (const char* name : {"SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "MONITOR"})
    if (equal_nocase(args[0], name)) return true;
  return false;
}

int complain(const Error& e) {
  const bool is_exit_code = e.code == kExitTryLater || e.code == kExitServerError ||
                            e.code == kExitBadData || e.code == kExitUsage;
  return cli::complain(e.message, is_exit_code ? e.code : kExitNoServer);
}

Result<int> stream(Connection& c, const Arguments& args, Format format) {
  if (const Status s = c.send(args); !s) return s.error();
  if (::isatty(STDOUT_FILENO) != 0) std::fprintf(stderr, "Reading messages... (Ctrl-C ends)\n");
  for (;;) {
    auto v = c.read(-1);
    if (!v && v.error().code == EINTR) {
      c.close();  // the only way out of MONITOR, and out of every subscription at once
      return kExitOk;
    }
    if (!v) return v.error();
    print_reply(*v, format);
    std::fflush(stdout);
    if (v->is_error()) return exit_code_of(*v);
  }
}

std::string read_all(std::FILE* in) {
  std::string out;
  char buf[65536];
  size_t n;
  while ((n = std::fread(buf, 1, sizeof buf, in)) > 0) out.append(buf, n);
  return out;
}

int worse(int a, int b) { return a == kExitOk ? b : a; }

int one_shot(Connection& c, const Options& o, Arguments args, Format format) {
  if (o.last_arg_from_stdin) args.push_back(read_all(stdin));
  int code = kExitOk;
  for (long i = 0; o.repeat < 0 || i < o.repeat; ++i) {
    if (i > 0 && o.interval_s > 0) std::this_thread::sleep_for(std::chrono::duration<double>(o.interval_s));
    auto r = execute(c, args, format);
    if (!r) return complain(r.error());
    std::fflush(stdout);
    code = worse(code, *r);
    if (!c.is_open()) break;
  }
  return code;
}

int from_stdin(Connection& c, Format format) {
  int code = kExitOk;
  std::string line;
  while (std::getline(std::cin, line)) {
    Arguments args;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (!split_arguments(line, args)) {
      std::fprintf(stderr, "holdfast-cli: unbalanced quotes in: %s\n", line.c_str());
      code = worse(code, kExitUsage);
      continue;
    }
    if (args.empty() || args[0].starts_with('#')) continue;
    auto r = execute(c, args, format);
    if (!r) return complain(r.error());
    code = worse(code, *r);
    if (!c.is_open()) break;
  }
  std::fflush(stdout);
  return code;
}

int scan_keys(Connection& c, const Options& o) {
  std::string cursor = "0";
  do {
    Arguments args{"SCAN", cursor};
    if (!o.pattern.empty()) args.insert(args.end(), {"MATCH", o.pattern});
    if (!o.type.empty()) args.insert(args.end(), {"TYPE", o.type});
    args.insert(args.end(), {"COUNT", "500"});
    auto v = c.ask(args);
    if (!v) return complain(v.error());
    if (v->is_error() || v->items.size() != 2 || !v->items[1].is_aggregate()) {
      std::fprintf(stderr, "holdfast-cli: SCAN answered: %s", render_human(*v).c_str());
      return v->is_error() ? exit_code_of(*v) : kExitBadData;
    }
    for (const Value& key : v->items[1].items) std::printf("%s\n", key.text.c_str());
    cursor = v->items[0].as_text();
  } while (cursor != "0");
  return kExitOk;
}

/// Sends stdin as it is and counts the answers. An ECHO of a random word behind it marks the end.
class Pipe {
 public:
  Pipe(Connection& c, uint64_t seed)
      : c_(c), mark_("holdfast-pipe-" + to_text(static_cast<int64_t>(Prng(seed).next() >> 1))) {}

  int run() {
    bool more = true;
    while (!seen_) {
      pollfd fds[2] = {{c_.fd(), POLLIN, 0}, {more ? STDIN_FILENO : -1, POLLIN, 0}};
      if (::poll(fds, 2, more ? -1 : 30000) == 0) {
        std::fprintf(stderr, "holdfast-cli: no answer for 30 s; is the input whole protocol text?\n");
        return kExitBadData;
      }
      if (fds[0].revents != 0)
        if (const int code = drain(); code != kExitOk) return code;
      if (fds[1].revents == 0) continue;
      char buf[65536];
      const ssize_t n = ::read(STDIN_FILENO, buf, sizeof buf);
      if (n < 0 && errno == EINTR) continue;
      Status sent = n > 0 ? c_.send_raw({buf, static_cast<size_t>(n)}) : c_.send({"ECHO", mark_});
      if (!sent) return complain(sent.error());
      more = n > 0;
    }
    std::printf("errors: %lld, replies: %lld\n", static_cast<long long>(errors_),
                static_cast<long long>(replies_));
    return errors_ > 0 ? kExitServerError : kExitOk;
  }

 private:
  int drain() {
    Value v;
    for (;;) {
      auto got = c_.poll_reply(v);
      if (!got) return complain(got.error());
      if (!*got) return kExitOk;
      if (v.is(Value::Kind::Bulk) && v.text == mark_) return seen_ = true, kExitOk;
      ++replies_;
      if (!v.is_error()) continue;
      if (++errors_ <= 10) std::fprintf(stderr, "%s\n", v.text.c_str());
    }
  }
  Connection& c_;
  std::string mark_;
  bool seen_ = false;
  int64_t errors_ = 0, replies_ = 0;
};

}  // namespace

int exit_code_of(const Value& reply) {
  if (!reply.is_error()) return kExitOk;
  for (const char* later :
       {"LOADING", "BUSY", "TRYAGAIN", "MASTERDOWN", "CLUSTERDOWN", "NOREPLICAS", "ACTIVE"})
    if (reply.error_code() == later) return kExitTryLater;
  return kExitServerError;
}

Format resolve(Format format) {
  if (format != Format::Auto) return format;
  return ::isatty(STDOUT_FILENO) != 0 ? Format::Human : Format::Raw;
}

void print_reply(const Value& reply, Format format) {
  std::string out = format == Format::Json  ? render_json(reply) + "\n"
                    : format == Format::Raw ? render_raw(reply)
                                            : render_human(reply);
  std::fwrite(out.data(), 1, out.size(), stdout);
}

void listen_for_interrupts() {
  struct sigaction action {};
  action.sa_handler = on_interrupt;  // without SA_RESTART: it must wake what waits
  ::sigaction(SIGINT, &action, nullptr);
}

bool take_interrupt() {
  const bool was = g_interrupted != 0;
  g_interrupted = 0;
  return was;
}

InterruptGuard::InterruptGuard(Connection& connection) : connection_(connection) {
  g_interrupted = 0;
  ::sigaction(SIGINT, nullptr, &before_);
  listen_for_interrupts();
  connection_.stop = [] { return g_interrupted != 0; };
}
InterruptGuard::~InterruptGuard() {
  ::sigaction(SIGINT, &before_, nullptr);
  connection_.stop = nullptr;
  g_interrupted = 0;
}

Result<int> execute(Connection& c, const Arguments& args, Format format) {
  if (is_stream(args)) {
    InterruptGuard guard(c);
    return stream(c, args, format);
  }
  auto v = c.ask(args);
  if (!v) {
    // The server hangs up after these by design.
    if (equal_nocase(args[0], "SHUTDOWN") || equal_nocase(args[0], "QUIT")) return kExitOk;
    return v.error();
  }
  print_reply(*v, format);
  if (equal_nocase(args[0], "QUIT") && !v->is_error()) c.close();
  return exit_code_of(*v);
}

int run_client(const Options& o) {
  Connection c;
  if (const Status s = c.open(o.connect); !s) return complain(s.error());
  const Format format = resolve(o.format);
  c.on_push = [format](const Value& v) { print_reply(v, format); };
  if (o.pipe)
    return Pipe(c, static_cast<uint64_t>(::getpid()) ^
                       static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count()))
        .run();
  if (o.scan) return scan_keys(c, o);
  if (o.words.empty()) return from_stdin(c, format);
  return one_shot(c, o, o.words, format);
}

}  // namespace hf::cli
