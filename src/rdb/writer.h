// Writes a dump that a stock redis-server 7.0 or newer loads (RDB version 10), out of the store's encoded
// entries as a walk or a snapshot's blocks bring them. Bytes come out as entries go in; only values in pieces
// are gathered until they are whole, since a dump has each in one place.
#pragma once
#include <cstdint>
#include <string>
#include <unordered_map>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/result.h"
#include "base/types.h"
#include "rdb/put.h"

namespace hf::rdb {

/// What is said about a dump at its front.
struct DumpNotes {
  Bytes redis_version = "7.2.5";
  int64_t created_seconds = 0;
  uint64_t used_memory = 0;
  Bytes repl_id = {};  ///< empty: a dump for nobody's replica
  uint64_t repl_offset = 0;
  DbIndex repl_stream_db = 0;  ///< the database that the stream behind `repl_offset` begins in
};

class Writer {
 public:
  /// `out` gets the bytes; the caller takes them off as it likes, and it must outlive the writer.
  /// `gathered_bytes_max`: of values in pieces that are not whole yet, all together.
  explicit Writer(Buffer& out, WriteOptions options = {}, uint64_t gathered_bytes_max = 1ull << 30)
      : out_(out), options_(options), gathered_max_(gathered_bytes_max) {}
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  void begin(const DumpNotes& notes);
  /// An entry, or a piece of one. Tasks, which Redis does not know, are left out and counted. After an error
  /// the dump is good for nothing.
  Status entry(DbIndex db, Bytes encoded);
  /// Error: some value lacks pieces.
  Status finish();

  uint64_t keys() const { return keys_; }
  uint64_t tasks_left_out() const { return tasks_; }
  uint64_t bytes() const { return bytes_; }
  uint64_t gathered_bytes() const { return gathered_; }

 private:
  /// A value, or a large field of one, that is not whole yet.
  struct Gathering {
    DbIndex db = 0;
    store::Type type = store::Type::String;
    std::string head;     ///< expiry, code and key, or a field's name, as written
    uint64_t hash = 0;    ///< of a field: its hash's number; else 0
    uint64_t size = 0;    ///< fields or bytes, all
    uint64_t left = 0;    ///< and those to come
    std::string content;  ///< so far: a hash's fields as written, anything else as it is
    size_t code_at = 0;   ///< where in `head` the code stands
  };

  Status whole_entry(DbIndex db, Bytes encoded);
  Status piece(DbIndex db, Bytes encoded);
  Status piece_head(DbIndex db, uint64_t number, Bytes rest);
  Status piece_fields(uint64_t number, Bytes rest);
  Status piece_field_head(uint64_t number, Bytes rest);
  Status piece_bytes(uint64_t number, Bytes rest);
  Status gather(std::string& into, Bytes bytes);
  void value_done(std::unordered_map<uint64_t, Gathering>::iterator at);
  /// Takes type, expiry and key off `rest` and appends them as a dump has them. The code is put in later.
  Status take_head(Bytes& rest, store::Type& type, std::string& out, size_t& code_at);
  void select(DbIndex db);
  void put(Bytes bytes);
  void note(Bytes name, Bytes value);

  Buffer& out_;
  const WriteOptions options_;
  const uint64_t gathered_max_;
  bool selected_ = false;
  DbIndex db_ = 0;
  uint64_t crc_ = 0, keys_ = 0, tasks_ = 0, bytes_ = 0, gathered_ = 0;
  std::string line_;
  std::unordered_map<uint64_t, Gathering> gathering_;
};

}  // namespace hf::rdb
