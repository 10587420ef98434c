// One key and its value: one allocation where the value is small. Read-only from outside: changes go through the Store.
#pragma once
#include <cstdint>
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

class Entry {
 public:
  Type type() const;
  Bytes key() const;
  WallMs expire_at() const;  ///< no_expiry when there is none
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
  uint64_t hash_scan(uint64_t cursor, size_t count, const std::function<void(Bytes field, Bytes value)>& each) const;
  /// CHECK: not empty.
  void hash_random(Prng& prng, Bytes& field, Bytes& value) const;

  // Everything else: null unless the value is an Object
  const Object* object() const;

  size_t memory_bytes() const;

 private:
  friend class Store;
  friend class Database;
  Entry() = default;
};

/// Appends type, expiry, key and value in the stable format of src/store/FORMAT.md.
void encode_entry(const Entry& entry, std::string& out);

}  // namespace hf::store
