// Strings and hashes one call at a time: codings, Redis's encoding names, in-place overwrites, sizes.
#include <catch2/catch.hpp>

#include "store/store.h"
#include "store/varint.h"

using namespace hf;
using namespace hf::store;

namespace {

std::string text(const Store& store, Bytes key, DbIndex db = 0) {
  const Entry* e = store.find(db, store.key(key));
  if (e == nullptr) return "(none)";
  Scratch scratch;
  return std::string(e->string(scratch));
}
std::string encoding(const Store& store, Bytes key) { return store.find(0, store.key(key))->encoding(); }

}  // namespace

TEST_CASE("a string is kept as an integer, embedded or raw, as Redis names them") {
  Store store({});
  const Key k = store.key("k");
  for (const Bytes integer : {"0", "-1", "123", "9223372036854775807", "-9223372036854775808"}) {
    store.set_string(0, k, integer);
    CHECK(encoding(store, "k") == "int");
    CHECK(text(store, "k") == integer);
  }
  for (const Bytes other : {"", "-", "-0", "007", "+1", "1 ", "9223372036854775808", "1.0", "abc"}) {
    store.set_string(0, k, other);
    CHECK(encoding(store, "k") == "embstr");
    CHECK(text(store, "k") == other);
  }
  store.set_string(0, k, std::string(44, 'x'));
  CHECK(encoding(store, "k") == "embstr");
  store.set_string(0, k, std::string(45, 'x'));
  CHECK(encoding(store, "k") == "raw");
  store.set_string(0, k, std::string(100000, 'x'));
  CHECK(encoding(store, "k") == "raw");
  CHECK(store.find(0, k)->string_size() == 100000);
  store.set_string(0, k, "17");
  CHECK(store.find(0, k)->integer() == 17);
  std::memcpy(store.resize_string(0, k, 3) + 2, "x", 1);
  CHECK(text(store, "k") == "17x");
  CHECK(encoding(store, "k") == "raw");
}

TEST_CASE("a key of 16 bytes with a string of 32 takes 56 bytes, 64 with an expiry") {
  Store store({});
  const Key k = store.key("0123456789abcdef");
  store.set_string(0, k, std::string(32, 'v'));
  CHECK(store.find(0, k)->memory_bytes() == 56);
  store.set_expiry(0, k, 1000);
  CHECK(store.find(0, k)->memory_bytes() == 64);
  CHECK(text(store, k.bytes) == std::string(32, 'v'));
}

TEST_CASE("overwriting with a value that fits keeps the entry where it is") {
  Store store({});
  const Key k = store.key("0123456789abcdef");
  store.set_string(0, k, std::string(32, 'a'), 4000);
  const Entry* before = store.find(0, k);
  store.set_string(0, k, std::string(30, 'b'), 5000);
  CHECK(store.find(0, k) == before);
  CHECK(before->expire_at() == 5000);
  CHECK(text(store, k.bytes) == std::string(30, 'b'));
  store.set_string(0, k, "12");
  CHECK(store.find(0, k)->expire_at() == no_expiry);
  CHECK(text(store, k.bytes) == "12");
  CHECK(store.size_with_expiry(0) == 0);
}

TEST_CASE("keys longer than the header can say are kept whole") {
  Store store({});
  for (const size_t size : {size_t{65534}, size_t{65535}, size_t{65536}, size_t{300000}}) {
    const std::string bytes(size, 'k');
    const Key k = store.key(bytes);
    store.set_string(0, k, "v");
    store.set_expiry(0, k, 77);
    CHECK(text(store, bytes) == "v");
    store.set_string(0, k, "5", 88);
    CHECK(store.find(0, k)->expire_at() == 88);
    store.set_expiry(0, k, no_expiry);
    CHECK(text(store, bytes) == "5");
    std::string encoded;
    encode_entry(*store.find(0, k), encoded);
    CHECK(store.load_entry(1, encoded).ok());
    CHECK(text(store, bytes, 1) == "5");
  }
}

TEST_CASE("resizing a string keeps what fits and zeroes what is new") {
  Store store({});
  const Key k = store.key("k");
  std::string model;
  store.set_expiry(0, k, 9);
  for (const size_t size : {5u, 3u, 40u, 4096u, 4097u, 9000u, 100u, 70000u, 10u, 0u, 1u}) {
    char* data = store.resize_string(0, k, size);
    model.resize(size, '\0');
    CHECK(text(store, "k") == model);
    if (size > 0) data[size - 1] = model[size - 1] = static_cast<char>('a' + size % 26);
  }
  store.set_expiry(0, k, 1234);
  store.resize_string(0, k, 8000);
  CHECK(store.find(0, k)->expire_at() == 1234);
}

TEST_CASE("appending byte by byte costs few reallocations") {
  Store store({});
  const Key k = store.key("k");
  const Entry* last = nullptr;
  size_t moves = 0;
  for (size_t size = 1; size <= 100000; ++size) {
    store.resize_string(0, k, size)[size - 1] = 'x';
    const Entry* e = store.find(0, k);
    moves += e != last;
    last = e;
  }
  CHECK(moves < 60);
  CHECK(text(store, "k") == std::string(100000, 'x'));
}

TEST_CASE("a hash is packed while small, a table once it has too many fields or too long a one") {
  Store store({});
  const Key k = store.key("h");
  {
    HashEdit edit = store.edit_hash(0, k);
    for (int i = 0; i < 128; ++i) CHECK(edit.set("f" + std::to_string(i), "v"));
    CHECK_FALSE(edit.set("f5", "other"));
  }
  CHECK(encoding(store, "h") == "listpack");
  { CHECK(store.edit_hash(0, k).set("one more", "v")); }
  CHECK(encoding(store, "h") == "hashtable");
  CHECK(store.find(0, k)->hash_size() == 129);
  CHECK(store.find(0, k)->hash_get("f5") == "other");
  { CHECK(store.edit_hash(0, store.key("long")).set("f", std::string(65, 'v'))); }
  CHECK(encoding(store, "long") == "hashtable");
}

TEST_CASE("a hash left empty is removed") {
  Store store({});
  const Key k = store.key("h");
  { store.edit_hash(0, k).set("f", "v"); }
  {
    HashEdit edit = store.edit_hash(0, k);
    CHECK(edit.erase("f"));
    CHECK_FALSE(edit.erase("f"));
    CHECK(edit.size() == 0);
  }
  CHECK(store.find(0, k) == nullptr);
  {
    HashEdit edit = store.edit_hash(0, k);
    CHECK_FALSE(edit.erase("f"));
  }
  CHECK(store.size(0) == 0);
}

TEST_CASE("all memory is given back once everything is removed and freed") {
  Store store({});
  const size_t empty = store.memory_bytes();
  for (int i = 0; i < 3000; ++i) {
    const std::string name = std::to_string(i);
    store.set_string(0, store.key("s" + name), std::string(static_cast<size_t>(i * 3), 'x'), i);
    store.edit_hash(0, store.key("h")).set(name, name);
  }
  CHECK(store.memory_bytes() > 3000 * 3000);
  store.flush_all();
  while (store.free_some(100)) {}
  CHECK(store.memory_bytes() == empty);
}

TEST_CASE("a hash made at once takes what its bytes need, and fills up in place") {
  Store store({});
  const Key k = store.key("task:000000000001");
  const std::vector<std::pair<Bytes, Bytes>> fields = {{"status", "RUNNING"}, {"owner", "worker-17"}, {"step", "1"}};
  size_t room = 0, bytes = 8 + k.bytes.size() + 2;
  for (const auto& [field, value] : fields) {
    room += HashEdit::packed_size(field, value);
    bytes += 2 + field.size() + value.size();
  }
  {
    HashEdit edit = store.edit_hash(0, k, room);
    const Entry* first = nullptr;
    for (const auto& [field, value] : fields) {
      edit.set(field, value);
      if (first == nullptr) first = store.find(0, k);
      CHECK(store.find(0, k) == first);
    }
  }
  CHECK(store.find(0, k)->memory_bytes() == (bytes + 7) / 8 * 8);
  CHECK(store.find(0, k)->hash_get("owner") == Bytes("worker-17"));
}

TEST_CASE("a small hash has 65,535 fields at most, however many the options allow") {
  Store store({.hash_packed_entries_max = 1000000});
  for (const size_t fields : {size_t{300}, size_t{65535}, size_t{65536}}) {
    const std::string name_of_hash = "h" + std::to_string(fields);
    const Key k = store.key(name_of_hash);
    std::string encoded(1, static_cast<char>(Type::Hash));
    put_varint(encoded, fields);
    for (size_t i = 0; i < fields; ++i) {
      const std::string name = std::to_string(i);
      put_varint(encoded, name.size());
      encoded += name;
      put_varint(encoded, 1);
      encoded += "v";
    }
    REQUIRE(store.load_value(0, k, encoded, no_expiry).ok());
    CHECK(store.find(0, k)->encoding() == Bytes(fields < 65536 ? "listpack" : "hashtable"));
    CHECK(store.find(0, k)->hash_size() == fields);
    CHECK(store.edit_hash(0, k).set("one more", "v"));
    CHECK(store.find(0, k)->encoding() == Bytes(fields < 65535 ? "listpack" : "hashtable"));
    CHECK(store.find(0, k)->hash_size() == fields + 1);
  }
}
