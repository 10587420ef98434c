// Loads (or merely verifies) a snapshot file stepwise. Every block is verified before anything in it is used,
// and every length is held against a limit and the file before it is trusted.
#pragma once
#include <string>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "base/types.h"
#include "snapshot/format.h"
#include "store/store.h"

namespace hf::snapshot {

/// Takes the entries (and pieces of large ones) of a verified block.
class EntrySink {
 public:
  virtual ~EntrySink() = default;
  /// By a Reader, before the first entry, again and again until it says true: room can be made for what
  /// comes, a slice a call. (A Stream does not call it: entries must be welcome without.) Nothing in `header`
  /// but its sum was checked; the file has about `file_bytes`.
  virtual bool prepare(const Header& header, uint64_t file_bytes) {
    (void)header, (void)file_bytes;
    return true;
  }
  virtual Status entry(DbIndex db, Bytes encoded) = 0;
  /// It will be given in a moment: whatever entry() will read may be fetched meanwhile. Nothing in it is
  /// checked.
  virtual void ahead(DbIndex db, Bytes encoded) { (void)db, (void)encoded; }
  /// Behind the last one. Error: what came is not whole.
  virtual Status end() { return ok(); }
};

/// Hands the entries of a block's raw content on. Error: they do not fill it, or the sink refused one.
Status give_entries(Bytes raw, uint32_t entries, EntrySink& sink);

/// Puts them into a store; that half of it is empty when the first one comes. `store` must outlive the sink.
class StoreSink final : public EntrySink {
 public:
  explicit StoreSink(store::Store& store, store::Half half = store::Half::Served)
      : store_(store), half_(half) {}
  bool prepare(const Header& header, uint64_t file_bytes) override;
  Status entry(DbIndex db, Bytes encoded) override;
  void ahead(DbIndex db, Bytes encoded) override;
  Status end() override;

 private:
  store::Store& store_;
  const store::Half half_;
};

class Reader {
 public:
  enum class Phase : uint8_t { Loading, Done, Damaged };

  /// `files` must outlive the reader.
  Reader(Files& files, std::string name);

  /// Header, footer and index. Damaged: see reason().
  Phase open();
  /// In phase Loading: about `budget_bytes` of raw entries, at least one block, or a slice of the sink's
  /// preparations. After Damaged the sink's
  /// state is incomplete: throw it away.
  Phase step(size_t budget_bytes, EntrySink& sink);

  Phase phase() const { return phase_; }
  /// Valid once open() did not say Damaged.
  const Header& header() const { return header_; }
  const Footer& footer() const { return footer_; }
  /// Names file, block and byte.
  const std::string& reason() const { return reason_; }
  /// The file was written by a newer version of the format.
  bool newer() const { return newer_; }
  /// The system would not let it be read: nothing is known about the file.
  bool unreadable() const { return unreadable_; }
  uint64_t bytes_done() const { return at_; }
  uint64_t bytes_total() const { return size_; }
  uint64_t keys() const { return keys_; }

 private:
  Phase damaged(uint64_t byte, const std::string& what);
  Result<std::string> read(uint64_t at, size_t bytes);
  Phase read_index();
  Status load_block(EntrySink& sink);

  Files& files_;
  std::string name_;
  Phase phase_ = Phase::Loading;
  std::string reason_;
  bool newer_ = false, unreadable_ = false, prepared_ = false;
  uint64_t size_ = 0, at_ = 0;
  uint64_t salt_ = 0;
  Header header_;
  Footer footer_;
  std::vector<IndexEntry> index_;
  size_t block_ = 0;
  uint64_t keys_ = 0, raw_bytes_ = 0;
};

}  // namespace hf::snapshot
