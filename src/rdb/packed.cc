// Lengths inside a packed value are held against the bytes that are there; what merely repeats (an entry's
// size kept behind it or in the next one, the number of items) must agree, so that damage shows.
#include "rdb/packed.h"

#include "base/little_endian.h"
#include "base/number.h"

namespace hf::rdb {
namespace {

constexpr uint8_t end_mark = 0xff;
constexpr size_t ziplist_header_bytes = 10, listpack_header_bytes = 6;
constexpr uint16_t count_unknown = 0xffff;

int64_t little_signed(Bytes bytes) {
  uint64_t value = 0;
  for (size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  const unsigned unused = 64 - 8 * static_cast<unsigned>(bytes.size());
  return static_cast<int64_t>(value << unused) >> unused;
}

/// Bytes of the size that a listpack keeps behind an entry of `size` bytes. The bounds are Redis's, which
/// stop one short of what would fit.
size_t backward_bytes(size_t size) {
  return size <= 127 ? 1 : size < 16383 ? 2 : size < 2097151 ? 3 : size < 268435455 ? 4 : 5;
}

/// That size: seven bits a byte, high ones first, the top bit set on all but the first.
void put_backward(std::string& out, size_t size) {
  for (size_t n = backward_bytes(size), i = n; i-- > 0;)
    out += static_cast<char>(((size >> (7 * i)) & 0x7f) | (i + 1 == n ? 0 : 0x80));
}

}  // namespace

PackedItems::PackedItems(Packing packing, Bytes blob) : packing_(packing), blob_(blob) {
  const size_t header = packing == Packing::Ziplist    ? ziplist_header_bytes
                        : packing == Packing::Listpack ? listpack_header_bytes
                                                       : 1;
  if (blob.size() < header + 1) {
    problem_ = "it is shorter than its head";
    return;
  }
  if (packing == Packing::Zipmap) {
    claimed_ = static_cast<uint8_t>(blob[0]);
    counted_ = claimed_ < 254;
    claimed_ *= 2;
  } else {
    if (get_le<uint32_t>(blob, 0) != blob.size()) problem_ = "its head gives another length";
    claimed_ = get_le<uint16_t>(blob, header - 2);
    counted_ = claimed_ != count_unknown;
  }
  at_ = header;
}

bool PackedItems::next(Bytes& item) {
  if (problem_ != nullptr || ended_) return false;
  if (at_ >= blob_.size()) return fail("it ends without an end mark");
  if (static_cast<uint8_t>(blob_[at_]) == end_mark) return end();
  ++seen_;
  switch (packing_) {
    case Packing::Zipmap: return next_in_zipmap(item);
    case Packing::Ziplist: return next_in_ziplist(item);
    case Packing::Listpack: return next_in_listpack(item);
  }
  return false;
}

bool PackedItems::end() {
  if (at_ + 1 != blob_.size()) return fail("there are bytes behind its end mark");
  if (counted_ && claimed_ != seen_) return fail("its head gives another number of items");
  ended_ = true;
  return false;
}

bool PackedItems::take(size_t size, Bytes& bytes) {
  if (size >= blob_.size() - at_)
    return fail("an item is longer than what is left");  // the end mark is left, too
  bytes = blob_.substr(at_, size);
  at_ += size;
  return true;
}

void PackedItems::give_number(int64_t value, Bytes& item) { item = {digits_, write_int(digits_, value)}; }

bool PackedItems::take_number(size_t size, Bytes& item) {
  if (!take(size, item)) return false;
  give_number(little_signed(item), item);
  return true;
}

// ---- zipmap: length, field, length, unused bytes, value ---------------------------------------------------

bool PackedItems::zipmap_size(uint64_t& size) {
  Bytes raw;
  if (!take(1, raw)) return false;
  size = static_cast<uint8_t>(raw[0]);
  if (size < 254) return true;
  if (size > 254) return fail("a length is expected");
  if (!take(4, raw)) return false;
  size = get_le<uint32_t>(raw, 0);
  return true;
}

bool PackedItems::next_in_zipmap(Bytes& item) {
  uint64_t size = 0;
  if (!zipmap_size(size)) return false;
  Bytes unused;
  const bool is_value = seen_ % 2 == 0;
  if (is_value && !take(1, unused)) return false;
  const size_t gap = is_value ? static_cast<uint8_t>(unused[0]) : 0;
  return take(size, item) && take(gap, unused);
}

// ---- ziplist: size of the entry before, encoding, content -------------------------------------------------

bool PackedItems::next_in_ziplist(Bytes& item) {
  const size_t start = at_;
  Bytes raw;
  if (!take(1, raw)) return false;
  size_t before = static_cast<uint8_t>(raw[0]);
  if (before == 254) {
    if (!take(4, raw)) return false;
    before = get_le<uint32_t>(raw, 0);
  }
  if (before != previous_size_) return fail("an item gives another length of the one before it");
  if (!take(1, raw)) return false;
  const auto kind = static_cast<uint8_t>(raw[0]);
  uint64_t size = kind & 0x3f;
  bool taken = false;
  if (kind < 0x40) {
    taken = take(size, item);
  } else if (kind < 0x80) {
    taken = take(1, raw) && take(size << 8 | static_cast<uint8_t>(raw[0]), item);
  } else if (kind == 0x80) {
    if (!take(4, raw)) return false;
    size = 0;
    for (const char c : raw) size = size << 8 | static_cast<uint8_t>(c);
    taken = take(size, item);
  } else if (kind > 0xf0 && kind < 0xfe) {
    give_number(kind - 0xf1, item);
    taken = true;
  } else {
    const size_t width = kind == 0xfe ? 1 : kind == 0xc0 ? 2 : kind == 0xf0 ? 3 : kind == 0xd0 ? 4 : 8;
    if (width == 8 && kind != 0xe0) return fail("an item is encoded in no known way");
    taken = take_number(width, item);
  }
  previous_size_ = at_ - start;
  return taken;
}

// ---- listpack: encoding, content, size of both ------------------------------------------------------------

bool PackedItems::next_in_listpack(Bytes& item) {
  const size_t start = at_;
  Bytes raw;
  if (!take(1, raw)) return false;
  const auto kind = static_cast<uint8_t>(raw[0]);
  bool taken = true;
  if (kind < 0x80) {
    give_number(kind, item);
  } else if (kind < 0xc0) {
    taken = take(kind & 0x3f, item);
  } else if (kind < 0xf0) {
    if (!take(1, raw)) return false;
    const int64_t low = static_cast<uint8_t>(raw[0]);
    if (kind < 0xe0) {
      const int64_t value = (kind & 0x1f) << 8 | low;
      give_number(value >= 4096 ? value - 8192 : value, item);
    } else {
      taken = take(static_cast<size_t>((kind & 0x0f) << 8 | low), item);
    }
  } else if (kind == 0xf0) {
    taken = take(4, raw) && take(get_le<uint32_t>(raw, 0), item);
  } else if (kind <= 0xf4) {
    taken = take_number(kind == 0xf4 ? 8 : kind - 0xefu, item);
  } else {
    return fail("an item is encoded in no known way");
  }
  if (!taken) return false;
  const size_t size = at_ - start;
  Bytes behind;
  std::string expected;
  put_backward(expected, size);
  if (!take(expected.size(), behind)) return false;
  if (behind != expected) return fail("an item's length behind it is another than the one before it");
  return true;
}

void ListpackWriter::add(Bytes item) {
  const size_t start = bytes_.size();
  const auto byte = [&](uint64_t value) { bytes_ += static_cast<char>(value); };
  if (const auto number = item.size() <= 20 ? parse_int(item) : std::nullopt; number) {
    const int64_t v = *number;
    const auto bits = static_cast<uint64_t>(v);
    const auto fits = [v](unsigned width) {
      return v >= -(int64_t{1} << (width - 1)) && v < int64_t{1} << (width - 1);
    };
    if (v >= 0 && v < 128) {
      byte(bits);
    } else if (fits(13)) {
      byte(0xc0 | (bits >> 8 & 0x1f));
      byte(bits);
    } else {
      const unsigned width = fits(16) ? 2 : fits(24) ? 3 : fits(32) ? 4 : 8;
      byte(width == 8 ? 0xf4 : 0xef + width);
      for (unsigned i = 0; i < width; ++i) byte(bits >> (8 * i));
    }
  } else {
    if (item.size() < 64) {
      byte(0x80 | item.size());
    } else if (item.size() < 4096) {
      byte(0xe0 | item.size() >> 8);
      byte(item.size());
    } else {
      byte(0xf0);
      put_le(bytes_, static_cast<uint32_t>(item.size()));
    }
    bytes_.append(item);
  }
  put_backward(bytes_, bytes_.size() - start);
  ++count_;
}

Bytes ListpackWriter::finish() {
  bytes_ += static_cast<char>(end_mark);
  set_le(bytes_.data(), static_cast<uint32_t>(bytes_.size()));
  set_le(bytes_.data() + 4, static_cast<uint16_t>(count_ < count_unknown ? count_ : count_unknown));
  return bytes_;
}

void ListpackWriter::clear() {
  bytes_.assign(header_bytes, '\0');
  count_ = 0;
}

}  // namespace hf::rdb
