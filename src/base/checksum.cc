// Thin wrappers: libxxhash does the work.
#include "base/checksum.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"
#include "base/prng.h"

namespace hf {

uint64_t sum64(Bytes bytes, uint64_t seed) { return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed); }

Sum128 sum128(Bytes bytes) {
  const XXH128_hash_t h = XXH3_128bits(bytes.data(), bytes.size());
  return {h.low64, h.high64};
}

std::string to_hex(Sum128 sum) {
  constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (const uint64_t word : {sum.high, sum.low})
    for (int shift = 60; shift >= 0; shift -= 4) out += digits[(word >> shift) & 15];
  return out;
}

Sum128Stream::Sum128Stream() : state_(XXH3_createState()) {
  HF_CHECK(state_ != nullptr);
  XXH3_128bits_reset(static_cast<XXH3_state_t*>(state_));
}
Sum128Stream::~Sum128Stream() { XXH3_freeState(static_cast<XXH3_state_t*>(state_)); }
void Sum128Stream::update(Bytes bytes) {
  XXH3_128bits_update(static_cast<XXH3_state_t*>(state_), bytes.data(), bytes.size());
}
Sum128 Sum128Stream::digest() const {
  const XXH128_hash_t h = XXH3_128bits_digest(static_cast<const XXH3_state_t*>(state_));
  return {h.low64, h.high64};
}

Sum64Stream::Sum64Stream() : state_(XXH3_createState()) {
  HF_CHECK(state_ != nullptr);
  XXH3_64bits_reset(static_cast<XXH3_state_t*>(state_));
}
Sum64Stream::~Sum64Stream() { XXH3_freeState(static_cast<XXH3_state_t*>(state_)); }
void Sum64Stream::update(Bytes bytes) {
  XXH3_64bits_update(static_cast<XXH3_state_t*>(state_), bytes.data(), bytes.size());
}
uint64_t Sum64Stream::digest() const {
  return XXH3_64bits_digest(static_cast<const XXH3_state_t*>(state_));
}

KeyHash::KeyHash(uint64_t seed) {
  Prng prng(seed);
  for (char& c : secret_) c = static_cast<char>(prng.next());
}

uint64_t KeyHash::operator()(Bytes key) const {
  return XXH3_64bits_withSecret(key.data(), key.size(), secret_.data(), secret_.size());
}

}  // namespace hf
