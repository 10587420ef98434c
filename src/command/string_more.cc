// Strings from the inside: ranges, APPEND, and the longest common subsequence.
#include "command/string_more.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/limits.h"

namespace hf::command {
namespace {

using store::Entry;
using store::Key;
using store::Scratch;
using store::Type;

/// False: a string of `size` bytes is refused, and the error replied.
bool size_allowed(Context& ctx, uint64_t size) {
  if (size <= static_cast<uint64_t>(limits::bulk_bytes_max_default)) return true;
  ctx.error("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
  return false;
}

}  // namespace

void append(Context& ctx) {
  const Key key = ctx.key(1);
  const Entry* entry = ctx.find(key);
  const Bytes value = ctx.args[2];
  if (entry == nullptr) {
    ctx.store.set_string(ctx.db(), key, value);
    ctx.changed();
    return ctx.reply.integer(static_cast<int64_t>(value.size()));
  }
  if (entry->type() != Type::String) return ctx.wrong_type();
  const size_t before = entry->string_size();
  if (!size_allowed(ctx, before + value.size())) return;
  char* bytes = ctx.store.resize_string(ctx.db(), key, before + value.size());
  std::memcpy(bytes + before, value.data(), value.size());
  ctx.changed();
  ctx.reply.integer(static_cast<int64_t>(before + value.size()));
}

void strlen(Context& ctx) {
  bool wrong;
  const Entry* entry = ctx.find_typed(ctx.key(1), Type::String, wrong);
  if (!wrong) ctx.reply.integer(entry == nullptr ? 0 : static_cast<int64_t>(entry->string_size()));
}

void setrange(Context& ctx) {
  int64_t offset;
  if (!ctx.integer_arg(2, offset)) return;
  if (offset < 0) return ctx.error("ERR offset is out of range");
  const Key key = ctx.key(1);
  const Bytes value = ctx.args[3];
  const Entry* entry = ctx.find(key);
  if (entry != nullptr && entry->type() != Type::String) return ctx.wrong_type();
  const size_t before = entry == nullptr ? 0 : entry->string_size();
  if (value.empty()) return ctx.reply.integer(static_cast<int64_t>(before));
  if (!size_allowed(ctx, static_cast<uint64_t>(offset) + value.size())) return;
  const size_t size = std::max(before, static_cast<size_t>(offset) + value.size());
  char* bytes = ctx.store.resize_string(ctx.db(), key, size);
  std::memcpy(bytes + offset, value.data(), value.size());
  ctx.changed();
  ctx.reply.integer(static_cast<int64_t>(size));
}

void getrange(Context& ctx) {
  int64_t start, end;
  if (!ctx.integer_arg(2, start) || !ctx.integer_arg(3, end)) return;
  bool wrong;
  const Entry* entry = ctx.find_typed(ctx.key(1), Type::String, wrong);
  if (wrong) return;
  if (entry == nullptr) return ctx.reply.bulk("");
  Scratch scratch;
  const Bytes text = entry->string(scratch);
  const auto size = static_cast<int64_t>(text.size());
  if (start < 0 && end < 0 && start > end) return ctx.reply.bulk("");
  if (start < 0) start = std::max<int64_t>(start + size, 0);
  if (end < 0) end = std::max<int64_t>(end + size, 0);
  end = std::min(end, size - 1);
  if (size == 0 || start > end) return ctx.reply.bulk("");
  ctx.reply.bulk(text.substr(static_cast<size_t>(start), static_cast<size_t>(end - start + 1)));
}

// ---- LCS ------------------------------------------------------------------------------------------------

namespace {

struct LcsOptions {
  bool length = false, indexes = false, with_match_length = false;
  int64_t min_match_length = 0;
};

bool parse_lcs(Context& ctx, LcsOptions& options) {
  for (size_t i = 3; i < ctx.args.size(); ++i) {
    const Bytes arg = ctx.args[i];
    if (equal_nocase(arg, "idx")) {
      options.indexes = true;
    } else if (equal_nocase(arg, "len")) {
      options.length = true;
    } else if (equal_nocase(arg, "withmatchlen")) {
      options.with_match_length = true;
    } else if (equal_nocase(arg, "minmatchlen") && i + 1 < ctx.args.size()) {
      if (!ctx.integer_arg(++i, options.min_match_length)) return false;
      options.min_match_length = std::max<int64_t>(options.min_match_length, 0);
    } else {
      return ctx.syntax_error(), false;
    }
  }
  if (options.indexes && options.length) {
    ctx.error("ERR If you want both the length and indexes, please just use IDX.");
    return false;
  }
  return true;
}

/// The table of lengths: at(i, j) is the LCS of the first i bytes of `a` and the first j of `b`.
class LcsTable {
 public:
  LcsTable(Bytes a, Bytes b) : width_(b.size() + 1), cells_((a.size() + 1) * width_) {
    for (size_t i = 1; i <= a.size(); ++i)
      for (size_t j = 1; j <= b.size(); ++j)
        cells_[i * width_ + j] =
            a[i - 1] == b[j - 1] ? at(i - 1, j - 1) + 1 : std::max(at(i - 1, j), at(i, j - 1));
  }
  uint32_t at(size_t i, size_t j) const { return cells_[i * width_ + j]; }

 private:
  size_t width_;
  std::vector<uint32_t> cells_;
};

struct Match {
  size_t a_first, a_last, b_first, b_last;
};

/// Walks the table from its end, calling `each` for every run of matches, last first; fills `common`
/// backwards.
template <class Each>
void walk_lcs(const LcsTable& table, Bytes a, Bytes b, std::string& common, Each&& each) {
  size_t left = common.size();
  bool in_match = false;
  Match match{};
  for (size_t i = a.size(), j = b.size(); i > 0 && j > 0;) {
    if (a[i - 1] == b[j - 1]) {
      common[--left] = a[i - 1];
      --i, --j;
      if (in_match && match.a_first == i + 1 && match.b_first == j + 1) {
        match.a_first = i, match.b_first = j;
      } else {
        if (in_match) each(match);
        match = {i, i, j, j};
        in_match = true;
      }
    } else if (table.at(i - 1, j) > table.at(i, j - 1)) {
      --i;
    } else {
      --j;
    }
  }
  if (in_match) each(match);
}

void reply_lcs_indexes(Context& ctx, const LcsOptions& options, const LcsTable& table, Bytes a, Bytes b) {
  const uint32_t total = table.at(a.size(), b.size());
  std::vector<Match> matches;
  std::string common(total, '\0');
  walk_lcs(table, a, b, common, [&](const Match& match) {
    if (static_cast<int64_t>(match.a_last - match.a_first + 1) >= options.min_match_length)
      matches.push_back(match);
  });
  ctx.reply.map(2);
  ctx.reply.bulk("matches");
  ctx.reply.array(matches.size());
  for (const Match& match : matches) {
    ctx.reply.array(options.with_match_length ? 3 : 2);
    ctx.reply.array(2);
    ctx.reply.integer(static_cast<int64_t>(match.a_first));
    ctx.reply.integer(static_cast<int64_t>(match.a_last));
    ctx.reply.array(2);
    ctx.reply.integer(static_cast<int64_t>(match.b_first));
    ctx.reply.integer(static_cast<int64_t>(match.b_last));
    if (options.with_match_length) ctx.reply.integer(static_cast<int64_t>(match.a_last - match.a_first + 1));
  }
  ctx.reply.bulk("len");
  ctx.reply.integer(total);
}

}  // namespace

void lcs(Context& ctx) {
  const Entry* first = ctx.find_counted(ctx.key(1));
  // The second look-up may remove an expired key, never the first: an expired first one is gone already.
  const Entry* second = ctx.find_counted(ctx.key(2));
  if ((first != nullptr && first->type() != Type::String) ||
      (second != nullptr && second->type() != Type::String))
    return ctx.error("ERR The specified keys must contain string values");
  LcsOptions options;
  if (!parse_lcs(ctx, options)) return;
  Scratch scratch_a, scratch_b;
  const Bytes a = first == nullptr ? Bytes() : first->string(scratch_a);
  const Bytes b = second == nullptr ? Bytes() : second->string(scratch_b);
  const uint64_t cells_max = static_cast<uint64_t>(limits::bulk_bytes_max_default) / sizeof(uint32_t);
  if (a.size() + 1 > cells_max / (b.size() + 1))
    return ctx.error("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
  const LcsTable table(a, b);
  const uint32_t total = table.at(a.size(), b.size());
  if (options.indexes) return reply_lcs_indexes(ctx, options, table, a, b);
  if (options.length) return ctx.reply.integer(total);
  std::string common(total, '\0');
  walk_lcs(table, a, b, common, [](const Match&) {});
  ctx.reply.bulk(common);
}

}  // namespace hf::command
