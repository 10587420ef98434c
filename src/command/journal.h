// What one turn of the loop changed, as canonical command text: the content of the frame to come. The journal
// puts the SELECTs in, wraps a transaction in MULTI and EXEC, and counts what a stock Redis replica is sent.
#pragma once
#include <initializer_list>
#include <span>

#include "base/buffer.h"
#include "base/types.h"
#include "resp/writer.h"

namespace hf::command {

class Journal {
 public:
  /// True while nothing is to be recorded (replaying the log: it is recorded already).
  bool muted = false;

  /// Appends one canonical command that touches database `db`. `visible`: a stock Redis replica is sent it.
  void append(DbIndex db, std::span<const Bytes> args, bool visible = true);
  void append(DbIndex db, std::initializer_list<Bytes> args, bool visible = true) {
    append(db, std::span<const Bytes>(args.begin(), args.size()), visible);
  }
  /// The same, for a command whose RESP text is at hand.
  void append_raw(DbIndex db, Bytes text, bool visible = true);

  /// Appends what touches no database and stands outside any transaction: said to stock Redis replicas.
  void append_bare(std::initializer_list<Bytes> args);

  /// Between these, the first command is preceded by MULTI and the last followed by EXEC.
  void begin_transaction() { in_transaction_ = true; }
  void end_transaction();

  bool empty() const { return content_.empty(); }
  size_t size() const { return content_.size(); }
  Bytes content() const { return content_.view(); }
  uint64_t visible_bytes() const { return visible_bytes_; }
  /// After the content was sealed into a frame: the next one starts with its own SELECT.
  void clear();

 private:
  void open(DbIndex db, bool visible);
  Buffer content_;
  DbIndex selected_ = 0;
  bool any_selected_ = false;
  bool in_transaction_ = false, transaction_open_ = false;
  uint64_t visible_bytes_ = 0;
};

}  // namespace hf::command
