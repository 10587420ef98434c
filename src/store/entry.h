// One key and its value: one allocation where the value is small. Read-only from outside: changes go through
// the Store.
//
// In memory: [header 8][expiry 8, when there is one][other words][key][value, when small]. The words, in this
// order: expiry; the key's length when it does not fit the header; an Object's accounted size; then, always
// last, the value's word: the integer of an integer-coded string, or the pointer to a value outside the
// entry.
#pragma once
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/prng.h"
#include "base/result.h"
#include "base/types.h"
#include "store/object.h"

namespace hf::store {

constexpr WallMs no_expiry = never_ms;

/// Room for the text of an integer-coded string.
struct Scratch {
  char text[24];
};

/// How a value lies in memory.
enum class Coding : uint8_t {
  Int,     ///< a string that is a canonical integer: the value's word is the number
  Inline,  ///< a string's bytes or a packed hash, behind the key
  Block,   ///< the same in a block of its own, which can grow
  Table,   ///< a hash as a table of field entries
  Object,  ///< an Object the entry owns
};

class Entry {
 public:
  Type type() const { return static_cast<Type>(kind_ & 0x0f); }
  Bytes key() const { return {bytes(), key_size()}; }
  WallMs expire_at() const {
    return has_expiry() ? static_cast<WallMs>(word(0)) : no_expiry;
  }  ///< or no_expiry
  bool expired(WallMs now) const { return expire_at() <= now; }
  const char* encoding() const;  ///< Redis's names: int, embstr, raw, listpack, hashtable, ...

  // Strings (CHECK: type() == String)
  Bytes string(Scratch& scratch) const;
  std::optional<int64_t> integer() const;  ///< of a string that is integer-coded
  size_t string_size() const;

  // Hashes (CHECK: type() == Hash)
  size_t hash_size() const;
  std::optional<Bytes> hash_get(Bytes field) const;
  void hash_for_each(const std::function<void(Bytes field, Bytes value)>& each) const;
  uint64_t hash_scan(uint64_t cursor, size_t count,
                     const std::function<void(Bytes field, Bytes value)>& each) const;
  /// CHECK: not empty.
  void hash_random(Prng& prng, Bytes& field, Bytes& value) const;

  // Everything else: null unless the value is an Object
  const Object* object() const;

  size_t memory_bytes() const;

 private:
  friend struct Layout;
  Entry() = default;

  static constexpr uint8_t expiry_flag = 1;
  static constexpr uint8_t raw_flag = 2;  ///< a short string that Redis would call raw (appended to, cut)
  static constexpr uint16_t long_key = 0xffff;

  Coding coding() const { return static_cast<Coding>(kind_ >> 4); }
  bool has_expiry() const { return (shape_ & expiry_flag) != 0; }
  size_t words() const { return shape_ >> 4; }
  uint64_t word(size_t i) const {
    uint64_t w;
    std::memcpy(&w, reinterpret_cast<const char*>(this) + 8 + 8 * i, sizeof w);
    return w;
  }
  uint64_t value_word() const { return word(words() - 1); }
  const char* bytes() const { return reinterpret_cast<const char*>(this) + 8 + 8 * words(); }
  size_t key_size() const { return key_size_ != long_key ? key_size_ : word(has_expiry() ? 1 : 0); }

  uint8_t kind_;        ///< type | coding << 4
  uint8_t shape_;       ///< flags | words << 4
  uint8_t generation_;  ///< number of the newest walk that needs nothing of this entry, modulo 256
  uint8_t size_class_;  ///< what was allocated: Memory::bytes_of
  uint16_t key_size_;
  uint16_t value_size_;  ///< of an inline value
};

// For who takes encoded entries apart. In an entry's first byte, beside the type: an expiry follows.
constexpr uint8_t expiry_bit = 0x80;
/// First bytes of the pieces of large values.
enum Piece : uint8_t { piece_head = 0x40, piece_fields = 0x41, piece_field_head = 0x42, piece_bytes = 0x43 };

/// Appends type, expiry, key and value in the stable format of src/store/FORMAT.md.
void encode_entry(const Entry& entry, std::string& out);
struct LargeValue;
/// Append one piece of a large value each; Store::load_piece reads them.
void encode_large(const LargeValue& value, std::string& out);
void encode_fields_head(uint64_t hash, std::string& out);  ///< any number of encode_field may follow it
void encode_field(Bytes field, Bytes value, std::string& out);
void encode_large_field(uint64_t hash, Bytes field, uint64_t number, uint64_t size, std::string& out);
void encode_bytes(uint64_t number, Bytes piece, std::string& out);
/// False: a piece of a value whose encode_large came before.
bool begins_entry(Bytes encoded);
/// Appends type and value only: what DUMP makes its payload of. Store::load_value reads it.
void encode_value(const Entry& entry, std::string& out);

}  // namespace hf::store
