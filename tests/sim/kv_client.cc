// What a client sends, and how it judges what it gets.
#include "kv_client.h"

#include <algorithm>

namespace hf::sim {
namespace {

enum Kind : int { Noise, Select, WriteRegister, ReadRegister, SharedWrite, SharedRead, Queued, Exec };

constexpr size_t strings = 5, fields = 4;
constexpr int64_t shared_keys = 24;

/// Commands on shared keys whose success surely changed something, by what they answer.
enum Sure : uint64_t { Never, Always, WhenPositive };

}  // namespace

KvClient::KvClient(World& world, int number)
    : Actor(world), number_(number), db_(static_cast<DbIndex>(number % 2)) {
  const std::string me = std::to_string(number);
  for (size_t i = 0; i < strings; ++i)
    registers_.push_back({.key = "p" + me + ":" + std::to_string(i), .field = ""});
  for (size_t i = 0; i < fields; ++i)
    registers_.push_back({.key = "ph" + me, .field = "f" + std::to_string(i)});
}

void KvClient::wake() {
  Prng& prng = world_.prng();
  if (link_ == nullptr) {
    if (world_.winding_down() && verified_) return;
    link_ = world_.connect(*this);
    verifying_ = false;
    outstanding_ = 0;
    if (link_ == nullptr) return wake_in(prng.between(1'000, 20'000));
    std::vector<Request> first(1);
    first[0].args = {"SELECT", std::to_string(db_)};
    first[0].kind = Select;
    outstanding_ = 1;
    world_.send(*link_, std::move(first));
    return wake_in(prng.between(100, 3'000));
  }
  if (world_.winding_down()) {
    if (verified_ || verifying_ || outstanding_ > 0) return verified_ ? void() : wake_in(5'000);
    std::vector<Request> all;
    for (size_t i = 0; i < registers_.size(); ++i) all.push_back(read_register(i));
    verifying_ = true;
    left_to_verify_ = all.size();
    outstanding_ += all.size();
    world_.send(*link_, std::move(all));
    return wake_in(20'000);
  }
  if (prng.chance(1, 60)) {
    world_.hang_up(*link_);
    return;
  }
  if (outstanding_ < 24) burst();
  wake_in(prng.chance(1, 10) ? prng.between(20'000, 120'000) : prng.between(200, 12'000));
}

void KvClient::burst() {
  Prng& prng = world_.prng();
  std::vector<Request> out;
  const int64_t n = prng.chance(1, 3) ? 1 : prng.between(1, 7);
  for (int64_t i = 0; i < n; ++i) {
    const uint64_t dice = prng.below(20);
    if (dice < 6) out.push_back(write_register(prng.below(registers_.size())));
    else if (dice < 9) out.push_back(read_register(prng.below(registers_.size())));
    else if (dice < 19) out.push_back(shared_command());
    else add_transaction(out);
  }
  outstanding_ += out.size();
  world_.send(*link_, std::move(out));
}

Request KvClient::write_register(size_t index) {
  const Register& r = registers_[index];
  Request request;
  request.kind = WriteRegister;
  request.a = index;
  if (world_.prng().chance(1, 8)) {
    request.b = 1;  // removed
    request.args = r.field.empty() ? std::vector<std::string>{"DEL", r.key}
                                   : std::vector<std::string>{"HDEL", r.key, r.field};
    return request;
  }
  request.text = "v" + std::to_string(world_.next_value());
  if (world_.prng().chance(1, 20))
    request.text.append(static_cast<size_t>(world_.prng().between(100, 6'000)), 'x');
  if (!r.field.empty()) request.args = {"HSET", r.key, r.field, request.text};
  else if (world_.prng().chance(1, 4)) request.args = {"GETSET", r.key, request.text};
  else request.args = {"SET", r.key, request.text};
  return request;
}

Request KvClient::read_register(size_t index) {
  const Register& r = registers_[index];
  Request request;
  request.kind = ReadRegister;
  request.a = index;
  if (r.field.empty()) request.args = {"GET", r.key};
  else request.args = {"HGET", r.key, r.field};
  return request;
}

std::string KvClient::shared_key() { return "s" + std::to_string(world_.prng().below(shared_keys)); }

Request KvClient::shared_command() {
  Prng& prng = world_.prng();
  Request request;
  request.kind = SharedWrite;
  request.b = Always;
  const auto value = [&] {
    request.value = world_.next_value();
    return "w" + std::to_string(request.value);
  };
  const std::string key = shared_key();
  const std::string hash = "sh" + std::to_string(prng.below(6));
  const std::string counter = "n" + std::to_string(prng.below(4));
  const auto field = [&] { return "f" + std::to_string(prng.below(12)); };
  auto& a = request.args;
  if (world_.large_values() && prng.chance(1, 25)) return large_command();
  switch (prng.below(26)) {
    case 0:
    case 1:
    case 2: a = {"SET", key, value()}; break;
    case 3: a = {"SET", key, value(), "PX", std::to_string(prng.between(1, 400))}; break;
    case 4: a = {"PSETEX", key, std::to_string(prng.between(1, 60)), value()}; break;
    case 5: a = {"MSET", key, value(), "s0", "w" + std::to_string(request.value)}; break;
    case 6: a = {"INCRBY", counter, std::to_string(prng.between(1, 9))}; break;
    case 7: a = {"HSET", hash, field(), value()}; break;
    case 8: a = {"HINCRBY", hash, "count", "1"}; break;
    case 9: request.b = WhenPositive, a = {"HDEL", hash, field(), field()}; break;
    case 10: request.b = WhenPositive, a = {"DEL", key, shared_key()}; break;
    case 11: request.b = WhenPositive, a = {"UNLINK", hash}; break;
    case 12: request.b = WhenPositive, a = {"PEXPIRE", key, std::to_string(prng.between(1, 300))}; break;
    case 13: request.b = WhenPositive, a = {"PERSIST", key}; break;
    case 14: request.b = Never, a = {"RENAME", key, shared_key()}; break;
    case 15: request.b = WhenPositive, a = {"COPY", key, shared_key(), "REPLACE"}; break;
    case 16: request.b = WhenPositive, a = {"MOVE", key, std::to_string(2 + prng.below(2))}; break;
    case 17: request.b = WhenPositive, a = {"SETNX", key, value()}; break;
    case 18: request.b = Always, a = {"APPEND", "ap" + std::to_string(prng.below(3)), "+"}; break;
    case 19:
      request.b = Never;
      if (prng.chance(1, 2)) a = {"SWAPDB", "2", "3"};
      else a = {"COPY", key, key, "DB", std::to_string(2 + prng.below(2)), "REPLACE"};
      break;
    case 20: request.b = Never, a = {"EVAPORATE", key}; break;  // no such command: an error among the replies
    case 21: request.b = WhenPositive, a = {"PEXPIRE", hash, std::to_string(prng.between(1, 500))}; break;
    default:
      request.kind = SharedRead;
      if (prng.chance(1, 4)) a = {"HGETALL", hash};
      else if (prng.chance(1, 4)) a = {"MGET", key, shared_key(), counter};
      else a = {"GET", key};
  }
  return request;
}

/// Strings and hashes beyond the 64 KiB that a walk takes at once.
Request KvClient::large_command() {
  Prng& prng = world_.prng();
  world_.count(Fault::LargeValue);
  Request request;
  request.kind = SharedWrite;
  request.b = Always;
  const std::string piece(static_cast<size_t>(prng.between(1, 12'000)),
                          static_cast<char>('a' + prng.below(26)));
  const std::string key = "big" + std::to_string(prng.below(2));
  const std::string hash = "bigh" + std::to_string(prng.below(2));
  switch (prng.below(8)) {
    case 0:
    case 1: request.args = {"SETRANGE", key, std::to_string(prng.below(200'000)), piece}; break;
    case 2: request.args = {"APPEND", key, piece}; break;
    case 3: request.b = WhenPositive, request.args = {"DEL", prng.chance(1, 2) ? key : hash}; break;
    case 4:
      request.b = WhenPositive, request.args = {"HDEL", hash, "f" + std::to_string(prng.below(30))};
      break;
    default: request.args = {"HSET", hash, "f" + std::to_string(prng.below(30)), piece};
  }
  return request;
}

/// Writes to two registers that stand or fall together, sometimes behind a WATCH.
void KvClient::add_transaction(std::vector<Request>& out) {
  const auto add = [&](std::vector<std::string> args, int kind) {
    Request request;
    request.args = std::move(args);
    request.kind = kind;
    out.push_back(std::move(request));
  };
  if (world_.prng().chance(1, 3)) add({"WATCH", shared_key()}, Noise);
  add({"MULTI"}, Noise);
  Request exec;
  exec.kind = Exec;
  exec.args = {"EXEC"};
  for (int i = 0; i < 2; ++i) {
    Request write = write_register(world_.prng().below(registers_.size()));
    write.kind = Queued;
    exec.more.push_back(std::to_string(write.a));
    exec.more.push_back(write.b == 1 ? "-" : write.text);
    out.push_back(std::move(write));
  }
  add({"SET", "last", "x"}, Queued);
  exec.more.push_back("none");
  out.push_back(std::move(exec));
}

// ---- replies ------------------------------------------------------------------------------------

void KvClient::left(Request& request, const resp::Value& value) {
  switch (request.kind) {
    case WriteRegister:
      if (value.is_error()) {
        world_.check(value.error_code() != "WRONGTYPE",
                     [&] { return "a register changed its type: " + value.text; });
        return;
      }
      wrote(request, true);
      if (request.b == 0 || value.integer > 0) world_.promise(request.log_end, request.synced);
      return;
    case ReadRegister:
      if (!value.is_error()) judge_read(request.a, value);
      return;
    case SharedWrite:
    case SharedRead: return left_shared(request, value);
    case Exec: {
      if (value.is_error() || value.is_null()) return;
      world_.check(value.items.size() * 2 - 1 == request.more.size(),
                   [] { return "EXEC answers another number of replies"; });
      const bool refused =
          std::any_of(value.items.begin(), value.items.end(), [](const auto& v) { return v.is_error(); });
      wrote(request, !refused);
      if (!refused) world_.promise(request.log_end, request.synced);  // its SET of `last` changed something
      return;
    }
    default: return;
  }
}

/// The request was executed: its values are in the registers, or (not certain) may be.
void KvClient::wrote(Request& request, bool certain) {
  if (request.kind == WriteRegister)
    return wrote_one(request.a, request.b == 1 ? Value() : Value(request.text), request.log_end, certain);
  for (size_t i = 0; i + 1 < request.more.size(); i += 2) {
    const std::string& text = request.more[i + 1];
    wrote_one(std::stoul(request.more[i]), text == "-" ? Value() : Value(text), request.log_end, certain);
  }
}

void KvClient::wrote_one(size_t index, const Value& value, uint64_t log_end, bool certain) {
  Register& r = registers_[index];
  r.writes.push_back({value, log_end, certain});
  if (certain) r.current.clear();
  r.current.push_back(value);
}

void KvClient::judge_read(size_t index, const resp::Value& value) {
  Register& r = registers_[index];
  const Value got = value.is_null() ? Value() : Value(value.text);
  if (std::find(r.current.begin(), r.current.end(), got) != r.current.end()) {
    r.current = {got};
    return;
  }
  std::string what = r.key + " " + r.field + " holds " + (got ? *got : "nothing") + ", but was last written";
  for (const Value& v : r.current) what += " " + (v ? *v : "(removed)");
  world_.broken(what);
}

void KvClient::left_shared(Request& request, const resp::Value& value) {
  if (value.is_error()) return;
  if (request.kind == SharedRead) {
    if (request.args[0] == "GET" && value.is_null()) world_.count_if_expired(request.args[1]);
    return revealed(value, request);
  }
  if (request.b == Always || (request.b == WhenPositive && value.integer > 0))
    world_.promise(request.log_end, request.synced);
}

/// A value that was read is as good as promised.
void KvClient::revealed(const resp::Value& value, const Request& request) {
  for (const resp::Value& item : value.items) revealed(item, request);
  if (!value.is(resp::Value::Kind::Bulk) || value.text.size() < 2 || value.text[0] != 'w') return;
  world_.promise(world_.end_of_value(std::stoull(value.text.substr(1))), request.synced);
}

void KvClient::reply(Request& request, resp::Value&) {
  --outstanding_;
  if (request.kind == ReadRegister && verifying_ && --left_to_verify_ == 0) verified_ = true;
}

void KvClient::lost(std::deque<Request>& unanswered) {
  for (Request& request : unanswered)
    if (request.turn != 0 && (request.kind == WriteRegister || request.kind == Exec)) wrote(request, false);
  link_ = nullptr;
  verifying_ = false;
  wake_in(world_.prng().between(500, 30'000));
}

void KvClient::recovered(uint64_t offset) {
  for (Register& r : registers_) {
    std::erase_if(r.writes, [&](const Register::Write& write) { return write.log_end > offset; });
    r.current = r.base;
    for (const Register::Write& write : r.writes) {
      if (write.certain) r.current.clear();
      r.current.push_back(write.value);
    }
  }
}

void KvClient::settled() {
  for (Register& r : registers_) {
    r.base = r.current;
    r.writes.clear();
  }
}

}  // namespace hf::sim
