// Loading: header, footer, index, then block after block. Nothing is believed before its sum was checked, and
// no length before it was held against the file.
#include "snapshot/reader.h"

#include "base/check.h"
#include "base/little_endian.h"

namespace hf::snapshot {

Reader::Reader(Files& files, std::string name) : files_(files), name_(std::move(name)) {}

Reader::Phase Reader::damaged(uint64_t byte, const std::string& what) {
  reason_ = "snapshot " + name_ + ", byte " + std::to_string(byte) + ": " + what;
  return phase_ = Phase::Damaged;
}

Result<std::string> Reader::read(uint64_t at, size_t bytes) {
  Result<std::string> read = files_.read(name_, at, bytes);
  unreadable_ = unreadable_ || !read;
  if (read && read->size() != bytes) return Error{"the file became shorter while it was read"};
  return read;
}

Reader::Phase Reader::open() {
  const Result<uint64_t> size = files_.size(name_);
  unreadable_ = !size;
  if (!size) return damaged(0, size.error().message);
  size_ = *size;
  if (size_ < header_prefix_bytes) return damaged(size_, "the file ends inside the header");
  const Result<std::string> prefix = read(0, header_prefix_bytes);
  if (!prefix) return damaged(0, prefix.error().message);
  const Result<size_t> header_bytes = header_size(*prefix);
  if (!header_bytes) {
    newer_ = header_bytes.error().code == newer_version;
    return damaged(0, header_bytes.error().message);
  }
  if (*header_bytes > size_) return damaged(size_, "the file ends inside the header");
  const Result<std::string> encoded = read(0, *header_bytes);
  if (!encoded) return damaged(0, encoded.error().message);
  Result<Header> header = decode_header(*encoded);
  if (!header) return damaged(0, header.error().message);
  header_ = std::move(*header);
  salt_ = header_sum(*encoded);
  at_ = *header_bytes;
  return read_index();
}

Reader::Phase Reader::read_index() {
  if (size_ - at_ < footer_bytes) return damaged(size_, "the file ends before its footer");
  const uint64_t footer_at = size_ - footer_bytes;
  const Result<std::string> end = read(footer_at, footer_bytes);
  if (!end) return damaged(footer_at, end.error().message);
  const Result<Footer> footer = decode_footer(*end, salt_);
  if (!footer) return damaged(footer_at, footer.error().message);
  footer_ = *footer;
  const bool fits = footer_.index_at >= at_ && footer_.index_at <= footer_at &&
                    footer_.index_bytes == footer_at - footer_.index_at;
  if (!fits) return damaged(footer_at, "the footer points outside the file");
  const Result<std::string> encoded = read(footer_.index_at, footer_.index_bytes);
  if (!encoded) return damaged(footer_.index_at, encoded.error().message);
  Result<std::vector<IndexEntry>> index = decode_index(*encoded, salt_);
  if (!index) return damaged(footer_.index_at, index.error().message);
  index_ = std::move(*index);
  if (index_.size() != footer_.blocks)
    return damaged(footer_.index_at, "index and footer disagree on the blocks");
  // Blocks lie side by side between header and index: no byte of the file is outside a sum.
  uint64_t at = at_;
  for (const IndexEntry& entry : index_) {
    if (entry.at != at || entry.bytes > footer_.index_at - at)
      return damaged(footer_.index_at, "the index does not describe this file");
    at += entry.bytes;
  }
  if (at != footer_.index_at) return damaged(at, "bytes between the last block and the index");
  return phase_ = Phase::Loading;
}

Reader::Phase Reader::step(size_t budget_bytes, EntrySink& sink) {
  HF_CHECK(phase_ == Phase::Loading);
  if (!prepared_) {
    prepared_ = sink.prepare(header_, size_);
    if (!prepared_) return phase_;
  }
  const uint64_t stop_at = raw_bytes_ + budget_bytes;
  while (block_ < index_.size() && raw_bytes_ <= stop_at) {
    if (const Status status = load_block(sink); !status)
      return damaged(index_[block_].at, "block " + std::to_string(block_) + ": " + status.error().message);
    at_ += index_[block_].bytes;
    ++block_;
  }
  if (block_ < index_.size()) return phase_;
  if (keys_ != footer_.keys || raw_bytes_ != footer_.raw_bytes)
    return damaged(size_ - footer_bytes, "the footer counts other keys or bytes than the blocks hold");
  if (const Status status = sink.end(); !status) return damaged(size_, status.error().message);
  at_ = size_;
  return phase_ = Phase::Done;
}

namespace {

struct Given {
  DbIndex db = 0;
  Bytes encoded;
};

// Cuts the next entry off. False: it overruns the block.
bool take_entry(Bytes& raw, Given& entry) {
  if (raw.size() < entry_prefix_bytes) return false;
  const uint32_t db = get_le<uint32_t>(raw, 0), bytes = get_le<uint32_t>(raw, 4);
  if (db > database_max || bytes > raw.size() - entry_prefix_bytes) return false;
  entry = {db, raw.substr(entry_prefix_bytes, bytes)};
  raw.remove_prefix(entry_prefix_bytes + bytes);
  return true;
}

}  // namespace

Status give_entries(Bytes raw, uint32_t entries, EntrySink& sink) {
  // Half of loading was waiting for the table's lines, one entry after the other (perf: 50 % in Table::find).
  // Sixteen entries ahead their lines are on the way; the second look at a prefix costs next to nothing.
  constexpr uint32_t entries_ahead = 16;
  Bytes later = raw;
  uint32_t announced = 0;
  Given entry;
  for (uint32_t i = 0; i < entries; ++i) {
    for (; announced < entries && announced <= i + entries_ahead && take_entry(later, entry); ++announced)
      sink.ahead(entry.db, entry.encoded);
    if (!take_entry(raw, entry)) return Error{"an entry overruns its block"};
    if (Status status = sink.entry(entry.db, entry.encoded); !status)
      return Error{"entry " + std::to_string(i) + ": " + status.error().message};
  }
  if (!raw.empty()) return Error{"bytes behind the last entry of a block"};
  return ok();
}

Status Reader::load_block(EntrySink& sink) {
  const IndexEntry& entry = index_[block_];
  const Result<std::string> block = read(entry.at, entry.bytes);
  if (!block) return block.error();
  const Result<BlockHeader> header = decode_block_header(*block, salt_);
  if (!header) return header.error();
  if (header->number != block_ || header->entries != entry.entries)
    return Error{"the index describes another block"};
  const Result<std::string> raw = decode_block(*block, *header);
  if (!raw) return raw.error();
  if (Status given = give_entries(*raw, header->entries, sink); !given) return given;
  keys_ += header->entries;
  raw_bytes_ += header->raw_bytes;
  return ok();
}

}  // namespace hf::snapshot
