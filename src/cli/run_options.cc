// Options with a value stand in one function, flags in another; the help text is the contract.
#include "cli/run_options.h"

#include "base/limits.h"
#include "base/number.h"
#include "cli/tables.h"

namespace hf::cli {

const char* const kRunHelp =
    R"(holdfast-cli run: run a program that gets its place back, whatever dies

  holdfast-cli run --task NAME [options] -- PROGRAM [argument ...]

Submits a run of the task NAME (or joins the unfinished one, or restarts a failed one from its
last checkpoint), claims it, and runs PROGRAM. Run the same command again after any crash: it
goes on from the last checkpoint.

Checkpoints: the program finds the last one at $HOLDFAST_DIR/checkpoint (a file or a folder; not
there at first). To save one it writes under $HOLDFAST_DIR/tmp and renames to
$HOLDFAST_DIR/out/step-N, N rising. From a shell: `holdfast-cli checkpoint FILE --step N`; from
Python: utils/python/holdfast.py. A change on top of the last one may be saved as out/delta-N;
it comes back in $HOLDFAST_DIR/deltas/step-N. It may write "done total note" to
$HOLDFAST_DIR/progress, and make $HOLDFAST_DIR/finished to say that it is done even though a
signal came. It sees HOLDFAST_RUN, HOLDFAST_TOKEN, HOLDFAST_ATTEMPT, HOLDFAST_STEP,
HOLDFAST_RESOURCES and HOLDFAST_DIR. On a terminal its stdin is empty.

  --task NAME               the task (512 bytes at most)
  --queue Q                 queue it is counted under (default)
  --dir DIR                 working folder (~/.local/state/holdfast/<server>/<task>)
  --store DIR               keep checkpoints above 1 MiB here, on a shared disk (<dir>/store)
  --checkpoint-every SPAN   ask the program for a checkpoint with SIGUSR1 (if it handles that signal)
  --fresh                   start over instead of going on
  --once                    after a success: do nothing, exit 0
  --wait                    about the server: where none answers, wait for one (else exit 69)
  --no-wait                 about the run: where another worker holds it, exit 75 (else wait until it is free)
  --fallback                if the last checkpoint can't be verified, take the newest that can (else exit 65)
  --strict                  stop the program when the lease has run out and the server can't be reached
  --grace SPAN              from a signal to SIGKILL (30s)
  --permanent-exit-codes L  exit codes of the program that end the run for good, without a retry, written
                            like 2,64,78 (unless given: none, every failure is retried)
  --retries N --backoff KIND,BASE,CAP --lease SPAN --timeout SPAN --priority N --tag K=V ... --trace ID
                            of the run, when this command submits it; KIND is exponential, fixed or none
  --worker ID               who we are (host name and a number made from machine and folder)
  --servers LIST            host:port,host:port ...: every address it may have (also -h -p -s -u -a)
  --quiet                   no messages, no progress

Spans: 500ms, 30s, 5m, 2h. Ends: exit code 0 is success; 75 gives the run back; others are
failures and are tried again until the retries are used up. A signal (Ctrl-C, TERM, HUP) is
passed on and the run given back; a second Ctrl-C kills.

Exit codes: 0 means that the run is done, never less. 75 not done: given back (whatever the
program ended with after a signal, 0 included), held elsewhere or taken over; run it again. The
program's own code (128 + signal when it was killed) when the run has failed. 65 checkpoint
unusable, 69 no server, 126 and 127 program can't be started, 1 refused or cancelled, 2 usage.
)";

const char* const kCheckpointHelp =
    R"(holdfast-cli checkpoint: save progress from inside a program that `holdfast-cli run` started

  holdfast-cli checkpoint FILE|FOLDER --step N [--delta] [--sync]

Copies FILE (or FOLDER) and hands it to the wrapper, which sends it. Returns when the copy is on
disk; with --sync when the server has acknowledged it. --delta: a change on top of the last
checkpoint. Outside a run: exit 2.
)";

namespace {

Error bad_value(const std::string& name, const std::string& value, const char* expected) {
  return Error{"option " + name + ": " + expected + " expected, not " + quoted(value) +
               "; see holdfast-cli run --help"};
}

Status take_backoff(const std::string& value, RunOptions& o) {
  std::vector<std::string> parts;
  for (Bytes rest = value;;) {
    const size_t comma = rest.find(',');
    parts.emplace_back(rest.substr(0, comma));
    if (comma == Bytes::npos) break;
    rest = rest.substr(comma + 1);
  }
  o.backoff_kind = to_upper(parts[0]);
  const auto base = parts.size() > 1 ? parse_span_ms(parts[1])
                                     : std::optional<int64_t>(o.backoff_kind == "NONE" ? 0 : 1000);
  const auto cap =
      parts.size() > 2
          ? parse_span_ms(parts[2])
          : std::optional<int64_t>(
                base ? std::max<int64_t>(*base, o.backoff_kind == "EXPONENTIAL" ? 60000 : 0) : 0);
  const bool known = o.backoff_kind == "NONE" || o.backoff_kind == "FIXED" || o.backoff_kind == "EXPONENTIAL";
  if (!known || parts.size() > 3 || !base || !cap)
    return bad_value("--backoff", value, "exponential,1s,60s or fixed,5s or none");
  o.backoff_base_ms = *base;
  o.backoff_cap_ms = *cap;
  return ok();
}

Status take_codes(const std::string& value, std::set<int>& out) {
  for (Bytes rest = value;;) {
    const size_t comma = rest.find(',');
    const auto n = parse_int(rest.substr(0, comma));
    if (!n || *n < 1 || *n > 255)
      return bad_value("--permanent-exit-codes", value, "exit codes from 1 to 255, separated by commas,");
    out.insert(static_cast<int>(*n));
    if (comma == Bytes::npos) return ok();
    rest = rest.substr(comma + 1);
  }
}

bool take_flag(const std::string& word, RunOptions& o) {
  bool* const flags[] = {&o.fresh, &o.once, &o.no_wait, &o.wait, &o.fallback, &o.strict, &o.quiet, &o.help};
  const char* const names[] = {"--fresh",    "--once",   "--no-wait", "--wait",
                               "--fallback", "--strict", "--quiet",   "--help"};
  for (size_t i = 0; i < std::size(names); ++i)
    if (word == names[i]) return *flags[i] = true;
  return false;
}

Status take_value(const std::string& name, const std::string& value, RunOptions& o) {
  struct TextOption {
    const char* name;
    std::string* to;
  };
  for (const TextOption t : {TextOption{"--task", &o.task},
                             {"--queue", &o.queue},
                             {"--dir", &o.dir},
                             {"--store", &o.store},
                             {"--worker", &o.worker},
                             {"--trace", &o.trace}})
    if (name == t.name)
      return value.empty() ? Status(bad_value(name, value, "a text")) : (*t.to = value, ok());
  struct SpanOption {
    const char* name;
    int64_t* to;
  };
  for (const SpanOption s : {SpanOption{"--lease", &o.lease_ms},
                             {"--timeout", &o.timeout_ms},
                             {"--grace", &o.grace_ms},
                             {"--checkpoint-every", &o.checkpoint_every_ms}}) {
    if (name != s.name) continue;
    const auto span = parse_span_ms(value);
    if (!span || (s.to != &o.grace_ms && *span <= 0)) return bad_value(name, value, "a span like 30s or 5m");
    *s.to = *span;
    return ok();
  }
  if (name == "--retries" || name == "--priority") {
    const auto n = parse_int(value);
    if (!n || (name == "--retries" && (*n < 0 || *n > 1000000))) return bad_value(name, value, "a number");
    (name == "--retries" ? o.retries : o.priority) = *n;
    return ok();
  }
  if (name == "--backoff") return take_backoff(value, o);
  if (name == "--permanent-exit-codes") return take_codes(value, o.permanent_exit_codes);
  if (name == "--tag" || name == "--tags") {
    for (Bytes rest = value; !rest.empty();) {
      const size_t comma = name == "--tags" ? rest.find(',') : Bytes::npos;
      const Bytes one = rest.substr(0, comma);
      const size_t equals = one.find('=');
      if (equals == Bytes::npos || equals == 0) return bad_value(name, value, "K=V");
      o.tags.emplace_back(one.substr(0, equals), one.substr(equals + 1));
      rest = comma == Bytes::npos ? Bytes() : rest.substr(comma + 1);
    }
    return ok();
  }
  return Error{"unknown option " + name + "; see holdfast-cli run --help"};
}

Status check(const RunOptions& o) {
  if (o.task.empty()) return Error{"run needs --task NAME; see holdfast-cli run --help"};
  if (o.task.size() > limits::task_name_bytes_max) return Error{"the task's name is longer than 512 bytes"};
  if (o.argv.empty())
    return Error{"run needs a program behind --: holdfast-cli run --task " + o.task + " -- PROGRAM"};
  if (o.tags.size() > limits::task_tags_max) return Error{"more than 32 tags"};
  if (o.lease_ms != 0 && (o.lease_ms < 500 || o.lease_ms > limits::lease_ms_max))
    return Error{"--lease is from 500ms to 7d"};
  return ok();
}

}  // namespace

Result<RunOptions> parse_run_options(const Options& options) {
  RunOptions o;
  o.connect = options.connect;
  const std::vector<std::string>& w = options.words;
  size_t i = 1;
  while (i < w.size() && w[i] != "--") {
    const bool connection = w[i].size() == 2;
    if (connection || w[i] == "--user" || w[i] == "--pass" || w[i] == "--servers") {
      auto taken = take_connect_option(w, i, o.connect);
      if (!taken) return taken.error();
      if (*taken) continue;
    }
    if (take_flag(w[i], o)) {
      ++i;
      continue;
    }
    if (!w[i].starts_with('-')) break;  // the program, its -- left out
    std::string name = w[i], value;
    if (const size_t equals = name.find('='); equals != std::string::npos) {
      value = name.substr(equals + 1);
      name.resize(equals);
      ++i;
    } else {
      // A value that looks like an option is a forgotten value; --task=--odd says that it is meant.
      if (i + 1 >= w.size() || w[i + 1].starts_with("--"))
        return Error{"option " + name + " needs a value; see holdfast-cli run --help"};
      value = w[i + 1];
      i += 2;
    }
    if (const Status s = take_value(name, value, o); !s) return s.error();
  }
  if (o.help) return o;
  if (i < w.size() && w[i] == "--") ++i;
  o.argv.assign(w.begin() + static_cast<long>(i), w.end());
  if (const Status s = check(o); !s) return s.error();
  return o;
}

Result<CheckpointOptions> parse_checkpoint_options(const Options& options) {
  CheckpointOptions o;
  const std::vector<std::string>& w = options.words;
  for (size_t i = 1; i < w.size(); ++i) {
    if (w[i] == "--help") o.help = true;
    else if (w[i] == "--delta") o.delta = true;
    else if (w[i] == "--sync") o.wait = true;
    else if (w[i] == "--step") {
      const auto n = i + 1 < w.size() ? parse_int(w[i + 1]) : std::nullopt;
      if (!n || *n < 0) return Error{"checkpoint: --step needs a number that is not negative"};
      o.step = *n;
      ++i;
    } else if (w[i].starts_with('-') || !o.file.empty()) {
      return Error{"checkpoint: " + w[i] + " is not understood; see holdfast-cli checkpoint --help"};
    } else {
      o.file = w[i];
    }
  }
  if (o.help) return o;
  if (o.file.empty() || o.step < 0)
    return Error{"checkpoint needs a file and a step: holdfast-cli checkpoint FILE --step N"};
  return o;
}

}  // namespace hf::cli
