// The parts of a snapshot file: header, blocks, index, footer. Bytes in FORMAT.md.
#pragma once
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/history.h"
#include "base/limits.h"
#include "base/result.h"
#include "base/types.h"

namespace hf::snapshot {

constexpr uint32_t format_version = 2;
constexpr int newer_version = -2;  ///< Error::code of a file that a newer version wrote

struct TableSize {
  DbIndex db = 0;
  uint64_t keys = 0;
  bool operator==(const TableSize&) const = default;
};

/// What the whole file says about itself.
struct Header {
  std::string cluster_id;       ///< is_id
  LogOffset offset;             ///< the cut: the state is the log's effect up to here
  uint64_t previous_sum = 0;    ///< sum of the last frame before the cut
  uint64_t visible_offset = 0;  ///< Redis-visible offset at the cut
  Epoch epoch;                  ///< reign at the cut
  WallMs wall_ms = 0;           ///< when the cut was taken
  std::string reason;           ///< one word: save, bgsave, interval, shutdown, ...
  std::string tag;              ///< empty: none
  History history;
  /// How the keys lay in the tables that were walked: entries come about in the order of buckets under this
  /// seed, so that a table of that seed and size is filled from one end to the other. As secret as the data.
  uint64_t hash_seed = 0;
  /// Ascending by database, limits::snapshot_tables_max at most; empty: unknown.
  std::vector<TableSize> tables;
  bool operator==(const Header&) const = default;
};

/// "snapshot-00000000000000000042.rdb"
std::string file_name(LogOffset offset);
/// The name it has until it is complete: "snapshot-00000000000000000042.rdb.tmp"
std::string temp_name(LogOffset offset);

/// CHECK: ids valid, reason and tag within limits::snapshot_text_bytes_max.
std::string encode_header(const Header& header);
/// How many bytes the header has, from its first `header_prefix_bytes`.
Result<size_t> header_size(Bytes prefix);
Result<Header> decode_header(Bytes in);
constexpr size_t header_prefix_bytes = 16;
/// The sum that ends an encoded header: the salt of the file's blocks.
uint64_t header_sum(Bytes encoded);

struct BlockHeader {
  bool compressed = false;
  uint32_t stored_bytes = 0, raw_bytes = 0;
  uint32_t entries = 0;
  uint32_t number = 0;  ///< from 0
  bool operator==(const BlockHeader&) const = default;
};
constexpr size_t block_header_bytes = 40;
constexpr size_t block_trailer_bytes = 8;
/// `raw` as a whole block: compressed when that helps, summed.
std::string encode_block(Bytes raw, uint32_t entries, uint32_t number, uint64_t salt);
Result<BlockHeader> decode_block_header(Bytes in, uint64_t salt);
/// The raw entries of the whole block that `header` opens: verified, decompressed.
Result<std::string> decode_block(Bytes block, const BlockHeader& header);
/// Before each entry in a raw block: u32 database, u32 bytes of the encoded entry.
constexpr size_t entry_prefix_bytes = 8;
constexpr uint32_t database_max = 1u << 20;

struct IndexEntry {
  uint64_t at = 0;     ///< byte of the block
  uint32_t bytes = 0;  ///< of the whole block
  uint32_t entries = 0;
  bool operator==(const IndexEntry&) const = default;
};
/// `in` (four bytes at least) begins an index, not a block.
bool begins_index(Bytes in);
std::string encode_index(const std::vector<IndexEntry>& index, uint64_t salt);
Result<std::vector<IndexEntry>> decode_index(Bytes in, uint64_t salt);
constexpr size_t index_header_bytes = 16;
constexpr size_t index_entry_bytes = 16;

struct Footer {
  uint64_t index_at = 0, index_bytes = 0;
  uint64_t blocks = 0, keys = 0, raw_bytes = 0;
  bool operator==(const Footer&) const = default;
};
constexpr size_t footer_bytes = 64;
std::string encode_footer(const Footer& footer, uint64_t salt);
Result<Footer> decode_footer(Bytes in, uint64_t salt);

}  // namespace hf::snapshot
