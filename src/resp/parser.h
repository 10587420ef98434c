// The one request parser: RESP arrays of bulk strings and inline commands, cut anywhere, bounded everywhere.
// Source: Redis serialization protocol specification; limits and error texts are Redis 7.2's.
#pragma once
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/limits.h"

namespace hf::resp {

struct RequestLimits {
  int64_t args_max = limits::request_args_max;
  int64_t bulk_bytes_max = limits::bulk_bytes_max_default;
  bool authenticated = true;  ///< false: 10 arguments of 16 KiB at most, as Redis does before AUTH
};

class RequestParser {
 public:
  enum class Outcome : uint8_t {
    Incomplete,  ///< more bytes are needed; progress is kept
    Request,     ///< `args` holds a request; `used` bytes of `in` were it
    Empty,       ///< `used` bytes held nothing to do (an empty line, *0, *-1)
    Invalid,     ///< protocol error: see `error`; the connection must be closed
  };

  /// Looks at `in`, the unconsumed bytes. After Incomplete, call again with the same bytes and more behind
  /// them (they may have moved). After Request or Empty, consume `used()` bytes before the next call. `args`
  /// are views into `in`, or into the parser for inline commands: valid until the next call or until `in`
  /// moves.
  Outcome next(Bytes in, std::vector<Bytes>& args, const RequestLimits& limits);

  /// Forgets a request under way: the caller goes back to the first byte it has not consumed.
  void restart() { reset(); }

  size_t used() const { return used_; }
  /// "Protocol error: ..." without "-ERR ".
  const std::string& error() const { return error_; }
  /// How many bytes of the request under way are still to come, as far as its headers tell (0: unknown).
  size_t missing() const { return missing_; }
  /// The bytes of the request just parsed are not the canonical text of its arguments: it was an inline
  /// command, or had something else where the line ends behind its strings belong (Redis does not look at
  /// those, so we take it too).
  bool was_inline() const { return was_inline_; }

 private:
  struct Span {
    size_t begin, size;
  };
  Outcome fail(std::string error);
  Outcome next_inline(Bytes in, std::vector<Bytes>& args);
  Outcome next_array(Bytes in, std::vector<Bytes>& args, const RequestLimits& limits);
  void reset();

  size_t pos_ = 0;         // how far into `in` the request under way is read
  int64_t args_left_ = 0;  // bulk strings still to come
  bool in_array_ = false;
  int64_t bulk_size_ = -1;  // of the bulk string under way, -1 before its header
  std::vector<Span> spans_;
  std::vector<std::string> inline_args_;
  size_t used_ = 0, missing_ = 0;
  bool was_inline_ = false;
  std::string error_;
};

/// Splits canonical command text (a concatenation of RESP arrays of bulk strings) as the log holds it.
/// Returns false at the first command that is not such text, down to the line ends behind its strings (which
/// requests of clients may get wrong, as with Redis); `at` then says where it begins. Calls `each(args, raw
/// bytes)` per command.
template <class Each>
bool for_each_command(Bytes text, size_t& at, Each&& each) {
  RequestParser parser;
  std::vector<Bytes> args;
  at = 0;
  while (at < text.size()) {
    const Bytes rest = text.substr(at);
    if (rest[0] != '*' || parser.next(rest, args, RequestLimits{}) != RequestParser::Outcome::Request)
      return false;
    for (const Bytes arg : args)
      if (arg.data()[arg.size()] != '\r' || arg.data()[arg.size() + 1] != '\n') return false;
    each(args, rest.substr(0, parser.used()));
    at += parser.used();
  }
  return true;
}

}  // namespace hf::resp
