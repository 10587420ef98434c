// Sums over bytes: XXH3 (64 and 128 bits) from libxxhash, for frames, blocks, payloads and the keyspace's
// hash.
#pragma once
#include <array>
#include <cstdint>
#include <string>

#include "base/bytes.h"

namespace hf {

struct Sum128 {
  uint64_t low = 0, high = 0;
  bool operator==(const Sum128&) const = default;
};

uint64_t sum64(Bytes bytes, uint64_t seed = 0);
Sum128 sum128(Bytes bytes);
/// 32 hex digits, high half first: how `xxh128sum` prints it.
std::string to_hex(Sum128 sum);

/// A sum over several pieces, fed in order.
class Sum128Stream {
 public:
  Sum128Stream();
  ~Sum128Stream();
  Sum128Stream(const Sum128Stream&) = delete;
  Sum128Stream& operator=(const Sum128Stream&) = delete;
  void update(Bytes bytes);
  Sum128 digest() const;

 private:
  void* state_;
};

/// The same for sum64 with seed 0.
class Sum64Stream {
 public:
  Sum64Stream();
  ~Sum64Stream();
  Sum64Stream(const Sum64Stream&) = delete;
  Sum64Stream& operator=(const Sum64Stream&) = delete;
  void update(Bytes bytes);
  uint64_t digest() const;

 private:
  void* state_;
};

/// The keyspace's hash: XXH3-64 under a secret drawn at start, so that nobody outside can aim at one bucket.
class KeyHash {
 public:
  /// Fills the 192-byte secret from `seed` (random in production, chosen in the simulator).
  explicit KeyHash(uint64_t seed);
  uint64_t operator()(Bytes key) const;

 private:
  std::array<char, 192> secret_;
};

}  // namespace hf
