// The bytes of an entry: making, reshaping and freeing. Internal to the store; everybody else reads through
// Entry.
#pragma once
#include <vector>

#include "store/entry.h"
#include "store/memory.h"
#include "store/table.h"

namespace hf::store {

/// A value outside its entry: a string that got long, or a packed hash that did.
struct Block {
  uint64_t size;
  uint64_t capacity;
  char* data() { return reinterpret_cast<char*>(this + 1); }
  const char* data() const { return reinterpret_cast<const char*>(this + 1); }
};

struct Walk;  // inside.h

/// A big hash: its fields as entries, which walks are handed one by one. What a field's generation byte
/// counts from stands here, see inside.h.
struct FieldTable : Table {
  FieldTable(Context& context, uint64_t newest) : Table(context), number(newest), floor(newest) {}
  struct Reader {
    Walk* walk;
    uint64_t value;  ///< the number this walk knows the hash by
  };
  uint64_t number;              ///< `newest` when the hash's own entry was last handed over
  uint64_t floor;               ///< no field's number is below this
  std::vector<Reader> readers;  ///< walks that have not seen all of it
  bool removed = false;         ///< kept for its readers only
};

struct Layout {
  /// Longer values live in a Block: an entry that is overwritten, renamed or given an expiry then costs no
  /// long copy.
  static constexpr size_t inline_value_max = 4096;

  /// What an entry is to become. `word` is the value's word for every coding but Inline.
  struct Shape {
    Type type;
    Coding coding;
    Bytes key;
    WallMs expire_at = no_expiry;
    uint64_t word = 0;
    size_t inline_size = 0;
    uint64_t accounted = 0;  ///< of an Object
  };

  /// An entry of that shape with its inline value not filled in yet. Generation 0.
  static Entry* make(Memory& memory, const Shape& shape);
  /// A string or a packed hash, inline or in a Block as its size asks for.
  static Entry* make_bytes(Memory& memory, Type type, Bytes key, WallMs expire_at, Bytes value);
  /// A hash without fields, with room for `room_bytes` of them.
  static Entry* make_hash(Memory& memory, Bytes key, size_t room_bytes);
  static Entry* make_integer(Memory& memory, Bytes key, WallMs expire_at, int64_t value) {
    return make(memory, {Type::String, Coding::Int, key, expire_at, static_cast<uint64_t>(value)});
  }
  /// Frees the entry but not what its value's word points to.
  static void free_shell(Memory& memory, Entry* entry) { memory.give(entry, capacity(*entry)); }

  /// `entry` with its value replaced by a string, in the same allocation when that fits and is not mostly
  /// empty. What the old value's word pointed to must be gone already, a Block aside: that is used again or
  /// freed. The entry given is gone unless it is returned. `value` must not point into the entry.
  static Entry* overwrite_string(Memory& memory, Entry* entry, WallMs expire_at, Bytes value);
  static Entry* overwrite_integer(Memory& memory, Entry* entry, WallMs expire_at, int64_t value);
  static Entry* with_expiry(Memory& memory, Entry* entry, WallMs at);
  /// The same value under another key. The entry given is gone.
  static Entry* with_key(Memory& memory, Entry* entry, Bytes key);
  /// Makes the bytes of a string or packed hash `size` long, keeping what fits; what is new is not filled in.
  static Entry* resize_bytes(Memory& memory, Entry* entry, size_t size);
  /// Replaces a packed hash by `table`. The entry given is gone.
  static Entry* with_table(Memory& memory, Entry* entry, FieldTable* table);
  /// A string in a Block, as a number: the block is the caller's.
  static Entry* without_block(Memory& memory, Entry* entry);

  static Block* make_block(Memory& memory, size_t size);
  static void free_block(Memory& memory, Block* b) { memory.give(b, sizeof(Block) + b->capacity); }

  static Coding coding(const Entry& e) { return e.coding(); }
  static uint8_t generation(const Entry& e) { return e.generation_; }
  static void set_generation(Entry& e, uint8_t generation) { e.generation_ = generation; }
  static void set_raw(Entry& e) { e.shape_ |= Entry::raw_flag; }
  static bool has_expiry(const Entry& e) { return e.has_expiry(); }
  static size_t capacity(const Entry& e) { return Memory::bytes_of(e.size_class_); }
  static uint64_t value_word(const Entry& e) { return e.value_word(); }
  static void set_value_word(Entry& e, uint64_t w) { set_word(e, e.words() - 1, w); }
  static Block* block(const Entry& e) { return reinterpret_cast<Block*>(e.value_word()); }
  static FieldTable* table(const Entry& e) { return reinterpret_cast<FieldTable*>(e.value_word()); }
  static Object* object(const Entry& e) { return reinterpret_cast<Object*>(e.value_word()); }
  /// The bytes of an Object as last counted in Memory.
  static uint64_t accounted(const Entry& e) { return e.word(e.words() - 2); }
  static void set_accounted(Entry& e, uint64_t bytes) { set_word(e, e.words() - 2, bytes); }
  /// CHECK: coding Inline or Block. The bytes of a string or packed hash.
  static Bytes value(const Entry& e);
  static char* writable(Entry& e) { return const_cast<char*>(value(e).data()); }

 private:
  static void set_word(Entry& e, size_t i, uint64_t w) {
    std::memcpy(reinterpret_cast<char*>(&e) + 8 + 8 * i, &w, sizeof w);
  }
  static size_t words_of(const Shape& s) {
    return (s.expire_at != no_expiry ? 1u : 0u) + (s.key.size() >= Entry::long_key ? 1u : 0u) +
           (s.coding != Coding::Inline ? 1u : 0u) + (s.coding == Coding::Object ? 1u : 0u);
  }
  static void write_header(Entry& e, const Shape& s, size_t words, uint8_t size_class);
  /// Call when the entry is in a new place, and whole.
  static void tell_object(const Entry& e) {
    if (e.coding() == Coding::Object) object(e)->entry_ = &e;
  }
  /// The entry in another shape with the same key, in place where it fits. An inline value is lost.
  static Entry* reshape(Memory& memory, Entry* entry, Shape shape);
};

}  // namespace hf::store
