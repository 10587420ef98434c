// Bytes are consumed as they come: a bulk string grows in its value while it arrives, so that a reply of a
// gigabyte is held once. Open aggregates stand on a stack of our own; nothing here recurses over what a peer
// sent.
#include "resp/reader.h"

#include <algorithm>
#include <cstring>

#include "base/number.h"

namespace hf::resp {

namespace {
std::string count_text(size_t n) { return to_text(static_cast<int64_t>(n)); }
}  // namespace

Bytes Value::error_code() const {
  if (kind != Kind::Error) return {};
  const size_t blank = text.find(' ');
  return Bytes(text).substr(0, blank);
}

std::string Value::as_text() const {
  if (kind == Kind::Integer) return to_text(integer);
  if (kind == Kind::Boolean) return integer != 0 ? "true" : "false";
  return text;
}

std::optional<int64_t> Value::as_int() const {
  if (kind == Kind::Integer || kind == Kind::Boolean) return integer;
  return parse_int(text);
}

const Value* Value::field(Bytes name) const {
  if (kind != Kind::Map && kind != Kind::Array) return nullptr;
  for (size_t i = 0; i + 1 < items.size(); i += 2)
    if (!items[i].is_aggregate() && items[i].text == name) return &items[i + 1];
  return nullptr;
}

ReplyReader::Step ReplyReader::bad(std::string what) {
  error_ = "not a valid reply: " + std::move(what);
  return Step::Bad;
}

ReplyReader::Outcome ReplyReader::next(Bytes in) {
  used_ = 0;
  while (true) {
    const Step step = bulk_kind_ != 0 ? read_bulk(in.substr(used_)) : read_header(in.substr(used_));
    switch (step) {
      case Step::Again: continue;
      case Step::NeedMore: return Outcome::Incomplete;
      case Step::Done: elements_ = 0; return Outcome::Reply;
      case Step::Bad: return Outcome::Invalid;
    }
  }
}

ReplyReader::Step ReplyReader::read_header(Bytes in) {
  if (in.empty()) return Step::NeedMore;
  if (std::memchr("+-:$*_#,(!=%~>|", in[0], 15) == nullptr)
    return bad("a type byte expected, found " + quoted(in.substr(0, 1)));
  const void* found = std::memchr(in.data(), '\n', in.size());
  if (found == nullptr) {
    if (in.size() > limits_.line_bytes_max)
      return bad("a line longer than " + count_text(limits_.line_bytes_max));
    return Step::NeedMore;
  }
  const size_t newline = static_cast<size_t>(static_cast<const char*>(found) - in.data());
  if (newline > limits_.line_bytes_max || newline < 2 || in[newline - 1] != '\r')
    return bad("line " + quoted(in.substr(0, std::min<size_t>(newline, 40))) + " does not end as it must");
  const Bytes line = in.substr(1, newline - 2);
  used_ += newline + 1;
  if (++elements_ > limits_.elements_max)
    return bad("more than " + to_text(limits_.elements_max) + " elements");
  switch (in[0]) {
    case '$':
    case '!':
    case '=': return begin_bulk(in[0], line);
    case '*':
    case '%':
    case '~':
    case '>':
    case '|': return begin_aggregate(in[0], line);
    default: return scalar(in[0], line);
  }
}

ReplyReader::Step ReplyReader::scalar(char kind, Bytes line) {
  Value v;
  v.text = line;
  switch (kind) {
    case '+': v.kind = Value::Kind::Simple; break;
    case '-': v.kind = Value::Kind::Error; break;
    case ':': {
      const auto n = parse_int(line.substr(line.starts_with('+') ? 1 : 0));
      if (!n) return bad("integer " + quoted(line));
      v.kind = Value::Kind::Integer;
      v.integer = *n;
      v.text.clear();
      break;
    }
    case '_':
      if (!line.empty()) return bad("null with content");
      break;
    case '#':
      if (line != "t" && line != "f") return bad("boolean " + quoted(line));
      v.kind = Value::Kind::Boolean;
      v.integer = line == "t" ? 1 : 0;
      v.text.clear();
      break;
    case ',':
      if (line != "nan" && line != "-nan" && !parse_double(line)) return bad("double " + quoted(line));
      v.kind = Value::Kind::Double;
      break;
    default: {
      const Bytes digits = line.substr(line.starts_with('-') || line.starts_with('+') ? 1 : 0);
      if (digits.empty() || digits.find_first_not_of("0123456789") != Bytes::npos)
        return bad("big number " + quoted(line));
      v.kind = Value::Kind::BigNumber;
    }
  }
  return close(std::move(v));
}

ReplyReader::Step ReplyReader::begin_bulk(char kind, Bytes line) {
  const auto size = parse_int(line);
  if (size && *size == -1 && kind == '$') return close(Value{});
  if (!size || *size < 0 || *size > limits_.bulk_bytes_max) return bad("bulk length " + quoted(line));
  if (kind == '=' && *size < 4) return bad("verbatim string without a format");
  bulk_kind_ = kind;
  bulk_left_ = *size;
  bulk_.clear();
  return Step::Again;
}

ReplyReader::Step ReplyReader::read_bulk(Bytes in) {
  if (bulk_left_ > 0) {
    const size_t n = std::min(in.size(), static_cast<size_t>(bulk_left_));
    bulk_.append(in.substr(0, n));
    bulk_left_ -= static_cast<int64_t>(n);
    used_ += n;
    in.remove_prefix(n);
    if (bulk_left_ > 0) return Step::NeedMore;
  }
  for (; bulk_left_ > -2; --bulk_left_) {
    if (in.empty()) return Step::NeedMore;
    if (in[0] != (bulk_left_ == 0 ? '\r' : '\n')) return bad("bulk string without its line end");
    in.remove_prefix(1);
    ++used_;
  }
  Value v;
  v.kind = bulk_kind_ == '$'   ? Value::Kind::Bulk
           : bulk_kind_ == '!' ? Value::Kind::Error
                               : Value::Kind::Verbatim;
  if (bulk_kind_ == '=') {
    v.format = bulk_.substr(0, 3);
    bulk_.erase(0, 4);
  }
  v.text = std::move(bulk_);
  bulk_.clear();
  bulk_kind_ = 0;
  return close(std::move(v));
}

ReplyReader::Step ReplyReader::begin_aggregate(char kind, Bytes line) {
  const auto count = parse_int(line);
  if (count && *count == -1 && kind == '*') return close(Value{});
  const bool pairs = kind == '%' || kind == '|';
  if (!count || *count < 0 || *count > limits_.elements_max / (pairs ? 2 : 1))
    return bad("aggregate length " + quoted(line));
  if (open_.size() >= limits_.depth_max) return bad("nested deeper than " + count_text(limits_.depth_max));
  Open open{{}, pairs ? *count * 2 : *count, kind == '|'};
  open.value.kind = kind == '%'   ? Value::Kind::Map
                    : kind == '~' ? Value::Kind::Set
                    : kind == '>' ? Value::Kind::Push
                                  : Value::Kind::Array;
  if (open.left == 0) return open.attribute ? Step::Again : close(std::move(open.value));
  open_.push_back(std::move(open));
  return Step::Again;
}

ReplyReader::Step ReplyReader::close(Value value) {
  while (!open_.empty()) {
    Open& parent = open_.back();
    parent.value.items.push_back(std::move(value));
    if (--parent.left > 0) return Step::Again;
    value = std::move(parent.value);
    const bool dropped = parent.attribute;
    open_.pop_back();
    if (dropped) return Step::Again;
  }
  done_ = std::move(value);
  return Step::Done;
}

}  // namespace hf::resp
