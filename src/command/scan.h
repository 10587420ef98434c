// The grammar SCAN and HSCAN (later SSCAN, ZSCAN) share: a cursor, then MATCH, COUNT, and TYPE where it makes
// sense.
#pragma once
#include "command/context.h"

namespace hf::command {

struct ScanOptions {
  int64_t count = 10;
  Bytes pattern;
  bool any = true;  ///< no pattern, or "*"
  Bytes type;       ///< empty: every type
};

/// False: the error is replied.
bool parse_cursor(Context& ctx, Bytes text, uint64_t& cursor);
/// Options from args[first] on.
bool parse_scan_options(Context& ctx, size_t first, bool type_allowed, ScanOptions& options);

/// The elements of one call, written aside because the cursor that goes before them is known last.
class ScanReply {
 public:
  explicit ScanReply(Context& ctx) : ctx_(ctx), writer_(elements_, ctx.reply.protocol()) {}
  void add(Bytes element) {
    writer_.bulk(element);
    ++count_;
  }
  void finish(uint64_t cursor);

 private:
  Context& ctx_;
  Buffer elements_;
  resp::Writer writer_;
  size_t count_ = 0;
};

}  // namespace hf::command
