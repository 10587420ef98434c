// The executor's rules, cut down to what testing handlers needs.
#include "harness.h"

#include "base/glob.h"
#include "base/number.h"
#include "resp/parser.h"

namespace hf::test {

using command::ClientState;
using command::Context;
using command::Mode;
using command::Spec;

Harness::Harness(uint64_t seed) : store(store::Options{.hash_seed = seed}), tasks(16), prng(seed) {
  options = {{"maxmemory", "0"}, {"port", "6379"}, {"enable-debug-command", "yes"}};
  store.set_loader(store::Type::Task, task::load_task);
  store.set_observer(this);
  tasks.set_epoch({1});
}

ClientState& Harness::client(size_t number) {
  while (clients_.size() <= number) {
    auto fresh = std::make_unique<ClientState>();
    fresh->id = clients_.size() + 1;
    fresh->authenticated = !requires_password;
    fresh->peer_address = "127.0.0.1:" + std::to_string(50000 + fresh->id);
    fresh->local_address = "127.0.0.1:6379";
    clients_.push_back(std::move(fresh));
  }
  return *clients_[number];
}

std::string Harness::run(size_t number, const std::string& line) {
  std::vector<std::string> args;
  if (!split_arguments(line, args) || args.empty()) return "(bad line)";
  const std::string reply = run_raw(number, args);
  if (reply.empty()) return "(no reply)";
  Bytes rest = reply;
  std::string out;
  for (const std::string& rendered : render(rest)) out += (out.empty() ? "" : "\n") + rendered;
  return rest.empty() ? out : out + "\n(more than one reply)";
}

const Spec* Harness::resolve(std::span<const Bytes> args, resp::Writer& reply) {
  const Spec* spec = command::find_command(args[0]);
  std::string name(spec == nullptr ? "" : spec->name);
  if (spec == nullptr) {
    std::string text = "ERR unknown command '" + std::string(args[0]) + "', with args beginning with: ";
    for (const Bytes arg : args.subspan(1)) text += "'" + std::string(arg) + "' ";
    reply.error(text);
    return nullptr;
  }
  if (!spec->subcommands.empty() && args.size() > 1) {
    const Spec* container = spec;
    spec = command::find_subcommand(*container, args[1]);
    if (spec == nullptr) {
      reply.error("ERR unknown subcommand '" + std::string(args[1]) + "'. Try " + to_upper(name) + " HELP.");
      return nullptr;
    }
    name += std::string("|") + spec->name;
  }
  const int count = static_cast<int>(args.size());
  if (spec->arity >= 0 ? count != spec->arity : count < -spec->arity) {
    reply.error("ERR wrong number of arguments for '" + name + "' command");
    return nullptr;
  }
  return spec;
}

void Harness::call(ClientState& from, const Spec& spec, std::span<const Bytes> args, resp::Writer& reply,
                   Mode mode, bool in_exec) {
  Context ctx{.args = args,
              .raw = {},
              .spec = &spec,
              .client = from,
              .store = store,
              .tasks = tasks,
              .server = *this,
              .journal = journal,
              .prng = prng,
              .counters = counters,
              .now = now,
              .mode = mode,
              .reply = reply,
              .in_exec = in_exec};
  spec.handler(ctx);
  if (ctx.dirty && !ctx.rewritten && mode == Mode::Live) journal.append(ctx.db(), args);
  blocked = ctx.block;
}

std::string Harness::run_raw(size_t number, const std::vector<std::string>& texts) {
  ClientState& from = client(number);
  const std::vector<Bytes> args(texts.begin(), texts.end());
  Buffer out;
  resp::Writer reply(out, from.protocol);
  const Spec* spec = resolve(args, reply);
  command::Transaction& transaction = from.transaction;
  if (spec == nullptr) {
    transaction.failed |= transaction.open;
    return std::string(out.view());
  }
  static constexpr Bytes immediate[] = {"multi", "exec", "discard", "watch", "quit", "reset"};
  bool queue = transaction.open;
  for (const Bytes name : immediate) queue &= name != spec->name;
  if (queue && (spec->flags & command::NoMulti)) {
    transaction.failed = true;
    reply.error("ERR Command not allowed inside a transaction");
  } else if (queue) {
    transaction.queued.push_back(texts);
    reply.simple("QUEUED");
  } else {
    call(from, *spec, args, reply, Mode::Live, false);
  }
  return std::string(out.view());
}

void Harness::run_queued(Context& ctx, std::span<const Bytes> args) {
  const Spec* spec = resolve(args, ctx.reply);
  if (spec != nullptr) call(ctx.client, *spec, args, ctx.reply, ctx.mode, true);
}

std::string Harness::replay(Bytes log) {
  ClientState from;
  from.internal = true;
  journal.muted = true;
  std::string problem;
  size_t at = 0;
  const bool whole = resp::for_each_command(log, at, [&](const std::vector<Bytes>& args, Bytes) {
    if (!problem.empty() || args[0] == "MULTI" || args[0] == "EXEC") return;
    Buffer out;
    resp::Writer reply(out, 2);
    const Spec* spec = resolve(args, reply);
    if (spec != nullptr) call(from, *spec, args, reply, Mode::Replay, false);
    if (!out.empty() && out.view()[0] == '-') problem = std::string(args[0]) + ": " + std::string(out.view());
  });
  journal.muted = false;
  return problem.empty() && !whole ? "not a command" : problem;
}

std::string Harness::take_log() {
  std::string out;
  size_t at = 0;
  resp::for_each_command(journal.content(), at, [&](const std::vector<Bytes>& args, Bytes) {
    if (args[0] == "SELECT" && args[1] == "0") return;
    if (!out.empty()) out += '\n';
    for (size_t i = 0; i < args.size(); ++i) out += (i == 0 ? "" : " ") + std::string(args[i]);
  });
  journal.clear();
  return out;
}

// ---- command::Server ------------------------------------------------------------------------------------

std::string Harness::info(const std::vector<std::string>& sections) {
  std::string out = "# Test\r\n";
  for (const std::string& section : sections) out += section + ":1\r\n";
  return out;
}

void Harness::config_get(Bytes pattern, const std::function<void(Bytes, Bytes)>& each) {
  for (const auto& [name, value] : options)
    if (glob_match(pattern, name, true)) each(name, value);
}

Status Harness::config_set(const std::vector<std::pair<std::string, std::string>>& pairs) {
  for (const auto& [name, value] : pairs) {
    if (!options.contains(name))
      return Error{"Unknown option or number of arguments for CONFIG SET - '" + name + "'"};
    options[name] = value;
  }
  return ok();
}

std::string Harness::option(Bytes name) const {
  const auto found = options.find(std::string(name));
  return found == options.end() ? "" : found->second;
}

Status Harness::tag_snapshot(uint64_t id, Bytes tag) {
  for (auto& known : known_snapshots)
    if (known.id == id) known.tag = std::string(tag);
  return ok();
}

Status Harness::delete_snapshot(uint64_t id) {
  std::erase_if(known_snapshots, [&](const auto& known) { return known.id == id; });
  return ok();
}

Status Harness::begin_snapshot(Bytes tag) {
  if (saving) return Error{"Background save already in progress"};
  known_snapshots.push_back({.id = 100 + known_snapshots.size(), .tag = std::string(tag), .state = "written"});
  saving = true;
  return ok();
}

Status Harness::shutdown(command::SaveMode save, bool at_once, bool force, bool abort) {
  if (abort) return Error{"No shutdown in progress."};
  shut_down = std::to_string(static_cast<int>(save)) + (at_once ? " now" : "") + (force ? " force" : "");
  return ok();
}

void Harness::for_each_client(const std::function<void(const ClientState&)>& each) {
  for (const auto& one : clients_) each(*one);
}

std::string Harness::describe_client(const ClientState& one) {
  return "id=" + std::to_string(one.id) + " addr=" + one.peer_address + " name=" + one.name +
         " lib-name=" + one.lib_name + " lib-ver=" + one.lib_version;
}

void Harness::watch(Context& ctx, Bytes key) {
  const store::Entry* entry = store.find(ctx.db(), store.key(key));
  ctx.client.transaction.watched.push_back(
      {ctx.db(), std::string(key), entry != nullptr, entry != nullptr && entry->expired(now.wall_ms)});
}

// ---- store::Observer ------------------------------------------------------------------------------------

void Harness::key_changed(DbIndex db, const store::Key& key) {
  for (const auto& one : clients_)
    for (const auto& watched : one->transaction.watched)
      if (watched.db == db && watched.key == key.bytes && !watched.existed_expired)
        one->transaction.dirty = true;
}

void Harness::database_changed(DbIndex db) {
  for (const auto& one : clients_)
    for (const auto& watched : one->transaction.watched)
      if (watched.db == db) one->transaction.dirty = true;
}

// ---- rendering ------------------------------------------------------------------------------------------

namespace {

int64_t take_number(Bytes line) { return parse_int(line.substr(1)).value_or(-1); }

Bytes take_line(Bytes& bytes) {
  const size_t end = bytes.find("\r\n");
  const Bytes line = bytes.substr(0, end);
  bytes.remove_prefix(end + 2);
  return line;
}

std::vector<std::string> render_elements(Bytes& bytes, int64_t count, char mark, bool pairs) {
  if (count < 0) return {"(nil)"};
  if (count == 0) return {pairs ? "(empty hash)" : mark == '~' ? "(empty set)" : "(empty array)"};
  std::vector<std::string> out;
  const size_t width = std::to_string(count).size();
  for (int64_t i = 1; i <= count; ++i) {
    std::string prefix = std::to_string(i);
    prefix = std::string(width - prefix.size(), ' ') + prefix + mark + " ";
    size_t indent = prefix.size();
    if (pairs) {
      prefix += render(bytes)[0] + " => ";
      indent += 3;
    }
    for (const std::string& line : render(bytes)) {
      out.push_back(prefix + line);
      prefix.assign(indent, ' ');
    }
  }
  return out;
}

}  // namespace

std::vector<std::string> render(Bytes& bytes) {
  const Bytes line = take_line(bytes);
  switch (line[0]) {
    case '+': return {std::string(line.substr(1))};
    case '-': return {"(error) " + std::string(line.substr(1))};
    case ':': return {"(integer) " + std::string(line.substr(1))};
    case ',': return {"(double) " + std::string(line.substr(1))};
    case '#': return {line[1] == 't' ? "(true)" : "(false)"};
    case '_': return {"(nil)"};
    case '$':
    case '=': {
      const int64_t size = take_number(line);
      if (size < 0) return {"(nil)"};
      const Bytes text = bytes.substr(0, static_cast<size_t>(size));
      bytes.remove_prefix(static_cast<size_t>(size) + 2);
      return {line[0] == '$' ? quoted(text) : "(verbatim) " + quoted(text.substr(4))};
    }
    case '%': return render_elements(bytes, take_number(line), '#', true);
    case '~': return render_elements(bytes, take_number(line), '~', false);
    default: return render_elements(bytes, take_number(line), ')', false);
  }
}

}  // namespace hf::test
