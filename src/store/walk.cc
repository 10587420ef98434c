// Walks: who is handed what, and in what slices. The rules of generations are in inside.h; large values in
// pieces are in walk_large.cc.
#include <algorithm>

#include "store/inside.h"
#include "base/planted.h"

namespace hf::store {
namespace {

/// The sweep's: it only brings numbers up to date.
class Nobody final : public WalkConsumer {
 public:
  void take(DbIndex, const Entry&) override {}
  void take_large(const LargeValue&) override {}
  void take_field(uint64_t, Bytes, Bytes) override {}
  void take_large_field(uint64_t, Bytes, uint64_t, uint64_t) override {}
  void take_bytes(uint64_t, Bytes) override {}
} nobody;

template <class Walks>
size_t walk_index(const Walks& walks, WalkId id) {
  for (size_t i = 0; i < walks.size(); ++i)
    if (walks[i]->id == id) return i;
  HF_CHECK(!"no such walk is active");
  return 0;
}

}  // namespace

const Walk::Part* Walk::part_of(const Database& database) const {
  for (const Part& part : parts)
    if (part.database == &database) return &part;
  return nullptr;
}

void Store::Inside::hand_over_old(Database& database, Entry& entry) {
  const uint64_t number = newest - static_cast<uint8_t>(newest_byte() - Layout::generation(entry));
  if (Layout::coding(entry) == Coding::Table) {
    uint64_t needed_from = newest + 1;
    for (const auto& walk : walks)
      if (walk->id > number && walk->part_of(database)) needed_from = std::min(needed_from, walk->id);
    renumber(*Layout::table(entry), needed_from);
  }
  for (const auto& walk : walks) {
    if (walk->id <= number) continue;
    // A walk that began after this database was flushed has no part of it.
    if (const Walk::Part* part = walk->part_of(database)) hand_over_to(*walk, part->index, entry);
  }
  if (!planted(Bug::GenerationKept)) Layout::set_generation(entry, newest_byte());
}

Walk& Store::Inside::begin_walk(WalkConsumer& consumer) {
  auto walk = std::make_unique<Walk>();
  walk->id = ++newest;
  walk->consumer = &consumer;
  walks.push_back(std::move(walk));
  return *walks.back();
}

WalkId Store::begin_walk(WalkConsumer& consumer) {
  Inside& in = *in_;
  for (size_t all = SIZE_MAX; in.lag() >= Inside::lag_max;) in.sweep_some(all);
  Walk& walk = in.begin_walk(consumer);
  for (DbIndex i = databases(); i-- > 0;) {
    Database& d = in.database(i);
    if (d.table.size() == 0) continue;
    walk.parts.push_back({&d, i});
    ++d.walks;
  }
  return walk.id;
}

bool Store::walk_some(WalkId id, size_t entries) {
  const size_t index = walk_index(in_->walks, id);
  Walk& walk = *in_->walks[index];
  in_->visit_for_walk(walk, entries);
  if (!walk.complete()) return false;
  in_->end_walk(index);
  return true;
}

size_t Store::Inside::visit_for_walk(Walk& walk, size_t entries) {
  size_t seen = 0;
  while (seen < entries && !walk.complete()) {
    if (!walk.pending.empty()) {
      seen += visit_pending(walk);
      continue;
    }
    Database& d = *walk.parts.back().database;
    d.table.prefetch_ahead(walk.position);
    walk.position = d.table.visit(walk.position, [&](Slot& slot) {
      hand_over(d, *slot.entry());
      ++seen;
    });
    ++seen;  // an empty bucket is work too
    if (walk.position != 0) continue;
    d.floor = std::max(d.floor, walk.id);
    end_part(walk);
  }
  return seen;
}

void Store::abort_walk(WalkId id) { in_->end_walk(walk_index(in_->walks, id)); }

size_t Store::walks_active() const { return in_->walks.size() - (in_->sweep != 0 ? 1 : 0); }

size_t Store::kept_for_walks_bytes() const {
  in_->recount_kept();
  return in_->kept_bytes;
}

void Store::Inside::end_part(Walk& walk) {
  Database* d = walk.parts.back().database;
  walk.parts.pop_back();
  walk.position = 0;
  --d->walks;
  release_if_unneeded(d);
}

void Store::Inside::end_walk(size_t index) {
  Walk& walk = *walks[index];
  for (Walk::Pending& pending : walk.pending) {
    if (pending.table != nullptr) end_table(walk, *pending.table);
    if (pending.block != nullptr) end_block(pending.block);
    kept_bytes -= pending.kept;
  }
  walk.pending.clear();
  while (!walk.parts.empty()) end_part(walk);
  if (walk.id == sweep) sweep = 0;
  walks.erase(walks.begin() + static_cast<ptrdiff_t>(index));
}

void Store::Inside::retire(std::unique_ptr<Database> database) {
  (database->walks > 0 ? frozen.push_back(std::move(database))
                       : garbage_databases.push_back(std::move(database)));
}

void Store::Inside::release_if_unneeded(Database* database) {
  if (database->walks > 0) return;
  const auto at = std::find_if(frozen.begin(), frozen.end(), [&](auto& d) { return d.get() == database; });
  if (at == frozen.end()) return;
  garbage_databases.push_back(std::move(*at));
  frozen.erase(at);
}

// ---- laggards ---------------------------------------------------------------------------------------------

/// How far the oldest possible entry is behind.
uint64_t Store::Inside::lag() const {
  uint64_t most = 0;
  for (const auto* list : {&databases, &frozen})
    for (const auto& d : *list)
      if (d->table.size() == 0) d->floor = newest;
      else most = std::max(most, newest - d->floor);
  return most;
}

bool Store::Inside::sweep_some(size_t& budget) {
  if (sweep == 0 && lag() > lag_to_sweep) {
    Walk& walk = begin_walk(nobody);
    sweep = walk.id;
    for_each_database([&](Database& d) {
      walk.parts.push_back({&d, 0});
      ++d.walks;
    });
  }
  if (sweep == 0) return false;
  const size_t index = walk_index(walks, sweep);
  budget -= std::min(budget, visit_for_walk(*walks[index], budget));
  if (!walks[index]->complete()) return true;
  end_walk(index);
  return lag() > lag_to_sweep;
}

// ---- freeing ----------------------------------------------------------------------------------------------

bool Store::free_some(size_t entries) {
  Inside& in = *in_;
  size_t budget = entries;
  while (budget > 0 && !in.garbage_tables.empty())
    if (in.garbage_tables.front()->drain_some(budget, [&](Entry* e) { in.destroy_field(e); }))
      in.garbage_tables.pop_front();
  while (budget > 0 && !in.garbage_databases.empty())
    if (in.garbage_databases.front()->table.drain_some(budget, [&](Entry* e) { in.destroy(e); }))
      in.garbage_databases.pop_front();
  const bool laggards = in.sweep_some(budget);
  return laggards || !in.garbage_tables.empty() || !in.garbage_databases.empty();
}

void Store::Inside::destroy_field(Entry* entry) {
  if (is_read(*entry)) {
    Block* block = Layout::block(*entry);
    blocks_read[block].removed = true;
    kept_bytes += block->capacity;
  } else if (Layout::coding(*entry) == Coding::Block) {
    Layout::free_block(context.memory, Layout::block(*entry));
  }
  Layout::free_shell(context.memory, entry);
}

void Store::Inside::destroy_table(FieldTable* table) {
  if (!table->readers.empty()) {
    table->removed = true;  // end_table brings it here again
    return;
  }
  if (table->size() > destroy_at_once_max) {
    garbage_tables.emplace_back(table);
    return;
  }
  size_t budget = SIZE_MAX;
  table->drain_some(budget, [&](Entry* e) { destroy_field(e); });
  delete table;
}

void Store::Inside::hollow(Entry* entry) {
  if (Layout::coding(*entry) == Coding::Table) {
    destroy_table(Layout::table(*entry));
  } else if (Layout::coding(*entry) == Coding::Object) {
    context.memory.count(0, Layout::accounted(*entry));
    delete Layout::object(*entry);
  }
}

void Store::Inside::destroy(Entry* entry) {
  hollow(entry);
  destroy_field(entry);
}

}  // namespace hf::store
