// The logged form of a change. One function lists the fields of each kind, for writing and reading alike.
#include "task/change.h"

#include <charconv>

#include "base/number.h"

namespace hf::task {
namespace {

constexpr const char* kind_names[] = {"submit",     "restart",        "move", "progress",
                                      "checkpoint", "ask-checkpoint", "trim"};

/// What each kind is made of. Numbers and texts keep their order among themselves.
template <class Archive, class C>
void fields(Archive& a, C& c) {
  using Kind = Change::Kind;
  a.number(c.run);
  a.number(c.at);
  switch (c.kind) {
    case Kind::Submit:
      a.number(c.order);
      a.small(c.to, state_count);
      a.number(c.due_at);
      a.number(c.priority);
      a.number(c.retries);
      a.small(c.backoff, 3);
      a.number(c.backoff_base_ms);
      a.number(c.backoff_cap_ms);
      a.number(c.lease_ms);
      a.number(c.timeout_ms);
      a.number(c.keep);
      a.flag(c.held);
      a.flag(c.has_payload);
      a.number(c.trim_below);
      a.text(c.queue);
      a.text(c.trace);
      a.text(c.unique);
      a.text(c.payload);
      a.rest(c.tags);
      break;
    case Kind::Restart:
      a.number(c.order);
      a.small(c.to, state_count);
      a.number(c.from);
      a.number(c.trim_below);
      a.text(c.unique);
      break;
    case Kind::Move:
      a.small(c.to, state_count);
      a.number(c.due_at);
      a.number(c.token.value);
      a.number(c.retry_count);
      a.number(c.lease_ms);
      a.flag(c.pause_asked);
      a.flag(c.loss_counted);
      a.flag(c.has_result);
      a.text(c.worker);
      a.text(c.request);
      a.text(c.reason);
      a.text(c.result);
      break;
    case Kind::Progress:
      a.number(c.progress);
      a.number(c.total);
      a.text(c.note);
      break;
    case Kind::Checkpoint:
      a.number(c.version);
      a.number(c.base);
      a.number(c.step);
      a.number(c.token.value);
      a.number(c.keep);
      a.number(c.sum.low);
      a.number(c.sum.high);
      a.text(c.payload);
      a.text(c.meta);
      a.text(c.tag);
      break;
    case Kind::AskCheckpoint: break;
    case Kind::Trim: a.number(c.trim_below); break;
  }
}

struct Writing {
  std::string& numbers;
  std::vector<Bytes>& args;

  template <class N>
  void number(N value) {
    if (!numbers.empty()) numbers.push_back(' ');
    // Most are of one digit.
    if (static_cast<uint64_t>(value) < 10) return numbers.push_back(static_cast<char>('0' + value));
    char text[24];
    const auto end = std::to_chars(text, text + sizeof text, value).ptr;
    numbers.append(text, end);
  }
  template <class E>
  void small(E value, size_t) {
    number(static_cast<unsigned>(value));
  }
  void flag(bool value) { number(value ? 1u : 0u); }
  void text(Bytes value) { args.push_back(value); }
  void rest(const std::vector<Bytes>& values) { args.insert(args.end(), values.begin(), values.end()); }
};

struct Reading {
  Bytes numbers;
  std::span<const Bytes> texts;
  bool good = true;

  template <class N>
  void number(N& value) {
    const auto [end, error] = std::from_chars(numbers.data(), numbers.data() + numbers.size(), value);
    if (error != std::errc()) return fail();
    numbers.remove_prefix(static_cast<size_t>(end - numbers.data()));
    if (numbers.empty()) return;
    if (numbers[0] != ' ') return fail();
    numbers.remove_prefix(1);
  }
  template <class E>
  void small(E& value, size_t bound) {
    unsigned n = 0;
    number(n);
    if (n >= bound) return fail();
    value = static_cast<E>(n);
  }
  void flag(bool& value) {
    unsigned n = 0;
    number(n);
    value = n == 1;
  }
  // Empty texts at the end are left out
  void text(Bytes& value) {
    if (texts.empty()) return;
    value = texts[0];
    texts = texts.subspan(1);
  }
  void text(std::string& value) {
    Bytes view;
    text(view);
    value = view;
  }
  void rest(std::vector<Bytes>& values) {
    values.assign(texts.begin(), texts.end());
    texts = {};
  }
  void fail() {
    good = false;
    numbers = {};
  }
};

bool parse_kind(Bytes word, Change& change) {
  if (parse_event(word, change.event) && change.event != Event::Submit && change.event != Event::Checkpoint) {
    change.kind = Change::Kind::Move;
    return true;
  }
  for (size_t i = 0; i < std::size(kind_names); ++i)
    if (word == kind_names[i] && static_cast<Change::Kind>(i) != Change::Kind::Move) {
      change.kind = static_cast<Change::Kind>(i);
      return true;
    }
  return false;
}

}  // namespace

std::span<const Bytes> ChangeEncoder::encode(Bytes task, const Change& change) {
  numbers_.clear();
  args_.clear();
  args_.push_back("TASK.APPLY");
  args_.push_back(task);
  args_.push_back(change.kind == Change::Kind::Move ? event_name(change.event)
                                                    : kind_names[static_cast<size_t>(change.kind)]);
  args_.emplace_back();  // the numbers' place
  Writing writing{numbers_, args_};
  fields(writing, change);
  args_[3] = numbers_;
  if (change.tags.empty())
    while (args_.size() > 4 && args_.back().empty()) args_.pop_back();
  return args_;
}

Result<Change> decode_change(std::span<const Bytes> args) {
  Change change;
  if (args.size() < 2) return Error{"a task change without its numbers"};
  if (!parse_kind(args[0], change)) return Error{"unknown task change " + quoted(args[0])};
  Reading reading{args[1], args.subspan(2)};
  fields(reading, change);
  if (!reading.good || !reading.numbers.empty() || !reading.texts.empty() || change.tags.size() % 2 != 0)
    return Error{"task change " + quoted(args[0]) + " has malformed fields " + quoted(args[1])};
  return change;
}

}  // namespace hf::task
