// The small services every handler uses; the rule about expired keys lives here, once.
#include "command/context.h"

#include "base/number.h"

namespace hf::command {

const store::Entry* Context::find_in(DbIndex in, const store::Key& key) {
  const store::Entry* entry = store.find(in, key);
  if (entry == nullptr || replaying() || !entry->expired(now.wall_ms)) return entry;
  if (follows) return nullptr;  // gone for readers; the primary's DEL will take it
  ++counters.expired_keys;
  store.remove(in, key);
  journal.append(in, {"DEL", key.bytes});
  return nullptr;
}

const store::Entry* Context::find_counted(const store::Key& key) {
  const store::Entry* entry = find(key);
  ++(entry != nullptr ? counters.keyspace_hits : counters.keyspace_misses);
  return entry;
}

const store::Entry* Context::find_typed(const store::Key& key, store::Type type, bool& wrong) {
  const store::Entry* entry = find_counted(key);
  wrong = entry != nullptr && entry->type() != type;
  if (wrong) wrong_type();
  return entry;
}

void Context::log(std::span<const Bytes> command) {
  dirty = rewritten = true;
  journal.append(db(), command);
}

void Context::log_about_task(std::span<const Bytes> command) {
  dirty = rewritten = true;
  std::vector<Bytes> whole{"TASK.KEY"};
  whole.insert(whole.end(), command.begin(), command.end());
  journal.append(db(), whole, false);
}

bool Context::remove_and_log(DbIndex in, const store::Key& key) {
  if (!store.remove(in, key)) return false;
  dirty = rewritten = true;
  journal.append(in, {"DEL", key.bytes});
  return true;
}

void Context::block_on(std::vector<std::string> keys, int64_t timeout_ms) {
  block.wanted = true;
  block.keys = std::move(keys);
  constexpr int64_t longest_ms = INT64_MAX / 4000;
  block.deadline = timeout_ms <= 0 || timeout_ms > longest_ms ? INT64_MAX : now.mono_us + timeout_ms * 1000;
}

void Context::wrong_type() { error("WRONGTYPE Operation against a key holding the wrong kind of value"); }
void Context::syntax_error() { error("ERR syntax error"); }
void Context::not_an_integer() { error("ERR value is not an integer or out of range"); }
void Context::not_a_float() { error("ERR value is not a valid float"); }
void Context::no_such_key() { error("ERR no such key"); }
void Context::wrong_arity() {
  std::string name(spec->name);
  error("ERR wrong number of arguments for '" + name + "' command");
}

bool Context::integer_arg(size_t i, int64_t& value) {
  const auto parsed = parse_int(args[i]);
  if (!parsed) {
    not_an_integer();
    return false;
  }
  value = *parsed;
  return true;
}

}  // namespace hf::command
