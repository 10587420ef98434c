// Every entry is put together in `line_` and then handed on at once, so that the sum and the buffer see few
// and long pieces.
#include "rdb/writer.h"

#include "base/little_endian.h"
#include "base/number.h"
#include "rdb/crc64.h"
#include "rdb/format.h"
#include "store/entry.h"
#include "store/varint.h"

namespace hf::rdb {
namespace {

using store::Type;

Error bad(const char* what) { return Error{std::string("encoded entry: ") + what}; }

}  // namespace

void Writer::put(Bytes bytes) {
  crc_ = crc64(crc_, bytes);
  bytes_ += bytes.size();
  out_.append(bytes);
}

void Writer::note(Bytes name, Bytes value) {
  line_ += static_cast<char>(code_auxiliary);
  put_string(line_, name, false);
  put_string(line_, value, false);
}

void Writer::begin(const DumpNotes& notes) {
  line_ = magic;
  const std::string digits = std::to_string(version_written);
  line_.append(header_bytes - magic.size() - digits.size(), '0').append(digits);
  note("redis-ver", notes.redis_version);
  note("redis-bits", "64");
  note("ctime", to_text(notes.created_seconds));
  note("used-mem", std::to_string(notes.used_memory));
  if (!notes.repl_id.empty()) {
    note("repl-stream-db", std::to_string(notes.repl_stream_db));
    note("repl-id", notes.repl_id);
    note("repl-offset", std::to_string(notes.repl_offset));
  }
  put(line_);
}

void Writer::select(DbIndex db) {
  if (selected_ && db == db_) return;
  selected_ = true;
  db_ = db;
  std::string mark(1, static_cast<char>(code_select_db));
  put_length(mark, db);
  put(mark);
}

Status Writer::take_head(Bytes& rest, Type& type, std::string& out, size_t& code_at) {
  if (rest.empty()) return bad("no type byte");
  const auto first = static_cast<uint8_t>(rest[0]);
  rest.remove_prefix(1);
  type = static_cast<Type>(first & ~store::expiry_bit);
  if ((first & store::expiry_bit) != 0) {
    if (rest.size() < 8) return bad("the expiry is cut");
    out += static_cast<char>(code_expire_ms);
    out.append(rest.substr(0, 8));
    rest.remove_prefix(8);
  }
  code_at = out.size();
  out += '\0';
  Bytes key;
  if (!store::take_counted(rest, key)) return bad("the key is cut or malformed");
  put_string(out, key, options_.compress);
  return ok();
}

Status Writer::entry(DbIndex db, Bytes encoded) {
  return store::begins_entry(encoded) &&
                 (encoded.empty() || static_cast<uint8_t>(encoded[0]) != store::piece_head)
             ? whole_entry(db, encoded)
             : piece(db, encoded);
}

Status Writer::whole_entry(DbIndex db, Bytes encoded) {
  Type type{};
  size_t code_at = 0;
  line_.clear();
  if (Status s = take_head(encoded, type, line_, code_at); !s) return s;
  if (type == Type::Task) {
    ++tasks_;
    return ok();
  }
  const auto code = put_value(line_, type, encoded, options_);
  if (!code) return code.error();
  line_[code_at] = static_cast<char>(*code);
  select(db);
  put(line_);
  ++keys_;
  return ok();
}

// ---- values in pieces -------------------------------------------------------------------------------------

Status Writer::piece(DbIndex db, Bytes encoded) {
  const auto kind = static_cast<uint8_t>(encoded[0]);
  encoded.remove_prefix(1);
  uint64_t number = 0;
  if (!store::take_varint(encoded, number)) return bad("the number of a value is cut or malformed");
  switch (kind) {
    case store::piece_head: return piece_head(db, number, encoded);
    case store::piece_fields: return piece_fields(number, encoded);
    case store::piece_field_head: return piece_field_head(number, encoded);
    default: return piece_bytes(number, encoded);
  }
}

Status Writer::gather(std::string& into, Bytes bytes) {
  gathered_ += bytes.size();
  if (gathered_ > gathered_max_)
    return Error{"values of more than " + std::to_string(gathered_max_) +
                 " bytes are under way in pieces at once, which a dump cannot hold"};
  into.append(bytes);
  return ok();
}

Status Writer::piece_head(DbIndex db, uint64_t number, Bytes rest) {
  Gathering value{.db = db};
  if (!store::take_varint(rest, value.size) || value.size == 0)
    return bad("the size of a value is malformed");
  value.left = value.size;
  if (Status s = take_head(rest, value.type, value.head, value.code_at); !s) return s;
  if (!rest.empty()) return bad("bytes behind the head of a value");
  if (value.type != Type::String && value.type != Type::Hash && value.type != Type::Task)
    return Error{std::string("no form in a dump for a ") + store::type_name(value.type)};
  if (!gathering_.emplace(number, std::move(value)).second) return bad("two values have one number");
  return ok();
}

Status Writer::piece_fields(uint64_t number, Bytes rest) {
  const auto at = gathering_.find(number);
  if (at == gathering_.end() || at->second.type != Type::Hash)
    return bad("fields of a hash that did not begin");
  std::string written;
  Bytes name, content;
  uint64_t fields = 0;
  for (; !rest.empty(); ++fields) {
    if (!store::take_counted(rest, name) || !store::take_counted(rest, content))
      return bad("a field of a hash is cut or malformed");
    put_string(written, name, options_.compress);
    put_string(written, content, options_.compress);
  }
  Gathering& hash = at->second;
  if (fields > hash.left) return bad("more fields than a hash has");
  if (Status s = gather(hash.content, written); !s) return s;
  hash.left -= fields;
  if (hash.left == 0) value_done(at);
  return ok();
}

Status Writer::piece_field_head(uint64_t number, Bytes rest) {
  const auto at = gathering_.find(number);
  if (at == gathering_.end() || at->second.type != Type::Hash)
    return bad("a field of a hash that did not begin");
  Gathering field{.hash = number};
  uint64_t own = 0;
  Bytes name;
  if (!store::take_varint(rest, own) || !store::take_varint(rest, field.size) || field.size == 0 ||
      !store::take_counted(rest, name) || !rest.empty())
    return bad("the head of a field is malformed");
  field.left = field.size;
  put_string(field.head, name, options_.compress);
  if (!gathering_.emplace(own, std::move(field)).second) return bad("two values have one number");
  return ok();
}

Status Writer::piece_bytes(uint64_t number, Bytes rest) {
  const auto at = gathering_.find(number);
  if (at == gathering_.end() || at->second.type == Type::Hash)
    return bad("bytes of a value that did not begin");
  Gathering& value = at->second;
  if (rest.size() > value.left) return bad("more bytes than a value has");
  value.left -= rest.size();
  if (value.type != Type::Task)
    if (Status s = gather(value.content, rest); !s) return s;
  if (value.left > 0) return ok();
  if (value.hash == 0) {
    value_done(at);
    return ok();
  }
  const Gathering field = std::move(value);
  gathering_.erase(at);
  gathered_ -= field.content.size();
  const auto hash = gathering_.find(field.hash);
  if (hash == gathering_.end() || hash->second.left == 0) return bad("more fields than a hash has");
  std::string written = field.head;
  put_string(written, field.content, options_.compress);
  if (Status s = gather(hash->second.content, written); !s) return s;
  if (--hash->second.left == 0) value_done(hash);
  return ok();
}

void Writer::value_done(std::unordered_map<uint64_t, Gathering>::iterator at) {
  Gathering value = std::move(at->second);
  gathering_.erase(at);
  gathered_ -= value.content.size();
  if (value.type == Type::Task) {
    ++tasks_;
    return;
  }
  const bool hash = value.type == Type::Hash;
  value.head[value.code_at] = static_cast<char>(hash ? code_hash : code_string);
  select(value.db);
  if (hash) {
    put_length(value.head, value.size);
    put(value.head);
    put(value.content);
  } else {
    put_string(value.head, value.content, options_.compress);
    put(value.head);
  }
  ++keys_;
}

Status Writer::finish() {
  if (!gathering_.empty()) return bad("pieces of a value are missing");
  put(Bytes("\xff", 1));
  std::string sum;
  put_le(sum, crc_);
  put(sum);
  return ok();
}

}  // namespace hf::rdb
