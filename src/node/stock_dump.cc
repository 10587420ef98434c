// A dump whose length nobody knows ahead: "$EOF:<mark>", the dump, the mark.
#include "node/stock_dump.h"

namespace hf::node {

void StockDump::open() {
  if (open_) return;
  open_ = true;
  if (!ask_.reign.empty())
    out_.append("+FULLRESYNC " + ask_.reign + " " + std::to_string(header().visible_offset) + "\r\n");
  out_.append("$EOF:" + ask_.mark + "\r\n");
  writer_.begin({.created_seconds = ask_.created_seconds});
}

Status StockDump::entry(DbIndex db, Bytes encoded) {
  open();
  return ask_.empty ? ok() : writer_.entry(db, encoded);
}

Status StockDump::take(Bytes bytes) {
  if (Status taken = snapshot_.take(bytes, *this); !taken) return taken;
  if (snapshot_.header()) open();
  if (!snapshot_.done()) return ok();
  if (Status whole = writer_.finish(); !whole) return whole;
  out_.append(ask_.mark);
  done_ = true;
  return ok();
}

}  // namespace hf::node
