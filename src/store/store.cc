// The store's reading side. Changes are in door.cc and hash_edit.cc, walks in walk.cc.
#include "store/store.h"

#include <algorithm>

#include "base/check.h"
#include "store/inside.h"

namespace hf::store {
namespace {

/// SCAN gives up on empty buckets after this many for each entry asked for, as Redis does.
constexpr size_t empty_buckets_an_entry_max = 10;

}  // namespace

Store::Store(Options options)
    : options_(options), hash_(options.hash_seed), in_(std::make_unique<Inside>(hash_)) {
  HF_CHECK(options.databases > 0);
  for (DbIndex i = 0; i < 2 * options.databases; ++i)  // the second half: what is loaded beside
    in_->databases.push_back(std::make_unique<Database>(in_->context, in_->newest));
}

Store::~Store() {
  Inside& in = *in_;
  while (!in.walks.empty()) in.end_walk(in.walks.size() - 1);
  for (auto* list : {&in.databases, &in.frozen}) {
    for (auto& d : *list) in.garbage_databases.push_back(std::move(d));
    list->clear();
  }
  while (free_some(SIZE_MAX)) {}
}

void Store::set_hash_seed(uint64_t seed) {
  HF_CHECK(is_empty());
  options_.hash_seed = seed;
  hash_ = KeyHash(seed);
}

bool Store::is_empty() const {
  return std::all_of(in_->databases.begin(), in_->databases.end(),
                     [](const auto& database) { return database->table.size() == 0; });
}

bool Store::reserve_some(DbIndex db, uint64_t keys, size_t buckets) {
  return in_->database(db).table.reserve_some(keys, buckets);
}

void Store::set_loader(Type type, ObjectLoader loader) { in_->loaders[static_cast<size_t>(type)] = loader; }

uint32_t Store::databases() const { return static_cast<uint32_t>(in_->databases.size() / 2); }

void Store::prefetch_bucket(DbIndex db, uint64_t hash) const {
  in_->database(db).table.prefetch_bucket(hash);
}
void Store::prefetch_entry(DbIndex db, uint64_t hash) const { in_->database(db).table.prefetch_entry(hash); }

const Entry* Store::find(DbIndex db, const Key& key) const {
  const Slot* slot = in_->database(db).table.find(key.hash, key.bytes);
  return slot != nullptr ? slot->entry() : nullptr;
}

size_t Store::size(DbIndex db) const { return in_->database(db).table.size(); }
size_t Store::size_with_expiry(DbIndex db) const { return in_->database(db).with_expiry; }

uint64_t Store::scan(DbIndex db, uint64_t cursor, size_t count,
                     const std::function<void(const Entry&)>& each) const {
  const Table& table = in_->database(db).table;
  uint64_t position = Table::reversed(cursor);
  size_t seen = 0, buckets = 0;
  do {
    position = table.visit(position, [&](Slot& slot) {
      each(*slot.entry());
      ++seen;
    });
  } while (position != 0 && seen < count && ++buckets / empty_buckets_an_entry_max < count);
  return Table::reversed(position);
}

void Store::for_each(DbIndex db, const std::function<void(const Entry&)>& each) const {
  in_->database(db).table.for_each([&](Slot& slot) { each(*slot.entry()); });
}

const Entry* Store::random(DbIndex db, Prng& prng) const {
  const Slot* slot = in_->database(db).table.random(prng);
  return slot != nullptr ? slot->entry() : nullptr;
}

void Store::collect_expired(DbIndex db, WallMs now, size_t buckets, size_t max,
                            std::vector<std::string>& keys) {
  Database& d = in_->database(db);
  if (d.with_expiry == 0) return;
  size_t found = 0;
  buckets = std::min(buckets, d.table.buckets());  // once around at most: no key comes twice
  for (size_t i = 0; i < buckets && found < max; ++i) {
    bool all = true;
    const uint64_t next = d.table.visit(d.expiry_position, [&](Slot& slot) {
      if (!slot.expires() || !slot.entry()->expired(now)) return;
      if (found == max) {
        all = false;  // the next call begins with this bucket again
        return;
      }
      keys.emplace_back(slot.entry()->key());
      ++found;
    });
    if (all) d.expiry_position = next;
  }
}

size_t Store::memory_bytes() const { return in_->context.memory.held(); }

size_t Store::idle_bytes() const { return in_->context.memory.idle(); }

}  // namespace hf::store
