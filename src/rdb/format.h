// What may stand in a dump of Redis's (FORMAT.md): every value type and every mark between values as one row,
// with the layout of what follows it. The layout is enough to find the end of a value, so that one that
// cannot be taken is passed over, and the reader can name all of them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/bytes.h"

namespace hf::rdb {

/// What the reader does with a row.
enum class Use : uint8_t {
  // values
  String,
  HashPairs,   ///< a count, then field and value in turn
  HashZipmap,  ///< one string that holds all fields, packed in one of four ways
  HashZiplist,
  HashListpack,
  HashTimedPairs,  ///< fields with times of expiry; taken when none has one
  HashTimedListpack,
  Task,          ///< ours, in DUMP's payloads only
  Refuse,        ///< has no counterpart here: passed over, counted and named
  RefuseModule,  ///< the same, and its first length is a module type's id
  // marks
  Auxiliary,
  SelectDb,
  ResizeDb,
  ExpireMs,
  ExpireSeconds,
  Ignore,       ///< says nothing that is kept here
  Function,     ///< a library of functions: refused
  ModuleData,   ///< data of a module that belongs to no key: refused unless empty
  KeyMetadata,  ///< data of modules about the next key: refused
  End,
};

/// The layout's letters, in the order of the bytes:
///   s       a string                       l   a length
///   1 4 8   so many bytes, a number        w   sixteen bytes, a stream's id
///   f       a score as text                m   a module's values, up to their end mark
///   (...)   a length n, then n times what is between
/// Null: there is no telling where such a value ends.
struct Row {
  uint8_t code;
  Use use;
  const char* layout;
  const char* what;      ///< "a list", for a refusal of one
  const char* what_all;  ///< "lists", for several
};

/// Null: no version that is read here writes such a byte.
const Row* find_row(uint8_t code);
constexpr bool is_value(const Row& row) { return row.use < Use::Auxiliary; }
constexpr bool is_refused(const Row& row) { return row.use == Use::Refuse || row.use == Use::RefuseModule; }

constexpr uint8_t code_string = 0;
constexpr uint8_t code_hash = 4;
constexpr uint8_t code_hash_listpack = 16;
constexpr uint8_t code_task = 200;  ///< no type of Redis's: it answers "Bad data format"
constexpr uint8_t code_auxiliary = 250;
constexpr uint8_t code_expire_ms = 252;
constexpr uint8_t code_select_db = 254;
constexpr uint8_t code_end = 255;

/// A dump begins with these and the four digits of its version.
constexpr Bytes magic = "REDIS";
constexpr size_t header_bytes = 9;
constexpr unsigned version_read_max = 13;  ///< Redis 8.6's
constexpr unsigned version_written = 10;   ///< Redis 7.0's: the oldest that may be a replica of ours
constexpr unsigned version_with_sum = 5;   ///< from here on a sum follows the end mark

// A string's first byte when its two top bits are set: the rest says what follows
constexpr uint8_t string_int8 = 0xc0;
constexpr uint8_t string_int16 = 0xc1;
constexpr uint8_t string_int32 = 0xc2;
constexpr uint8_t string_lzf = 0xc3;
// A length's first byte beyond the two short forms
constexpr uint8_t length_32 = 0x80;  ///< big-endian
constexpr uint8_t length_64 = 0x81;

/// The name in a module type's id: nine characters of six bits, above ten bits of version.
struct ModuleName {
  explicit ModuleName(uint64_t id);
  char text[10];
};

}  // namespace hf::rdb
