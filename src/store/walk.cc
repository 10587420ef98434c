// Walks, and the freeing of what is large: the parts of the store that work in slices. The rules of
// generations are in inside.h.
#include <algorithm>

#include "store/inside.h"

namespace hf::store {

const Walk::Part* Walk::part_of(const Database& database) const {
  for (const Part& part : parts)
    if (part.database == &database) return &part;
  return nullptr;
}

void Store::Inside::hand_over_old(Database& database, Entry& entry) {
  const uint64_t number = newest - static_cast<uint8_t>(newest_byte() - Layout::generation(entry));
  for (const auto& walk : walks) {
    if (walk->id <= number) continue;
    // A walk that began after this database was flushed has no part of it.
    if (const Walk::Part* part = walk->part_of(database)) walk->consumer->take(part->index, entry);
  }
  Layout::set_generation(entry, newest_byte());
}

WalkId Store::begin_walk(WalkConsumer& consumer) {
  Inside& in = *in_;
  in.for_each_database([&](Database& d) {
    if (d.table.size() == 0) d.floor = in.newest, d.sweep_position = 0;
    if (in.newest + 1 - d.floor <= Inside::lag_max) return;
    do in.sweep_bucket(d);
    while (d.sweep_position != 0 || in.newest + 1 - d.floor > Inside::lag_max);
  });
  auto walk = std::make_unique<Walk>();
  walk->id = ++in.newest;
  walk->consumer = &consumer;
  for (DbIndex i = databases(); i-- > 0;) {
    Database& d = in.database(i);
    if (d.table.size() == 0) continue;
    walk->parts.push_back({&d, i});
    ++d.walks;
  }
  const WalkId id = walk->id;
  in.walks.push_back(std::move(walk));
  return id;
}

namespace {

template <class Walks>
size_t walk_index(const Walks& walks, WalkId id) {
  for (size_t i = 0; i < walks.size(); ++i)
    if (walks[i]->id == id) return i;
  HF_CHECK(!"no such walk is active");
  return 0;
}

}  // namespace

bool Store::walk_some(WalkId id, size_t entries) {
  const size_t index = walk_index(in_->walks, id);
  Walk& walk = *in_->walks[index];
  in_->visit_for_walk(walk, entries);
  if (!walk.parts.empty()) return false;
  in_->end_walk(index);
  return true;
}

void Store::Inside::visit_for_walk(Walk& walk, size_t entries) {
  for (size_t seen = 0; seen < entries && !walk.parts.empty();) {
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
}

void Store::abort_walk(WalkId id) { in_->end_walk(walk_index(in_->walks, id)); }

size_t Store::walks_active() const { return in_->walks.size(); }

void Store::Inside::end_part(Walk& walk) {
  Database* d = walk.parts.back().database;
  walk.parts.pop_back();
  walk.position = 0;
  --d->walks;
  release_if_unneeded(d);
}

void Store::Inside::end_walk(size_t index) {
  while (!walks[index]->parts.empty()) end_part(*walks[index]);
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

size_t Store::Inside::sweep_bucket(Database& d) {
  size_t seen = 1;
  if (d.sweep_position == 0) d.sweep_newest = newest;
  d.sweep_position = d.table.visit(d.sweep_position, [&](Slot& slot) {
    hand_over(d, *slot.entry());
    ++seen;
  });
  if (d.sweep_position == 0) d.floor = std::max(d.floor, d.sweep_newest);
  return seen;
}

bool Store::Inside::sweep_some(size_t& budget) {
  bool left = false;
  for_each_database([&](Database& d) {
    if (d.table.size() == 0) return;
    while (budget > 0 && (d.sweep_position != 0 || newest - d.floor > lag_to_sweep))
      budget -= std::min(budget, sweep_bucket(d));
    left = left || d.sweep_position != 0 || newest - d.floor > lag_to_sweep;
  });
  return left;
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
  if (Layout::coding(*entry) == Coding::Block) Layout::free_block(context.memory, Layout::block(*entry));
  Layout::free_shell(context.memory, entry);
}

void Store::Inside::destroy_table(Table* table) {
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
