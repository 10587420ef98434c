// The one writer of RESP2 and RESP3. It appends to a Buffer; what a type looks like in the protocol in force
// is decided here and nowhere else.
#pragma once
#include <initializer_list>
#include <span>
#include <string>

#include "base/buffer.h"
#include "base/bytes.h"

namespace hf::resp {

class Writer {
 public:
  /// `out` must outlive the writer. `protocol` is 2 or 3.
  Writer(Buffer& out, int protocol) : out_(&out), protocol_(protocol) {}

  int protocol() const { return protocol_; }
  void set_protocol(int protocol) { protocol_ = protocol; }
  Buffer& buffer() { return *out_; }

  void ok() { out_->append("+OK\r\n"); }
  void simple(Bytes text);  ///< line breaks in it become blanks
  /// `text` starts with its code ("ERR ...", "WRONGTYPE ..."); line breaks in it become blanks.
  void error(Bytes text);
  void integer(int64_t value);
  void bulk(Bytes bytes);
  void bulk_int(int64_t value);
  void null();        ///< RESP2: $-1
  void null_array();  ///< RESP2: *-1
  void boolean(bool value);
  void number(double value);  ///< RESP3 double, RESP2 bulk string
  void verbatim(Bytes text);  ///< RESP3 =txt:, RESP2 bulk string
  void array(size_t n);
  void map(size_t pairs);     ///< RESP2: flat array
  void set(size_t n);         ///< RESP2: array
  void push(size_t n);        ///< RESP2: array
  /// An array, map, set whose length is known later: keep what `begin_*` returns, count, then `end_*` it.
  struct Deferred {
    size_t at;  // of the placeholder, from the buffer's begin
    char kind;
  };
  Deferred begin_array() { return begin('*'); }
  Deferred begin_map() { return begin('%'); }
  Deferred begin_set() { return begin('~'); }
  void end(Deferred deferred, size_t n);

  /// A request: an array of bulk strings, whatever the protocol. Canonical commands are written with this.
  void command(std::span<const Bytes> args);
  void command(std::initializer_list<Bytes> args) {
    command(std::span<const Bytes>(args.begin(), args.size()));
  }

 private:
  Deferred begin(char kind);
  void header(char kind, int64_t n);
  void line(char kind, Bytes text);
  Buffer* out_;
  int protocol_;
};

}  // namespace hf::resp
