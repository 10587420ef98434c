// The door: every change to the keyspace but those inside a hash (hash_edit.cc). Each call has the same four
// beats: look the key up, hand the old value to the walks, change, tell the observer.
#include "base/check.h"
#include "base/number.h"
#include "base/planted.h"
#include "store/inside.h"

namespace hf::store {
namespace {

constexpr size_t integer_text_max = 20;

/// Canonical integers only: their text can be rebuilt from the number.
std::optional<int64_t> as_integer(Bytes text) {
  if (text.empty() || text.size() > integer_text_max || (text[0] > '9') || (text[0] < '0' && text[0] != '-'))
    return std::nullopt;
  return parse_int(text);
}

}  // namespace

// ---- what calls share -------------------------------------------------------------------------------------

Entry* Store::Inside::make_string(Bytes key, WallMs expire_at, Bytes value) {
  if (const auto number = as_integer(value); number)
    return Layout::make_integer(context.memory, key, expire_at, *number);
  return Layout::make_bytes(context.memory, Type::String, key, expire_at, value);
}

Entry* Store::Inside::make_object_entry(Bytes key, WallMs expire_at, Object* object) {
  const size_t bytes = object->memory_bytes();
  context.memory.count(bytes, 0);
  return Layout::make(context.memory, {object->type(), Coding::Object, key, expire_at,
                                       reinterpret_cast<uint64_t>(object), 0, bytes});
}

FieldTable* Store::Inside::clone(const FieldTable& table) {
  FieldTable* copy = new_field_table();
  table.for_each([&](Slot& slot) {
    const Entry& e = *slot.entry();
    Entry* field = Layout::make_bytes(context.memory, Type::String, e.key(), no_expiry, Layout::value(e));
    Layout::set_generation(*field, static_cast<uint8_t>(copy->number));
    copy->insert(context.hash(e.key()), field, false);
  });
  return copy;
}

Entry* Store::Inside::clone(const Entry& e, Bytes key) {
  switch (Layout::coding(e)) {
    case Coding::Int:
      return Layout::make_integer(context.memory, key, e.expire_at(),
                                  static_cast<int64_t>(Layout::value_word(e)));
    case Coding::Table:
      return Layout::make(context.memory, {Type::Hash, Coding::Table, key, e.expire_at(),
                                           reinterpret_cast<uint64_t>(clone(*Layout::table(e)))});
    case Coding::Object: return make_object_entry(key, e.expire_at(), e.object()->clone().release());
    case Coding::Inline:
    case Coding::Block: break;
  }
  return Layout::make_bytes(context.memory, e.type(), key, e.expire_at(), Layout::value(e));
}

void Store::changed(DbIndex db, const Key& key) {
  if (observer_ != nullptr) observer_->key_changed(db, key);
}

void Store::tell_removed(DbIndex db, const Entry& entry) {
  if (observer_ != nullptr && Layout::coding(entry) == Coding::Object)
    observer_->object_removed(db, entry.key(), *Layout::object(entry));
}

void Store::tell_inserted(DbIndex db, const Entry& entry) {
  if (observer_ != nullptr && Layout::coding(entry) == Coding::Object)
    observer_->object_inserted(db, entry.key(), *Layout::object(entry));
}

void Store::place(DbIndex db, const Key& key, Entry* entry) {
  Database& d = in_->database(db);
  if (Slot* slot = d.table.find(key.hash, key.bytes); slot != nullptr) {
    Entry* old = slot->entry();
    in_->hand_over(d, *old);
    Layout::set_generation(*entry, in_->newest_byte());
    d.put(*slot, entry);
    tell_removed(db, *old);
    in_->destroy(old);
  } else {
    in_->insert(d, key.hash, entry);
  }
  tell_inserted(db, *entry);
}

Entry* Store::detach(DbIndex db, const Key& key) {
  Database& d = in_->database(db);
  Slot* slot = d.table.find(key.hash, key.bytes);
  if (slot == nullptr) return nullptr;
  Entry* entry = slot->entry();
  if (!planted(Bug::HandOverForgotten)) in_->hand_over(d, *entry);
  d.erase(slot, key.hash);
  tell_removed(db, *entry);
  return entry;
}

// ---- strings ----------------------------------------------------------------------------------------------

void Store::set_string(DbIndex db, const Key& key, Bytes value, WallMs expire_at) {
  Database& d = in_->database(db);
  Memory& memory = in_->context.memory;
  const auto number = as_integer(value);
  if (Slot* slot = d.table.find(key.hash, key.bytes); slot != nullptr) {
    Entry* old = slot->entry();
    in_->hand_over(d, *old);
    if (old->type() != Type::String) {
      tell_removed(db, *old);
      in_->hollow(old);
    }
    old = in_->give_up_block(old);
    d.put(*slot, number ? Layout::overwrite_integer(memory, old, expire_at, *number)
                        : Layout::overwrite_string(memory, old, expire_at, value));
  } else {
    in_->insert(d, key.hash,
                number ? Layout::make_integer(memory, key.bytes, expire_at, *number)
                       : Layout::make_bytes(memory, Type::String, key.bytes, expire_at, value));
  }
  changed(db, key);
}

void Store::set_integer(DbIndex db, const Key& key, int64_t value) {
  Database& d = in_->database(db);
  Memory& memory = in_->context.memory;
  if (Slot* slot = d.table.find(key.hash, key.bytes); slot != nullptr) {
    Entry* old = slot->entry();
    HF_CHECK(old->type() == Type::String);
    in_->hand_over(d, *old);
    old = in_->give_up_block(old);
    if (Layout::coding(*old) == Coding::Int) Layout::set_value_word(*old, static_cast<uint64_t>(value));
    else old = Layout::overwrite_integer(memory, old, old->expire_at(), value);
    d.put(*slot, old);
  } else {
    in_->insert(d, key.hash, Layout::make_integer(memory, key.bytes, no_expiry, value));
  }
  changed(db, key);
}

char* Store::resize_string(DbIndex db, const Key& key, size_t size) {
  Database& d = in_->database(db);
  Memory& memory = in_->context.memory;
  Slot* slot = d.table.find(key.hash, key.bytes);
  if (slot == nullptr)
    slot = in_->insert(d, key.hash, Layout::make_bytes(memory, Type::String, key.bytes, no_expiry, {}));
  Entry* e = slot->entry();
  HF_CHECK(e->type() == Type::String);
  in_->hand_over(d, *e);
  in_->copy_read_block(*e);
  if (Layout::coding(*e) == Coding::Int) {
    Scratch scratch;
    e = Layout::overwrite_string(memory, e, e->expire_at(), e->string(scratch));
  }
  const size_t old_size = Layout::value(*e).size();
  e = Layout::resize_bytes(memory, e, size);
  Layout::set_raw(*e);
  d.put(*slot, e);
  char* data = Layout::writable(*e);
  if (size > old_size) std::memset(data + old_size, 0, size - old_size);
  changed(db, key);
  return data;
}

// ---- objects ----------------------------------------------------------------------------------------------

Object* Store::edit_object(DbIndex db, const Key& key) {
  Database& d = in_->database(db);
  Slot* slot = d.table.find(key.hash, key.bytes);
  if (slot == nullptr || Layout::coding(*slot->entry()) != Coding::Object) return nullptr;
  Entry& e = *slot->entry();
  in_->hand_over(d, e);
  // The size as the last edit left it: late by one edit, but never lost, since removal takes off what was put
  // on.
  const size_t bytes = Layout::object(e)->memory_bytes();
  in_->context.memory.count(bytes, Layout::accounted(e));
  Layout::set_accounted(e, bytes);
  changed(db, key);
  return Layout::object(e);
}

Object& Store::insert_object(DbIndex db, const Key& key, std::unique_ptr<Object> object) {
  HF_CHECK(object != nullptr);
  Object& stays = *object;
  place(db, key, in_->make_object_entry(key.bytes, no_expiry, object.release()));
  changed(db, key);
  return stays;
}

// ---- keys -------------------------------------------------------------------------------------------------

bool Store::remove(DbIndex db, const Key& key) {
  Entry* entry = detach(db, key);
  if (entry == nullptr) return false;
  changed(db, key);  // first: `key` may be the entry's own bytes
  in_->destroy(entry);
  return true;
}

bool Store::set_expiry(DbIndex db, const Key& key, WallMs at) {
  Database& d = in_->database(db);
  Slot* slot = d.table.find(key.hash, key.bytes);
  if (slot == nullptr) return false;
  in_->hand_over(d, *slot->entry());
  d.put(*slot, Layout::with_expiry(in_->context.memory, slot->entry(), at));
  changed(db, key);
  return true;
}

void Store::rename(DbIndex db, const Key& from, const Key& to) {
  HF_CHECK(from.bytes != to.bytes);
  Entry* entry = detach(db, from);
  HF_CHECK(entry != nullptr);
  place(db, to, Layout::with_key(in_->context.memory, entry, to.bytes));
  changed(db, from);
  changed(db, to);
}

void Store::move(DbIndex from, const Key& key, DbIndex to) {
  HF_CHECK(from != to && find(to, key) == nullptr);
  Entry* entry = detach(from, key);
  HF_CHECK(entry != nullptr);
  in_->insert(in_->database(to), key.hash, entry);
  tell_inserted(to, *entry);
  changed(from, key);
  changed(to, key);
}

void Store::copy(DbIndex from, const Key& key, DbIndex to, const Key& to_key) {
  HF_CHECK(from != to || key.bytes != to_key.bytes);
  const Entry* entry = find(from, key);
  HF_CHECK(entry != nullptr);
  place(to, to_key, in_->clone(*entry, to_key.bytes));
  changed(to, to_key);
}

// ---- databases --------------------------------------------------------------------------------------------

void Store::clear(DbIndex db) {
  Inside& in = *in_;
  if (in.database(db).table.buckets() == 0) return;  // (one without entries may have room for some)
  auto fresh = std::make_unique<Database>(in.context, in.newest);
  std::swap(in.databases[db], fresh);
  in.retire(std::move(fresh));
}

void Store::flush(DbIndex db) {
  clear(db);
  if (observer_ == nullptr) return;
  observer_->objects_flushed(db);
  observer_->database_changed(db);
}

void Store::flush_all() {
  for (DbIndex i = 0; i < databases(); ++i) flush(i);
  in_->loading.clear();
}

void Store::take_beside() {
  for (DbIndex db = 0; db < databases(); ++db) {
    std::swap(in_->databases[db], in_->databases[beside(db)]);
    if (observer_ != nullptr) observer_->objects_swapped(db, beside(db));
  }
  drop_beside();  // what was there until now
  if (observer_ == nullptr) return;
  for (DbIndex db = 0; db < databases(); ++db) observer_->database_changed(db);
}

void Store::drop_beside() {
  for (DbIndex db = 0; db < databases(); ++db) {
    clear(beside(db));
    if (observer_ != nullptr) observer_->objects_flushed(beside(db));
  }
  in_->loading.clear();
}

void Store::swap(DbIndex a, DbIndex b) {
  HF_CHECK(a < databases() && b < databases());
  if (a == b) return;
  std::swap(in_->databases[a], in_->databases[b]);
  if (observer_ == nullptr) return;
  observer_->objects_swapped(a, b);
  observer_->database_changed(a);
  observer_->database_changed(b);
}

}  // namespace hf::store
