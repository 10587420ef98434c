// The stable bytes of an entry and of the pieces of a large one (FORMAT.md).
#include <algorithm>
#include <vector>

#include "base/little_endian.h"
#include "store/inside.h"
#include "store/packed.h"

namespace hf::store {
namespace {

constexpr uint8_t type_max = static_cast<uint8_t>(Type::Task);

void put_value(const Entry& entry, std::string& out) {
  if (entry.type() == Type::String) {
    Scratch scratch;
    put_counted(out, entry.string(scratch));
  } else if (const Object* object = entry.object(); object != nullptr) {
    std::string saved;
    object->save(saved);
    put_counted(out, saved);
  } else if (Layout::coding(entry) == Coding::Table) {
    put_varint(out, entry.hash_size());
    Layout::table(entry)->for_each([&](Slot& slot) {
      put_counted(out, slot.entry()->key());
      put_counted(out, Layout::value(*slot.entry()));
    });
  } else {
    put_varint(out, entry.hash_size());
    out.append(Layout::value(entry).substr(packed_header_bytes));
  }
}

// ---- reading ----------------------------------------------------------------------------------------------

Status bad(const char* what) { return Error{std::string("encoded entry: ") + what}; }

struct Head {
  Type type = Type::String;
  bool expires = false;
  WallMs expire_at = no_expiry;
  Bytes key;
};

Status take_type(Bytes& rest, Head& head) {
  if (rest.empty()) return bad("no type byte");
  const auto byte = static_cast<uint8_t>(rest[0]);
  rest.remove_prefix(1);
  head.expires = (byte & expiry_bit) != 0;
  const auto number = static_cast<uint8_t>(byte & ~expiry_bit);
  if (number > type_max) return bad("no such type; written by a newer version, or damaged");
  head.type = static_cast<Type>(number);
  return ok();
}

/// Type, expiry and key.
Status take_head(Bytes& rest, Head& head) {
  if (Status s = take_type(rest, head); !s) return s;
  if (head.expires) {
    if (rest.size() < 8) return bad("the expiry is cut");
    uint64_t bits = 0;
    for (size_t i = 0; i < 8; ++i) bits |= static_cast<uint64_t>(static_cast<uint8_t>(rest[i])) << (8 * i);
    head.expire_at = static_cast<WallMs>(bits);
    if (head.expire_at == no_expiry) return bad("an expiry that means none");
    rest.remove_prefix(8);
  }
  if (!take_counted(rest, head.key)) return bad("the key is cut or malformed");
  return ok();
}

/// Field and value in turn.
struct Pairs {
  std::vector<Bytes> fields;
  std::vector<Bytes> values;
};

bool has_twice(std::vector<Bytes> fields) {
  std::sort(fields.begin(), fields.end());
  return std::adjacent_find(fields.begin(), fields.end()) != fields.end();
}

Status take_pairs(Bytes& rest, const Options& limits, Pairs& pairs, bool& packable) {
  uint64_t count = 0;
  if (!take_varint(rest, count)) return bad("the count of a hash is cut or malformed");
  if (count == 0) return bad("a hash without fields");
  if (count > rest.size() / 2) return bad("a hash counts more fields than its bytes can hold");
  packable = count <= std::min(limits.hash_packed_entries_max, packed_fields_max);
  pairs.fields.reserve(count);
  pairs.values.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    Bytes field, value;
    if (!take_counted(rest, field) || !take_counted(rest, value))
      return bad("a field of a hash is cut or malformed");
    packable = packable && field.size() <= limits.hash_packed_value_bytes_max &&
               value.size() <= limits.hash_packed_value_bytes_max;
    pairs.fields.push_back(field);
    pairs.values.push_back(value);
  }
  if (!rest.empty()) return bad("bytes behind the value");
  if (has_twice(pairs.fields)) return bad("a hash has a field twice");
  return ok();
}

}  // namespace

void encode_entry(const Entry& entry, std::string& out) {
  const bool expires = entry.expire_at() != no_expiry;
  out += static_cast<char>(static_cast<uint8_t>(entry.type()) | (expires ? expiry_bit : 0));
  if (expires) put_le<uint64_t>(out, static_cast<uint64_t>(entry.expire_at()));
  put_counted(out, entry.key());
  put_value(entry, out);
}

void encode_large(const LargeValue& value, std::string& out) {
  out += static_cast<char>(piece_head);
  put_varint(out, value.number);
  put_varint(out, value.size);
  const bool expires = value.expire_at != no_expiry;
  out += static_cast<char>(static_cast<uint8_t>(value.type) | (expires ? expiry_bit : 0));
  if (expires) put_le<uint64_t>(out, static_cast<uint64_t>(value.expire_at));
  put_counted(out, value.key);
}

void encode_fields_head(uint64_t hash, std::string& out) {
  out += static_cast<char>(piece_fields);
  put_varint(out, hash);
}

void encode_field(Bytes field, Bytes value, std::string& out) {
  put_counted(out, field);
  put_counted(out, value);
}

void encode_large_field(uint64_t hash, Bytes field, uint64_t number, uint64_t size, std::string& out) {
  out += static_cast<char>(piece_field_head);
  put_varint(out, hash);
  put_varint(out, number);
  put_varint(out, size);
  put_counted(out, field);
}

void encode_bytes(uint64_t number, Bytes piece, std::string& out) {
  out += static_cast<char>(piece_bytes);
  put_varint(out, number);
  out.append(piece);
}

bool begins_entry(Bytes encoded) {
  return encoded.empty() || static_cast<uint8_t>(encoded[0]) < piece_fields ||
         static_cast<uint8_t>(encoded[0]) > piece_bytes;
}

void encode_value(const Entry& entry, std::string& out) {
  out += static_cast<char>(entry.type());
  put_value(entry, out);
}

Status Store::load_entry(DbIndex db, Bytes encoded) {
  Head head;
  if (Status s = take_head(encoded, head); !s) return s;
  const Key k = key(head.key);
  if (find(db, k) != nullptr) return bad("its key is there already");
  return load(db, k, head.type, encoded, head.expire_at);
}

Status Store::load_value(DbIndex db, const Key& key, Bytes encoded, WallMs expire_at) {
  Head head;
  if (Status s = take_type(encoded, head); !s) return s;
  if (head.expires) return bad("a value carries no expiry");
  if (find(db, key) != nullptr) return bad("its key is there already");
  if (Status s = load(db, key, head.type, encoded, expire_at); !s) return s;
  changed(db, key);
  return ok();
}

Status Store::check_value(Bytes encoded) const {
  Head head;
  if (Status s = take_type(encoded, head); !s) return s;
  if (head.expires) return bad("a value carries no expiry");
  if (head.type == Type::Hash) {
    Pairs pairs;
    bool packable = false;
    return take_pairs(encoded, options_, pairs, packable);
  }
  Bytes bytes;
  if (!take_counted(encoded, bytes)) return bad("the value is cut or malformed");
  if (!encoded.empty()) return bad("bytes behind the value");
  if (head.type == Type::String) return ok();
  const ObjectLoader loader = in_->loaders[static_cast<size_t>(head.type)];
  if (loader == nullptr)
    return Error{std::string("encoded entry: this build has no values of type ") + type_name(head.type)};
  auto object = loader(bytes);
  if (!object) return object.error();
  return ok();
}

Status Store::load(DbIndex db, const Key& key, Type type, Bytes value, WallMs expire_at) {
  Inside& in = *in_;
  if (type == Type::Hash) {
    Pairs pairs;
    bool packable = false;
    const Bytes whole = value;
    if (Status s = take_pairs(value, options_, pairs, packable); !s) return s;
    Entry* e = nullptr;
    if (packable) {
      const size_t count = pairs.fields.size();
      std::string packed(packed_header_bytes, '\0');
      set_packed_count(packed.data(), count);
      packed += whole.substr(varint_size(count));
      e = Layout::make_bytes(in.context.memory, Type::Hash, key.bytes, expire_at, packed);
    } else {
      FieldTable* table = in.new_field_table();
      table->reserve_some(pairs.fields.size(), SIZE_MAX);
      for (size_t i = 0; i < pairs.fields.size(); ++i) in.set_field(*table, pairs.fields[i], pairs.values[i]);
      e = Layout::make(in.context.memory,
                       {Type::Hash, Coding::Table, key.bytes, expire_at, reinterpret_cast<uint64_t>(table)});
    }
    in.insert(in.database(db), key.hash, e);
    return ok();
  }
  Bytes bytes;
  if (!take_counted(value, bytes)) return bad("the value is cut or malformed");
  if (!value.empty()) return bad("bytes behind the value");
  return load_bytes(db, key, type, bytes, expire_at);
}

Status Store::load_bytes(DbIndex db, const Key& key, Type type, Bytes bytes, WallMs expire_at) {
  Inside& in = *in_;
  if (type == Type::String) {
    in.insert(in.database(db), key.hash, in.make_string(key.bytes, expire_at, bytes));
    return ok();
  }
  const ObjectLoader loader = in.loaders[static_cast<size_t>(type)];
  if (loader == nullptr)
    return Error{std::string("encoded entry: this build has no values of type ") + type_name(type)};
  auto object = loader(bytes);
  if (!object) return object.error();
  HF_CHECK(*object != nullptr && (*object)->type() == type);
  Entry* e = in.make_object_entry(key.bytes, expire_at, object->release());
  in.insert(in.database(db), key.hash, e);
  tell_inserted(db, *e);
  return ok();
}

void Store::prefetch_piece(DbIndex db, Bytes encoded) const {
  Head head;
  if (begins_entry(encoded) && take_head(encoded, head)) prefetch_bucket(db, key(head.key).hash);
}

// ---- pieces of large values -------------------------------------------------------------------------------

Status Store::load_piece(DbIndex db, Bytes encoded) {
  const uint8_t kind = encoded.empty() ? 0 : static_cast<uint8_t>(encoded[0]);
  if (kind < piece_head || kind > piece_bytes) return load_entry(db, encoded);
  encoded.remove_prefix(1);
  uint64_t number = 0;
  if (!take_varint(encoded, number)) return bad("the number of a value is cut or malformed");
  if (kind == piece_head) return load_large(db, number, encoded);
  const auto at = in_->loading.find(number);
  if (at == in_->loading.end()) return bad("a piece of a value that did not begin");
  Inside::Loading& value = at->second;
  const bool of_hash = value.type == Type::Hash && !value.field;
  if (of_hash != (kind != piece_bytes)) return bad("a piece that is not of its value's kind");
  if (kind == piece_fields) return load_fields(number, encoded);
  if (kind == piece_field_head) {
    Inside::Loading field{.type = Type::String, .hash = number, .field = true};
    uint64_t own = 0;
    Bytes name;
    if (!take_varint(encoded, own) || !take_varint(encoded, field.left) || !take_counted(encoded, name) ||
        !encoded.empty() || field.left == 0)
      return bad("the head of a field is malformed");
    field.key = std::string(name);
    if (!in_->loading.emplace(own, std::move(field)).second) return bad("two values have one number");
    return ok();
  }
  if (encoded.size() > value.left) return bad("more bytes than a value has");
  value.bytes.append(encoded);
  value.left -= encoded.size();
  if (value.left > 0) return ok();
  const Inside::Loading whole = std::move(value);
  in_->loading.erase(at);
  if (whole.field) return load_field(whole.hash, whole.key, whole.bytes);
  const Key k = key(whole.key);
  if (find(whole.db, k) != nullptr) return bad("its key is there already");
  return load_bytes(whole.db, k, whole.type, whole.bytes, whole.expire_at);
}

Status Store::load_large(DbIndex db, uint64_t number, Bytes rest) {
  uint64_t size = 0;
  Head head;
  if (!take_varint(rest, size) || size == 0) return bad("the size of a value is cut or malformed");
  if (Status s = take_head(rest, head); !s) return s;
  if (!rest.empty()) return bad("bytes behind the head of a value");
  const Key k = key(head.key);
  if (find(db, k) != nullptr) return bad("its key is there already");
  Inside& in = *in_;
  if (!in.loading
           .emplace(number, Inside::Loading{.db = db,
                                            .type = head.type,
                                            .expire_at = head.expire_at,
                                            .key = std::string(head.key),
                                            .left = size})
           .second)
    return bad("two values have one number");
  if (head.type == Type::Hash) {
    // Fields come in the order of their buckets: in a table too small for them they would crowd in a few.
    // The size is not to be trusted with more than a megabyte.
    constexpr size_t buckets_max = 16 * 1024;
    FieldTable* table = in.new_field_table();
    table->reserve_some(size, buckets_max);
    in.insert(in.database(db), k.hash,
              Layout::make(in.context.memory, {Type::Hash, Coding::Table, k.bytes, head.expire_at,
                                               reinterpret_cast<uint64_t>(table)}));
  }
  return ok();
}

Status Store::load_fields(uint64_t hash, Bytes rest) {
  while (!rest.empty()) {
    Bytes field, value;
    if (!take_counted(rest, field) || !take_counted(rest, value))
      return bad("a field of a hash is cut or malformed");
    if (Status s = load_field(hash, field, value); !s) return s;
  }
  return ok();
}

Status Store::load_field(uint64_t hash, Bytes field, Bytes value) {
  const auto at = in_->loading.find(hash);
  if (at == in_->loading.end()) return bad("more fields than a hash has");
  const Entry* entry = find(at->second.db, key(at->second.key));
  HF_CHECK(entry != nullptr && Layout::coding(*entry) == Coding::Table);
  FieldTable& table = *Layout::table(*entry);
  const size_t before = table.size();
  in_->set_field(table, field, value);
  if (table.size() == before) return bad("a hash has a field twice");
  if (--at->second.left == 0) in_->loading.erase(at);
  return ok();
}

Status Store::end_load() {
  const size_t unfinished = in_->loading.size();
  in_->loading.clear();
  if (unfinished > 0) return bad("pieces of a value are missing");
  return ok();
}

}  // namespace hf::store
