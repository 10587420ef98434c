// A table's growth and shrinking are paid by each insert and delete, counted and not timed: no pause, whatever its size.
#include "store/table.h"

#include <catch2/catch.hpp>
#include <vector>

using namespace hf;
using store::Entry;
using store::Slot;
using store::Table;

TEST_CASE("an insert or a delete moves one bucket at most, whatever the size of the table") {
  const KeyHash key_hash(1);
  store::Context context{{}, key_hash};
  Prng prng(1);
  // Stand-ins that are never read: between 2^8 and 2^24 buckets a table moves by the bits of the hash that it keeps.
  constexpr size_t n = 300'000;
  std::vector<uint64_t> places(n), hashes(n);
  size_t largest_step = 0, buckets = 0;
  Table table(context);
  CHECK(table.reserve_some(2000, n));
  buckets = table.buckets();
  const auto look = [&] {
    const size_t now = table.buckets();
    largest_step = std::max(largest_step, now > buckets ? now - buckets : buckets - now);
    buckets = now;
  };
  for (size_t i = 0; i < n; ++i) {
    hashes[i] = prng.next();
    table.insert(hashes[i], reinterpret_cast<Entry*>(&places[i]), false);
    look();
  }
  CHECK(buckets > n / 5);
  for (size_t i = 0; i < n; ++i) {
    Slot* slot = table.random(prng);
    REQUIRE(slot != nullptr);
    const auto place = static_cast<size_t>(reinterpret_cast<uint64_t*>(slot->entry()) - places.data());
    table.erase(slot, hashes[place]);
    look();
  }
  CHECK(buckets <= 2);
  CHECK(largest_step == 1);
}
