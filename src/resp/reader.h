// The one reply parser: RESP2 and RESP3 into a tree of values, cut anywhere, bounded everywhere. The client
// reads replies with it, a replica its primary's handshake. Source: Redis serialization protocol
// specification (RESP3). Streamed lengths ("$?", "*?") are not spoken by any server.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace hf::resp {

/// One reply. Owns everything in it.
struct Value {
  enum class Kind : uint8_t {
    Null,       ///< RESP3 _, RESP2 $-1 and *-1
    Simple,     ///< +text
    Error,      ///< -CODE text, and RESP3's !
    Integer,    ///< :n
    Bulk,       ///< $bytes
    Boolean,    ///< #t #f, in `integer`
    Double,     ///< ,n as the server wrote it, in `text`
    BigNumber,  ///< (digits, in `text`
    Verbatim,   ///< =xxx:text; the format in `format`
    Array,      ///< *
    Map,        ///< % with key, value, key, value in `items`
    Set,        ///< ~
    Push,       ///< > out of band
  };
  Kind kind = Kind::Null;
  int64_t integer = 0;
  std::string text;
  std::string format;
  std::vector<Value> items;

  bool is(Kind k) const { return kind == k; }
  bool is_error() const { return kind == Kind::Error; }
  bool is_null() const { return kind == Kind::Null; }
  bool is_aggregate() const { return kind >= Kind::Array; }
  /// The first word of an error ("FENCED"), empty for anything else.
  Bytes error_code() const;
  /// Text of a scalar; integers as digits, null as empty.
  std::string as_text() const;
  /// An integer, or a string that holds one.
  std::optional<int64_t> as_int() const;
  /// The value under `name` in a map, or in an array of name, value, name, value (RESP2's form). Null
  /// pointer: none. Points into this value.
  const Value* field(Bytes name) const;
};

/// What a peer may make us hold. Beyond it the reply is Invalid, never a crash or an endless wait.
struct ReplyLimits {
  int64_t bulk_bytes_max = 512ll * 1024 * 1024;
  int64_t elements_max = 16 * 1024 * 1024;  ///< of one reply, all levels together
  size_t depth_max = 64;
  size_t line_bytes_max = 64 * 1024;  ///< of one line without its content: numbers, simple strings, errors
};

class ReplyReader {
 public:
  enum class Outcome : uint8_t {
    Incomplete,  ///< all that could be used was; feed what comes next
    Reply,       ///< take() has it
    Invalid,     ///< not RESP, or beyond the limits: see error(); close the connection
  };
  explicit ReplyReader(ReplyLimits limits = {}) : limits_(limits) {}

  /// Reads from `in`, the unconsumed bytes. Consume `used()` bytes of it after every call, whatever the
  /// outcome. Attributes (|) are read and dropped.
  Outcome next(Bytes in);
  size_t used() const { return used_; }
  /// The reply just read. Call once after Reply.
  Value take() { return std::move(done_); }
  /// A sentence with the byte that was not understood.
  const std::string& error() const { return error_; }

 private:
  struct Open {
    Value value;
    int64_t left;    // values still to come
    bool attribute;  // dropped when full
  };
  enum class Step : uint8_t { Again, NeedMore, Done, Bad };
  Step read_header(Bytes in);
  Step read_bulk(Bytes in);
  Step begin_bulk(char kind, Bytes line);
  Step begin_aggregate(char kind, Bytes line);
  Step scalar(char kind, Bytes line);
  Step close(Value value);
  Step bad(std::string what);

  ReplyLimits limits_;
  std::vector<Open> open_;
  int64_t elements_ = 0;
  char bulk_kind_ = 0;     // '$', '!' or '=' while one is under way
  int64_t bulk_left_ = 0;  // of its content, then 2, 1 of its line end as 0, -1
  std::string bulk_;
  size_t used_ = 0;
  Value done_;
  std::string error_;
};

}  // namespace hf::resp
