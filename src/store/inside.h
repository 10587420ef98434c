// What a Store is made of: databases, walks and garbage. Internal to the store.
//
// Generations. Walks are numbered 1, 2, ...; `newest` is the last one begun. An entry's generation byte is
// the value `newest` had when the entry was born or last handed over, modulo 256. A walk needs an entry
// exactly when the entry's number is below its own, and handing over gives the entry to every such walk and
// raises it to `newest`: so each walk gets each entry once, as it was at its cut. A byte says enough as long
// as no entry is 256 or more behind. Database::floor bounds how far back entries can be: it rises when a walk
// completes, and when too many walks in a row did not, the store begins a walk of its own, the sweep.
//
// Large values. Handing over a big hash gives a walk the head (key, expiry, number of fields) and makes it a
// reader of the hash's FieldTable. From then on the fields are what is handed over: each counts back from
// FieldTable::number, as entries do from `newest`, and a reader needs a field exactly when the field's number
// is below its own. Before a field changes, the head was handed over (a change to a field is one to its
// hash), so every walk that needs the field is a reader by then. A table or a string's Block that leaves the
// keyspace while walks read it is kept aside for them, whole.
#pragma once
#include <array>
#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

#include "store/layout.h"
#include "store/store.h"
#include "store/table.h"

namespace hf::store {

class Database {
 public:
  Database(Context& context, uint64_t newest) : table(context), floor(newest) {}

  /// Replaces what `slot` points to by another allocation of the same key.
  void put(Slot& slot, Entry* entry) {
    const bool expires = Layout::has_expiry(*entry);
    if (slot.entry() == entry && slot.expires() == expires)
      return;  // overwritten in place: the bucket stays clean
    with_expiry += static_cast<size_t>(expires) - static_cast<size_t>(slot.expires());
    slot.set(entry, expires);
  }
  Slot* insert(uint64_t hash, Entry* entry) {
    const bool expires = Layout::has_expiry(*entry);
    with_expiry += expires;
    return table.insert(hash, entry, expires);
  }
  /// The entry is the caller's.
  void erase(Slot* slot, uint64_t hash) {
    with_expiry -= slot->expires();
    table.erase(slot, hash);
  }

  Table table;
  size_t with_expiry = 0;
  uint64_t expiry_position = 0;  ///< of the circular sweep for active expiry
  uint64_t floor;                ///< no entry's number is below this
  size_t walks = 0;              ///< that still have to visit this database
};

struct Walk {
  struct Part {
    Database* database;
    DbIndex index;  ///< at the cut
  };
  WalkId id;
  WalkConsumer* consumer;
  std::vector<Part> parts;  ///< what is left; the last one is being visited
  uint64_t position = 0;    ///< in the last part

  /// A large value whose head is handed over and whose pieces are not, or not all.
  struct Pending {
    uint64_t number;
    uint64_t position = 0;        ///< a table's, or bytes handed over
    FieldTable* table = nullptr;  ///< one of the three
    Block* block = nullptr;
    std::unique_ptr<SavedParts> saved = nullptr;
    size_t part = 0;  ///< of `saved`; `position` is the byte in it
    size_t kept = 0;  ///< of `saved`, as last counted into kept_bytes
  };
  std::deque<Pending> pending;
  size_t recount_at = 0;  ///< in `pending`: see recount_kept
  uint64_t next_number = 1;

  bool complete() const { return parts.empty() && pending.empty(); }
  /// Null when the walk has nothing (more) to get from that database.
  const Part* part_of(const Database& database) const;
};

struct Store::Inside {
  explicit Inside(const KeyHash& hash) : context{{}, hash} {}

  /// Entries behind by more than this are swept from free_some...
  static constexpr uint64_t lag_to_sweep = 128;
  /// ...and by this, at the latest, from begin_walk, all at once. (A big hash: when its head is handed over.)
  static constexpr uint64_t lag_max = 254;

  Database& database(DbIndex db) const {
    HF_CHECK(db < databases.size());
    return *databases[db];
  }
  uint8_t newest_byte() const { return static_cast<uint8_t>(newest); }

  /// Call before any change to the entry: the walks that need it get it as it still is.
  void hand_over(Database& database, Entry& entry) {
    if (Layout::generation(entry) != newest_byte()) hand_over_old(database, entry);
  }
  void hand_over_old(Database& database, Entry& entry);
  void hand_over_to(Walk& walk, DbIndex db, Entry& entry);
  /// The same for a field of a big hash whose own entry was handed over.
  void hand_over_field(FieldTable& table, Entry& field) {
    if (Layout::generation(field) != static_cast<uint8_t>(table.number)) hand_over_old_field(table, field);
  }
  void hand_over_old_field(FieldTable& table, Entry& field);
  void renumber(FieldTable& table, uint64_t needed_from);
  /// Call before a string (or a field) that was handed over is overwritten: a Block that walks still read is
  /// theirs from now on. Returns the entry, which may have moved.
  Entry* give_up_block(Entry* entry) { return is_read(*entry) ? give_up_read_block(entry) : entry; }
  Entry* give_up_read_block(Entry* entry);
  /// Call before its bytes are changed in place: the same, with a copy left in the entry.
  void copy_read_block(Entry& entry);
  bool is_read(const Entry& entry) const {
    return !blocks_read.empty() && Layout::coding(entry) == Coding::Block &&
           blocks_read.count(Layout::block(entry)) > 0;
  }
  void read_block(Walk& walk, uint64_t number, Block* block);
  void end_block(Block* block);
  void end_table(Walk& walk, FieldTable& table);
  /// Blobs that an Object shares with a walk begin to cost memory when the Object drops them, and nobody
  /// tells: so some values that wait are counted anew at each call, in turn.
  void recount_kept();
  Slot* insert(Database& database, uint64_t hash, Entry* entry) {
    Layout::set_generation(*entry, newest_byte());
    return database.insert(hash, entry);
  }

  /// Frees an entry and all it owns; a big table goes to the garbage.
  void destroy(Entry* entry);
  /// The entry as a string's shell: whatever its value's word owned, a Block aside, is gone.
  void hollow(Entry* entry);
  void destroy_field(Entry* entry);
  void destroy_table(FieldTable* table);
  Entry* make_string(Bytes key, WallMs expire_at, Bytes value);
  Entry* make_object_entry(Bytes key, WallMs expire_at, Object* object);
  Entry* clone(const Entry& entry, Bytes key);
  FieldTable* clone(const FieldTable& table);
  FieldTable* new_field_table() { return new FieldTable(context, newest); }
  void set_field(FieldTable& table, Bytes field, Bytes value);

  Walk& begin_walk(WalkConsumer& consumer);
  /// Returns the work done, in entries.
  size_t visit_for_walk(Walk& walk, size_t entries);
  size_t visit_pending(Walk& walk);
  void end_part(Walk& walk);
  void end_walk(size_t index);
  /// Puts the database aside for the walks that still need it, or on the garbage.
  void retire(std::unique_ptr<Database> database);
  void release_if_unneeded(Database* database);
  uint64_t lag() const;
  /// True while there is more to sweep.
  bool sweep_some(size_t& budget);
  template <class F>
  void for_each_database(F&& each) {
    for (auto& d : databases) each(*d);
    for (auto& d : frozen) each(*d);
  }

  Context context;
  std::vector<std::unique_ptr<Database>> databases;
  std::vector<std::unique_ptr<Database>> frozen;  ///< flushed, but some walk has not seen all of it
  std::vector<std::unique_ptr<Walk>> walks;       ///< by rising number; the sweep's among them
  uint64_t newest = 0;
  WalkId sweep = 0;  ///< 0: none is under way
  struct BlockRead {
    size_t walks = 0;
    bool removed = false;  ///< kept for the walks only
  };
  std::unordered_map<Block*, BlockRead> blocks_read;
  size_t kept_bytes = 0;  ///< in removed blocks, and in saved forms waiting, what they hold alone
  std::deque<std::unique_ptr<Database>> garbage_databases;
  std::deque<std::unique_ptr<FieldTable>> garbage_tables;
  /// A value that comes in pieces, by its number in the snapshot.
  struct Loading {
    DbIndex db = 0;
    Type type = Type::String;
    WallMs expire_at = no_expiry;
    std::string key;    ///< or a field's name
    uint64_t hash = 0;  ///< of a field: its hash's number
    uint64_t left = 0;  ///< fields or bytes to come
    std::string bytes;  ///< so far; not of a hash
    bool field = false;
  };
  std::unordered_map<uint64_t, Loading> loading;
  std::array<ObjectLoader, 16> loaders{};
};

/// The largest hash table that is freed at once.
constexpr size_t destroy_at_once_max = 64;

}  // namespace hf::store
