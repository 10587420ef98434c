// What the tests of dumps share: a store filled by a reader, golden dumps by name, and dumps put together by
// hand.
#pragma once
#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "base/little_endian.h"
#include "rdb/crc64.h"
#include "rdb/reader.h"
#include "rdb/writer.h"
#include "store/store.h"

namespace hf::rdb::test {

inline std::string golden(const std::string& name) {
  std::ifstream file("tests/rdb/golden/" + name, std::ios::binary);
  std::ostringstream out;
  out << file.rdbuf();
  INFO("tests/rdb/golden/" + name + "; run this from the project's folder");
  REQUIRE(out.str().size() > 0);
  return out.str();
}

/// A store, and everything a dump's reader said, as text in its order.
class Loaded : public StoreSink {
 public:
  explicit Loaded(uint32_t databases = 16) : Loaded(store::Options{.databases = databases}) {}
  explicit Loaded(store::Options options) : Loaded(std::make_unique<store::Store>(options)) {}

  Status auxiliary(Bytes name, Bytes value) override {
    notes[std::string(name)] = value;
    events += "aux " + std::string(name) + "=" + std::string(value) + "\n";
    return ok();
  }
  Status resize(DbIndex db, uint64_t keys, uint64_t expiring) override {
    events +=
        "resize " + std::to_string(db) + " " + std::to_string(keys) + " " + std::to_string(expiring) + "\n";
    return ok();
  }
  Status entry(DbIndex db, Bytes encoded) override {
    events += std::to_string(db) + " " + std::string(encoded) + "\n";
    largest = std::max(largest, encoded.size());
    return StoreSink::entry(db, encoded);
  }

  std::string text(const std::string& key, DbIndex db = 0) const {
    const store::Entry* e = store->find(db, store->key(key));
    if (e == nullptr) return "(absent)";
    store::Scratch scratch;
    return e->type() == store::Type::String ? std::string(e->string(scratch)) : "(no string)";
  }
  std::map<std::string, std::string> hash(const std::string& key, DbIndex db = 0) const {
    std::map<std::string, std::string> out;
    const store::Entry* e = store->find(db, store->key(key));
    if (e != nullptr && e->type() == store::Type::Hash)
      e->hash_for_each([&](Bytes field, Bytes value) { out.emplace(field, value); });
    return out;
  }

  std::unique_ptr<store::Store> store;
  std::map<std::string, std::string> notes;
  std::string events;
  size_t largest = 0;

 private:
  explicit Loaded(std::unique_ptr<store::Store> made) : StoreSink(*made), store(std::move(made)) {}
};

/// Feeds all of `dump` in pieces of `step` bytes and says that it ends.
inline void feed_all(Reader& reader, Bytes dump, size_t step = SIZE_MAX) {
  while (!dump.empty() && reader.phase() == Reader::Phase::Reading) {
    const size_t taken = reader.feed(dump.substr(0, step));
    dump.remove_prefix(taken);
  }
  reader.end_of_input();
}

/// A dump of that version around `body`, its sum right.
inline std::string dump_of(Bytes body, unsigned version = 10) {
  const std::string digits = std::to_string(version);
  std::string out = "REDIS" + std::string(4 - digits.size(), '0') + digits;
  out.append(body);
  out += '\xff';
  if (version >= 5) put_le(out, crc64(0, out));
  return out;
}

/// `text` as bytes, so that zeros in a literal count.
template <size_t n>
std::string raw(const char (&text)[n]) {
  return std::string(text, n - 1);
}
/// A short string as a dump has it: its length, then its bytes.
inline std::string str(Bytes text) {
  std::string out;
  if (text.size() < 64) {
    out += static_cast<char>(text.size());
  } else {
    out += static_cast<char>(0x40 | text.size() >> 8);
    out += static_cast<char>(text.size());
  }
  return out.append(text);
}

}  // namespace hf::rdb::test
