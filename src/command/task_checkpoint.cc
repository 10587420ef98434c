// Checkpoints: saving one, listing, verifying what a restore needs, reading the bytes, asking a worker for
// one.
#include <algorithm>

#include "base/number.h"
#include "command/task_common.h"
#include "task/json.h"

namespace hf::command {
namespace {

using task::Checkpoint;

constexpr uint32_t chains_kept_max = 1000;

struct SaveRequest {
  task::Change change;
  bool has_sum = false, has_meta = false;
  Sum128 sum;
};

bool read_options(Context& ctx, SaveRequest& r) {
  task::Change& c = r.change;
  OptionReader o(ctx, 3);
  Bytes sum;
  o.number("the step", 0, INT64_MAX, c.step);
  o.text("the checkpoint's payload", ctx.tasks.options().checkpoint_bytes_max, c.payload);
  while (o.more()) {
    if (o.word("DELTA")) o.number("DELTA's version", 1, INT64_MAX, c.base);
    else if (o.word("META")) o.text("META", limits::task_meta_bytes_max, c.meta), r.has_meta = true;
    else if (o.word("TAG")) o.text("TAG", limits::task_id_bytes_max, c.tag);
    else if (o.word("SUM")) o.text("SUM", 32, sum), r.has_sum = true;
    else o.unexpected();
  }
  if (o.ok() && r.has_meta && !task::is_json_object(c.meta)) o.fail("ERR META is not a JSON object");
  if (o.ok() && r.has_sum && !task::parse_sum(sum, r.sum))
    o.fail("ERR SUM is not 32 hex digits: XXH3-128 over payload, step (8 bytes, little endian) and META");
  return o.ok();
}

/// What stands against the new version, or empty.
std::string objection(const RunArg& arg, const task::Change& c) {
  const Checkpoint* last = arg.run->last_checkpoint();
  if (last != nullptr && c.step < last->step)
    return "STALE step " + to_text(c.step) + " is behind " + to_text(last->step) + " (version " +
           to_text(static_cast<int64_t>(last->version)) + ") of " + arg.id() +
           "; restore that version and go on from it";
  if (c.base != 0 && (last == nullptr || last->version != c.base))
    return "BASE " + arg.id() + ": version " + to_text(static_cast<int64_t>(c.base)) +
           " is not the latest (" +
           (last == nullptr ? "there is none" : to_text(static_cast<int64_t>(last->version))) +
           "); send a delta on the latest, or a full checkpoint";
  const size_t kept = arg.run->rare->checkpoints ? arg.run->rare->checkpoints->size() : 0;
  if (kept >= limits::task_checkpoints_max && (c.base != 0 || !c.tag.empty()))
    return "ERR " + arg.id() + " keeps " + to_text(static_cast<int64_t>(kept)) +
           " versions already; send a full checkpoint without a TAG";
  return {};
}

/// The version a RESTORE asks for. False: an error is replied. Null: there is none at all.
bool pick(Context& ctx, const RunArg& arg, const Checkpoint*& picked, Bytes& expect_key,
          Bytes& expect_value) {
  picked = arg.run->last_checkpoint();
  bool asked = false;
  std::string wanted;
  const auto choose = [&](auto&& fits) {
    asked = true;
    picked = nullptr;
    if (arg.run->rare->checkpoints)
      for (const auto& c : *arg.run->rare->checkpoints)
        if (fits(*c)) picked = c.get();
  };
  OptionReader o(ctx, 2);
  while (o.more()) {
    int64_t number = 0;
    Bytes tag;
    if (o.word("VERSION")) {
      o.number("VERSION", 1, INT64_MAX, number);
      wanted = "version " + to_text(number);
      choose([&](const Checkpoint& c) { return c.version == static_cast<uint64_t>(number); });
    } else if (o.word("STEP")) {
      o.number("STEP", 0, INT64_MAX, number);
      wanted = "version of step " + to_text(number);
      choose([&](const Checkpoint& c) { return c.step == number; });
    } else if (o.word("TAG")) {
      o.text("TAG", limits::task_id_bytes_max, tag);
      wanted = "version tagged " + quoted(tag);
      choose([&](const Checkpoint& c) { return !tag.empty() && c.tag == tag; });
    } else if (o.word("EXPECT")) {
      o.text("EXPECT's key", limits::task_meta_bytes_max, expect_key);
      o.text("EXPECT's value", limits::task_meta_bytes_max, expect_value);
      if (o.ok() && expect_key.empty()) o.fail("ERR EXPECT's key is empty");
    } else {
      o.unexpected();
    }
  }
  if (o.ok() && asked && picked == nullptr)
    o.fail("ERR " + arg.id() + " keeps no " + wanted + "; TASK.CHECKPOINTS " + arg.id() +
           " shows what there is");
  return o.ok();
}

bool chain_verifies(const std::vector<const Checkpoint*>& chain) {
  return !chain.empty() &&
         std::all_of(chain.begin(), chain.end(), [](const Checkpoint* c) { return task::verify(*c); });
}

std::string damaged_error(const RunArg& arg, const Checkpoint& wanted,
                          const std::vector<const Checkpoint*>& chain) {
  std::string bad = to_text(static_cast<int64_t>(wanted.version));
  for (const Checkpoint* c : chain)
    if (!task::verify(*c)) {
      bad = to_text(static_cast<int64_t>(c->version));
      break;
    }
  std::string text = "CHECKSUM " + arg.id() + ": version " + bad + " does not match its sum; ";
  const task::Checkpoints& all = *arg.run->rare->checkpoints;
  for (auto c = all.rbegin(); c != all.rend(); ++c)
    if ((*c)->version < wanted.version && chain_verifies(task::chain_of(all, (*c)->version)))
      return text + "version " + to_text(static_cast<int64_t>((*c)->version)) + " (step " +
             to_text((*c)->step) + ") before it is sound: TASK.RESTORE " + arg.id() + " VERSION " +
             to_text(static_cast<int64_t>((*c)->version));
  return text + "no version before it is sound";
}

}  // namespace

void task_checkpoint(Context& ctx) {
  SaveRequest r;
  RunArg arg;
  task::Change& c = r.change;
  if (!read_options(ctx, r) || !find_run(ctx, 1, arg) || !token_arg(ctx, 2, c.token)) return;
  c.sum = task::checkpoint_sum(c.payload, c.step, c.meta);
  if (r.has_sum && r.sum != c.sum)
    return ctx.error("CHECKSUM " + arg.id() + ": step " + to_text(c.step) + " arrived with sum " +
                     to_hex(c.sum) + " instead of " + to_hex(r.sum) + "; nothing was stored, send it again");
  if (arg.run->rare->checkpoints)  // sent twice: the same version
    for (auto old = arg.run->rare->checkpoints->rbegin(); old != arg.run->rare->checkpoints->rend(); ++old)
      if ((*old)->token == c.token && (*old)->step == c.step && (*old)->sum == c.sum)
        return ctx.reply.integer(static_cast<int64_t>((*old)->version));
  std::string error;
  if (task::hold_of(*arg.run, c.token) != task::Hold::None) error = objection(arg, c);
  if (!error.empty() || !hold(ctx, arg, c.token, error)) return ctx.error(error);
  commit_progress(ctx, arg);
  c.kind = task::Change::Kind::Checkpoint;
  c.run = arg.run->number;
  c.at = ctx.now.wall_ms;
  c.version = arg.run->next_version();
  c.keep = std::clamp(ctx.tasks.options().checkpoint_keep, 1u, chains_kept_max);
  commit(ctx, ctx.db(), arg.key, c);
  ctx.tasks.beat(ctx.db(), *arg.run, ctx.now);
  ctx.reply.integer(static_cast<int64_t>(c.version));
}

void task_checkpoints(Context& ctx) {
  RunArg arg;
  if (!find_run(ctx, 1, arg)) return;
  if (!arg.run->rare->checkpoints) return ctx.reply.array(0);
  ctx.reply.array(arg.run->rare->checkpoints->size());
  for (const auto& c : *arg.run->rare->checkpoints) reply_checkpoint(ctx, *c);
}

void task_restore(Context& ctx) {
  RunArg arg;
  const Checkpoint* picked;
  Bytes key, value;
  if (!find_run(ctx, 1, arg) || !pick(ctx, arg, picked, key, value)) return;
  if (picked == nullptr) return ctx.reply.null_array();
  const auto chain = task::chain_of(*arg.run->rare->checkpoints, picked->version);
  if (!chain_verifies(chain)) return ctx.error(damaged_error(arg, *picked, chain));
  if (!key.empty()) {
    const auto found = task::json_field(picked->meta, key);
    if (!found || *found != value)
      return ctx.error("MISMATCH " + arg.id() + " version " + to_text(static_cast<int64_t>(picked->version)) +
                       ": " + std::string(key) + " is " + (found ? quoted(*found) : "not in its META") +
                       ", expected " + quoted(value) +
                       "; use the program it was made with, or another version");
  }
  ctx.reply.array(chain.size());
  for (const Checkpoint* c : chain) reply_checkpoint(ctx, *c);
}

void task_payload(Context& ctx) {
  int64_t version = 0, start = 0, end = -1;
  OptionReader o(ctx, 2);
  while (o.more()) {
    if (o.word("VERSION")) o.number("VERSION", 1, INT64_MAX, version);
    else if (o.word("RANGE"))
      o.number("RANGE's start", INT64_MIN, INT64_MAX, start),
          o.number("RANGE's end", INT64_MIN, INT64_MAX, end);
    else o.unexpected();
  }
  if (o.ok() && version == 0) o.fail("ERR TASK.PAYLOAD needs VERSION and its number");
  RunArg arg;
  if (!o.ok() || !find_run(ctx, 1, arg)) return;
  const Checkpoint* c = arg.run->rare->checkpoints
                            ? task::find_version(*arg.run->rare->checkpoints, static_cast<uint64_t>(version))
                            : nullptr;
  if (c == nullptr)
    return ctx.error("ERR " + arg.id() + " keeps no version " + to_text(version) + "; TASK.CHECKPOINTS " +
                     arg.id() + " shows what there is");
  // As GETRANGE: both ends included, negative ones count from the end.
  const Bytes bytes = *c->payload;
  const auto size = static_cast<int64_t>(bytes.size());
  start = std::max<int64_t>(start < 0 ? start + size : start, 0);
  end = std::min(end < 0 ? end + size : end, size - 1);
  if (start > end) return ctx.reply.bulk({});
  ctx.reply.bulk(bytes.substr(static_cast<size_t>(start), static_cast<size_t>(end - start + 1)));
}

void task_checkpoint_request(Context& ctx) {
  RunArg arg;
  if (!find_run(ctx, 1, arg)) return;
  if (arg.run->state != task::State::Running)
    return ctx.error("ERR " + arg.id() + " is " + task::state_name(arg.run->state) + " since " +
                     task::when(arg.run->status_since) +
                     "; only a RUNNING run can be asked for a checkpoint");
  if (!arg.run->checkpoint_asked) {
    task::Change change;
    change.kind = task::Change::Kind::AskCheckpoint;
    change.run = arg.run->number;
    change.at = ctx.now.wall_ms;
    commit(ctx, ctx.db(), arg.key, change);
  }
  ctx.reply.ok();
}

}  // namespace hf::command
