// COMMAND: the table as clients ask for it. Everything here is read out of the rows.
#include <algorithm>
#include <optional>

#include "base/glob.h"
#include "command/command_docs.h"
#include "command/common.h"
#include "command/table.h"

namespace hf::command {
namespace {

struct Named {
  uint32_t bit;
  const char* name;
};
// clang-format off
constexpr Named flag_names[] = {
    {Write, "write"},         {Readonly, "readonly"},     {DenyOom, "denyoom"},
    {Admin, "admin"},         {PubSub, "pubsub"},         {NoScript, "noscript"},
    {Blocking, "blocking"},   {Loading, "loading"},       {Stale, "stale"},
    {SkipMonitor, "skip_monitor"}, {SkipSlowlog, "skip_slowlog"}, {Fast, "fast"},
    {NoAuth, "no_auth"},      {NoAsyncLoading, "no_async_loading"}, {NoMulti, "no_multi"},
    {MovableKeys, "movablekeys"}, {AllowBusy, "allow_busy"},
};
constexpr Named category_names[] = {
    {CatKeyspace, "keyspace"},   {CatRead, "read"},           {CatWrite, "write"},
    {CatSet, "set"},             {CatSortedSet, "sortedset"}, {CatList, "list"},
    {CatHash, "hash"},           {CatString, "string"},       {CatBitmap, "bitmap"},
    {CatHyperLogLog, "hyperloglog"}, {CatGeo, "geo"},         {CatStream, "stream"},
    {CatPubSub, "pubsub"},       {CatAdmin, "admin"},         {CatFast, "fast"},
    {CatSlow, "slow"},           {CatBlocking, "blocking"},   {CatDangerous, "dangerous"},
    {CatConnection, "connection"}, {CatTransaction, "transaction"}, {CatScripting, "scripting"},
    {CatTask, "task"},
};
constexpr Named use_names[] = {
    {UseReadOnly, "RO"},   {UseReadWrite, "RW"}, {UseOverwrite, "OW"}, {UseRemove, "RM"},
    {UseAccess, "access"}, {UseUpdate, "update"}, {UseInsert, "insert"}, {UseDelete, "delete"},
    {UseVariable, "variable_flags"},
};
// clang-format on

void reply_names(Context& ctx, std::span<const Named> names, uint32_t bits, const char* prefix) {
  const auto set = ctx.reply.begin_set();
  size_t count = 0;
  for (const Named& named : names) {
    if (!(bits & named.bit)) continue;
    ctx.reply.simple(std::string(prefix) + named.name);
    ++count;
  }
  ctx.reply.end(set, count);
}

KeyUses uses_of(const Spec& spec) {
  if (spec.uses.first != 0) return spec.uses;
  return {static_cast<uint16_t>(spec.flags & Write ? UseReadWrite | UseUpdate : UseReadOnly | UseAccess)};
}

// ---- COMMAND INFO ---------------------------------------------------------------------------------------

void reply_key_spec(Context& ctx, uint32_t uses, int first, int last, int step) {
  ctx.reply.map(3);
  ctx.reply.bulk("flags");
  reply_names(ctx, use_names, uses, "");
  ctx.reply.bulk("begin_search");
  ctx.reply.map(2);
  ctx.reply.bulk("type");
  ctx.reply.bulk("index");
  ctx.reply.bulk("spec");
  ctx.reply.map(1);
  ctx.reply.bulk("index");
  ctx.reply.integer(first);
  ctx.reply.bulk("find_keys");
  ctx.reply.map(2);
  ctx.reply.bulk("type");
  ctx.reply.bulk("range");
  ctx.reply.bulk("spec");
  ctx.reply.map(3);
  ctx.reply.bulk("lastkey");
  ctx.reply.integer(last < 0 ? last : last - first);
  ctx.reply.bulk("keystep");
  ctx.reply.integer(step);
  ctx.reply.bulk("limit");
  ctx.reply.integer(0);
}

void reply_key_specs(Context& ctx, const Spec& spec) {
  const auto [first, last, step] = spec.keys;
  if (step == 0) return ctx.reply.set(0);
  const KeyUses uses = uses_of(spec);
  ctx.reply.set(uses.second == 0 ? 1 : 2);
  if (uses.second == 0) return reply_key_spec(ctx, uses.first, first, last, step);
  reply_key_spec(ctx, uses.first, first, first, step);
  reply_key_spec(ctx, uses.second, first + 1, first + 1, step);
}

void reply_tips(Context& ctx, Bytes tips) {
  const auto set = ctx.reply.begin_set();
  size_t count = 0;
  while (!tips.empty()) {
    const size_t size = std::min(tips.find(' '), tips.size());
    ctx.reply.bulk(tips.substr(0, size));
    tips.remove_prefix(std::min(size + 1, tips.size()));
    ++count;
  }
  ctx.reply.end(set, count);
}

void reply_info(Context& ctx, const Spec& spec, const std::string& name) {
  ctx.reply.array(10);
  ctx.reply.bulk(name);
  ctx.reply.integer(spec.arity);
  reply_names(ctx, flag_names, spec.flags, "");
  ctx.reply.integer(spec.keys.first);
  ctx.reply.integer(spec.keys.last);
  ctx.reply.integer(spec.keys.step);
  reply_names(ctx, category_names, categories_of(spec), "@");
  reply_tips(ctx, spec.tips);
  reply_key_specs(ctx, spec);
  ctx.reply.set(spec.subcommands.size());
  for (const Spec& sub : spec.subcommands) reply_info(ctx, sub, name + "|" + sub.name);
}

bool listed(const Spec& spec) { return !(spec.flags & Internal); }

size_t listed_count() {
  const auto all = all_commands();
  return static_cast<size_t>(
      std::count_if(all.begin(), all.end(), [](const Spec* spec) { return listed(*spec); }));
}

/// "config|get" or "config"; null when there is none such.
const Spec* find_by_full_name(Bytes name) {
  const size_t bar = name.find('|');
  const Spec* spec = find_command(name.substr(0, bar));
  if (spec != nullptr && bar != Bytes::npos) spec = find_subcommand(*spec, name.substr(bar + 1));
  return spec != nullptr && listed(*spec) ? spec : nullptr;
}

void command(Context& ctx) {
  ctx.reply.array(listed_count());
  for (const Spec* spec : all_commands())
    if (listed(*spec)) reply_info(ctx, *spec, spec->name);
}

void command_info(Context& ctx) {
  if (ctx.args.size() == 2) return command(ctx);
  ctx.reply.array(ctx.args.size() - 2);
  for (const Bytes name : ctx.args.subspan(2)) {
    if (const Spec* spec = find_by_full_name(name)) reply_info(ctx, *spec, to_lower(name));
    else ctx.reply.null_array();
  }
}

void command_count(Context& ctx) { ctx.reply.integer(static_cast<int64_t>(listed_count())); }

// ---- COMMAND DOCS ---------------------------------------------------------------------------------------

void command_docs(Context& ctx) {
  if (ctx.args.size() == 2) {
    ctx.reply.map(listed_count());
    for (const Spec* spec : all_commands())
      if (listed(*spec)) reply_docs(ctx, *spec, spec->name);
    return;
  }
  const auto map = ctx.reply.begin_map();
  size_t count = 0;
  for (const Bytes name : ctx.args.subspan(2)) {
    const Spec* spec = find_by_full_name(name);
    if (spec == nullptr) continue;
    reply_docs(ctx, *spec, to_lower(name));
    ++count;
  }
  ctx.reply.end(map, count);
}

// ---- COMMAND LIST ---------------------------------------------------------------------------------------

struct ListFilter {
  enum class By : uint8_t { Nothing, Module, Category, Pattern } by = By::Nothing;
  Bytes argument;

  bool passes(const Spec& spec, const std::string& name) const {
    switch (by) {
      case By::Nothing: return true;
      case By::Module: return false;  // there are no modules
      case By::Pattern: return glob_match(argument, name, true);
      case By::Category:
        for (const Named& category : category_names)
          if (equal_nocase(argument, category.name)) return categories_of(spec) & category.bit;
        return false;
    }
    return false;
  }
};

bool parse_list_filter(Context& ctx, ListFilter& filter) {
  if (ctx.args.size() == 2) return true;
  using By = ListFilter::By;
  if (ctx.args.size() == 5 && equal_nocase(ctx.args[2], "filterby")) {
    filter.argument = ctx.args[4];
    if (equal_nocase(ctx.args[3], "module")) filter.by = By::Module;
    else if (equal_nocase(ctx.args[3], "aclcat")) filter.by = By::Category;
    else if (equal_nocase(ctx.args[3], "pattern")) filter.by = By::Pattern;
  }
  if (filter.by == By::Nothing) ctx.syntax_error();
  return filter.by != By::Nothing;
}

void command_list(Context& ctx) {
  ListFilter filter;
  if (!parse_list_filter(ctx, filter)) return;
  const auto list = ctx.reply.begin_array();
  size_t count = 0;
  const auto add = [&](const Spec& spec, const std::string& name) {
    if (!filter.passes(spec, name)) return;
    ctx.reply.bulk(name);
    ++count;
  };
  for (const Spec* spec : all_commands()) {
    if (!listed(*spec)) continue;
    add(*spec, spec->name);
    for (const Spec& sub : spec->subcommands) add(sub, std::string(spec->name) + "|" + sub.name);
  }
  ctx.reply.end(list, count);
}

// ---- COMMAND GETKEYS ------------------------------------------------------------------------------------

/// The row that the request in args[2..] would be run by, its arity checked; null: the error is replied.
const Spec* requested(Context& ctx, std::span<const Bytes>& request) {
  request = ctx.args.subspan(2);
  const Spec* spec = find_command(request[0]);
  if (spec != nullptr && !spec->subcommands.empty() && (request.size() > 1 || spec->handler == nullptr))
    spec = request.size() > 1 ? find_subcommand(*spec, request[1]) : nullptr;
  if (spec == nullptr || !listed(*spec)) {
    ctx.error("ERR Invalid command specified");
    return nullptr;
  }
  if (spec->keys.step == 0) {
    ctx.error("ERR The command has no key arguments");
    return nullptr;
  }
  const auto count = static_cast<int>(request.size());
  if (spec->arity >= 0 ? count != spec->arity : count < -spec->arity) {
    ctx.error("ERR Invalid number of arguments specified for command");
    return nullptr;
  }
  return spec;
}

void command_getkeys(Context& ctx) {
  std::span<const Bytes> request;
  const Spec* spec = requested(ctx, request);
  if (spec == nullptr) return;
  const auto list = ctx.reply.begin_array();
  size_t count = 0;
  for_each_key(*spec, request, [&](Bytes key) {
    ctx.reply.bulk(key);
    ++count;
  });
  ctx.reply.end(list, count);
}

/// What this very request does with its key: SET reads the old value only when asked for it.
uint32_t uses_in(const Spec& spec, std::span<const Bytes> request, size_t nth) {
  const KeyUses uses = uses_of(spec);
  if (nth > 0 && uses.second != 0) return uses.second;
  if (!(uses.first & UseVariable) || Bytes(spec.name) != "set") return uses.first;
  const auto options = request.subspan(3);
  const bool gets =
      std::any_of(options.begin(), options.end(), [](Bytes arg) { return equal_nocase(arg, "get"); });
  return gets ? UseReadWrite | UseAccess | UseUpdate : UseOverwrite | UseUpdate;
}

void command_getkeysandflags(Context& ctx) {
  std::span<const Bytes> request;
  const Spec* spec = requested(ctx, request);
  if (spec == nullptr) return;
  const auto list = ctx.reply.begin_array();
  size_t count = 0;
  for_each_key(*spec, request, [&](Bytes key) {
    ctx.reply.array(2);
    ctx.reply.bulk(key);
    reply_names(ctx, use_names, uses_in(*spec, request, count), "");
    ++count;
  });
  ctx.reply.end(list, count);
}

void command_help(Context& ctx) { reply_help(ctx, *find_command("command")); }

constexpr uint32_t any = Loading | Stale;
constexpr const char* unordered = "nondeterministic_output_order";

// clang-format off
constexpr Spec subcommands[] = {
    {"count", 2, any, no_keys, CatConnection, "server", "2.8.13", "O(1)", "Returns the number of commands.",
     "", command_count},
    {"docs", -2, any, no_keys, CatConnection, "server", "7.0.0", "O(N), N the number of commands",
     "Returns the commands' documentation.", "[command-name [command-name ...]]", command_docs, {},
     unordered},
    {"getkeys", -3, any, no_keys, CatConnection, "server", "2.8.13", "O(N), N the number of arguments",
     "Returns the keys of a request.", "command [arg [arg ...]]", command_getkeys},
    {"getkeysandflags", -3, any, no_keys, CatConnection, "server", "7.0.0", "O(N), N the number of arguments",
     "Returns the keys of a request and what it does with them.", "command [arg [arg ...]]",
     command_getkeysandflags},
    {"help", 2, any, no_keys, CatConnection, "server", "5.0.0", "O(1)", "Lists these subcommands.", "",
     command_help},
    {"info", -2, any, no_keys, CatConnection, "server", "2.8.13", "O(N), N the number of commands",
     "Returns the commands' arity, flags, keys and categories.", "[command-name [command-name ...]]",
     command_info, {}, unordered},
    {"list", -2, any, no_keys, CatConnection, "server", "7.0.0", "O(N), N the number of commands",
     "Returns the commands' names.", "[FILTERBY <MODULE module-name | ACLCAT category | PATTERN pattern>]",
     command_list, {}, unordered},
};
// clang-format on

// clang-format off
constexpr Spec rows[] = {
    {"command", -1, any, no_keys, CatConnection, "server", "2.8.13", "O(N), N the number of commands",
     "Returns all commands' arity, flags, keys and categories.", "", command, subcommands, unordered},
};
// clang-format on

}  // namespace

std::span<const Spec> introspection_commands() { return rows; }

}  // namespace hf::command
