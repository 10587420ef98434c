// Verified entries go into the store through its own loader. In a file of its own: who merely verifies a
// snapshot does not need a store.
#include "snapshot/reader.h"
#include "store/store.h"

namespace hf::snapshot {

Status StoreSink::entry(DbIndex db, Bytes encoded) {
  if (db >= store_.databases())
    return Error{"database " + std::to_string(db) + " is out of range: this server has " +
                 std::to_string(store_.databases()) + " (option databases)"};
  return store_.load_piece(db, encoded);
}

Status StoreSink::end() { return store_.end_load(); }

}  // namespace hf::snapshot
