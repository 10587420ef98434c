// Reads a dump of Redis's (RDB), fed in pieces of any size: a stock primary's full sync, a file under
// holdfast-check. Gives the store's encoded entries to a sink. What has no counterpart here is passed over to
// the end, then named: a dump is taken whole or not at all.
#pragma once
#include <memory>
#include <string>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/result.h"
#include "base/types.h"
#include "rdb/refusals.h"
#include "rdb/value_builder.h"
#include "rdb/walker.h"
#include "store/store.h"

namespace hf::rdb {

/// Takes what a dump holds, in its order. An error ends the reading with it; bytes die with the call.
class Sink {
 public:
  virtual ~Sink() = default;
  /// A note about the dump: redis-ver, repl-id, repl-offset, ctime, ...
  virtual Status auxiliary(Bytes /*name*/, Bytes /*value*/) { return ok(); }
  /// How many keys are to come, and how many of them expire: a hint, not to be trusted.
  virtual Status resize(DbIndex, uint64_t /*keys*/, uint64_t /*expiring*/) { return ok(); }
  /// An entry or a piece of one, for Store::load_piece.
  virtual Status entry(DbIndex db, Bytes encoded) = 0;
  /// The dump is complete, its sum is right, and nothing in it was refused.
  virtual Status end() { return ok(); }
};

/// Loads into a store (that half of it should be empty); to be thrown away unless the reader comes to Done.
class StoreSink : public Sink {
 public:
  explicit StoreSink(store::Store& store, store::Half half = store::Half::Served)
      : store_(store), half_(half) {}
  Status entry(DbIndex db, Bytes encoded) override;
  Status end() override { return store_.end_load(); }

 private:
  store::Store& store_;
  const store::Half half_;
};

struct ReaderOptions {
  Limits limits;
  uint64_t piece_bytes_max = store::piece_bytes_max;  ///< larger values come in pieces
};

struct ReaderCounts {
  uint64_t strings = 0, hashes = 0, expiring = 0;
  uint64_t empty_hashes = 0;  ///< left out: no fields, no key
};

class Reader : private PieceTaker {
 public:
  enum class Phase : uint8_t {
    Reading,
    Done,
    Refused,  ///< sound, but it holds what has no counterpart here
    Damaged,
    Stopped,  ///< the sink returned an error
  };

  /// `sink` must outlive the reader.
  explicit Reader(Sink& sink, ReaderOptions options = {});
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  /// Returns how many bytes of `piece` belong to the dump: all of them while Reading. Of what it has not used
  /// yet it keeps a copy: less than one string.
  size_t feed(Bytes piece);
  /// Nothing more comes: a dump that is not complete is Damaged.
  void end_of_input();

  Phase phase() const { return phase_; }
  /// Why not Done, as a sentence with the byte.
  const std::string& reason() const { return reason_; }
  uint64_t position() const { return position_; }  ///< bytes of the dump used so far
  unsigned version() const { return version_; }
  bool has_sum() const { return sum_ != 0; }  ///< once Done: false: written with rdbchecksum no
  const ReaderCounts& counts() const { return counts_; }
  const Refusals& refusals() const { return refusals_; }

 private:
  enum class State : uint8_t { Magic, Code, Key, Value, Mark, Sum };

  Status take_piece(Bytes encoded) override { return sink_.entry(db_, encoded); }
  /// Uses what it can of the front of `in`.
  void read(Bytes& in);
  bool read_magic(Bytes& in);
  bool read_code(Bytes& in);
  bool read_items(Bytes& in);
  bool read_sum(Bytes& in);
  void begin_value();
  void value_ended();
  void use_value_item(const Item& item);
  void use_mark_item(const Item& item);
  void mark_ended();
  void complete();
  void stop(Phase phase, const std::string& why);
  void check(const Status& status);

  Sink& sink_;
  const ReaderOptions options_;
  Walker walker_;
  ValueBuilder builder_;
  Buffer kept_;
  Phase phase_ = Phase::Reading;
  State state_ = State::Magic;
  std::string reason_;
  uint64_t position_ = 0;
  uint64_t crc_ = 0, sum_ = 0;
  const char* summed_ = nullptr;  ///< of the piece at hand, the sum covers what is before this
  unsigned version_ = 0;
  const Row* row_ = nullptr;
  DbIndex db_ = 0;
  WallMs expire_at_ = store::no_expiry;
  bool key_metadata_ = false;
  std::string key_, name_;
  uint64_t numbers_[3] = {};  ///< a mark's
  size_t number_count_ = 0;
  ReaderCounts counts_;
  Refusals refusals_;
};

}  // namespace hf::rdb
