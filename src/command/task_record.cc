// The record of a run, as GET, CLAIM, RUNS and LIST return it: one table of fields, in the order of the
// reply. A new field is a row.
#include <iterator>

#include "base/number.h"
#include "command/task_common.h"

namespace hf::command {
namespace {

struct View {
  Context& ctx;
  resp::Writer& out;
  Bytes task;
  const task::Run& run;
};

/// A field's name as a bulk string, made by the compiler: a claim's reply has more than thirty.
struct Name {
  template <size_t N>
  consteval Name(const char (&name)[N]) {
    static_assert(N > 1 && N - 1 < 100);
    bytes[size++] = '$';
    if (N - 1 >= 10) bytes[size++] = static_cast<char>('0' + (N - 1) / 10);
    bytes[size++] = static_cast<char>('0' + (N - 1) % 10);
    for (const char c : {'\r', '\n'}) bytes[size++] = c;
    for (size_t i = 0; i + 1 < N; ++i) bytes[size++] = name[i];
    for (const char c : {'\r', '\n'}) bytes[size++] = c;
  }
  char bytes[31] = {};
  uint8_t size = 0;
};

struct Field {
  Name name;
  void (*write)(const View&);
  bool large = false;
};

void text(const View& v, const task::Text& t) { v.out.bulk(t.view()); }
void text_or_null(const View& v, const task::Text& t) { t.empty() ? v.out.null() : v.out.bulk(t.view()); }
void payload(const View& v, const task::Payload& p) { p ? v.out.bulk(p.view()) : v.out.null(); }
void number_or_null(const View& v, int64_t n) { n == 0 ? v.out.null() : v.out.integer(n); }

void deadline(const View& v) {
  const MonoUs at = v.ctx.tasks.lease_deadline(v.ctx.db(), v.run);
  if (at == INT64_MAX) return v.out.null();
  v.out.integer(v.ctx.now.wall_ms + (at - v.ctx.now.mono_us) / 1000);
}

void tags(const View& v) {
  v.out.map(v.run.rare->tags ? v.run.rare->tags->size() : 0);
  if (!v.run.rare->tags) return;
  for (const auto& [key, value] : *v.run.rare->tags) {
    v.out.bulk(key.view());
    v.out.bulk(value.view());
  }
}

constexpr Field fields[] = {
    {"run", [](const View& v) { v.out.bulk(task::run_id(v.task, v.run.number)); }},
    {"task", [](const View& v) { v.out.bulk(v.task); }},
    {"state", [](const View& v) { v.out.bulk(task::state_name(v.run.state)); }},
    {"status_since", [](const View& v) { v.out.integer(v.run.status_since); }},
    {"queue", [](const View& v) { text(v, v.run.queue); }},
    {"priority", [](const View& v) { v.out.integer(v.run.priority); }},
    {"attempt", [](const View& v) { v.out.integer(v.run.attempt); }},
    {"retry_count", [](const View& v) { v.out.integer(v.run.retry_count); }},
    {"retries", [](const View& v) { v.out.integer(v.run.retries); }},
    // As text: it passes 2^53, which is as far as some clients' numbers go.
    {"token",
     [](const View& v) {
       if (v.run.token.value == 0) return v.out.null();
       v.out.bulk_int(static_cast<int64_t>(v.run.token.value));
     }},
    {"worker", [](const View& v) { text_or_null(v, v.run.worker); }},
    {"deadline", deadline},
    {"submitted_at", [](const View& v) { v.out.integer(v.run.submitted_at); }},
    {"updated_at", [](const View& v) { v.out.integer(v.run.updated_at); }},
    {"claimed_at", [](const View& v) { number_or_null(v, v.run.claimed_at); }},
    {"due_at", [](const View& v) { number_or_null(v, v.run.due_at); }},
    {"lease_ms",
     [](const View& v) {
       v.out.integer(v.run.state == task::State::Running ? v.run.lease_now_ms : v.run.lease_ms);
     }},
    {"timeout_ms", [](const View& v) { v.out.integer(v.run.rare->timeout_ms); }},
    {"backoff", [](const View& v) { v.out.bulk(task::backoff_name(v.run.backoff)); }},
    {"held", [](const View& v) { v.out.boolean(v.run.held); }},
    {"pause_asked", [](const View& v) { v.out.boolean(v.run.pause_asked); }},
    {"progress",
     [](const View& v) { v.out.integer(v.run.live ? v.run.live->progress : v.run.rare->progress); }},
    {"total", [](const View& v) { v.out.integer(v.run.live ? v.run.live->total : v.run.rare->total); }},
    {"note", [](const View& v) { text(v, v.run.live ? v.run.live->note : v.run.rare->note); }},
    {"tags", tags},
    {"trace", [](const View& v) { text_or_null(v, v.run.rare->trace); }},
    {"unique", [](const View& v) { text_or_null(v, v.run.rare->unique); }},
    {"reason", [](const View& v) { text(v, v.run.rare->reason); }},
    {"checkpoint",
     [](const View& v) {
       const task::Checkpoint* c = v.run.last_checkpoint();
       c == nullptr ? v.out.null() : v.out.integer(static_cast<int64_t>(c->version));
     }},
    {"checkpoint_step",
     [](const View& v) {
       const task::Checkpoint* c = v.run.last_checkpoint();
       c == nullptr ? v.out.null() : v.out.integer(c->step);
     }},
    {"result", [](const View& v) { payload(v, v.run.rare->result); }, true},
    {"payload", [](const View& v) { payload(v, v.run.payload); }, true},
};

constexpr size_t count(bool with_large) {
  size_t n = 0;
  for (const Field& field : fields) n += with_large || !field.large ? 1 : 0;
  return n;
}

}  // namespace

void reply_record(Context& ctx, Bytes task, const task::Run& run, RecordView view) {
  const View v{ctx, ctx.reply, task, run};
  const bool full = view == RecordView::Full;
  ctx.reply.map(full ? count(true) : count(false));
  for (const Field& field : fields) {
    if (field.large && !full) continue;
    ctx.reply.buffer().append(Bytes(field.name.bytes, field.name.size));
    field.write(v);
  }
}

void reply_checkpoint(Context& ctx, const task::Checkpoint& c) {
  resp::Writer& out = ctx.reply;
  out.map(9);
  out.bulk("version");
  out.integer(static_cast<int64_t>(c.version));
  out.bulk("step");
  out.integer(c.step);
  out.bulk("time");
  out.integer(c.at);
  out.bulk("size");
  out.integer(static_cast<int64_t>(c.payload->size()));
  out.bulk("base");  // 0: a full one
  out.integer(static_cast<int64_t>(c.base));
  out.bulk("token");
  out.bulk_int(static_cast<int64_t>(c.token.value));
  out.bulk("tag");
  out.bulk(c.tag);
  out.bulk("meta");
  out.bulk(c.meta);
  out.bulk("sum");
  out.bulk(to_hex(c.sum));
}

}  // namespace hf::command
