// The writing half of the format's primitives, and a value in them: for whole dumps and for DUMP's payloads.
#pragma once
#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "store/object.h"

namespace hf::rdb {

struct WriteOptions {
  bool compress = true;  ///< strings of more than 20 bytes, where it saves 4 or more
  /// Up to these a hash is written as a listpack. Redis unpacks what is above its own bounds.
  size_t listpack_entries_max = 128;
  size_t listpack_value_bytes_max = 64;
};

void put_length(std::string& out, uint64_t value);
void put_string(std::string& out, Bytes text, bool compress);

/// A value as `store::encode_value` writes it, its type byte taken off, to its form in a dump. Returns the
/// code that stands for that form. The error says what is wrong with `encoded`, or that dumps have no such
/// type.
Result<uint8_t> put_value(std::string& out, store::Type type, Bytes encoded, const WriteOptions& options);

}  // namespace hf::rdb
