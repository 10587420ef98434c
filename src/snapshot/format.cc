// The parts of a snapshot file to bytes and back; each part is checked whole before anything in it is used.
#include "snapshot/format.h"

#include <algorithm>

#include "base/check.h"
#include "base/checksum.h"
#include "base/compress.h"
#include "base/little_endian.h"

namespace hf::snapshot {
namespace {

constexpr Bytes header_magic = "HFSnapsh", block_magic = "HFBk", index_magic = "HFIx",
                footer_magic = "HFSnpEnd";
constexpr size_t fixed_header_bytes = 76;  // up to the texts
constexpr uint32_t first_version = 1, tables_since_version = 2;
constexpr uint32_t flag_compressed = 1;

void put_text(std::string& out, Bytes text) {
  HF_CHECK(text.size() <= limits::snapshot_text_bytes_max);
  put_le<uint16_t>(out, static_cast<uint16_t>(text.size()));
  out.append(text);
}

bool take_text(Bytes& in, std::string& text) {
  if (in.size() < 2) return false;
  const size_t size = get_le<uint16_t>(in, 0);
  if (size > limits::snapshot_text_bytes_max || in.size() - 2 < size) return false;
  text = std::string(in.substr(2, size));
  in.remove_prefix(2 + size);
  return true;
}

bool take_tables(Bytes& in, Header& header) {
  constexpr size_t fixed_bytes = 12, table_bytes = 12;
  if (in.size() < fixed_bytes) return false;
  header.hash_seed = get_le<uint64_t>(in, 0);
  const uint32_t count = get_le<uint32_t>(in, 8);
  in.remove_prefix(fixed_bytes);
  if (count > limits::snapshot_tables_max || in.size() < count * table_bytes) return false;
  for (uint32_t i = 0; i < count; ++i, in.remove_prefix(table_bytes)) {
    header.tables.push_back({get_le<uint32_t>(in, 0), get_le<uint64_t>(in, 4)});
    if (i > 0 && header.tables[i].db <= header.tables[i - 1].db) return false;
  }
  return true;
}

bool sum_matches(Bytes part) {
  const size_t summed = part.size() - 8;
  return get_le<uint64_t>(part, summed) == sum64(part.substr(0, summed));
}

}  // namespace

std::string file_name(LogOffset offset) {
  const std::string digits = std::to_string(offset.value);
  return "snapshot-" + std::string(20 - digits.size(), '0') + digits + ".rdb";
}
std::string temp_name(LogOffset offset) { return file_name(offset) + ".tmp"; }

// ---- header -------------------------------------------------------------------------------------

std::string encode_header(const Header& header) {
  std::string out(header_magic);
  put_le<uint32_t>(out, format_version);
  put_le<uint32_t>(out, 0);  // size, below
  put_le<uint64_t>(out, header.offset.value);
  put_le<uint64_t>(out, header.previous_sum);
  put_le<uint64_t>(out, header.visible_offset);
  put_le<uint64_t>(out, header.epoch.value);
  put_le<int64_t>(out, header.wall_ms);
  out += id_to_bytes(header.cluster_id);
  HF_CHECK(out.size() == fixed_header_bytes);
  put_text(out, header.reason);
  put_text(out, header.tag);
  header.history.encode(out);
  HF_CHECK(header.tables.size() <= limits::snapshot_tables_max);
  put_le<uint64_t>(out, header.hash_seed);
  put_le<uint32_t>(out, static_cast<uint32_t>(header.tables.size()));
  for (const TableSize& table : header.tables) {
    put_le<uint32_t>(out, table.db);
    put_le<uint64_t>(out, table.keys);
  }
  set_le<uint32_t>(out.data() + 12, static_cast<uint32_t>(out.size() + 8));
  put_le<uint64_t>(out, sum64(out));
  HF_CHECK(out.size() <= limits::snapshot_header_bytes_max);
  return out;
}

Result<size_t> header_size(Bytes prefix) {
  if (prefix.size() < header_prefix_bytes) return Error{"the file ends inside the header"};
  if (!prefix.starts_with(header_magic)) return Error{"not a Holdfast snapshot (bad magic)"};
  const uint32_t version = get_le<uint32_t>(prefix, 8);
  if (version > format_version)
    return Error{"written by a newer version of the snapshot format (" + std::to_string(version) +
                     ", this program reads up to " + std::to_string(format_version) + ")",
                 newer_version};
  const uint32_t size = get_le<uint32_t>(prefix, 12);
  if (version < first_version || size < fixed_header_bytes + 8 || size > limits::snapshot_header_bytes_max)
    return Error{"a header of impossible version or length"};
  return size_t{size};
}

Result<Header> decode_header(Bytes in) {
  const Result<size_t> size = header_size(in);
  if (!size) return size.error();
  if (*size > in.size()) return Error{"the file ends inside the header"};
  in = in.substr(0, *size);
  if (!sum_matches(in)) return Error{"checksum mismatch in the header"};
  Header header;
  header.offset = {get_le<uint64_t>(in, 16)};
  header.previous_sum = get_le<uint64_t>(in, 24);
  header.visible_offset = get_le<uint64_t>(in, 32);
  header.epoch = {get_le<uint64_t>(in, 40)};
  header.wall_ms = get_le<int64_t>(in, 48);
  header.cluster_id = id_from_bytes(in.substr(56, 20));
  Bytes rest = in.substr(fixed_header_bytes, in.size() - fixed_header_bytes - 8);
  if (!take_text(rest, header.reason) || !take_text(rest, header.tag))
    return Error{"a text that overruns the header"};
  auto history = History::decode(rest);
  if (!history) return Error{"the header's history is malformed"};
  if (get_le<uint32_t>(in, 8) >= tables_since_version && !take_tables(rest, header))
    return Error{"the header's table sizes are malformed"};
  if (!rest.empty()) return Error{"bytes behind the header's last part"};
  header.history = std::move(*history);
  return header;
}

uint64_t header_sum(Bytes encoded) {
  HF_CHECK(encoded.size() >= 8);
  return get_le<uint64_t>(encoded, encoded.size() - 8);
}

// ---- blocks -------------------------------------------------------------------------------------

std::string encode_block(Bytes raw, uint32_t entries, uint32_t number, uint64_t salt) {
  HF_CHECK(!raw.empty() && raw.size() <= limits::snapshot_block_raw_bytes_max);
  const std::string packed = lz4_compress(raw);
  const Bytes stored = packed.empty() ? raw : Bytes(packed);
  std::string out;
  out.reserve(block_header_bytes + stored.size() + block_trailer_bytes);
  out += block_magic;
  put_le<uint32_t>(out, packed.empty() ? 0 : flag_compressed);
  put_le<uint32_t>(out, static_cast<uint32_t>(stored.size()));
  put_le<uint32_t>(out, static_cast<uint32_t>(raw.size()));
  put_le<uint32_t>(out, entries);
  put_le<uint32_t>(out, number);
  put_le<uint64_t>(out, salt);
  put_le<uint64_t>(out, sum64(out));
  HF_CHECK(out.size() == block_header_bytes);
  out += stored;
  put_le<uint64_t>(out, sum64(out));
  return out;
}

Result<BlockHeader> decode_block_header(Bytes in, uint64_t salt) {
  if (in.size() < block_header_bytes) return Error{"the file ends inside a block's header"};
  in = in.substr(0, block_header_bytes);
  if (!in.starts_with(block_magic)) return Error{"no block begins here"};
  if (!sum_matches(in)) return Error{"checksum mismatch in a block's header"};
  if (get_le<uint64_t>(in, 24) != salt) return Error{"a block of another snapshot"};
  BlockHeader header;
  const uint32_t flags = get_le<uint32_t>(in, 4);
  header.compressed = flags == flag_compressed;
  header.stored_bytes = get_le<uint32_t>(in, 8);
  header.raw_bytes = get_le<uint32_t>(in, 12);
  header.entries = get_le<uint32_t>(in, 16);
  header.number = get_le<uint32_t>(in, 20);
  const bool sizes_fit = header.compressed ? header.stored_bytes > 0 && header.stored_bytes < header.raw_bytes
                                           : header.stored_bytes == header.raw_bytes;
  if (flags > flag_compressed || !sizes_fit || header.raw_bytes == 0 ||
      header.raw_bytes > limits::snapshot_block_raw_bytes_max || header.entries == 0)
    return Error{"a block of impossible length"};
  return header;
}

Result<std::string> decode_block(Bytes block, const BlockHeader& header) {
  if (block.size() != block_header_bytes + header.stored_bytes + block_trailer_bytes)
    return Error{"the file ends inside a block"};
  if (!sum_matches(block)) return Error{"checksum mismatch in a block"};
  const Bytes stored = block.substr(block_header_bytes, header.stored_bytes);
  if (!header.compressed) return std::string(stored);
  Result<std::string> raw = lz4_decompress(stored, header.raw_bytes);
  if (!raw) return Error{"a block does not decompress"};
  return raw;
}

// ---- index and footer ---------------------------------------------------------------------------

bool begins_index(Bytes in) { return in.starts_with(index_magic); }

std::string encode_index(const std::vector<IndexEntry>& index, uint64_t salt) {
  std::string out(index_magic);
  put_le<uint32_t>(out, static_cast<uint32_t>(index.size()));
  put_le<uint64_t>(out, salt);
  HF_CHECK(out.size() == index_header_bytes);
  for (const IndexEntry& entry : index) {
    put_le<uint64_t>(out, entry.at);
    put_le<uint32_t>(out, entry.bytes);
    put_le<uint32_t>(out, entry.entries);
  }
  put_le<uint64_t>(out, sum64(out));
  return out;
}

Result<std::vector<IndexEntry>> decode_index(Bytes in, uint64_t salt) {
  if (in.size() < index_header_bytes + 8 || !in.starts_with(index_magic)) return Error{"no index here"};
  if (!sum_matches(in)) return Error{"checksum mismatch in the index"};
  const uint32_t count = get_le<uint32_t>(in, 4);
  if (get_le<uint64_t>(in, 8) != salt || in.size() != index_header_bytes + count * index_entry_bytes + 8)
    return Error{"an index of another snapshot, or of impossible length"};
  std::vector<IndexEntry> index;
  index.reserve(count);
  for (size_t i = 0, at = index_header_bytes; i < count; ++i, at += index_entry_bytes)
    index.push_back({get_le<uint64_t>(in, at), get_le<uint32_t>(in, at + 8), get_le<uint32_t>(in, at + 12)});
  return index;
}

std::string encode_footer(const Footer& footer, uint64_t salt) {
  std::string out(footer_magic);
  put_le<uint64_t>(out, salt);
  put_le<uint64_t>(out, footer.index_at);
  put_le<uint64_t>(out, footer.index_bytes);
  put_le<uint64_t>(out, footer.blocks);
  put_le<uint64_t>(out, footer.keys);
  put_le<uint64_t>(out, footer.raw_bytes);
  put_le<uint64_t>(out, sum64(out));
  HF_CHECK(out.size() == footer_bytes);
  return out;
}

Result<Footer> decode_footer(Bytes in, uint64_t salt) {
  if (in.size() < footer_bytes) return Error{"the file ends before its footer"};
  if (!in.starts_with(footer_magic))
    return Error{"no footer at the end of the file: it is cut short or damaged"};
  if (!sum_matches(in.substr(0, footer_bytes))) return Error{"checksum mismatch in the footer"};
  if (get_le<uint64_t>(in, 8) != salt) return Error{"the footer of another snapshot"};
  return Footer{get_le<uint64_t>(in, 16), get_le<uint64_t>(in, 24), get_le<uint64_t>(in, 32),
                get_le<uint64_t>(in, 40), get_le<uint64_t>(in, 48)};
}

}  // namespace hf::snapshot
