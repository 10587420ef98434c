// OBJECT and MEMORY.
#include "command/object.h"

#include "base/number.h"
#include "command/common.h"
#include "command/table.h"

namespace hf::command {
namespace {

using store::Entry;

/// The entry at args[2]; null replied when absent.
const Entry* examined(Context& ctx) {
  const Entry* entry = ctx.find(ctx.key(2));
  if (entry == nullptr) ctx.reply.null();
  return entry;
}

void object_encoding(Context& ctx) {
  if (const Entry* entry = examined(ctx)) ctx.reply.bulk(entry->encoding());
}

void object_refcount(Context& ctx) {
  if (examined(ctx) != nullptr) ctx.reply.integer(1);  // values are never shared
}

void object_freq(Context& ctx) {
  if (examined(ctx) == nullptr) return;
  ctx.error(
      "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when "
      "switching "
      "between policies at runtime LRU and LFU data will take some time to adjust.");
}

void object_idletime(Context& ctx) {
  if (examined(ctx) == nullptr) return;
  ctx.error("ERR Access times are not kept, so there is no idle time to tell.");
}

void object_help(Context& ctx) { reply_help(ctx, *find_command("object")); }

void memory_usage(Context& ctx) {
  for (size_t i = 3; i < ctx.args.size(); i += 2) {
    int64_t samples;
    if (!equal_nocase(ctx.args[i], "samples") || i + 1 >= ctx.args.size()) return ctx.syntax_error();
    if (!ctx.integer_arg(i + 1, samples)) return;
    if (samples < 0) return ctx.syntax_error();
  }
  if (const Entry* entry = examined(ctx)) ctx.reply.integer(static_cast<int64_t>(entry->memory_bytes()));
}

void memory_help(Context& ctx) { reply_help(ctx, *find_command("memory")); }

constexpr KeyUses examines{UseReadOnly};
constexpr const char* varies = "nondeterministic_output";

// clang-format off
constexpr Spec object_rows[] = {
    {"encoding", 3, Readonly, second_key, CatKeyspace, "generic", "2.2.3", "O(1)",
     "Returns how the value of a key is encoded.", "key", object_encoding, {}, varies, examines},
    {"freq", 3, Readonly, second_key, CatKeyspace, "generic", "4.0.0", "O(1)",
     "Would return how often a key is used; not tracked here.", "key", object_freq, {}, varies, examines},
    {"help", 2, Loading | Stale, no_keys, CatKeyspace, "generic", "6.2.0", "O(1)", "Lists these subcommands.",
     "", object_help},
    {"idletime", 3, Readonly, second_key, CatKeyspace, "generic", "2.2.3", "O(1)",
     "Would return how long a key was not used; not tracked here.", "key", object_idletime, {}, varies,
     examines},
    {"refcount", 3, Readonly, second_key, CatKeyspace, "generic", "2.2.3", "O(1)",
     "Returns how many references the value of a key has: always 1.", "key", object_refcount, {}, varies,
     examines},
};
// clang-format on

// clang-format off
constexpr Spec memory_rows[] = {
    {"help", 2, Loading | Stale, no_keys, 0, "server", "4.0.0", "O(1)", "Lists these subcommands.", "",
     memory_help},
    {"usage", -3, Readonly, second_key, 0, "server", "4.0.0", "O(1)",
     "Returns about how many bytes a key and its value take.", "key [SAMPLES count]", memory_usage, {}, "",
     examines},
};
// clang-format on

}  // namespace

std::span<const Spec> object_subcommands() { return object_rows; }
std::span<const Spec> memory_subcommands() { return memory_rows; }

}  // namespace hf::command
