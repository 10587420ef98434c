// The keyspace: databases of entries, and the only door to a change. Every change - a client's, the log's,
// expiry's, FLUSHALL's - is one of the calls below; inside each of them the walks (snapshots, digests) are
// handed the old value first, and the observer is told. That is why nothing can pass a snapshot by.
//
// Times: absolute wall-clock ms; `no_expiry` where there is none. The store never asks what time it is: an
// expired entry stays until somebody removes it through the door. Lifetimes: a `const Entry*`, and any Bytes
// out of it, dies with the next change to that key.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/prng.h"
#include "base/result.h"
#include "base/types.h"
#include "store/entry.h"
#include "store/object.h"

namespace hf::store {

class Database;  // internal: a table and its counts
struct Walk;     // internal

/// A key and its hash, computed once a command.
struct Key {
  Bytes bytes;
  uint64_t hash = 0;
};

struct Options {
  uint32_t databases = 16;
  uint64_t hash_seed = 0;
  /// Up to these a hash is one packed block (Redis's hash-max-listpack-entries, hash-max-listpack-value).
  size_t hash_packed_entries_max = 128;
  size_t hash_packed_value_bytes_max = 64;
};

/// Told of every change, after it is made (of edit_object: before the caller makes it). One per store. It
/// must not call the door.
class Observer {
 public:
  virtual ~Observer() = default;
  /// A key was created, changed or removed (once for each key a call touched; not for load_entry). WATCH and
  /// reply gating hang on this.
  virtual void key_changed(DbIndex, const Key&) {}
  /// Everything in the database is gone, or another database stands in its place.
  virtual void database_changed(DbIndex) {}
  /// An Object came or went (insert, load, remove, overwrite, rename, move; for flush and swap see below).
  virtual void object_inserted(DbIndex, Bytes /*key*/, Object&) {}
  virtual void object_removed(DbIndex, Bytes /*key*/, Object&) {}
  /// FLUSHDB / FLUSHALL: all objects of that database went at once (object_removed is not called for them).
  virtual void objects_flushed(DbIndex) {}
  virtual void objects_swapped(DbIndex, DbIndex) {}
};

/// A value of more than `piece_bytes_max` that a walk hands over in pieces: a hash field by field, anything
/// else as bytes in order (a string's own, an Object's saved form).
struct LargeValue {
  uint64_t number = 0;  ///< names the value within its walk, from 1
  DbIndex db = 0;
  Type type = Type::String;
  WallMs expire_at = no_expiry;
  Bytes key;
  uint64_t size = 0;  ///< fields of a hash; bytes of anything else
};
constexpr size_t piece_bytes_max = 64 * 1024;

/// Takes entries as they stood at the cut of a walk: each exactly once, in any order; a large one as
/// `take_large` and then its pieces, others in between. What comes is complete when the walk is. These calls
/// must not call the store's door, nor begin, advance or abort a walk: they come in the middle of a change.
/// Bytes die with the call.
class WalkConsumer {
 public:
  virtual ~WalkConsumer() = default;
  virtual void take(DbIndex db, const Entry& entry) = 0;
  virtual void take_large(const LargeValue& value) = 0;
  /// A field of the large hash `hash`; of one with a large value (`size` bytes, which follow as `number`)
  /// only the name.
  virtual void take_field(uint64_t hash, Bytes field, Bytes value) = 0;
  virtual void take_large_field(uint64_t hash, Bytes field, uint64_t number, uint64_t size) = 0;
  /// The next bytes of a large string, field or Object: at most piece_bytes_max.
  virtual void take_bytes(uint64_t number, Bytes piece) = 0;
};
using WalkId = uint64_t;

/// A hash being changed: made by Store::edit_hash, ended by its destructor, which removes a hash left empty
/// and tells the observer. The store must not be changed otherwise in between; `field` and `value` must not
/// point into the hash.
class HashEdit {
 public:
  ~HashEdit();
  HashEdit(const HashEdit&) = delete;
  HashEdit& operator=(const HashEdit&) = delete;
  size_t size() const;
  std::optional<Bytes> get(Bytes field) const;
  /// True: the field is new.
  bool set(Bytes field, Bytes value);
  bool erase(Bytes field);
  /// What a field takes in a small hash.
  static size_t packed_size(Bytes field, Bytes value);

 private:
  friend class Store;
  HashEdit(class Store& store, DbIndex db, Key key, void* slot, size_t room_bytes)
      : store_(store), db_(db), key_(key), slot_(slot), room_bytes_(room_bytes) {}
  void before_change();
  void convert();
  class Store& store_;
  DbIndex db_;
  Key key_;
  void* slot_;  ///< the key's slot in its table; null: absent
  size_t room_bytes_;
  bool changed_ = false;
};

/// Of a store: the data set that is served, and one that is being loaded to take its place.
enum class Half : uint8_t { Served, Beside };

class Store {
 public:
  explicit Store(Options options);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  void set_observer(Observer* observer) { observer_ = observer; }
  void set_loader(Type type, ObjectLoader loader);
  uint32_t databases() const;
  Options& options() { return options_; }

  // ---- reading --------------------------------------------------------------------------------------------
  Key key(Bytes bytes) const { return {bytes, hash_(bytes)}; }
  /// Starts fetching the bucket / the entry that a coming look-up will need.
  void prefetch_bucket(DbIndex db, uint64_t hash) const;
  void prefetch_entry(DbIndex db, uint64_t hash) const;
  /// Null when absent. An entry past its time is still returned: see Entry::expired.
  const Entry* find(DbIndex db, const Key& key) const;
  size_t size(DbIndex db) const;
  size_t size_with_expiry(DbIndex db) const;
  /// Redis's SCAN guarantee: what is there from the first call to the last is returned at least once. Start
  /// and end with cursor 0. Visits at least one bucket and stops after about `count` entries. `each` must not
  /// change the store.
  uint64_t scan(DbIndex db, uint64_t cursor, size_t count,
                const std::function<void(const Entry&)>& each) const;
  void for_each(DbIndex db, const std::function<void(const Entry&)>& each) const;
  /// Null in an empty database.
  const Entry* random(DbIndex db, Prng& prng) const;
  /// The keys found past `now` in the next `buckets` buckets of a circular sweep, which this call moves on.
  /// At most `max` keys, none twice. For active expiry: remove them through the door.
  void collect_expired(DbIndex db, WallMs now, size_t buckets, size_t max, std::vector<std::string>& keys);
  /// Order-free sum over every entry of every database, expiry included. Equal states give equal digests.
  Sum128 digest() const;
  Sum128 digest_of(const Entry& entry) const;
  /// Adds `entry`, as one of database `db`, to a sum that comes to equal digest() once all entries are in:
  /// for walks.
  void add_to_digest(DbIndex db, const Entry& entry, Sum128& total) const;
  /// Bytes held by entries, tables and objects, about (INFO's used_memory_dataset).
  size_t memory_bytes() const;
  /// Bytes that lie ready for entries to come: of the process, of nobody's data.
  size_t idle_bytes() const;

  // ---- the door
  // ------------------------------------------------------------------------------------------------ No
  // argument may point into an entry of this store (but `remove`'s key).
  /// Creates or overwrites, whatever type was there. Text that is a canonical integer is kept as one.
  void set_string(DbIndex db, const Key& key, Bytes value, WallMs expire_at = no_expiry);
  /// Sets an integer, keeping the expiry that is there. CHECK: absent or a string.
  void set_integer(DbIndex db, const Key& key, int64_t value);
  /// Makes the string (created when absent) `size` bytes long, keeping what fits and zeroing what is new,
  /// keeping the expiry; returns its bytes, writable until the next call. CHECK: absent or a string.
  char* resize_string(DbIndex db, const Key& key, size_t size);
  /// CHECK: absent or a hash. `key.bytes` must live as long as the edit.
  /// `room_bytes`: what the fields to come will take, packed (packed_size); a fresh hash is then made once.
  HashEdit edit_hash(DbIndex db, const Key& key, size_t room_bytes = 0);
  /// Null when absent or not an Object. The walks have had the old value when this returns.
  Object* edit_object(DbIndex db, const Key& key);
  /// Overwrites what was there; keeps no expiry.
  Object& insert_object(DbIndex db, const Key& key, std::unique_ptr<Object> object);
  bool remove(DbIndex db, const Key& key);
  /// `at == no_expiry` removes the expiry. False when absent.
  bool set_expiry(DbIndex db, const Key& key, WallMs at);
  /// `to` is overwritten and takes over the expiry of `from`. CHECK: `from` is there and is another key.
  void rename(DbIndex db, const Key& from, const Key& to);
  /// CHECK: the key is in `from`, and not in `to`.
  void move(DbIndex from, const Key& key, DbIndex to);
  /// Overwrites `to_key`, expiry copied. CHECK: `key` is there.
  void copy(DbIndex from, const Key& key, DbIndex to, const Key& to_key);
  void flush(DbIndex db);
  void flush_all();
  void swap(DbIndex a, DbIndex b);
  /// Inserts what `encode_entry` wrote (snapshot load). The bytes may be anything; nothing is changed on an
  /// error, and a key that is there already is one.
  Status load_entry(DbIndex db, Bytes encoded);
  /// What encode_entry or encode_large and its companions wrote, for a snapshot's load: pieces of a value in
  /// the order of their walk. A value is there when its last piece is.
  Status load_piece(DbIndex db, Bytes encoded);
  /// The seed of the keyspace's hash. Set only while every database is empty and no key() is kept from
  /// before.
  uint64_t hash_seed() const { return options_.hash_seed; }
  bool is_empty() const;
  void set_hash_seed(uint64_t seed);
  /// Makes room for `keys` in an empty database, `buckets` of it a call. True: that is enough.
  bool reserve_some(DbIndex db, uint64_t keys, size_t buckets);
  /// Starts fetching what load_piece(db, encoded) will look at. The bytes may be anything.
  void prefetch_piece(DbIndex db, Bytes encoded) const;
  /// Error: some value lacks pieces. Call it behind the last piece; FLUSHALL forgets what is unfinished, too.
  Status end_load();
  // ---- a data set beside the one that is served ----
  /// The place of what is loaded to become database `db`. Only the load calls above take such an index, and
  /// the Observer's calls about Objects may name one (up to twice databases()): nothing else sees what is
  /// there, no walk, no digest.
  DbIndex beside(DbIndex db) const { return databases() + db; }
  DbIndex in(Half half, DbIndex db) const { return half == Half::Beside ? beside(db) : db; }
  /// What was loaded beside takes the place of everything, in one step; what was there is freed by free_some,
  /// once the walks that began on it have seen it.
  void take_beside();
  /// Throws away what was loaded beside, whole or in part.
  void drop_beside();
  /// The same as load_entry for what `encode_value` wrote (RESTORE).
  Status load_value(DbIndex db, const Key& key, Bytes encoded, WallMs expire_at);
  /// What load_value would say of the bytes, with nothing changed.
  Status check_value(Bytes encoded) const;

  // ---- walks ----------------------------------------------------------------------------------------------
  /// The cut is now: `consumer` will be given every entry as it is at this moment, some when the walk reaches
  /// them, some earlier because they are about to change. `consumer` must live until the walk ends.
  WalkId begin_walk(WalkConsumer& consumer);
  /// Visits about `entries` entries; a kilobyte of a large value counts as one. True when the walk is
  /// complete (it has then ended).
  bool walk_some(WalkId walk, size_t entries);
  void abort_walk(WalkId walk);
  size_t walks_active() const;
  /// Bytes of values that are gone from the keyspace and kept for walks, about (fields of removed hashes and
  /// flushed databases aside).
  size_t kept_for_walks_bytes() const;

  // ---- housekeeping ---------------------------------------------------------------------------------------
  /// Frees about `entries` entries of what FLUSHALL or DEL left behind, and, after more than a hundred walks
  /// in a row that were aborted, brings entries' generations up to date. False when nothing is left to do.
  bool free_some(size_t entries);

  static constexpr WallMs no_expiry = hf::store::no_expiry;

 private:
  friend class HashEdit;
  struct Inside;  // databases, walks, garbage

  void clear(DbIndex db);
  void changed(DbIndex db, const Key& key);
  void tell_removed(DbIndex db, const Entry& entry);
  void tell_inserted(DbIndex db, const Entry& entry);
  /// Inserts or overwrites; takes the entry over.
  void place(DbIndex db, const Key& key, Entry* entry);
  /// Takes the entry out, handed over and unannounced but for its Object; null when absent.
  Entry* detach(DbIndex db, const Key& key);
  Status load(DbIndex db, const Key& key, Type type, Bytes value, WallMs expire_at);
  Status load_bytes(DbIndex db, const Key& key, Type type, Bytes bytes, WallMs expire_at);
  Status load_large(DbIndex db, uint64_t number, Bytes rest);
  Status load_fields(uint64_t hash, Bytes rest);
  Status load_field(uint64_t hash, Bytes field, Bytes value);

  Options options_;
  KeyHash hash_;
  Observer* observer_ = nullptr;
  std::unique_ptr<Inside> in_;
};

}  // namespace hf::store
