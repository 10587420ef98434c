// Changes inside a hash: packed while it is small, a table of field entries once it is not (and from then
// on).
#include <algorithm>

#include "base/check.h"
#include "store/inside.h"
#include "store/packed.h"

namespace hf::store {
namespace {

Slot* slot_of(void* slot) { return static_cast<Slot*>(slot); }
Entry& entry_of(void* slot) { return *slot_of(slot)->entry(); }
bool is_table(void* slot) { return Layout::coding(entry_of(slot)) == Coding::Table; }

/// Replaces `old_size` bytes at `at` of a packed hash by `new_size` bytes, not filled in yet. Returns the
/// packed bytes.
char* splice(Memory& memory, Database& d, Slot& slot, size_t at, size_t old_size, size_t new_size) {
  const size_t size = Layout::value(*slot.entry()).size();
  char* data = Layout::writable(*slot.entry());
  const size_t tail = size - at - old_size;
  if (new_size < old_size) std::memmove(data + at + new_size, data + at + old_size, tail);
  if (new_size != old_size)
    d.put(slot, Layout::resize_bytes(memory, slot.entry(), size - old_size + new_size));
  data = Layout::writable(*slot.entry());
  if (new_size > old_size) std::memmove(data + at + new_size, data + at + old_size, tail);
  return data;
}

}  // namespace

HashEdit Store::edit_hash(DbIndex db, const Key& key, size_t room_bytes) {
  Slot* slot = in_->database(db).table.find(key.hash, key.bytes);
  HF_CHECK(slot == nullptr || slot->entry()->type() == Type::Hash);
  return HashEdit(*this, db, key, slot, room_bytes);
}

HashEdit::~HashEdit() {
  if (slot_ != nullptr && size() == 0) {
    store_.remove(db_, key_);  // tells the observer
    return;
  }
  if (changed_) store_.changed(db_, key_);
}

size_t HashEdit::size() const { return slot_ == nullptr ? 0 : entry_of(slot_).hash_size(); }

std::optional<Bytes> HashEdit::get(Bytes field) const {
  if (slot_ == nullptr) return std::nullopt;
  return entry_of(slot_).hash_get(field);
}

void HashEdit::before_change() {
  if (changed_) return;
  changed_ = true;
  Store::Inside& in = *store_.in_;
  Database& d = in.database(db_);
  if (slot_ != nullptr) {
    in.hand_over(d, entry_of(slot_));
    return;
  }
  slot_ = in.insert(d, key_.hash, Layout::make_hash(in.context.memory, key_.bytes, room_bytes_));
}

size_t HashEdit::packed_size(Bytes field, Bytes value) { return packed_pair_size(field, value); }

bool HashEdit::set(Bytes field, Bytes value) {
  before_change();
  Store::Inside& in = *store_.in_;
  const Options& limits = store_.options_;
  if (!is_table(slot_) && (field.size() > limits.hash_packed_value_bytes_max ||
                           value.size() > limits.hash_packed_value_bytes_max))
    convert();
  if (is_table(slot_)) {
    FieldTable& table = *Layout::table(entry_of(slot_));
    const size_t before = table.size();
    in.set_field(table, field, value);
    return table.size() != before;
  }
  Memory& memory = in.context.memory;
  Database& d = in.database(db_);
  const Bytes packed = Layout::value(entry_of(slot_));
  const size_t count = packed_count(packed);
  PackedReader reader(packed);
  const bool found = reader.find(field);
  if (!found && count >= std::min(limits.hash_packed_entries_max, packed_fields_max)) {
    convert();
    in.set_field(*Layout::table(entry_of(slot_)), field, value);
    return true;
  }
  const size_t at = found ? reader.begin() : packed.size();
  const size_t old_size = found ? reader.end() - reader.begin() : 0;
  char* data = splice(memory, d, *slot_of(slot_), at, old_size, packed_pair_size(field, value));
  write_counted(write_counted(data + at, field), value);
  if (!found) set_packed_count(data, count + 1);
  return !found;
}

bool HashEdit::erase(Bytes field) {
  if (slot_ == nullptr || !entry_of(slot_).hash_get(field)) return false;
  before_change();
  Store::Inside& in = *store_.in_;
  if (is_table(slot_)) {
    FieldTable& table = *Layout::table(entry_of(slot_));
    const uint64_t hash = table.hash(field);
    Slot* slot = table.find(hash, field);
    Entry* gone = slot->entry();
    in.hand_over_field(table, *gone);
    table.erase(slot, hash);
    in.destroy_field(gone);
    return true;
  }
  const Bytes packed = Layout::value(entry_of(slot_));
  const size_t count = packed_count(packed);
  PackedReader reader(packed);
  HF_CHECK(reader.find(field));
  const size_t begin = reader.begin(), end = reader.end();
  char* data = splice(in.context.memory, in.database(db_), *slot_of(slot_), begin, end - begin, 0);
  set_packed_count(data, count - 1);
  return true;
}

void HashEdit::convert() {
  Store::Inside& in = *store_.in_;
  FieldTable* table = in.new_field_table();
  Entry& e = entry_of(slot_);
  for (PackedReader reader(Layout::value(e)); reader.next();)
    in.set_field(*table, reader.field(), reader.value());
  in.database(db_).put(*slot_of(slot_), Layout::with_table(in.context.memory, &e, table));
}

void Store::Inside::set_field(FieldTable& table, Bytes field, Bytes value) {
  const uint64_t hash = context.hash(field);
  if (Slot* slot = table.find(hash, field); slot != nullptr) {
    hand_over_field(table, *slot->entry());
    Entry* old = give_up_block(slot->entry());
    slot->set(Layout::overwrite_string(context.memory, old, no_expiry, value), false);
    return;
  }
  Entry* fresh = Layout::make_bytes(context.memory, Type::String, field, no_expiry, value);
  Layout::set_generation(*fresh, static_cast<uint8_t>(table.number));
  table.insert(hash, fresh, false);
}

}  // namespace hf::store
