// Reading and answering scans.
#include "command/scan.h"

#include <charconv>

#include "base/number.h"

namespace hf::command {

bool parse_cursor(Context& ctx, Bytes text, uint64_t& cursor) {
  // strtoul's grammar but for leading blanks: a sign, leading zeros and nothing at all (0) are fine.
  cursor = 0;
  if (text.empty()) return true;
  Bytes digits = text;
  const bool negative = !digits.empty() && digits[0] == '-';
  if (!digits.empty() && (digits[0] == '-' || digits[0] == '+')) digits.remove_prefix(1);
  const auto [end, err] = std::from_chars(digits.data(), digits.data() + digits.size(), cursor);
  if (err == std::errc() && end == digits.data() + digits.size()) {
    if (negative) cursor = 0 - cursor;
    return true;
  }
  ctx.error("ERR invalid cursor");
  return false;
}

bool parse_scan_options(Context& ctx, size_t first, bool type_allowed, ScanOptions& options) {
  for (size_t i = first; i < ctx.args.size(); i += 2) {
    const Bytes name = ctx.args[i];
    if (i + 1 >= ctx.args.size()) return ctx.syntax_error(), false;
    const Bytes value = ctx.args[i + 1];
    if (equal_nocase(name, "count")) {
      if (!ctx.integer_arg(i + 1, options.count)) return false;
      if (options.count < 1) return ctx.syntax_error(), false;
    } else if (equal_nocase(name, "match")) {
      options.pattern = value;
      options.any = value == "*";
    } else if (type_allowed && equal_nocase(name, "type")) {
      options.type = value;
    } else {
      return ctx.syntax_error(), false;
    }
  }
  return true;
}

void ScanReply::finish(uint64_t cursor) {
  char text[24];
  const auto end = std::to_chars(text, text + sizeof text, cursor).ptr;
  ctx_.reply.array(2);
  ctx_.reply.bulk({text, static_cast<size_t>(end - text)});
  ctx_.reply.array(count_);
  ctx_.reply.buffer().append(elements_.view());
}

}  // namespace hf::command
