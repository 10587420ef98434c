// What a Store is made of: databases, walks and garbage. Internal to the store.
//
// Generations. Walks are numbered 1, 2, ...; `newest` is the last one begun. An entry's generation byte is
// the value `newest` had when the entry was born or last handed over, modulo 256. A walk needs an entry
// exactly when the entry's number is below its own, and handing over gives the entry to every such walk and
// raises it to `newest`: so each walk gets each entry once, as it was at its cut. A byte says enough as long
// as no entry is 256 or more behind. Database::floor bounds how far back entries can be: it rises when a walk
// completes, and when too many walks in a row did not, a sweep hands the laggards over.
#pragma once
#include <array>
#include <deque>
#include <memory>
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
  uint64_t sweep_position = 0;   ///< of the sweep that raises laggards; 0: none is under way
  uint64_t sweep_newest = 0;     ///< what `floor` becomes when that sweep is through
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

  /// Null when the walk has nothing (more) to get from that database.
  const Part* part_of(const Database& database) const;
};

struct Store::Inside {
  explicit Inside(const KeyHash& hash) : context{{}, hash} {}

  /// Entries behind by more than this are swept from free_some...
  static constexpr uint64_t lag_to_sweep = 128;
  /// ...and by this, at the latest, from begin_walk, all at once.
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
  Slot* insert(Database& database, uint64_t hash, Entry* entry) {
    Layout::set_generation(*entry, newest_byte());
    return database.insert(hash, entry);
  }

  /// Frees an entry and all it owns; a big table goes to the garbage.
  void destroy(Entry* entry);
  /// The entry as a string's shell: whatever its value's word owned, a Block aside, is gone.
  void hollow(Entry* entry);
  void destroy_field(Entry* entry);
  void destroy_table(Table* table);
  Entry* make_string(Bytes key, WallMs expire_at, Bytes value);
  Entry* make_object_entry(Bytes key, WallMs expire_at, Object* object);
  Entry* clone(const Entry& entry, Bytes key);
  Table* clone(const Table& table);
  void set_field(Table& table, Bytes field, Bytes value);

  void visit_for_walk(Walk& walk, size_t entries);
  void end_part(Walk& walk);
  void end_walk(size_t index);
  /// Puts the database aside for the walks that still need it, or on the garbage.
  void retire(std::unique_ptr<Database> database);
  void release_if_unneeded(Database* database);
  /// One bucket; returns the entries seen plus one.
  size_t sweep_bucket(Database& database);
  bool sweep_some(size_t& budget);
  template <class F>
  void for_each_database(F&& each) {
    for (auto& d : databases) each(*d);
    for (auto& d : frozen) each(*d);
  }

  Context context;
  std::vector<std::unique_ptr<Database>> databases;
  std::vector<std::unique_ptr<Database>> frozen;  ///< flushed, but some walk has not seen all of it
  std::vector<std::unique_ptr<Walk>> walks;       ///< by rising number
  uint64_t newest = 0;
  std::deque<std::unique_ptr<Database>> garbage_databases;
  std::deque<std::unique_ptr<Table>> garbage_tables;
  std::array<ObjectLoader, 16> loaders{};
};

/// The largest hash table that is freed at once.
constexpr size_t destroy_at_once_max = 64;

}  // namespace hf::store
