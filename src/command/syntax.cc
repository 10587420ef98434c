// A recursive-descent reader of syntax texts.
#include "command/syntax.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace hf::command {
namespace {

using Kind = Argument::Kind;

bool is_token(Bytes word) {
  bool any = false;
  for (const char c : word) {
    if (c >= 'a' && c <= 'z') return false;
    any |= c >= 'A' && c <= 'Z';
  }
  return any;
}

bool one_of(Bytes word, std::initializer_list<Bytes> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

Kind kind_of(Bytes word, const Spec& spec) {
  if (spec.keys.step > 0 &&
      one_of(word, {"key", "key1", "key2", "newkey", "source", "destination", "task", "run"}))
    return Kind::Key;
  if (word == "pattern") return Kind::Pattern;
  if (word.starts_with("unix-time")) return Kind::UnixTime;
  if (word == "increment" && Bytes(spec.name).ends_with("float")) return Kind::Double;
  if (one_of(word, {"seconds",   "milliseconds", "count",   "cursor", "offset", "start",          "end",
                    "increment", "decrement",    "index",   "index1", "index2", "destination-db", "db",
                    "protover",  "client-id",    "version", "n",      "ms",     "min-match-len"}))
    return Kind::Integer;
  return Kind::String;
}

bool same(const Argument& a, const Argument& b) {
  return a.name == b.name && a.token == b.token && a.kind == b.kind;
}

class Reader {
 public:
  explicit Reader(const Spec& spec) : spec_(spec) {
    Bytes rest = spec.syntax;
    while (!rest.empty()) {
      const char c = rest[0];
      size_t size = 1;
      if (c != ' ' && Bytes("[]<>|").find(c) == Bytes::npos)
        size = std::min(rest.find_first_of(" []<>|"), rest.size());
      if (c != ' ') words_.push_back(rest.substr(0, size));
      rest.remove_prefix(size);
    }
  }

  std::vector<Argument> all() {
    auto arguments = sequence();
    while (next_is(
        "|")) {  // "run token TRANSIENT | PERMANENT reason": a choice between two words, without brackets
      ++at_;
      auto rest = sequence();
      HF_CHECK(!arguments.empty() && !rest.empty());
      Argument choice;
      choice.kind = Kind::OneOf;
      choice.name = arguments.back().name + "-or-" + rest.front().name;
      choice.parts = {std::move(arguments.back()), std::move(rest.front())};
      arguments.back() = std::move(choice);
      for (size_t i = 1; i < rest.size(); ++i) arguments.push_back(std::move(rest[i]));
    }
    HF_CHECK(at_ == words_.size());
    return arguments;
  }

 private:
  bool more() const { return at_ < words_.size(); }
  bool next_is(Bytes word) const { return more() && words_[at_] == word; }
  bool sequence_goes_on() const { return more() && !one_of(words_[at_], {"]", ">", "|"}); }
  bool next_is_name() const {
    return sequence_goes_on() && !one_of(words_[at_], {"[", "<", "..."}) && !is_token(words_[at_]);
  }
  void expect(Bytes word) {
    HF_CHECK(next_is(word));
    ++at_;
  }

  Argument name() {
    Argument argument;
    argument.name = words_[at_++];
    argument.kind = kind_of(argument.name, spec_);
    return argument;
  }

  /// A token and the names that follow it: alone, before one argument, or before a block of them.
  Argument token() {
    Argument argument;
    argument.token = words_[at_++];
    argument.name = to_lower(argument.token);
    argument.kind = Kind::PureToken;
    if (next_is("<")) {
      Argument choice = bracket();
      choice.token = argument.token;
      return choice;
    }
    std::vector<Argument> names;
    while (next_is_name()) names.push_back(name());
    if (names.size() == 1) {
      names[0].token = argument.token;
      return names[0];
    }
    if (names.size() > 1) {
      argument.kind = Kind::Block;
      argument.parts = std::move(names);
    }
    return argument;
  }

  static Argument block(std::vector<Argument> parts) {
    if (parts.size() == 1) return std::move(parts[0]);
    Argument whole;
    whole.kind = Kind::Block;
    whole.name = parts.empty() ? "" : parts[0].name;
    whole.parts = std::move(parts);
    return whole;
  }

  /// [a b], [a | b], <a | b>
  Argument bracket() {
    const bool optional = words_[at_++] == "[";
    std::vector<Argument> choices;
    choices.push_back(block(sequence()));
    while (next_is("|")) {
      ++at_;
      choices.push_back(block(sequence()));
    }
    expect(optional ? "]" : ">");
    Argument whole;
    if (choices.size() == 1) {
      whole = std::move(choices[0]);
    } else {
      whole.kind = Kind::OneOf;
      whole.name = choices[0].name + "-or-" + choices[1].name;
      whole.parts = std::move(choices);
    }
    whole.optional = optional;
    return whole;
  }

  /// "x [x ...]": the bracket only says that what stands before it repeats.
  static bool repeats_the_last(std::vector<Argument>& before, const Argument& bracketed) {
    const size_t n = bracketed.kind == Kind::Block ? bracketed.parts.size() : 1;
    if (!bracketed.multiple || before.size() < n) return false;
    const Argument* first = bracketed.kind == Kind::Block ? bracketed.parts.data() : &bracketed;
    for (size_t i = 0; i < n; ++i) {
      Argument candidate = before[before.size() - n + i];
      if (i == 0 && candidate.token != first[i].token)
        candidate.token.clear();  // "ID client-id [client-id ...]"
      if (!same(candidate, first[i])) return false;
    }
    std::vector<Argument> repeated(before.end() - static_cast<std::ptrdiff_t>(n), before.end());
    before.resize(before.size() - n);
    Argument whole = block(std::move(repeated));
    whole.multiple = true;
    before.push_back(std::move(whole));
    return true;
  }

  std::vector<Argument> sequence() {
    std::vector<Argument> out;
    while (sequence_goes_on()) {
      if (next_is("...")) {
        ++at_;
        Argument whole;
        if (next_is("]")) {
          whole = block(std::exchange(out, {}));
        } else {
          whole = std::move(out.back());
          out.pop_back();
        }
        whole.multiple = true;
        out.push_back(std::move(whole));
      } else if (next_is("[") || next_is("<")) {
        Argument whole = bracket();
        if (!repeats_the_last(out, whole)) out.push_back(std::move(whole));
      } else {
        out.push_back(is_token(words_[at_]) ? token() : name());
      }
    }
    return out;
  }

  const Spec& spec_;
  std::vector<Bytes> words_;
  size_t at_ = 0;
};

}  // namespace

const char* kind_name(Argument::Kind kind) {
  switch (kind) {
    case Kind::Key: return "key";
    case Kind::Integer: return "integer";
    case Kind::Double: return "double";
    case Kind::Pattern: return "pattern";
    case Kind::UnixTime: return "unix-time";
    case Kind::String: return "string";
    case Kind::PureToken: return "pure-token";
    case Kind::OneOf: return "oneof";
    case Kind::Block: return "block";
  }
  return "string";
}

std::vector<Argument> parse_syntax(const Spec& spec) { return Reader(spec).all(); }

}  // namespace hf::command
