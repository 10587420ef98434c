// The checks stand in Redis's order, so that of several errors the same one is answered.
#include "node/executor.h"

#include "command/table.h"
#include "resp/parser.h"

namespace hf::node {

using command::ClientState;
using command::arity_fits;
using command::Context;
using command::Spec;

namespace {

std::string unknown_command(std::span<const Bytes> args) {
  std::string text = "ERR unknown command '";
  text += args[0].substr(0, 128);
  text += "', with args beginning with: ";
  for (size_t i = 1; i < args.size() && text.size() < 300; ++i) {
    text += '\'';
    text += args[i].substr(0, 128);
    text += "' ";
  }
  return text;
}

std::string full_name(const Spec* container, const Spec& spec) {
  return container == nullptr ? spec.name : std::string(container->name) + "|" + spec.name;
}

bool ends_or_changes_transaction(const Spec& spec) {
  const Bytes name = spec.name;
  return name == "exec" || name == "discard" || name == "multi" || name == "watch" || name == "quit" ||
         name == "reset";
}

}  // namespace

const Spec* Executor::resolve(std::span<const Bytes> args) {
  const Spec* spec = command::find_command(args[0]);
  return spec != nullptr && spec->handler != nullptr ? spec : nullptr;
}

void Executor::refused(ClientState& client, const Spec* spec) {
  if (client.transaction.open) client.transaction.failed = true;
  if (spec != nullptr) ++statistics.of(spec).rejected;
  ++statistics.errors;
}

/// Why the node takes no writes now; null when it does, or when this is none.
const char* Executor::refusal(const Spec& spec, const ClientState& client) const {
  if (!(spec.flags & command::Write)) return nullptr;
  if (gate.follows && client.redirect && !gate.redirect.empty()) return gate.redirect.c_str();
  if (gate.follows) return "READONLY You can't write against a read only replica.";
  if (!gate.refuse_writes.empty()) return gate.refuse_writes.c_str();
  if (gate.too_few_replicas) return "NOREPLICAS Not enough good replicas to write.";
  if (!gate.no_quorum.empty()) return gate.no_quorum.c_str();
  return nullptr;
}

bool Executor::admit(const Spec* spec, ClientState& client, std::span<const Bytes> args,
                     resp::Writer& reply) {
  const auto refuse = [&](Bytes text) {
    refused(client, spec);
    reply.error(text);
    return false;
  };
  if (!client.authenticated && !(spec->flags & command::NoAuth))
    return refuse("NOAUTH Authentication required.");
  if (!gate.refuse_all.empty() && !(spec->flags & command::Loading)) return refuse(gate.refuse_all);
  if (!gate.stale.empty() && !(spec->flags & command::Stale)) return refuse(gate.stale);
  if (const char* error = refusal(*spec, client)) return refuse(error);
  if (gate.memory_full && (spec->flags & command::DenyOom))
    return refuse("OOM command not allowed when used memory > 'maxmemory'.");
  if (client.transaction.open && (spec->flags & command::NoMulti) && !ends_or_changes_transaction(*spec))
    return refuse("ERR Command not allowed inside a transaction");
  (void)args;
  return true;
}

void Executor::call(Context& ctx) {
  ctx.spec->handler(ctx);
  if (ctx.dirty && !ctx.rewritten && !ctx.replaying()) {
    const bool visible = !(ctx.spec->flags & command::WaitsForSync);
    if (!ctx.raw.empty()) ctx.journal.append_raw(ctx.db(), ctx.raw, visible);
    else ctx.journal.append(ctx.db(), ctx.args, visible);
  }
}

Context Executor::own_context(ClientState& client, resp::Writer& reply, Now now, command::Mode mode) {
  return Context{.args = {},
                 .raw = {},
                 .spec = nullptr,
                 .client = client,
                 .store = parts_.store,
                 .tasks = parts_.tasks,
                 .server = parts_.server,
                 .journal = parts_.journal,
                 .prng = parts_.prng,
                 .counters = parts_.counters,
                 .now = now,
                 .mode = mode,
                 .reply = reply,
                 .follows = gate.follows};
}

Executor::Outcome Executor::run(ClientState& client, std::span<const Bytes> args, Bytes raw,
                                resp::Writer& reply, Now now, Again again) {
  Outcome outcome;
  const Spec* container = nullptr;
  const Spec* spec = command::find_command(args[0]);
  if (spec == nullptr || (spec->flags & command::Internal)) {
    refused(client, nullptr);
    reply.error(unknown_command(args));
    return outcome;
  }
  if (!spec->subcommands.empty() && (args.size() > 1 || spec->handler == nullptr)) {
    if (args.size() < 2) {
      refused(client, spec);
      reply.error(std::string("ERR wrong number of arguments for '") + spec->name + "' command");
      return outcome;
    }
    container = spec;
    spec = command::find_subcommand(*container, args[1]);
    if (spec == nullptr) {
      refused(client, container);
      reply.error("ERR unknown subcommand '" + std::string(args[1].substr(0, 128)) + "'. Try " +
                  to_upper(container->name) + " HELP.");
      return outcome;
    }
  }
  outcome.spec = spec;
  if (!arity_fits(*spec, args.size())) {
    refused(client, spec);
    reply.error("ERR wrong number of arguments for '" + full_name(container, *spec) + "' command");
    return outcome;
  }
  if (!admit(spec, client, args, reply)) return outcome;
  if (client.transaction.open && !ends_or_changes_transaction(*spec)) {
    client.transaction.queued.emplace_back(args.begin(), args.end());
    for (const Bytes arg : args) client.transaction.queued_bytes += arg.size();
    reply.simple("QUEUED");
    return outcome;
  }
  const size_t log_before = parts_.journal.size();
  const size_t reply_before = reply.buffer().size();
  Context ctx = own_context(client, reply, now, command::Mode::Live);
  ctx.args = args;
  ctx.raw = raw;
  ctx.spec = spec;
  ctx.retried = again != Again::First;
  ctx.timed_out = again == Again::TimedOut;
  exec_waits_for_sync_ = (spec->flags & command::WaitsForSync) != 0;
  outcome.ran = true;
  call(ctx);
  ++statistics.commands;
  ++statistics.of(spec).calls;
  outcome.waits_for_sync = exec_waits_for_sync_;
  if (reply.buffer().size() > reply_before && reply.buffer().view()[reply_before] == '-') {
    ++statistics.errors;
    ++statistics.of(spec).failed;
  }
  outcome.wrote = parts_.journal.size() != log_before;
  if (ctx.block.wanted) {
    outcome.blocked = true;
    outcome.block = std::move(ctx.block);
  }
  return outcome;
}

void Executor::run_queued(Context& exec, std::span<const Bytes> args) {
  const Spec* container = nullptr;
  const Spec* spec = command::find_command(args[0]);
  HF_CHECK(spec != nullptr);  // it was resolved when it was queued
  if (!spec->subcommands.empty() && args.size() > 1) {
    container = spec;
    spec = command::find_subcommand(*container, args[1]);
    HF_CHECK(spec != nullptr);
  }
  // The gate may have closed since it was queued; EXEC itself passes it.
  if (!gate.refuse_all.empty() && !(spec->flags & command::Loading)) return exec.reply.error(gate.refuse_all);
  if (!gate.stale.empty() && !(spec->flags & command::Stale)) return exec.reply.error(gate.stale);
  if (const char* error = refusal(*spec, exec.client)) return exec.reply.error(error);
  Context ctx = own_context(exec.client, exec.reply, exec.now, exec.mode);
  ctx.args = args;
  ctx.spec = spec;
  ctx.in_exec = true;
  exec_waits_for_sync_ |= (spec->flags & command::WaitsForSync) != 0;
  call(ctx);
  ++statistics.commands;
  ++statistics.of(spec).calls;
}

Status Executor::replay(Bytes content, WallMs wall_ms) {
  replay_client_.internal = replay_client_.authenticated = true;
  replay_client_.db = 0;
  const bool was_muted = parts_.journal.muted;
  parts_.journal.muted = true;
  std::string problem;
  size_t at = 0;
  resp::Writer reply(replay_reply_, 2);
  Context ctx = own_context(replay_client_, reply, Now{wall_ms, 0}, command::Mode::Replay);
  const bool whole = resp::for_each_command(content, at, [&](const std::vector<Bytes>& args, Bytes) {
    if (!problem.empty()) return;
    const Spec* spec = command::find_command(args[0]);
    if (spec == nullptr) {
      if (on_internal_record && args[0].starts_with("HOLDFAST.")) on_internal_record(args);
      else problem = "unknown command " + quoted(args[0].substr(0, 64));
      return;
    }
    const Bytes name = spec->name;
    if (name == "multi" || name == "exec") return;  // a frame is one piece as it is
    if (!arity_fits(*spec, args.size()) || spec->handler == nullptr) {
      problem = "malformed " + std::string(spec->name);
      return;
    }
    ctx.args = args;
    ctx.spec = spec;
    ctx.dirty = ctx.rewritten = false;
    spec->handler(ctx);
    if (!replay_reply_.empty() && replay_reply_.view()[0] == '-')
      problem = std::string(spec->name) + " was refused: " + std::string(replay_reply_.view().substr(1, 200));
    replay_reply_.clear();
  });
  parts_.journal.muted = was_muted;
  if (problem.empty() && !whole) problem = "not a command at byte " + std::to_string(at) + " of the frame";
  if (!problem.empty()) return Error{problem};
  return ok();
}

}  // namespace hf::node
