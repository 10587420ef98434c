// One full sync of a stock Redis replica: takes a snapshot file piece by piece, gives the answer to PSYNC
// once the snapshot's header has told the offset, and then Redis's dump of it between two marks.
#pragma once
#include <optional>
#include <string>

#include "base/buffer.h"
#include "rdb/writer.h"
#include "snapshot/stream.h"

namespace hf::node {

class StockDump final : private snapshot::EntrySink {
 public:
  struct Ask {
    std::string reign;   ///< empty: a SYNC, whose answer names none
    std::string mark;    ///< 40 random hex digits, which end the dump
    bool empty = false;  ///< leave everything out
    int64_t created_seconds = 0;
  };
  /// `out` gets the bytes and must outlive this.
  StockDump(Buffer& out, Ask ask) : out_(out), writer_(out), ask_(std::move(ask)) {}

  /// The snapshot file's next bytes. Error: it is damaged, or holds what a dump can't.
  Status take(Bytes bytes);
  /// The dump and its mark are written.
  bool done() const { return done_; }
  /// CHECK: done().
  const snapshot::Header& header() const { return *snapshot_.header(); }
  uint64_t keys() const { return writer_.keys(); }
  uint64_t tasks_left_out() const { return writer_.tasks_left_out(); }

 private:
  Status entry(DbIndex db, Bytes encoded) override;
  void open();

  Buffer& out_;
  rdb::Writer writer_;
  snapshot::Stream snapshot_;
  const Ask ask_;
  bool open_ = false, done_ = false;
};

}  // namespace hf::node
