// Slabs: pieces that do not overlap, and memory that goes back.
#include "store/slabs.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <vector>

#include "base/prng.h"
#include "store/memory.h"

using namespace hf;
using namespace hf::store;

namespace {

struct Piece {
  unsigned char* at;
  size_t bytes;
  unsigned char mark;
  bool whole() const {
    for (size_t i = 0; i < bytes; ++i)
      if (at[i] != mark) return false;
    return true;
  }
};

}  // namespace

TEST_CASE("pieces of all sizes come and go, and none touches another") {
  Slabs slabs;
  Prng prng(7);
  std::vector<Piece> pieces;
  bool whole = true;
  // Up to 20,000 pieces, down to none, and again: slabs and chunks empty and are taken anew, for other sizes.
  for (int round = 0; round < 4; ++round) {
    const size_t bytes_max = round % 2 == 0 ? 512 : 96;
    for (int step = 0; step < 80000; ++step) {
      const bool filling = step < 40000;
      if (pieces.empty() || prng.below(100) < (filling ? 75u : 25u)) {
        const size_t bytes = 8 * (1 + prng.below(bytes_max / 8));
        Piece piece{static_cast<unsigned char*>(slabs.take(bytes)), bytes,
                    static_cast<unsigned char>(prng.below(256))};
        std::memset(piece.at, piece.mark, piece.bytes);
        pieces.push_back(piece);
      } else {
        std::swap(pieces[prng.below(pieces.size())], pieces.back());
        whole = whole && pieces.back().whole();
        slabs.give(pieces.back().at, pieces.back().bytes);
        pieces.pop_back();
      }
    }
    for (const Piece& piece : pieces) {
      whole = whole && piece.whole();
      slabs.give(piece.at, piece.bytes);
    }
    pieces.clear();
    // A slab for each size, and what of their chunks lies around them.
    CHECK(slabs.idle_bytes() <= size_t{8} << 20);
  }
  CHECK(whole);
}

TEST_CASE("a hundred thousand equal pieces lie in memory of their own size, two hundredths more at most") {
  Slabs slabs;
  for (const size_t bytes : {size_t{40}, size_t{56}, size_t{216}, size_t{504}}) {
    std::vector<void*> items(100000);
    for (void*& item : items) item = slabs.take(bytes);
    CHECK(slabs.idle_bytes() < items.size() * bytes / 50 + (size_t{1} << 20));
    for (void* item : items) slabs.give(item, bytes);
    CHECK(slabs.idle_bytes() <= size_t{5} << 20);
  }
}

TEST_CASE("a size class is the smallest that holds its size") {
  for (size_t size = 1; size < 70000; ++size) {
    const uint8_t c = Memory::class_of(size);
    if (Memory::bytes_of(c) < size || Memory::bytes_of(static_cast<uint8_t>(c - 1)) >= size) FAIL(size);
    const size_t roomy = Memory::bytes_of(Memory::roomy_class_of(size));
    if (roomy < size || roomy > size + std::max<size_t>(16, size / 4)) FAIL(size);
  }
  CHECK(Memory::bytes_of(Memory::class_of(217)) == 224);
  CHECK(Memory::bytes_of(Memory::class_of(513)) == 640);
  CHECK(Memory::bytes_of(Memory::class_of(size_t{1} << 38)) == size_t{1} << 38);
}
