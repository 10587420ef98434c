// The stable bytes of an entry (FORMAT.md) and the digest, which must not depend on how a value lies in
// memory.
#include <algorithm>
#include <vector>

#include "store/inside.h"
#include "store/packed.h"

namespace hf::store {
namespace {

constexpr uint8_t expiry_bit = 0x80;
constexpr uint8_t type_max = static_cast<uint8_t>(Type::Task);

void put_fixed64(std::string& out, uint64_t value) {
  char buf[8];
  for (int i = 0; i < 8; ++i) buf[i] = static_cast<char>(value >> (8 * i));
  out.append(buf, sizeof buf);
}

void put_counted(std::string& out, Bytes item) {
  put_varint(out, item.size());
  out.append(item);
}

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

void add(Sum128& sum, Sum128 term) {
  sum.low += term.low;
  sum.high += term.high;
}

Sum128 sum_of(const Entry& entry, std::string& scratch) {
  Sum128 fields;
  if (entry.type() == Type::Hash)
    entry.hash_for_each([&](Bytes field, Bytes value) {
      scratch.clear();
      put_counted(scratch, field);
      put_counted(scratch, value);
      add(fields, sum128(scratch));
    });
  scratch.clear();
  scratch += static_cast<char>(entry.type());
  put_fixed64(scratch, static_cast<uint64_t>(entry.expire_at()));
  put_counted(scratch, entry.key());
  if (entry.type() == Type::Hash) {
    put_fixed64(scratch, entry.hash_size());
    put_fixed64(scratch, fields.low);
    put_fixed64(scratch, fields.high);
  } else {
    put_value(entry, scratch);
  }
  return sum128(scratch);
}

void add_in(DbIndex db, Sum128 sum, Sum128& total) {
  char buf[20];
  for (size_t i = 0; i < 8; ++i) buf[i] = static_cast<char>(sum.low >> (8 * i));
  for (size_t i = 0; i < 8; ++i) buf[8 + i] = static_cast<char>(sum.high >> (8 * i));
  for (size_t i = 0; i < 4; ++i) buf[16 + i] = static_cast<char>(db >> (8 * i));
  add(total, sum128({buf, sizeof buf}));
}

// ---- reading ----------------------------------------------------------------------------------------------

Status bad(const char* what) { return Error{std::string("encoded entry: ") + what}; }

struct Head {
  Type type = Type::String;
  bool expires = false;
};

Status take_head(Bytes& rest, Head& head) {
  if (rest.empty()) return bad("no type byte");
  const auto byte = static_cast<uint8_t>(rest[0]);
  rest.remove_prefix(1);
  head.expires = (byte & expiry_bit) != 0;
  const auto number = static_cast<uint8_t>(byte & ~expiry_bit);
  if (number > type_max) return bad("no such type; written by a newer version, or damaged");
  head.type = static_cast<Type>(number);
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
  packable = count <= limits.hash_packed_entries_max;
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
  if (expires) put_fixed64(out, static_cast<uint64_t>(entry.expire_at()));
  put_counted(out, entry.key());
  put_value(entry, out);
}

void encode_value(const Entry& entry, std::string& out) {
  out += static_cast<char>(entry.type());
  put_value(entry, out);
}

Status Store::load_entry(DbIndex db, Bytes encoded) {
  Head head;
  if (Status s = take_head(encoded, head); !s) return s;
  WallMs expire_at = no_expiry;
  if (head.expires) {
    if (encoded.size() < 8) return bad("the expiry is cut");
    uint64_t bits = 0;
    for (size_t i = 0; i < 8; ++i) bits |= static_cast<uint64_t>(static_cast<uint8_t>(encoded[i])) << (8 * i);
    expire_at = static_cast<WallMs>(bits);
    if (expire_at == no_expiry) return bad("an expiry that means none");
    encoded.remove_prefix(8);
  }
  Bytes key_bytes;
  if (!take_counted(encoded, key_bytes)) return bad("the key is cut or malformed");
  const Key k = key(key_bytes);
  if (find(db, k) != nullptr) return bad("its key is there already");
  return load(db, k, head.type, encoded, expire_at);
}

Status Store::load_value(DbIndex db, const Key& key, Bytes encoded, WallMs expire_at) {
  Head head;
  if (Status s = take_head(encoded, head); !s) return s;
  if (head.expires) return bad("a value carries no expiry");
  if (find(db, key) != nullptr) return bad("its key is there already");
  if (Status s = load(db, key, head.type, encoded, expire_at); !s) return s;
  changed(db, key);
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
      const auto count = static_cast<uint32_t>(pairs.fields.size());
      std::string packed(packed_header_bytes, '\0');
      set_packed_count(packed.data(), count);
      packed += whole.substr(varint_size(count));
      e = Layout::make_bytes(in.context.memory, Type::Hash, key.bytes, expire_at, packed);
    } else {
      auto* table = new Table(in.context);
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

// ---- digests ----------------------------------------------------------------------------------------------

Sum128 Store::digest_of(const Entry& entry) const {
  std::string scratch;
  return sum_of(entry, scratch);
}

void Store::add_to_digest(DbIndex db, const Entry& entry, Sum128& total) const {
  std::string scratch;
  add_in(db, sum_of(entry, scratch), total);
}

Sum128 Store::digest() const {
  Sum128 total;
  std::string scratch;
  for (DbIndex db = 0; db < databases(); ++db)
    in_->database(db).table.for_each([&](Slot& slot) { add_in(db, sum_of(*slot.entry(), scratch), total); });
  return total;
}

}  // namespace hf::store
