// Making and reshaping entries: every place that knows where the words, the key and the value lie.
#include "store/layout.h"

#include "store/packed.h"

namespace hf::store {
namespace {

constexpr size_t header_bytes = 8;
/// In place only when at least half of the allocation stays in use.
bool fits(uint8_t wanted_class, uint8_t size_class) {
  return wanted_class <= size_class && Memory::bytes_of(size_class) <= 2 * Memory::bytes_of(wanted_class);
}

/// Room for appends to come: double, up to a megabyte of slack.
size_t grown_capacity(size_t size) {
  constexpr size_t slack_max = 1024 * 1024;
  return size + (size < slack_max ? size : slack_max);
}

}  // namespace

void Layout::write_header(Entry& e, const Shape& s, size_t words, uint8_t size_class) {
  const bool expires = s.expire_at != no_expiry;
  const bool long_key = s.key.size() >= Entry::long_key;
  e.kind_ = static_cast<uint8_t>(static_cast<unsigned>(s.type) | static_cast<unsigned>(s.coding) << 4);
  e.shape_ = static_cast<uint8_t>((expires ? Entry::expiry_flag : 0) | words << 4);
  e.size_class_ = size_class;
  e.key_size_ = long_key ? Entry::long_key : static_cast<uint16_t>(s.key.size());
  e.value_size_ = static_cast<uint16_t>(s.inline_size);
  size_t i = 0;
  if (expires) set_word(e, i++, static_cast<uint64_t>(s.expire_at));
  if (long_key) set_word(e, i++, s.key.size());
  if (s.coding == Coding::Object) set_word(e, i++, s.accounted);
  if (s.coding != Coding::Inline) set_word(e, i, s.word);
}

Entry* Layout::make(Memory& memory, const Shape& shape) {
  const size_t words = words_of(shape);
  const uint8_t size_class =
      Memory::class_of(header_bytes + 8 * words + shape.key.size() + shape.inline_size);
  auto* e = static_cast<Entry*>(memory.take(Memory::bytes_of(size_class)));
  e->generation_ = 0;
  write_header(*e, shape, words, size_class);
  write_bytes(const_cast<char*>(e->bytes()), shape.key);
  tell_object(*e);
  return e;
}

Entry* Layout::reshape(Memory& memory, Entry* entry, Shape shape) {
  shape.key = entry->key();
  const size_t words = words_of(shape);
  const uint8_t size_class =
      Memory::class_of(header_bytes + 8 * words + shape.key.size() + shape.inline_size);
  if (fits(size_class, entry->size_class_)) {
    if (words != entry->words())
      std::memmove(reinterpret_cast<char*>(entry) + header_bytes + 8 * words, shape.key.data(),
                   shape.key.size());
    write_header(*entry, shape, words, entry->size_class_);
    return entry;
  }
  Entry* fresh = make(memory, shape);
  fresh->generation_ = entry->generation_;
  free_shell(memory, entry);
  return fresh;
}

Block* Layout::make_block(Memory& memory, size_t size) {
  const size_t bytes = Memory::rounded(sizeof(Block) + size);
  auto* b = static_cast<Block*>(memory.take(bytes));
  b->size = size;
  b->capacity = bytes - sizeof(Block);
  return b;
}

Entry* Layout::make_bytes(Memory& memory, Type type, Bytes key, WallMs expire_at, Bytes value) {
  if (value.size() <= inline_value_max) {
    Entry* e = make(memory, {type, Coding::Inline, key, expire_at, 0, value.size()});
    write_bytes(const_cast<char*>(e->bytes()) + key.size(), value);
    return e;
  }
  Block* b = make_block(memory, value.size());
  write_bytes(b->data(), value);
  return make(memory, {type, Coding::Block, key, expire_at, reinterpret_cast<uint64_t>(b)});
}

Entry* Layout::make_hash(Memory& memory, Bytes key, size_t room_bytes) {
  const size_t size = packed_header_bytes + room_bytes;
  Entry* e = make(memory, {Type::Hash, Coding::Inline, key, no_expiry, 0,
                           size <= inline_value_max ? size : packed_header_bytes});
  e->value_size_ = packed_header_bytes;
  set_packed_count(writable(*e), 0);
  return e;
}

Bytes Layout::value(const Entry& e) {
  if (e.coding() == Coding::Inline) return {e.bytes() + e.key_size(), e.value_size_};
  HF_CHECK(e.coding() == Coding::Block);
  const Block* b = block(e);
  return {b->data(), b->size};
}

Entry* Layout::overwrite_string(Memory& memory, Entry* entry, WallMs expire_at, Bytes value) {
  Block* b = entry->coding() == Coding::Block ? block(*entry) : nullptr;
  if (value.size() <= inline_value_max) {
    if (b != nullptr) free_block(memory, b);
    Entry* e = reshape(memory, entry, {Type::String, Coding::Inline, {}, expire_at, 0, value.size()});
    write_bytes(const_cast<char*>(e->bytes()) + e->key_size(), value);
    return e;
  }
  if (b != nullptr && (b->capacity < value.size() || b->capacity / 2 > value.size())) {
    free_block(memory, b);
    b = nullptr;
  }
  if (b == nullptr) b = make_block(memory, value.size());
  b->size = value.size();
  write_bytes(b->data(), value);
  return reshape(memory, entry, {Type::String, Coding::Block, {}, expire_at, reinterpret_cast<uint64_t>(b)});
}

Entry* Layout::overwrite_integer(Memory& memory, Entry* entry, WallMs expire_at, int64_t value) {
  if (entry->coding() == Coding::Block) free_block(memory, block(*entry));
  return reshape(memory, entry, {Type::String, Coding::Int, {}, expire_at, static_cast<uint64_t>(value)});
}

Entry* Layout::with_expiry(Memory& memory, Entry* entry, WallMs at) {
  if (entry->has_expiry() && at != no_expiry) {
    set_word(*entry, 0, static_cast<uint64_t>(at));
    return entry;
  }
  if (!entry->has_expiry() && at == no_expiry) return entry;
  // Everything behind the header moves by one word.
  const size_t words = entry->words() + (at != no_expiry ? 1 : -1);
  const char* old_tail = reinterpret_cast<const char*>(entry) + header_bytes + (entry->has_expiry() ? 8 : 0);
  const size_t tail = 8 * (words - (at != no_expiry ? 1 : 0)) + entry->key_size() + entry->value_size_;
  const size_t head = header_bytes + (at != no_expiry ? 8 : 0);
  const uint8_t size_class = Memory::class_of(head + tail);
  Entry* e = entry;
  bool moved = false;
  if (size_class <= entry->size_class_) {
    std::memmove(reinterpret_cast<char*>(e) + head, old_tail, tail);
  } else {
    e = static_cast<Entry*>(memory.take(Memory::bytes_of(size_class)));
    std::memcpy(static_cast<void*>(e), entry, header_bytes);
    std::memcpy(reinterpret_cast<char*>(e) + head, old_tail, tail);
    free_shell(memory, entry);
    e->size_class_ = size_class;
    moved = true;
  }
  const unsigned flags = e->shape_ & 0x0f;
  e->shape_ = static_cast<uint8_t>(
      (at != no_expiry ? flags | Entry::expiry_flag : flags & ~Entry::expiry_flag) | words << 4);
  if (at != no_expiry) set_word(*e, 0, static_cast<uint64_t>(at));
  if (moved) tell_object(*e);
  return e;
}

Entry* Layout::with_key(Memory& memory, Entry* entry, Bytes key) {
  const bool is_object = entry->coding() == Coding::Object, is_inline = entry->coding() == Coding::Inline;
  Entry* e = make(
      memory, {entry->type(), entry->coding(), key, entry->expire_at(), is_inline ? 0 : entry->value_word(),
               entry->value_size_, is_object ? accounted(*entry) : 0});
  e->shape_ |= entry->shape_ & Entry::raw_flag;
  if (is_inline)
    std::memcpy(const_cast<char*>(e->bytes()) + key.size(), entry->bytes() + entry->key_size(),
                entry->value_size_);
  free_shell(memory, entry);
  return e;
}

Entry* Layout::resize_bytes(Memory& memory, Entry* entry, size_t size) {
  if (entry->coding() == Coding::Block) {
    Block* b = block(*entry);
    if (size > b->capacity || (b->capacity > 2 * inline_value_max && b->capacity / 4 > size)) {
      const size_t target = size > b->capacity ? grown_capacity(size) : size;
      const size_t bytes = Memory::rounded(sizeof(Block) + target);
      b = static_cast<Block*>(memory.resize(b, sizeof(Block) + b->capacity, bytes));
      b->capacity = bytes - sizeof(Block);
      set_value_word(*entry, reinterpret_cast<uint64_t>(b));
    }
    b->size = size;
    return entry;
  }
  const size_t front = header_bytes + 8 * entry->words() + entry->key_size();
  if (size <= inline_value_max) {
    const bool grows = size > entry->value_size_;  // an entry made with room keeps it while it fills
    const uint8_t wanted = Memory::class_of(front + size);
    if (wanted > entry->size_class_ || (!grows && !fits(wanted, entry->size_class_))) {
      const uint8_t size_class = grows ? Memory::roomy_class_of(front + size) : wanted;
      entry = static_cast<Entry*>(memory.resize(entry, capacity(*entry), Memory::bytes_of(size_class)));
      entry->size_class_ = size_class;
    }
    entry->value_size_ = static_cast<uint16_t>(size);
    return entry;
  }
  Block* b = make_block(memory, grown_capacity(size));
  b->size = size;
  std::memcpy(b->data(), entry->bytes() + entry->key_size(), entry->value_size_);
  return reshape(memory, entry,
                 {entry->type(), Coding::Block, {}, entry->expire_at(), reinterpret_cast<uint64_t>(b)});
}

Entry* Layout::without_block(Memory& memory, Entry* entry) {
  return reshape(memory, entry, {Type::String, Coding::Int, {}, entry->expire_at()});
}

Entry* Layout::with_table(Memory& memory, Entry* entry, FieldTable* table) {
  if (entry->coding() == Coding::Block) free_block(memory, block(*entry));
  return reshape(memory, entry,
                 {Type::Hash, Coding::Table, {}, entry->expire_at(), reinterpret_cast<uint64_t>(table)});
}

}  // namespace hf::store
