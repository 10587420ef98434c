// One buffer, cleared each turn and reused, so that recording a command costs one copy and no allocation.
#include "command/journal.h"

#include "base/check.h"
#include "base/number.h"

namespace hf::command {

void Journal::open(DbIndex db, bool visible) {
  resp::Writer writer(content_, 2);
  const size_t before = content_.size();
  if (in_transaction_ && !transaction_open_) {
    writer.command({"MULTI"});
    transaction_open_ = true;
    visible = true;
  }
  if (!any_selected_ || selected_ != db) {
    char text[24];
    writer.command({"SELECT", Bytes(text, write_int(text, db))});
    selected_ = db;
    any_selected_ = true;
    visible = true;
  }
  if (visible) visible_bytes_ += content_.size() - before;
}

void Journal::append(DbIndex db, std::span<const Bytes> args, bool visible) {
  if (muted) return;
  open(db, visible);
  const size_t before = content_.size();
  resp::Writer(content_, 2).command(args);
  if (visible) visible_bytes_ += content_.size() - before;
}

void Journal::append_raw(DbIndex db, Bytes text, bool visible) {
  if (muted) return;
  open(db, visible);
  content_.append(text);
  if (visible) visible_bytes_ += text.size();
}

void Journal::append_bare(std::initializer_list<Bytes> args) {
  if (muted) return;
  HF_CHECK(!transaction_open_);
  const size_t before = content_.size();
  resp::Writer(content_, 2).command(args);
  visible_bytes_ += content_.size() - before;
}

void Journal::end_transaction() {
  in_transaction_ = false;
  if (!transaction_open_) return;
  transaction_open_ = false;
  const size_t before = content_.size();
  resp::Writer(content_, 2).command({"EXEC"});
  visible_bytes_ += content_.size() - before;
}

void Journal::clear() {
  content_.clear();
  any_selected_ = false;
  visible_bytes_ = 0;
}

}  // namespace hf::command
