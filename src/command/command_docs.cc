// COMMAND DOCS: summaries and structured arguments, from which redis-cli makes its hints.
#include "command/command_docs.h"

#include "command/syntax.h"

namespace hf::command {
namespace {

void reply_pair(Context& ctx, Bytes name, Bytes value) {
  ctx.reply.bulk(name);
  ctx.reply.bulk(value);
}

void reply_arguments(Context& ctx, const std::vector<Argument>& arguments, const KeyUses& uses,
                     int& keys_seen);

void reply_argument(Context& ctx, const Argument& argument, const KeyUses& uses, int& keys_seen) {
  using Kind = Argument::Kind;
  const bool key = argument.kind == Kind::Key;
  const bool group = argument.kind == Kind::OneOf || argument.kind == Kind::Block;
  const bool flagged = argument.optional || argument.multiple;
  ctx.reply.map(3u + (key ? 1 : 0) + (argument.token.empty() ? 0 : 1) + (flagged ? 1 : 0));
  reply_pair(ctx, "name", argument.name);
  reply_pair(ctx, "type", kind_name(argument.kind));
  if (!group) reply_pair(ctx, "display_text", argument.name);
  if (key) {
    ctx.reply.bulk("key_spec_index");
    ctx.reply.integer(uses.second != 0 && keys_seen > 0 ? 1 : 0);
    ++keys_seen;
  }
  if (!argument.token.empty()) reply_pair(ctx, "token", argument.token);
  if (flagged) {
    ctx.reply.bulk("flags");
    ctx.reply.set((argument.optional ? 1u : 0u) + (argument.multiple ? 1u : 0u));
    if (argument.optional) ctx.reply.simple("optional");
    if (argument.multiple) ctx.reply.simple("multiple");
  }
  if (!group) return;
  ctx.reply.bulk("arguments");
  reply_arguments(ctx, argument.parts, uses, keys_seen);
}

void reply_arguments(Context& ctx, const std::vector<Argument>& arguments, const KeyUses& uses,
                     int& keys_seen) {
  ctx.reply.array(arguments.size());
  for (const Argument& argument : arguments) reply_argument(ctx, argument, uses, keys_seen);
}

}  // namespace

void reply_docs(Context& ctx, const Spec& spec, const std::string& name) {
  const std::vector<Argument> arguments = parse_syntax(spec);
  ctx.reply.bulk(name);
  ctx.reply.map(4u + (arguments.empty() ? 0 : 1) + (spec.subcommands.empty() ? 0 : 1));
  reply_pair(ctx, "summary", spec.summary);
  reply_pair(ctx, "since", spec.since);
  reply_pair(ctx, "group", spec.group);
  reply_pair(ctx, "complexity", spec.complexity);
  if (!arguments.empty()) {
    int keys_seen = 0;
    ctx.reply.bulk("arguments");
    reply_arguments(ctx, arguments, spec.uses, keys_seen);
  }
  if (spec.subcommands.empty()) return;
  ctx.reply.bulk("subcommands");
  ctx.reply.map(spec.subcommands.size());
  for (const Spec& sub : spec.subcommands) reply_docs(ctx, sub, name + "|" + sub.name);
}

}  // namespace hf::command
