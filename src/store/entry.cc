// Reading an entry, whatever its coding.
#include "store/entry.h"

#include "base/check.h"
#include "base/number.h"
#include "store/layout.h"
#include "store/packed.h"

namespace hf::store {
namespace {

constexpr size_t embedded_string_max = 44;  // Redis's OBJ_ENCODING_EMBSTR_SIZE_LIMIT
constexpr size_t empty_buckets_a_field_max = 10;

}  // namespace

const char* type_name(Type type) {
  switch (type) {
    case Type::String: return "string";
    case Type::List: return "list";
    case Type::Set: return "set";
    case Type::ZSet: return "zset";
    case Type::Hash: return "hash";
    case Type::Stream: return "stream";
    case Type::Task: return "task";
  }
  return "unknown";
}

const char* Entry::encoding() const {
  switch (coding()) {
    case Coding::Int: return "int";
    case Coding::Table: return "hashtable";
    case Coding::Object: return object()->encoding();
    case Coding::Inline:
    case Coding::Block: break;
  }
  if (type() == Type::Hash) return "listpack";
  const bool embedded =
      coding() == Coding::Inline && (shape_ & raw_flag) == 0 && value_size_ <= embedded_string_max;
  return embedded ? "embstr" : "raw";
}

Bytes Entry::string(Scratch& scratch) const {
  HF_CHECK(type() == Type::String);
  if (coding() == Coding::Int)
    return {scratch.text, write_int(scratch.text, static_cast<int64_t>(value_word()))};
  return Layout::value(*this);
}

std::optional<int64_t> Entry::integer() const {
  HF_CHECK(type() == Type::String);
  if (coding() != Coding::Int) return std::nullopt;
  return static_cast<int64_t>(value_word());
}

size_t Entry::string_size() const {
  Scratch scratch;
  return string(scratch).size();
}

size_t Entry::hash_size() const {
  HF_CHECK(type() == Type::Hash);
  return coding() == Coding::Table ? Layout::table(*this)->size() : packed_count(Layout::value(*this));
}

std::optional<Bytes> Entry::hash_get(Bytes field) const {
  HF_CHECK(type() == Type::Hash);
  if (coding() == Coding::Table) {
    const Table& table = *Layout::table(*this);
    const Slot* slot = table.find(table.hash(field), field);
    if (slot == nullptr) return std::nullopt;
    return Layout::value(*slot->entry());
  }
  PackedReader reader(Layout::value(*this));
  if (!reader.find(field)) return std::nullopt;
  return reader.value();
}

void Entry::hash_for_each(const std::function<void(Bytes, Bytes)>& each) const {
  HF_CHECK(type() == Type::Hash);
  if (coding() == Coding::Table) {
    Layout::table(*this)->for_each(
        [&](Slot& slot) { each(slot.entry()->key(), Layout::value(*slot.entry())); });
    return;
  }
  for (PackedReader reader(Layout::value(*this)); reader.next();) each(reader.field(), reader.value());
}

uint64_t Entry::hash_scan(uint64_t cursor, size_t count,
                          const std::function<void(Bytes, Bytes)>& each) const {
  if (coding() != Coding::Table) {  // a packed hash comes whole, as in Redis
    hash_for_each(each);
    return 0;
  }
  const Table& table = *Layout::table(*this);
  uint64_t position = Table::reversed(cursor);
  size_t seen = 0, buckets = 0;
  do {
    position = table.visit(position, [&](Slot& slot) {
      each(slot.entry()->key(), Layout::value(*slot.entry()));
      ++seen;
    });
  } while (position != 0 && seen < count && ++buckets / empty_buckets_a_field_max < count);
  return Table::reversed(position);
}

void Entry::hash_random(Prng& prng, Bytes& field, Bytes& value) const {
  HF_CHECK(hash_size() > 0);
  if (coding() == Coding::Table) {
    const Entry& e = *Layout::table(*this)->random(prng)->entry();
    field = e.key();
    value = Layout::value(e);
    return;
  }
  PackedReader reader(Layout::value(*this));
  for (uint64_t skip = prng.below(hash_size()) + 1; skip > 0; --skip) reader.next();
  field = reader.field();
  value = reader.value();
}

Bytes Object::key() const { return entry_ == nullptr ? Bytes() : entry_->key(); }

const Object* Entry::object() const { return coding() == Coding::Object ? Layout::object(*this) : nullptr; }

size_t Entry::memory_bytes() const {
  size_t bytes = Layout::capacity(*this);
  switch (coding()) {
    case Coding::Int:
    case Coding::Inline: break;
    case Coding::Block: bytes += sizeof(Block) + Layout::block(*this)->capacity; break;
    case Coding::Object: bytes += object()->memory_bytes(); break;
    case Coding::Table: {
      const Table& table = *Layout::table(*this);
      bytes += sizeof(Table) + (table.buckets() + table.overflow_buckets()) * sizeof(Bucket);
      table.for_each([&](Slot& slot) { bytes += slot.entry()->memory_bytes(); });
      break;
    }
  }
  return bytes;
}

}  // namespace hf::store
