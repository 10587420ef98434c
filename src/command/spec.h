// A command as data: one row says its name, arity, flags, keys, categories and documentation, and names its
// handler. Help, COMMAND DOCS, the client's hints, key extraction and the checks before a call all come from
// the row.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"

namespace hf::command {

struct Context;
using Handler = void (*)(Context&);

/// Redis's command flags (COMMAND INFO prints them), and at the end a few of our own.
enum Flag : uint32_t {
  Write = 1u << 0,
  Readonly = 1u << 1,
  DenyOom = 1u << 2,
  Admin = 1u << 3,
  PubSub = 1u << 4,
  NoScript = 1u << 5,
  Blocking = 1u << 6,
  Loading = 1u << 7,  ///< allowed while the data set loads
  Stale = 1u << 8,
  SkipMonitor = 1u << 9,
  SkipSlowlog = 1u << 10,
  Fast = 1u << 11,
  NoAuth = 1u << 12,   ///< allowed before AUTH
  NoMulti = 1u << 13,  ///< refused inside MULTI
  AllowBusy = 1u << 14,
  MovableKeys = 1u << 15,
  NoAsyncLoading = 1u << 16,
  // ours, not printed
  WaitsForSync = 1u << 24,   ///< the reply waits for the sync whatever the policy (TASK.*)
  WholeKeyspace = 1u << 25,  ///< reads more than its key arguments: its reply waits for the end of the log
  Internal = 1u << 26,       ///< only in the log, never from a client; not listed
  RunKeys = 1u << 27,        ///< its key arguments are run ids: of "nlp#6" the key is "nlp"
};

/// ACL categories, as COMMAND INFO prints them with an '@'.
enum Category : uint32_t {
  CatKeyspace = 1u << 0,
  CatRead = 1u << 1,
  CatWrite = 1u << 2,
  CatString = 1u << 3,
  CatHash = 1u << 4,
  CatConnection = 1u << 5,
  CatAdmin = 1u << 6,
  CatDangerous = 1u << 7,
  CatFast = 1u << 8,
  CatSlow = 1u << 9,
  CatBlocking = 1u << 10,
  CatTransaction = 1u << 11,
  CatTask = 1u << 12,
  CatSet = 1u << 13,
  CatSortedSet = 1u << 14,
  CatList = 1u << 15,
  CatStream = 1u << 16,
  CatPubSub = 1u << 17,
  CatScripting = 1u << 18,
  CatBitmap = 1u << 19,
  CatHyperLogLog = 1u << 20,
  CatGeo = 1u << 21,
};

/// Positions of keys among the arguments, as COMMAND prints them: first, last (negative: from the end), step.
/// All 0: none.
struct KeyRange {
  int first = 0, last = 0, step = 0;
};

/// What a call does with a key, as the key specifications of COMMAND INFO print it.
enum KeyUse : uint16_t {
  UseReadOnly = 1u << 0,   ///< RO
  UseReadWrite = 1u << 1,  ///< RW
  UseOverwrite = 1u << 2,  ///< OW
  UseRemove = 1u << 3,     ///< RM
  UseAccess = 1u << 4,
  UseUpdate = 1u << 5,
  UseInsert = 1u << 6,
  UseDelete = 1u << 7,
  UseVariable = 1u << 8,  ///< depends on the arguments
};
/// `second` non-zero: the key after the first is used in another way (RENAME, COPY). All 0: as the Write flag
/// says.
struct KeyUses {
  uint16_t first = 0, second = 0;
};

struct Spec {
  const char*
      name;   ///< lower case; a subcommand's row carries the subcommand's name alone ("id" of CLIENT ID)
  int arity;  ///< with the name (and the container's); negative: at least
  uint32_t flags;
  KeyRange keys;
  uint32_t categories;     ///< beyond what the flags imply: see categories_of
  const char* group;       ///< "string", "hash", "generic", "connection", "server", "transactions", "task"
  const char* since;       ///< the Redis version whose behaviour this is, or ours
  const char* complexity;  ///< "O(1)"
  const char* summary;     ///< one sentence
  const char*
      syntax;       ///< arguments as the docs write them: "key value [NX | XX] [GET] [EX seconds | KEEPTTL]"
  Handler handler;  ///< null for a container
  std::span<const Spec> subcommands = {};
  const char* tips = "";  ///< COMMAND INFO's tips, separated by blanks
  KeyUses uses = {};
};

/// `count` arguments, the name among them.
constexpr bool arity_fits(const Spec& spec, size_t count) {
  return spec.arity >= 0 ? count == static_cast<size_t>(spec.arity)
                         : count >= static_cast<size_t>(-spec.arity);
}

/// The row's categories and those that its flags imply: every command is @fast or @slow, a writer is @write,
/// ...
constexpr uint32_t categories_of(const Spec& spec) {
  uint32_t all = spec.categories | (spec.flags & Fast ? CatFast : CatSlow);
  if (spec.flags & Write) all |= CatWrite;
  if (spec.flags & Readonly) all |= CatRead;
  if (spec.flags & Admin) all |= CatAdmin | CatDangerous;
  if (spec.flags & PubSub) all |= CatPubSub;
  if (spec.flags & Blocking) all |= CatBlocking;
  return all;
}

/// The key that a run id stands under: what is before a '#' with only digits behind it, or all of it.
inline Bytes key_of_run(Bytes run) {
  const size_t hash = run.rfind('#');
  const bool numbered = hash != Bytes::npos && hash + 1 < run.size() &&
                        run.find_first_not_of("0123456789", hash + 1) == Bytes::npos;
  return numbered ? run.substr(0, hash) : run;
}

/// Calls `each(key)` for every key among `args` (which satisfy the arity).
template <class Each>
void for_each_key(const Spec& spec, std::span<const Bytes> args, Each&& each) {
  if (spec.keys.step == 0) return;
  const int count = static_cast<int>(args.size());
  const int last = spec.keys.last < 0 ? count + spec.keys.last : spec.keys.last;
  for (int i = spec.keys.first; i <= last && i < count; i += spec.keys.step) {
    const Bytes arg = args[static_cast<size_t>(i)];
    each(spec.flags & RunKeys ? key_of_run(arg) : arg);
  }
}

}  // namespace hf::command
