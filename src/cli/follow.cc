// REPLICAOF itself answers at once and means "from now on": this waits for what it was given for. All work is
// the server's; when this ends early the sync goes on.
#include "cli/follow.h"

#include <chrono>
#include <cstdio>
#include <thread>

#include "base/number.h"
#include "cli/client.h"
#include "cli/exit_codes.h"
#include "cli/json.h"
#include "cli/progress_bar.h"
#include "cli/sync_watch.h"
#include "cli/tables.h"

namespace hf::cli {


namespace {

const char* const kFollowHelp =
    R"(holdfast-cli follow: make a server a replica, and see it through

  holdfast-cli [options] follow [--timeout TIME] [--json] [--quiet] [HOST PORT]

Tells the server (-h, -p) to follow the primary at HOST PORT, which is an address as the server
sees it, and waits until the link is up and the server has everything that the primary had then:
a full sync where one is needed, or what was missed. Progress goes to standard error: a bar on a
terminal, elsewhere a line a phase and one every ten seconds. Without HOST PORT it watches a
server that follows somebody already, and changes nothing.

WARNING: a server that follows drops the data it has, if that is not the primary's.

The sync is the server's: it goes on when this is interrupted; call it again without HOST PORT to
see it. REPLICAOF NO ONE ends it (holdfast-cli replicaof no one).

  --timeout TIME     give up when nothing moved for so long (60s; 0: never)
  --json             the outcome as JSON on standard output
  --quiet            no progress, no outcome

Exit codes: 0 it has everything; 1 the server refuses, or follows nobody; 69 no server, or it
ended meanwhile; 75 nothing moved for --timeout, or somebody made it follow another primary; 2
usage.
)";

constexpr auto poll_pause = std::chrono::milliseconds(100);

struct FollowOptions {
  ConnectOptions connect;
  std::string host, port;
  int64_t timeout_ms = 60'000;
  bool json = false, quiet = false, help = false;
};

Result<FollowOptions> parse(const Options& base) {
  FollowOptions o;
  o.connect = base.connect;
  o.json = base.format == Format::Json;
  const std::vector<std::string>& words = base.words;
  std::vector<std::string> where;
  for (size_t i = 1; i < words.size();) {
    const std::string& word = words[i];
    if (auto taken = take_connect_option(words, i, o.connect); !taken) return taken.error();
    else if (*taken) continue;
    if (word == "--help") o.help = true;
    else if (word == "--json") o.json = true;
    else if (word == "--quiet") o.quiet = true;
    else if (word == "--timeout") {
      const auto span = i + 1 < words.size() ? parse_span_ms(words[i + 1]) : std::nullopt;
      if (!span)
        return Error{"follow: --timeout needs a time, such as 30s or 5m; see holdfast-cli follow --help"};
      o.timeout_ms = *span;
      ++i;
    } else if (word.starts_with("-") || word.empty()) {
      return Error{"follow: " + quoted(word) + " is not understood; see holdfast-cli follow --help"};
    } else {
      where.push_back(word);
    }
    ++i;
  }
  if (o.help) return o;
  if (where.size() != 0 && where.size() != 2)
    return Error{
        "follow: name the primary by HOST and PORT, or nobody to watch; see holdfast-cli follow --help"};
  if (where.empty()) return o;
  o.host = where[0], o.port = where[1];
  const auto port = parse_int(o.port);
  if (!port || *port < 1 || *port > 65535)
    return Error{"follow: " + quoted(o.port) + " is no port: 1 to 65535"};
  return o;
}

class Follow {
 public:
  explicit Follow(const FollowOptions& options) : o_(options), bar_(options.quiet) {}

  int run() {
    if (const Status opened = c_.open(o_.connect); !opened)
      return complain(opened.error().message, opened.error().code == 0 ? kExitNoServer : opened.error().code);
    begun_ms_ = steady_ms();
    if (!o_.host.empty()) {
      const auto answer = c_.ask({"REPLICAOF", o_.host, o_.port});
      if (!answer) return complain(answer.error().message, kExitNoServer);
      if (answer->is_error()) return complain("the server answered: " + answer->text, exit_code_of(*answer));
    }
    const int code = watch();
    bar_.end();
    if (code == kExitOk) print();
    return code;
  }

 private:
  int watch() {
    for (;; std::this_thread::sleep_for(poll_pause)) {
      const auto info = c_.ask({"INFO", "replication", "persistence"});
      const int64_t now = steady_ms();
      if (!info || info->is_error()) {
        bar_.end();
        return info ? complain("the server answered: " + info->text, exit_code_of(*info))
                    : complain(info.error().message + "; the sync goes on by itself once the server is back",
                               kExitNoServer);
      }
      sync_.take(info->text, now);
      if (sync_.phase() == SyncWatch::Phase::InStep) return kExitOk;
      if (const int code = given_up(now); code != kExitOk) return code;
      bar_.phase(std::string(SyncWatch::phase_text(sync_.phase())) +
                 (sync_.error().empty() ? "" : ": " + sync_.error()));
      bar_.show("follow", sync_.progress(), true, now);
    }
  }

  /// kExitOk: there is something to wait for.
  int given_up(int64_t now) {
    const std::string& primary = sync_.primary();
    if (sync_.phase() == SyncWatch::Phase::Alone) {
      bar_.end();
      if (o_.host.empty() && first_primary_.empty())
        return complain("the server follows nobody: name the primary, as in holdfast-cli follow HOST PORT",
                        kExitServerError);
      return complain("the server follows nobody any more: somebody has said REPLICAOF NO ONE",
                      kExitTryLater);
    }
    if (first_primary_.empty()) first_primary_ = primary;
    if (primary != first_primary_) {
      bar_.end();
      return complain("the server was made to follow another primary meanwhile, " + primary, kExitTryLater);
    }
    if (o_.timeout_ms == 0 || now - sync_.moved_ms() <= o_.timeout_ms) return kExitOk;
    bar_.end();
    return complain(std::string(SyncWatch::phase_text(sync_.phase())) + ", and nothing moved for " +
                        span_text(o_.timeout_ms) + (sync_.error().empty() ? "" : ": " + sync_.error()) +
                        ". The server goes on trying; REPLICAOF NO ONE ends that",
                    kExitTryLater);
  }

  void print() const {
    const int64_t took_ms = steady_ms() - begun_ms_;
    if (o_.json) {
      std::printf("{\"primary\":%s,\"offset\":%s,\"snapshot-bytes\":%s,\"milliseconds\":%s}\n",
                  json_string(sync_.primary()).c_str(), to_text(sync_.offset()).c_str(),
                  to_text(sync_.snapshot_bytes()).c_str(), to_text(took_ms).c_str());
      return;
    }
    if (o_.quiet) return;
    std::printf("In step with %s at offset %s after %s", sync_.primary().c_str(),
                to_text(sync_.offset()).c_str(), span_text(took_ms).c_str());
    if (sync_.snapshot_bytes() > 0)
      std::printf(", with a snapshot of %s",
                  size_text(static_cast<uint64_t>(sync_.snapshot_bytes())).c_str());
    std::printf("\n");
  }

  const FollowOptions& o_;
  ProgressBar bar_;
  Connection c_;
  SyncWatch sync_;
  std::string first_primary_;
  int64_t begun_ms_ = 0;
};

}  // namespace

int follow_command(const Options& options) {
  const auto o = parse(options);
  if (!o) return complain(o.error().message, kExitUsage);
  if (o->help) return std::fputs(kFollowHelp, stdout), kExitOk;
  return Follow(*o).run();
}

}  // namespace hf::cli
