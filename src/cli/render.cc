// The shapes are redis-cli's, because people and scripts know them. Depth is bounded by the reader.
#include "cli/render.h"

#include <cstdio>

#include "base/number.h"
#include "cli/json.h"

namespace hf::cli {

using resp::Value;
using Kind = resp::Value::Kind;

namespace {

Bytes empty_text(Kind kind) {
  switch (kind) {
    case Kind::Map: return "(empty hash)\n";
    case Kind::Set: return "(empty set)\n";
    case Kind::Push: return "(empty push)\n";
    default: return "(empty array)\n";
  }
}

char mark(Kind kind) {
  return kind == Kind::Map ? '#' : kind == Kind::Set ? '~' : kind == Kind::Push ? '>' : ')';
}

void human(const Value& v, const std::string& indent, std::string& out) {
  switch (v.kind) {
    case Kind::Null: out += "(nil)\n"; return;
    case Kind::Simple: out += v.text + "\n"; return;
    case Kind::Error: out += "(error) " + v.text + "\n"; return;
    case Kind::Integer: out += "(integer) " + to_text(v.integer) + "\n"; return;
    case Kind::Bulk: out += quoted(v.text) + "\n"; return;
    case Kind::Boolean: out += v.integer != 0 ? "(true)\n" : "(false)\n"; return;
    case Kind::Double: out += "(double) " + v.text + "\n"; return;
    case Kind::BigNumber: out += "(big number) " + v.text + "\n"; return;
    case Kind::Verbatim:
      out += v.text;
      if (!v.text.ends_with('\n')) out += '\n';
      return;
    default: break;
  }
  if (v.items.empty()) {
    out += empty_text(v.kind);
    return;
  }
  const size_t step = v.is(Kind::Map) ? 2 : 1;
  const size_t width = to_text(static_cast<int64_t>(v.items.size() / step)).size();
  const std::string deeper = indent + std::string(width + 2, ' ');
  for (size_t i = 0; i < v.items.size(); i += step) {
    const std::string number = to_text(static_cast<int64_t>(i / step + 1));
    if (i > 0) out += indent;  // the first stands behind its parent's number
    out += std::string(width - number.size(), ' ') + number + mark(v.kind) + ' ';
    human(v.items[i], deeper, out);
    if (step == 1) continue;
    out.pop_back();
    out += " => ";
    human(v.items[i + 1], deeper, out);
  }
}

void raw(const Value& v, std::string& out) {
  if (!v.is_aggregate()) {
    out += v.as_text();
    return;
  }
  for (size_t i = 0; i < v.items.size(); ++i) {
    if (i > 0) out += '\n';
    raw(v.items[i], out);
  }
}

void json(const Value& v, std::string& out) {
  switch (v.kind) {
    case Kind::Null: out += "null"; return;
    case Kind::Error: out += "{\"error\":" + json_string(v.text) + "}"; return;
    case Kind::Integer: out += to_text(v.integer); return;
    case Kind::Boolean: out += v.integer != 0 ? "true" : "false"; return;
    case Kind::Double: {
      const auto n = parse_double(v.text);
      const bool finite = n && *n - *n == 0;
      out += finite ? to_text(*n) : json_string(v.text);
      return;
    }
    case Kind::BigNumber: out += v.text.starts_with('+') ? v.text.substr(1) : v.text; return;
    case Kind::Simple:
    case Kind::Bulk:
    case Kind::Verbatim: out += json_string(v.text); return;
    default: break;
  }
  const bool map = v.is(Kind::Map);
  out += map ? '{' : '[';
  for (size_t i = 0; i < v.items.size(); ++i) {
    if (i > 0) out += map && i % 2 == 1 ? ':' : ',';
    if (map && i % 2 == 0) {
      std::string name;
      if (v.items[i].is_aggregate()) json(v.items[i], name);  // an object's names are strings
      out += json_string(v.items[i].is_aggregate() ? name : v.items[i].as_text());
    } else {
      json(v.items[i], out);
    }
  }
  out += map ? '}' : ']';
}

}  // namespace

std::string render_human(const Value& value) {
  std::string out;
  human(value, "", out);
  return out;
}

std::string render_raw(const Value& value) {
  std::string out;
  raw(value, out);
  if (!out.ends_with('\n') || !value.is(Kind::Verbatim)) out += '\n';
  return out;
}

std::string render_json(const Value& value) {
  std::string out;
  json(value, out);
  return out;
}

}  // namespace hf::cli
