// The index, which comes last here, is held against what was seen before it.
#include "snapshot/stream.h"

#include "base/little_endian.h"

namespace hf::snapshot {

Status Stream::take(Bytes bytes, EntrySink& sink) {
  keep(bytes);
  for (;;) {
    const Result<bool> taken = step(sink);
    if (!taken) return taken.error();
    if (!*taken) return ok();
  }
}

Result<bool> Stream::step(EntrySink& sink) {
  if (carry_.empty()) return false;
  Bytes rest = carry_.view();
  const Result<bool> taken = take_part(rest, sink);
  if (!taken) return Error{"byte " + std::to_string(at_) + ": " + taken.error().message};
  const size_t used = carry_.size() - rest.size();
  at_ += used;
  carry_.consume(used);
  return taken;
}

Result<bool> Stream::take_part(Bytes& in, EntrySink& sink) {
  switch (part_) {
    case Part::Header: return take_header(in);
    case Part::Blocks:
      if (in.size() < 4) return false;
      return begins_index(in) ? take_index(in) : take_block(in, sink);
    case Part::Footer: return take_footer(in, sink);
    case Part::Done: break;
  }
  return Error{"bytes behind the footer"};
}

Result<bool> Stream::take_header(Bytes& in) {
  if (in.size() < header_prefix_bytes) return false;
  const Result<size_t> size = header_size(in);
  if (!size) return size.error();
  if (in.size() < *size) return false;
  Result<Header> header = decode_header(in);
  if (!header) return header.error();
  header_ = std::move(*header);
  salt_ = header_sum(in.substr(0, *size));
  in.remove_prefix(*size);
  part_ = Part::Blocks;
  return true;
}

Result<bool> Stream::take_block(Bytes& in, EntrySink& sink) {
  if (in.size() < block_header_bytes) return false;
  const Result<BlockHeader> header = decode_block_header(in, salt_);
  if (!header) return header.error();
  if (header->number != seen_.size()) return Error{"a block that is not the next one"};
  const size_t size = block_header_bytes + header->stored_bytes + block_trailer_bytes;
  if (in.size() < size) return false;
  const Result<std::string> raw = decode_block(in.substr(0, size), *header);
  if (!raw) return raw.error();
  if (Status given = give_entries(*raw, header->entries, sink); !given) return given.error();
  seen_.push_back({at_, static_cast<uint32_t>(size), header->entries});
  keys_ += header->entries;
  raw_bytes_ += header->raw_bytes;
  in.remove_prefix(size);
  return true;
}

Result<bool> Stream::take_index(Bytes& in) {
  if (in.size() < index_header_bytes) return false;
  if (get_le<uint32_t>(in, 4) != seen_.size()) return Error{"the index counts other blocks than there are"};
  const size_t size = index_header_bytes + seen_.size() * index_entry_bytes + 8;
  if (in.size() < size) return false;
  const Result<std::vector<IndexEntry>> index = decode_index(in.substr(0, size), salt_);
  if (!index) return index.error();
  if (*index != seen_) return Error{"the index does not describe this file"};
  index_at_ = at_;
  in.remove_prefix(size);
  part_ = Part::Footer;
  return true;
}

Result<bool> Stream::take_footer(Bytes& in, EntrySink& sink) {
  if (in.size() < footer_bytes) return false;
  const Result<Footer> footer = decode_footer(in, salt_);
  if (!footer) return footer.error();
  if (*footer != Footer{index_at_, at_ - index_at_, seen_.size(), keys_, raw_bytes_})
    return Error{"the footer counts other parts than there are"};
  if (Status ended = sink.end(); !ended) return ended.error();
  in.remove_prefix(footer_bytes);
  part_ = Part::Done;
  return true;
}

}  // namespace hf::snapshot
