// Verified entries go into the store through its own loader. In a file of its own: who merely verifies a
// snapshot does not need a store.
#include <algorithm>

#include "snapshot/reader.h"
#include "store/store.h"

namespace hf::snapshot {

Status StoreSink::entry(DbIndex db, Bytes encoded) {
  if (db >= store_.databases())
    return Error{"database " + std::to_string(db) + " is out of range: this server has " +
                 std::to_string(store_.databases()) + " (option databases)"};
  return store_.load_piece(store_.in(half_, db), encoded);
}

bool StoreSink::prepare(const Header& header, uint64_t file_bytes) {
  // Four million keys whose entries come in any order are as many cache and TLB misses; in the order of the
  // buckets they are one a bucket, and those are known ahead. Without the room made, all would first crowd
  // in a few buckets of a small table.
  constexpr uint64_t keys_a_byte_max = 32;  // of a file at lz4's best
  constexpr size_t buckets_a_call = 16 * 1024;
  if (header.tables.empty()) return true;
  // Beside a data set that is served the seed stays that one's, and the order of the entries is none.
  if (store_.is_empty()) store_.set_hash_seed(header.hash_seed);
  for (const TableSize& table : header.tables)
    if (table.db < store_.databases() &&
        !store_.reserve_some(store_.in(half_, table.db), std::min(table.keys, file_bytes * keys_a_byte_max),
                             buckets_a_call))
      return false;
  return true;
}

void StoreSink::ahead(DbIndex db, Bytes encoded) {
  if (db < store_.databases()) store_.prefetch_piece(store_.in(half_, db), encoded);
}

Status StoreSink::end() { return store_.end_load(); }

}  // namespace hf::snapshot
