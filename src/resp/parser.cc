// Keeps its place between calls as positions relative to the request's first byte, so that a request of a
// million arguments is read once, however it is cut.
#include "resp/parser.h"

#include <cstring>

#include "base/number.h"

namespace hf::resp {

void RequestParser::reset() {
  pos_ = 0;
  args_left_ = 0;
  in_array_ = false;
  bulk_size_ = -1;
  spans_.clear();
}

RequestParser::Outcome RequestParser::fail(std::string error) {
  error_ = std::move(error);
  return Outcome::Invalid;
}

RequestParser::Outcome RequestParser::next(Bytes in, std::vector<Bytes>& args, const RequestLimits& limits) {
  // Known only while a bulk string is under way: a stale size would make the reader wait for nothing.
  missing_ = 0;
  if (in.empty()) return Outcome::Incomplete;
  if (!in_array_ && in[0] != '*') return next_inline(in, args);
  return next_array(in, args, limits);
}

RequestParser::Outcome RequestParser::next_inline(Bytes in, std::vector<Bytes>& args) {
  const void* found = std::memchr(in.data() + pos_, '\n', in.size() - pos_);
  if (found == nullptr) {
    pos_ = in.size();
    if (in.size() > limits::inline_request_bytes_max) return fail("Protocol error: too big inline request");
    return Outcome::Incomplete;
  }
  const size_t newline = static_cast<size_t>(static_cast<const char*>(found) - in.data());
  if (newline > limits::inline_request_bytes_max) return fail("Protocol error: too big inline request");
  Bytes line = in.substr(0, newline);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  inline_args_.clear();
  if (!split_arguments(line, inline_args_)) return fail("Protocol error: unbalanced quotes in request");
  used_ = newline + 1;
  was_inline_ = true;
  reset();
  args.assign(inline_args_.begin(), inline_args_.end());
  return args.empty() ? Outcome::Empty : Outcome::Request;
}

namespace {

/// The position of the "\r\n" that ends the line starting at `from`, or npos. Redis looks for '\r' alone and
/// trusts that '\n' follows; so do we, and check it.
size_t line_end(Bytes in, size_t from) {
  const void* found = std::memchr(in.data() + from, '\r', in.size() - from);
  if (found == nullptr) return Bytes::npos;
  const size_t at = static_cast<size_t>(static_cast<const char*>(found) - in.data());
  return at + 1 < in.size() ? at : Bytes::npos;
}

}  // namespace

RequestParser::Outcome RequestParser::next_array(Bytes in, std::vector<Bytes>& args,
                                                 const RequestLimits& limits) {
  if (!in_array_) {
    was_inline_ = false;
    const size_t end = line_end(in, 1);
    if (end == Bytes::npos) {
      if (in.size() > limits::inline_request_bytes_max)
        return fail("Protocol error: too big mbulk count string");
      return Outcome::Incomplete;
    }
    const auto count = parse_int(in.substr(1, end - 1));
    if (!count || *count > limits.args_max || in[end + 1] != '\n')
      return fail("Protocol error: invalid multibulk length");
    if (!limits.authenticated && *count > limits::unauthenticated_args_max)
      return fail("Protocol error: unauthenticated multibulk length");
    if (*count <= 0) {
      used_ = end + 2;
      reset();
      return Outcome::Empty;
    }
    pos_ = end + 2;
    args_left_ = *count;
    in_array_ = true;
  }
  while (args_left_ > 0) {
    if (bulk_size_ < 0) {
      if (pos_ >= in.size()) return Outcome::Incomplete;
      if (in[pos_] != '$') return fail(std::string("Protocol error: expected '$', got '") + in[pos_] + "'");
      const size_t end = line_end(in, pos_);
      if (end == Bytes::npos) {
        if (in.size() - pos_ > limits::inline_request_bytes_max)
          return fail("Protocol error: too big bulk count string");
        return Outcome::Incomplete;
      }
      const auto size = parse_int(in.substr(pos_ + 1, end - pos_ - 1));
      if (!size || *size < 0 || *size > limits.bulk_bytes_max || in[end + 1] != '\n')
        return fail("Protocol error: invalid bulk length");
      if (!limits.authenticated && *size > limits::unauthenticated_bulk_bytes_max)
        return fail("Protocol error: unauthenticated bulk length");
      bulk_size_ = *size;
      pos_ = end + 2;
    }
    const size_t size = static_cast<size_t>(bulk_size_);
    if (in.size() - pos_ < size + 2) {
      missing_ = size + 2 - (in.size() - pos_);
      return Outcome::Incomplete;
    }
    spans_.push_back({pos_, size});
    if (in[pos_ + size] != '\r' || in[pos_ + size + 1] != '\n') was_inline_ = true;
    pos_ += size + 2;
    bulk_size_ = -1;
    --args_left_;
  }
  args.clear();
  for (const Span span : spans_) args.push_back(in.substr(span.begin, span.size));
  used_ = pos_;
  reset();
  return Outcome::Request;
}

}  // namespace hf::resp
