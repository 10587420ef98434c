// Large values in walks: heads, then pieces of at most 64 KiB, one hand-over each, so that neither a walk's
// slice nor a write to one field pays for a whole hash. The rules are in inside.h.
#include <algorithm>

#include "store/inside.h"
#include "store/varint.h"

namespace hf::store {
namespace {

/// A slice's budget counts entries; so many bytes weigh as much as one.
constexpr size_t bytes_an_entry = 1024;
/// A table up to this many fields may still be small enough to go as one entry.
constexpr size_t whole_fields_max = 1024;
/// Values of a walk that one recount looks at: some microseconds.
constexpr size_t recounted_values = 16;

bool fits_a_piece(const FieldTable& table) {
  if (table.size() > whole_fields_max) return false;
  size_t bytes = 0;
  table.for_each(
      [&](Slot& slot) { bytes += slot.entry()->key().size() + Layout::value(*slot.entry()).size() + 4; });
  return bytes <= piece_bytes_max;
}

bool is_large_block(const Entry& e) {
  return Layout::coding(e) == Coding::Block && Layout::block(e)->size > piece_bytes_max;
}

}  // namespace

/// The walk needs `entry` and its database is one of the walk's.
void Store::Inside::hand_over_to(Walk& walk, DbIndex db, Entry& entry) {
  LargeValue large{0, db, entry.type(), entry.expire_at(), entry.key(), 0};
  Walk::Pending pending{};
  if (Layout::coding(entry) == Coding::Table && !fits_a_piece(*Layout::table(entry))) {
    pending.table = Layout::table(entry);
    large.size = pending.table->size();
  } else if (entry.type() == Type::String && is_large_block(entry)) {
    pending.block = Layout::block(entry);
    large.size = pending.block->size;
  } else if (entry.object() != nullptr && entry.object()->memory_bytes() > piece_bytes_max) {
    pending.saved = std::make_unique<SavedParts>();
    entry.object()->save_parts(*pending.saved);
    large.size = pending.saved->size();
  }
  if (large.size == 0 || (pending.saved != nullptr && large.size <= piece_bytes_max)) {
    walk.consumer->take(db, entry);
    return;
  }
  if (pending.saved != nullptr) kept_bytes += pending.kept = pending.saved->held_alone();
  large.number = pending.number = walk.next_number++;
  walk.consumer->take_large(large);
  if (pending.block != nullptr) return read_block(walk, pending.number, pending.block);
  if (pending.table != nullptr) pending.table->readers.push_back({&walk, pending.number});
  walk.pending.push_back(std::move(pending));
}

void Store::Inside::hand_over_old_field(FieldTable& table, Entry& field) {
  const uint64_t number = table.number - static_cast<uint8_t>(table.number - Layout::generation(field));
  for (const FieldTable::Reader& reader : table.readers) {
    Walk& walk = *reader.walk;
    if (walk.id <= number) continue;
    if (!is_large_block(field)) {
      walk.consumer->take_field(reader.value, field.key(), Layout::value(field));
      continue;
    }
    Block* block = Layout::block(field);
    const uint64_t own = walk.next_number++;
    walk.consumer->take_large_field(reader.value, field.key(), own, block->size);
    read_block(walk, own, block);
  }
  Layout::set_generation(field, static_cast<uint8_t>(table.number));
}

/// The head is about to be handed over: fields count from `newest` from now on. `needed_from` is the lowest
/// walk that is going to become a reader, or newest + 1.
void Store::Inside::renumber(FieldTable& table, uint64_t needed_from) {
  if (newest - table.floor > lag_max) {  // no walk has seen this hash for so long that a byte can't tell
    table.for_each([&](Slot& slot) {
      hand_over_field(table, *slot.entry());
      Layout::set_generation(*slot.entry(), static_cast<uint8_t>(needed_from - 1));
    });
    table.floor = needed_from - 1;
  }
  table.number = newest;
}

size_t Store::Inside::visit_pending(Walk& walk) {
  Walk::Pending& pending = walk.pending.front();
  size_t seen = 1;
  bool done = false;
  if (pending.table != nullptr) {
    FieldTable& table = *pending.table;
    table.prefetch_ahead(pending.position);
    pending.position = table.visit(pending.position, [&](Slot& slot) {
      seen += 1 + std::min(Layout::value(*slot.entry()).size(), piece_bytes_max) / bytes_an_entry;
      hand_over_field(table, *slot.entry());  // may append to walk.pending: `pending` stays where it is
    });
    done = pending.position == 0;
    if (done) {
      table.floor = std::max(table.floor, walk.id);
      end_table(walk, table);
    }
  } else {
    const Bytes all = pending.block != nullptr ? Bytes(pending.block->data(), pending.block->size)
                                               : Bytes(*pending.saved->parts()[pending.part]);
    const Bytes piece = all.substr(pending.position, piece_bytes_max);
    walk.consumer->take_bytes(pending.number, piece);
    seen += piece.size() / bytes_an_entry;
    pending.position += piece.size();
    done = pending.position == all.size();
    if (done && pending.block != nullptr) end_block(pending.block);
    if (done && pending.saved != nullptr && ++pending.part < pending.saved->parts().size()) {
      pending.position = 0;
      done = false;
    }
    if (done) kept_bytes -= pending.kept;
  }
  if (done) walk.pending.pop_front();
  return seen;
}

void Store::Inside::recount_kept() {
  for (const auto& walk : walks) {
    for (size_t i = std::min(recounted_values, walk->pending.size()); i > 0; --i) {
      if (walk->recount_at >= walk->pending.size()) walk->recount_at = 0;
      Walk::Pending& pending = walk->pending[walk->recount_at++];
      if (pending.saved == nullptr) continue;
      const size_t kept = pending.saved->held_alone();
      kept_bytes += kept - pending.kept;
      pending.kept = kept;
    }
  }
}

void Store::Inside::end_table(Walk& walk, FieldTable& table) {
  std::erase_if(table.readers, [&](const FieldTable::Reader& reader) { return reader.walk == &walk; });
  if (table.removed && table.readers.empty()) destroy_table(&table);
}

// ---- blocks -----------------------------------------------------------------------------------------------

void Store::Inside::read_block(Walk& walk, uint64_t number, Block* block) {
  ++blocks_read[block].walks;
  Walk::Pending pending{};
  pending.number = number;
  pending.block = block;
  walk.pending.push_back(std::move(pending));
}

void Store::Inside::end_block(Block* block) {
  const auto at = blocks_read.find(block);
  HF_CHECK(at != blocks_read.end());
  if (--at->second.walks > 0) return;
  const bool removed = at->second.removed;
  blocks_read.erase(at);
  if (!removed) return;
  kept_bytes -= block->capacity;
  Layout::free_block(context.memory, block);
}

Entry* Store::Inside::give_up_read_block(Entry* entry) {
  Block* block = Layout::block(*entry);
  blocks_read[block].removed = true;
  kept_bytes += block->capacity;
  return Layout::without_block(context.memory, entry);
}

void Store::Inside::copy_read_block(Entry& entry) {
  if (!is_read(entry)) return;
  Block* block = Layout::block(entry);
  Block* copy = Layout::make_block(context.memory, block->size);
  write_bytes(copy->data(), {block->data(), block->size});
  blocks_read[block].removed = true;
  kept_bytes += block->capacity;
  Layout::set_value_word(entry, reinterpret_cast<uint64_t>(copy));
}

}  // namespace hf::store
