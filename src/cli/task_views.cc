// Asks with TASK.LIST, TASK.GET, TASK.RUNS, TASK.EVENTS and lays the records out. What a record has that is
// not known here is shown all the same, at the end of its page.
#include "cli/task_views.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>

#include "base/number.h"
#include "cli/client.h"
#include "cli/exit_codes.h"
#include "cli/json.h"
#include "cli/render.h"

namespace hf::cli {

using resp::Value;

namespace {

const char* const kTaskHelp =
    R"(holdfast-cli task: look at tasks

  holdfast-cli task ls [PATTERN] [--state S] [--queue Q] [--worker W] [--tag K=V] [--limit N]
                                   the newest run of every task, up to N of them (200)
  holdfast-cli task show TASK[#RUN]     everything about one run, with its checkpoints and last events
  holdfast-cli task runs TASK           the runs of one task
  holdfast-cli task events TASK[#RUN] [--count N]   what happened to a run (the last 50)

Long names are shortened; --full shows them whole. With --json every answer is printed as the
server gave it. Options of the connection (-h, -p, -u
...) may stand before `task` or behind it. States: BLOCKED DELAYED PENDING RUNNING PAUSED
SUCCESS FAILED CANCELLED.
)";

int64_t wall_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

size_t terminal_width() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 0;
}

std::string text_of(const Value& record, Bytes name) {
  const Value* v = record.field(name);
  return v == nullptr ? "" : v->is_aggregate() ? "" : v->as_text();
}

std::string age_of(const Value& record, Bytes name, int64_t now) {
  const Value* v = record.field(name);
  const auto at = v == nullptr ? std::nullopt : v->as_int();
  return !at || *at <= 0 ? "" : age(*at, now);
}

std::string progress_of(const Value& record) {
  const Value* p = record.field("progress");
  if (p == nullptr || p->is_null()) return "";
  int64_t n = 0, total = 0;
  if (p->is_aggregate()) {
    if (p->items.size() >= 1) n = p->items[0].as_int().value_or(0);
    if (p->items.size() >= 2) total = p->items[1].as_int().value_or(0);
  } else {
    n = p->as_int().value_or(0);
    if (const Value* t = record.field("total"); t != nullptr) total = t->as_int().value_or(0);
  }
  if (n == 0 && total == 0) return "";
  if (total <= 0) return to_text(n);
  return to_text(n) + "/" + to_text(total) + " (" + to_text(n * 100 / total) + " %)";
}

std::string checkpoint_of(const Value& record) {
  const Value* c = record.field("checkpoint");
  if (c == nullptr || c->is_null() || c->is_aggregate()) return "";
  const std::string step = text_of(record, "checkpoint_step");
  return "v" + c->as_text() + (step.empty() ? "" : " step " + step);
}

std::string clock_text(int64_t ms) {
  const time_t seconds = static_cast<time_t>(ms / 1000);
  tm local{};
  localtime_r(&seconds, &local);
  char buf[40];
  std::strftime(buf, sizeof buf, "%Y-%m-%d %H:%M:%S", &local);
  return buf;
}

constexpr size_t kRunColumns = 60;

bool is_time(Bytes name) {
  return name.ends_with("_at") || name == "status_since" || name == "deadline" || name == "time" ||
         name == "at";
}

}  // namespace

Table runs_table(const std::vector<const Value*>& records, int64_t now, size_t run_width) {
  Table t;
  t.heads = {"RUN", "STATE", "SINCE", "QUEUE", "ATTEMPT", "PROGRESS", "CHECKPOINT", "WORKER", "NOTE"};
  for (const Value* r : records) {
    const std::string state = text_of(*r, "state");
    std::string note = text_of(*r, "note");
    if (const std::string reason = text_of(*r, "reason");
        note.empty() || (!reason.empty() && state == "FAILED"))
      note = reason;
    std::string attempt = text_of(*r, "attempt");
    if (const std::string retries = text_of(*r, "retry_count"); !retries.empty() && retries != "0")
      attempt += " (" + retries + (retries == "1" ? " retry)" : " retries)");
    const std::string run = text_of(*r, "run");
    t.rows.push_back({{run_width == 0 ? run : short_run(run, run_width)},
                      {state, state_color(state)},
                      {age_of(*r, "status_since", now)},
                      {text_of(*r, "queue")},
                      {attempt},
                      {progress_of(*r)},
                      {checkpoint_of(*r)},
                      {state == "RUNNING" ? text_of(*r, "worker") : ""},
                      {note}});
  }
  return t;
}

Table events_table(const Value& events, int64_t now) {
  Table t;
  t.heads = {"ID", "WHEN", "EVENT", "BEFORE", "AFTER", "WORKER", "TOKEN", "REASON"};
  t.right = {true};
  for (const Value& e : events.items) {
    const std::string after = text_of(e, "after");
    std::string when = age_of(e, "time", now);
    if (when.empty()) when = age_of(e, "at", now);
    t.rows.push_back({{text_of(e, "id")},
                      {when},
                      {text_of(e, "event")},
                      {text_of(e, "before")},
                      {after, state_color(after)},
                      {text_of(e, "worker")},
                      {text_of(e, "token")},
                      {text_of(e, "reason")}});
  }
  return t;
}

std::string record_page(const Value& record, int64_t now, bool color) {
  size_t widest = 0;
  for (size_t i = 0; i + 1 < record.items.size(); i += 2)
    widest = std::max(widest, record.items[i].text.size());
  std::string out;
  const std::string state = text_of(record, "state");
  const bool over = state == "SUCCESS" || state == "FAILED" || state == "CANCELLED";
  for (size_t i = 0; i + 1 < record.items.size(); i += 2) {
    const std::string& name = record.items[i].text;
    const Value& v = record.items[i + 1];
    if (over && name == "held") continue;  // how it was to be claimed; nobody will any more
    if (v.is_null() || (v.is_aggregate() && v.items.empty()) || (!v.is_aggregate() && v.as_text().empty()))
      continue;
    std::string text = v.is_aggregate() ? render_json(v) : clean_text(v.as_text());
    if (const auto at = v.as_int(); is_time(name) && !v.is_aggregate() && at && *at > 0)
      text = clock_text(*at) + "  (" + age(*at, now) + ")";
    else if (name == "timeout_ms" && at && *at == 0) text = "none";
    else if (name.ends_with("_ms") && at) text = span_text(*at);
    if (text.size() > 400) text = text.substr(0, 397) + "...";
    if (color && name == "state") text = state_color(text) + text + "\x1b[0m";
    out += std::string(color ? "\x1b[1m" : "") + name + (color ? "\x1b[0m" : "") +
           std::string(widest + 2 - name.size(), ' ') + text + "\n";
  }
  return out;
}

namespace {

struct TaskOptions {
  Options base;
  std::string what;
  std::vector<std::string> names;
  std::string state, queue, worker, tag;
  int64_t limit = 200, count = 50;
  bool full = false;
};

Result<TaskOptions> parse(const Options& options) {
  TaskOptions o;
  o.base = options;
  const std::vector<std::string>& w = options.words;
  for (size_t i = 1; i < w.size();) {
    auto taken = take_connect_option(w, i, o.base.connect);
    if (!taken) return taken.error();
    if (*taken) continue;
    if (w[i] == "--json") {
      o.base.format = Format::Json;
      ++i;
    } else if (w[i] == "--help" || w[i] == "--full") {
      (w[i] == "--help" ? o.base.help : o.full) = true;
      ++i;
    } else if (w[i].starts_with("--")) {
      if (i + 1 >= w.size()) return Error{"option " + w[i] + " needs a value; see holdfast-cli task --help"};
      const std::string &name = w[i], &value = w[i + 1];
      const auto number = parse_int(value);
      if (name == "--state") o.state = to_upper(value);
      else if (name == "--queue") o.queue = value;
      else if (name == "--worker") o.worker = value;
      else if (name == "--tag") o.tag = value;
      else if ((name == "--limit" || name == "--count") && number && *number > 0)
        (name == "--limit" ? o.limit : o.count) = *number;
      else
        return Error{"option " + name + " " + quoted(value) +
                     " is not understood; see holdfast-cli task --help"};
      i += 2;
    } else {
      (o.what.empty() ? o.what : o.names.emplace_back()) = w[i];
      ++i;
    }
  }
  if (o.base.help) return o;
  if (o.what != "ls" && o.what != "show" && o.what != "runs" && o.what != "events")
    return Error{o.what.empty() ? "task: ls, show, runs or events? See holdfast-cli task --help"
                                : "task " + o.what + " is not known; ls, show, runs, events are"};
  if (o.what != "ls" && o.names.size() != 1)
    return Error{"task " + o.what + " takes one name: holdfast-cli task " + o.what + " NAME"};
  if (o.what == "ls" && o.names.size() > 1)
    return Error{"task ls takes one pattern at most; quote it, so that the shell leaves it alone"};
  if (!o.tag.empty() && o.tag.find('=') == std::string::npos)
    return Error{"--tag: expected K=V, not " + quoted(o.tag)};
  return o;
}

class Views {
 public:
  Views(Connection& c, const TaskOptions& o)
      : c_(c), o_(o), color_(::isatty(STDOUT_FILENO) != 0), now_(wall_ms()) {}

  int run() {
    if (o_.what == "ls") return list();
    if (o_.what == "show") return show();
    if (o_.what == "runs") return runs();
    return events();
  }

 private:
  bool json() const { return o_.base.format == Format::Json; }

  bool ask(const Arguments& args, Value& out) {
    auto v = c_.ask(args);
    if (!v) {
      std::fprintf(stderr, "holdfast-cli: %s\n", v.error().message.c_str());
      code_ = kExitNoServer;
      return false;
    }
    if (v->is_error() || v->is_null()) {
      const std::string text =
          v->is_null() ? "there is no such run; `holdfast-cli task ls` shows what there is" : v->text;
      std::fprintf(stderr, "holdfast-cli: %s\n", text.c_str());
      code_ = v->is_error() ? exit_code_of(*v) : kExitServerError;
      return false;
    }
    out = std::move(*v);
    return true;
  }

  void print(const Table& t) {
    std::printf("%s", render_table(t, o_.full ? 0 : terminal_width(), color_).c_str());
  }
  /// Half of the terminal at most: the other columns are worth seeing as well.
  void print_runs(const std::vector<const Value*>& records) {
    const size_t columns = terminal_width();
    const size_t width = columns == 0 ? kRunColumns : std::clamp<size_t>(columns / 2, 16, kRunColumns);
    print(runs_table(records, now_, o_.full ? 0 : width));
  }

  int list() {
    std::vector<Value> pages;
    std::vector<const Value*> records;
    std::string cursor = "0";
    bool more = false;
    do {
      Arguments args{"TASK.LIST"};
      if (!o_.state.empty()) args.insert(args.end(), {"STATE", o_.state});
      if (!o_.queue.empty()) args.insert(args.end(), {"QUEUE", o_.queue});
      if (!o_.worker.empty()) args.insert(args.end(), {"WORKER", o_.worker});
      if (!o_.tag.empty())
        args.insert(args.end(),
                    {"TAG", o_.tag.substr(0, o_.tag.find('=')), o_.tag.substr(o_.tag.find('=') + 1)});
      if (!o_.names.empty()) args.insert(args.end(), {"MATCH", o_.names[0]});
      args.insert(args.end(), {"CURSOR", cursor, "COUNT", "200"});
      Value v;
      if (!ask(args, v)) return code_;
      if (v.items.size() != 2 || !v.items[1].is_aggregate()) return strange("TASK.LIST", v);
      cursor = v.items[0].as_text();
      pages.push_back(std::move(v.items[1]));
      size_t seen = 0;
      for (const Value& page : pages) seen += page.items.size();
      more = seen >= static_cast<size_t>(o_.limit);
    } while (cursor != "0" && !more);
    for (const Value& page : pages)
      for (const Value& r : page.items)
        if (records.size() < static_cast<size_t>(o_.limit)) records.push_back(&r);
    std::sort(records.begin(), records.end(),
              [](const Value* a, const Value* b) { return text_of(*a, "run") < text_of(*b, "run"); });
    if (json()) {
      for (const Value* r : records) std::printf("%s\n", render_json(*r).c_str());
    } else if (records.empty()) {
      std::fprintf(stderr, "no tasks%s\n",
                   o_.names.empty() && o_.state.empty() && o_.queue.empty()
                       ? " yet; `holdfast-cli run --task NAME -- PROGRAM` makes one"
                       : " match");
    } else {
      print_runs(records);
      if (more && cursor != "0") std::printf("... and more; --limit N shows them\n");
    }
    return kExitOk;
  }

  int strange(const char* command, const Value& v) {
    std::fprintf(stderr, "holdfast-cli: %s answered in a form this client does not know: %s", command,
                 render_human(v).c_str());
    return kExitBadData;
  }

  int show() {
    Value record, events, checkpoints;
    if (!ask({"TASK.GET", o_.names[0]}, record)) return code_;
    if (json()) return std::printf("%s\n", render_json(record).c_str()), kExitOk;
    const std::string run = text_of(record, "run");
    std::printf("%s", record_page(record, now_, color_).c_str());
    if (!ask({"TASK.CHECKPOINTS", run}, checkpoints)) return code_;
    if (!checkpoints.items.empty()) {
      Table t;
      t.heads = {"VERSION", "STEP", "AGE", "SIZE", "BASE", "TAG", "META"};
      t.right = {true, true};
      for (const Value& c : checkpoints.items) {
        const Value* size = c.field("size");
        auto bytes = size == nullptr ? std::nullopt : size->as_int();
        if (const auto meta = json_object(text_of(c, "meta"));
            meta && meta->contains("uri") && meta->contains("size"))
          bytes = parse_int(meta->at("size"));  // it lies outside the server
        std::string base = text_of(c, "base");
        if (base == "0") base.clear();
        t.rows.push_back({{text_of(c, "version")},
                          {text_of(c, "step")},
                          {age_of(c, "time", now_)},
                          {bytes ? size_text(static_cast<uint64_t>(*bytes)) : ""},
                          {base},
                          {text_of(c, "tag")},
                          {text_of(c, "meta")}});
      }
      std::printf("\n");
      print(t);
    }
    if (!ask({"TASK.EVENTS", run, "COUNT", "1000"}, events)) return code_;
    if (events.items.size() > 8) events.items.erase(events.items.begin(), events.items.end() - 8);
    std::printf("\n");
    print(events_table(events, now_));
    return kExitOk;
  }

  int runs() {
    Value v;
    if (!ask({"TASK.RUNS", o_.names[0]}, v)) return code_;
    if (json()) {
      for (const Value& r : v.items) std::printf("%s\n", render_json(r).c_str());
      return kExitOk;
    }
    std::vector<const Value*> records;
    for (const Value& r : v.items) records.push_back(&r);
    print_runs(records);
    return kExitOk;
  }

  int events() {
    Value v;
    if (!ask({"TASK.EVENTS", o_.names[0], "COUNT", "1000"}, v)) return code_;
    const size_t keep = static_cast<size_t>(o_.count);
    if (v.items.size() > keep) v.items.erase(v.items.begin(), v.items.end() - static_cast<long>(keep));
    if (!json()) return print(events_table(v, now_)), kExitOk;
    for (const Value& e : v.items) std::printf("%s\n", render_json(e).c_str());
    return kExitOk;
  }

  Connection& c_;
  const TaskOptions& o_;
  bool color_;
  int64_t now_;
  int code_ = kExitOk;
};

}  // namespace

int task_command(const Options& options) {
  auto o = parse(options);
  if (!o) {
    std::fprintf(stderr, "holdfast-cli: %s\n", o.error().message.c_str());
    return kExitUsage;
  }
  if (o->base.help) return std::fputs(kTaskHelp, stdout), kExitOk;
  Connection c;
  if (const Status s = c.open(o->base.connect); !s) {
    std::fprintf(stderr, "holdfast-cli: %s\n", s.error().message.c_str());
    return s.error().code == 0 ? kExitNoServer : s.error().code;
  }
  return Views(c, *o).run();
}

}  // namespace hf::cli
