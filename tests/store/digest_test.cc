// The digest of a walk: its slices add up to the store's own, and a difference shows in its key's slice only.
#include <catch2/catch.hpp>

#include "store/digest.h"
#include "support.h"

using namespace hf;
using namespace hf::store;
using namespace hf::store::test;

namespace {

StateSums walked(Store& store, size_t slice = 7) {
  WalkDigest digest;
  const WalkId walk = store.begin_walk(digest);
  while (!store.walk_some(walk, slice)) {}
  CHECK(digest.total() == store.digest());
  return digest.sums();
}

void fill(Store& store, int keys, size_t large_bytes) {
  for (int i = 0; i < keys; ++i) {
    const std::string name = "key:" + std::to_string(i);
    const Key key = store.key(name);
    const DbIndex db = static_cast<DbIndex>(i % 3);
    if (i % 7 == 0) {
      HashEdit edit = store.edit_hash(db, key);
      for (int f = 0; f < (i % 5 == 0 ? 3000 : 3); ++f)
        edit.set("f" + std::to_string(f), std::to_string(i * f));
    } else {
      store.set_string(db, key, i % 11 == 0 ? std::string(large_bytes, 'x') : std::to_string(i),
                       i % 4 == 0 ? 1'000 + i : no_expiry);
    }
  }
}

}  // namespace

TEST_CASE("slices add up to the store's digest, whatever the table's hash and the walk's steps") {
  Store one({.databases = 3, .hash_seed = 1}),
      two({.databases = 3, .hash_seed = 2, .hash_packed_entries_max = 1});
  fill(one, 400, 200'000);
  fill(two, 400, 200'000);
  const StateSums sums = walked(one, 1);
  CHECK(sums == walked(two, 64));
  CHECK(sums.size() == 3);
  CHECK(total_of(sums) == one.digest());
}

TEST_CASE("a key that differs, lacks, or expires otherwise shows in its own slice, and in no other") {
  Store one({.databases = 3, .hash_seed = 1}), two({.databases = 3, .hash_seed = 2});
  fill(one, 400, 200'000);
  fill(two, 400, 200'000);
  const StateSums sound = walked(one);
  const auto differing = [&] {
    std::vector<std::pair<DbIndex, uint32_t>> found;
    const StateSums sums = walked(two);
    for (const auto& [db, slices] : sums)
      for (uint32_t i = 0; i < digest_slices; ++i)
        if (slices[i] != sound.at(db)[i]) found.emplace_back(db, i);
    return found;
  };
  using Found = std::vector<std::pair<DbIndex, uint32_t>>;
  CHECK(differing().empty());
  two.set_string(1, two.key("key:1"), "another");
  CHECK(differing() == Found{{1, slice_of("key:1")}});
  two.set_string(1, two.key("key:1"), "1");
  CHECK(differing().empty());
  CHECK(two.remove(2, two.key("key:35")));  // a large hash
  CHECK(differing() == Found{{2, slice_of("key:35")}});
  HashEdit(two.edit_hash(2, two.key("key:35"))).set("f0", "0");
  CHECK(differing() == Found{{2, slice_of("key:35")}});
  Store three({.databases = 3, .hash_seed = 3});
  fill(three, 400, 200'000);
  three.set_expiry(0, three.key("key:33"), 77);  // a large string
  const StateSums other = walked(three);
  CHECK(other.at(0)[slice_of("key:33")] != sound.at(0)[slice_of("key:33")]);
}

TEST_CASE("a digest's work rises with fields and bytes, so that slices end in time") {
  Store store({.databases = 1, .hash_seed = 1});
  WalkDigest small, large;
  store.set_string(0, store.key("a"), "1");
  WalkId walk = store.begin_walk(small);
  while (!store.walk_some(walk, 10)) {}
  {
    HashEdit edit = store.edit_hash(0, store.key("h"));
    for (int i = 0; i < 500; ++i) edit.set("f" + std::to_string(i), "v");
  }
  store.set_string(0, store.key("b"), std::string(1'000'000, 'x'));
  walk = store.begin_walk(large);
  while (!store.walk_some(walk, 10)) {}
  CHECK(small.work() >= 100);
  CHECK(small.work() < 1'000);
  CHECK(large.work() > 100'000);
}
