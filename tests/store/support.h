// What the store's tests share: a model of the keyspace made of standard containers, an Object, and a random
// client that does the same to both.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/prng.h"
#include "store/digest.h"
#include "store/store.h"

namespace hf::store::test {

class Note : public Object {
 public:
  explicit Note(std::string text) : text_(std::move(text)) {}
  Type type() const override { return Type::Task; }
  const char* encoding() const override { return "note"; }
  void save(std::string& out) const override { out += text_; }
  std::unique_ptr<Object> clone() const override { return std::make_unique<Note>(text_); }
  size_t memory_bytes() const override { return sizeof *this + text_.size(); }
  std::string text_;
};

inline Result<std::unique_ptr<Object>> load_note(Bytes saved) {
  if (saved.size() > 1000000) return Error{"a note is too long"};
  return std::unique_ptr<Object>(std::make_unique<Note>(std::string(saved)));
}

struct ModelValue {
  Type type = Type::String;
  std::string text;  ///< of a string or a Note
  std::map<std::string, std::string> fields;
  WallMs expire_at = no_expiry;
  bool operator==(const ModelValue&) const = default;
};
using ModelDatabase = std::map<std::string, ModelValue>;
using Model = std::vector<ModelDatabase>;

inline ModelValue value_of(const Entry& e) {
  ModelValue v;
  v.type = e.type();
  v.expire_at = e.expire_at();
  Scratch scratch;
  if (e.type() == Type::String) v.text = e.string(scratch);
  else if (e.type() == Type::Hash)
    e.hash_for_each([&](Bytes field, Bytes value) { v.fields.emplace(field, value); });
  else e.object()->save(v.text);
  return v;
}

/// Collects what a walk hands over; notes entries that come twice.
class Collector : public WalkConsumer {
 public:
  explicit Collector(const Store& store) : seen(store.databases()) {}
  void take(DbIndex db, const Entry& entry) override {
    if (!seen[db].emplace(entry.key(), value_of(entry)).second) ++doubles;
    digest_.take(db, entry);
  }
  void take_large(const LargeValue& value) override {
    ++large;
    const auto [at, fresh] =
        seen[value.db].emplace(value.key, ModelValue{value.type, "", {}, value.expire_at});
    if (!fresh || !values_.emplace(value.number, &at->second).second) ++doubles;
    digest_.take_large(value);
  }
  void take_field(uint64_t hash, Bytes field, Bytes value) override {
    if (!values_.at(hash)->fields.emplace(field, value).second) ++doubles;
    digest_.take_field(hash, field, value);
  }
  void take_large_field(uint64_t hash, Bytes field, uint64_t number, uint64_t size) override {
    const auto [at, fresh] = values_.at(hash)->fields.emplace(field, "");
    if (!fresh || !texts_.emplace(number, &at->second).second) ++doubles;
    digest_.take_large_field(hash, field, number, size);
  }
  void take_bytes(uint64_t number, Bytes piece) override {
    if (piece.size() > piece_bytes_max) ++doubles;
    const auto field = texts_.find(number);
    (field != texts_.end() ? *field->second : values_.at(number)->text) += piece;
    digest_.take_bytes(number, piece);
  }
  /// Complete when the walk is.
  Sum128 digest() const { return digest_.total(); }

 private:
  std::map<uint64_t, ModelValue*> values_;
  std::map<uint64_t, std::string*> texts_;
  WalkDigest digest_;

 public:
  Model seen;
  size_t large = 0;
  size_t doubles = 0;
};

/// Does random things to a store and to its model. `key_count` keys a database; few of them: every call meets
/// every type. Many: the tables grow.
class Client {
 public:
  Client(Store& store, Prng& prng, size_t key_count)
      : model(store.databases()), store_(store), prng_(prng), key_count_(key_count) {}

  void step() {
    const auto db = static_cast<DbIndex>(prng_.below(store_.databases()));
    const std::string name = some_key();
    const Key key = store_.key(name);
    ModelDatabase& m = model[db];
    const auto at = m.find(name);
    switch (prng_.below(growing ? 18 : 24)) {
      default: set(db, key, m[name]); break;
      case 4: integer(db, key, m); break;
      case 5: resize(db, key, m); break;
      case 6:
      case 7:
      case 8: hash(db, key, m); break;
      case 9:
        store_.insert_object(db, key, std::make_unique<Note>(name));
        m[name] = {Type::Task, name, {}, no_expiry};
        break;
      case 10:
        if (Object* object = store_.edit_object(db, key); object != nullptr) {
          static_cast<Note*>(object)->text_ += "+";
          at->second.text += "+";
        }
        break;
      case 11: {
        const WallMs when = prng_.chance(1, 3) ? no_expiry : static_cast<WallMs>(prng_.below(1000));
        if (store_.set_expiry(db, key, when)) at->second.expire_at = when;
        break;
      }
      case 12: rename(db, key, m); break;
      case 13: move(db, key, m); break;
      case 14: copy(db, key, m); break;
      case 15:
        if (prng_.chance(1, flush_rarity)) {
          store_.flush(db);
          m.clear();
        }
        break;
      case 16:
        if (prng_.chance(1, 20)) {
          const auto other = static_cast<DbIndex>(prng_.below(store_.databases()));
          store_.swap(db, other);
          std::swap(model[db], model[other]);
        }
        break;
      case 17: store_.free_some(prng_.below(50)); break;
      case 18:
      case 19:
      case 20:
      case 21:
      case 22:
      case 23:
        if (store_.remove(db, key)) m.erase(name);
        break;
    }
  }

  Model model;
  bool growing = false;
  /// Now and then values of more than a piece, hashes of thousands of fields.
  bool large_values = false;
  uint64_t flush_rarity = 100;

  std::string some_key() {
    const uint64_t n = prng_.below(key_count_);
    std::string name = "key:" + std::to_string(n);
    if (n % 17 == 0) name += std::string(n % 300, 'k');
    return name;
  }

 private:
  std::string some_value() {
    if (large_values && prng_.chance(1, 25))
      return std::string(piece_bytes_max - 10 + prng_.below(3 * piece_bytes_max),
                         static_cast<char>('A' + prng_.below(26)));
    switch (prng_.below(12)) {
      case 0: return std::to_string(static_cast<int64_t>(prng_.next()));
      case 1: return std::to_string(prng_.below(100));
      case 2: return std::string(4090 + prng_.below(12), 'b');
      case 3: return std::string(prng_.below(20000), 'c');
      default: return std::string(prng_.below(90), static_cast<char>('a' + prng_.below(26)));
    }
  }
  void set(DbIndex db, const Key& key, ModelValue& v) {
    v = {Type::String,
         some_value(),
         {},
         prng_.chance(1, 4) ? static_cast<WallMs>(prng_.below(1000)) : no_expiry};
    store_.set_string(db, key, v.text, v.expire_at);
  }
  void integer(DbIndex db, const Key& key, ModelDatabase& m) {
    const auto at = m.find(std::string(key.bytes));
    if (at != m.end() && at->second.type != Type::String) return;
    const auto n = static_cast<int64_t>(prng_.next());
    store_.set_integer(db, key, n);
    m[std::string(key.bytes)].text = std::to_string(n);
  }
  void resize(DbIndex db, const Key& key, ModelDatabase& m) {
    const auto at = m.find(std::string(key.bytes));
    if (at != m.end() && at->second.type != Type::String) return;
    const size_t most = large_values && prng_.chance(1, 6) ? 4 * piece_bytes_max
                        : prng_.chance(1, 4)               ? 9000
                                                           : 60;
    const size_t size = prng_.below(most) + 1;
    char* data = store_.resize_string(db, key, size);
    data[size / 2] = 'R';
    std::string& text = m[std::string(key.bytes)].text;
    text.resize(size, '\0');
    text[size / 2] = 'R';
  }
  void hash(DbIndex db, const Key& key, ModelDatabase& m) {
    const std::string name(key.bytes);
    auto at = m.find(name);
    if (at != m.end() && at->second.type != Type::Hash) return;
    HashEdit edit = store_.edit_hash(db, key);
    const bool big = large_values && prng_.chance(1, 12);
    for (uint64_t i = prng_.below(big ? 3000 : 12); i > 0; --i) {
      const std::string field = "f" + std::to_string(prng_.below(large_values ? 4000 : 40));
      if (prng_.chance(1, big ? 9 : 3)) {
        const bool was = at != m.end() && at->second.fields.erase(field) > 0;
        if (edit.erase(field) != was) ++wrong_answers;
        continue;
      }
      if (at == m.end()) at = m.emplace(name, ModelValue{Type::Hash, "", {}, no_expiry}).first;
      const bool huge = large_values && prng_.chance(1, 700);
      const std::string value(prng_.below(huge ? 3 * piece_bytes_max : prng_.chance(1, 30) ? 200 : 40), 'v');
      if (edit.set(field, value) != at->second.fields.insert_or_assign(field, value).second) ++wrong_answers;
      if (edit.get(field) != value) ++wrong_answers;
    }
    if (edit.size() != (at == m.end() ? 0 : at->second.fields.size())) ++wrong_answers;
    if (at != m.end() && at->second.fields.empty()) m.erase(at);
  }
  void rename(DbIndex db, const Key& key, ModelDatabase& m) {
    const std::string from(key.bytes), to = some_key();
    const auto at = m.find(from);
    if (at == m.end() || from == to) return;
    store_.rename(db, key, store_.key(to));
    m[to] = at->second;
    m.erase(from);
  }
  void move(DbIndex db, const Key& key, ModelDatabase& m) {
    const std::string name(key.bytes);
    const auto to = static_cast<DbIndex>(prng_.below(store_.databases()));
    const auto at = m.find(name);
    if (at == m.end() || to == db || model[to].count(name) > 0) return;
    store_.move(db, key, to);
    model[to][name] = at->second;
    m.erase(name);
  }
  void copy(DbIndex db, const Key& key, ModelDatabase& m) {
    const std::string from(key.bytes), to = some_key();
    const auto into = static_cast<DbIndex>(prng_.below(store_.databases()));
    const auto at = m.find(from);
    if (at == m.end() || (into == db && from == to)) return;
    store_.copy(db, key, into, store_.key(to));
    const ModelValue copied = at->second;
    model[into][to] = copied;
  }

 public:
  size_t wrong_answers = 0;

 private:
  Store& store_;
  Prng& prng_;
  size_t key_count_;
};

/// What the store holds, as a model.
inline Model model_of(const Store& store) {
  Model m(store.databases());
  for (DbIndex db = 0; db < store.databases(); ++db)
    store.for_each(db, [&](const Entry& e) { m[db].emplace(e.key(), value_of(e)); });
  return m;
}

}  // namespace hf::store::test
