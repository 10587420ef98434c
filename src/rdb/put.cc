// As Redis 7.0 writes it: the shortest length, small integers as numbers, long strings compressed when it
// helps.
#include "rdb/put.h"

#include <liblzf/lzf.h>

#include <climits>

#include "base/little_endian.h"
#include "base/number.h"
#include "rdb/format.h"
#include "rdb/packed.h"
#include "store/varint.h"

namespace hf::rdb {
namespace {

constexpr size_t compressed_bytes_min = 21, compression_gain_min = 4, number_digits_max = 11;

void put_big(std::string& out, uint64_t value, size_t size) {
  while (size-- > 0) out += static_cast<char>(value >> (8 * size));
}

bool put_number(std::string& out, Bytes text) {
  if (text.size() > number_digits_max) return false;
  const auto value = parse_int(text);
  if (!value || *value < INT32_MIN || *value > INT32_MAX) return false;
  if (*value >= INT8_MIN && *value <= INT8_MAX) {
    out += static_cast<char>(string_int8);
    put_le(out, static_cast<int8_t>(*value));
  } else if (*value >= INT16_MIN && *value <= INT16_MAX) {
    out += static_cast<char>(string_int16);
    put_le(out, static_cast<int16_t>(*value));
  } else {
    out += static_cast<char>(string_int32);
    put_le(out, static_cast<int32_t>(*value));
  }
  return true;
}

bool put_compressed(std::string& out, Bytes text) {
  if (text.size() < compressed_bytes_min || text.size() > INT32_MAX) return false;
  std::string packed(text.size() - compression_gain_min, '\0');
  const unsigned size = lzf_compress(text.data(), static_cast<unsigned>(text.size()), packed.data(),
                                     static_cast<unsigned>(packed.size()));
  if (size == 0) return false;
  out += static_cast<char>(string_lzf);
  put_length(out, size);
  put_length(out, text.size());
  out.append(packed, 0, size);
  return true;
}

Error bad_hash() { return Error{"an encoded hash is cut or malformed"}; }

Result<uint8_t> put_hash(std::string& out, Bytes encoded, const WriteOptions& options) {
  uint64_t count = 0;
  if (!store::take_varint(encoded, count) || count == 0 || count > encoded.size() / 2) return bad_hash();
  bool small = count <= options.listpack_entries_max;
  Bytes rest = encoded, item;
  for (uint64_t i = 0; i < 2 * count; ++i) {
    if (!store::take_counted(rest, item)) return bad_hash();
    small = small && item.size() <= options.listpack_value_bytes_max;
  }
  if (!rest.empty()) return bad_hash();
  if (small) {
    ListpackWriter pack;
    while (store::take_counted(encoded, item)) pack.add(item);
    put_string(out, pack.finish(), options.compress);
    return code_hash_listpack;
  }
  put_length(out, count);
  while (!encoded.empty() && store::take_counted(encoded, item)) put_string(out, item, options.compress);
  return code_hash;
}

}  // namespace

void put_length(std::string& out, uint64_t value) {
  if (value < 0x40) {
    out += static_cast<char>(value);
  } else if (value < 0x4000) {
    put_big(out, 0x4000 | value, 2);
  } else if (value <= UINT32_MAX) {
    out += static_cast<char>(length_32);
    put_big(out, value, 4);
  } else {
    out += static_cast<char>(length_64);
    put_big(out, value, 8);
  }
}

void put_string(std::string& out, Bytes text, bool compress) {
  if (put_number(out, text)) return;
  if (compress && put_compressed(out, text)) return;
  put_length(out, text.size());
  out.append(text);
}

Result<uint8_t> put_value(std::string& out, store::Type type, Bytes encoded, const WriteOptions& options) {
  if (type == store::Type::Hash) return put_hash(out, encoded, options);
  if (type != store::Type::String && type != store::Type::Task)
    return Error{std::string("no form in a dump for a ") + store::type_name(type)};
  Bytes text;
  if (!store::take_counted(encoded, text) || !encoded.empty())
    return Error{"an encoded value is cut or malformed"};
  put_string(out, text, options.compress);
  return type == store::Type::String ? code_string : code_task;
}

}  // namespace hf::rdb
