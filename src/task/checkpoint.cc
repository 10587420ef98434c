// See checkpoint.h.
#include "task/checkpoint.h"

#include <algorithm>

namespace hf::task {

size_t memory_bytes(const Checkpoint& c) {
  return sizeof(Checkpoint) + sizeof(std::shared_ptr<const Checkpoint>) + c.meta.size() + c.tag.size() +
         sizeof(std::string) + c.payload->size();
}

Sum128 checkpoint_sum(Bytes payload, int64_t step, Bytes meta) {
  char step_bytes[8];
  for (int i = 0; i < 8; ++i) step_bytes[i] = static_cast<char>(static_cast<uint64_t>(step) >> (8 * i));
  Sum128Stream stream;
  stream.update(payload);
  stream.update(Bytes(step_bytes, 8));
  stream.update(meta);
  return stream.digest();
}

bool verify(const Checkpoint& c) { return checkpoint_sum(*c.payload, c.step, c.meta) == c.sum; }

bool parse_sum(Bytes hex, Sum128& sum) {
  if (hex.size() != 32) return false;
  uint64_t halves[2] = {0, 0};
  for (size_t i = 0; i < 32; ++i) {
    const char c = lower(hex[i]);
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return false;
    halves[i / 16] = halves[i / 16] << 4 | static_cast<uint64_t>(digit);
  }
  sum = {.low = halves[1], .high = halves[0]};
  return true;
}

namespace {
size_t index_of(const Checkpoints& all, uint64_t version) {
  const auto at = std::lower_bound(all.begin(), all.end(), version,
                                   [](const auto& c, uint64_t v) { return c->version < v; });
  return at != all.end() && (*at)->version == version ? static_cast<size_t>(at - all.begin()) : all.size();
}
}  // namespace

const Checkpoint* find_version(const Checkpoints& all, uint64_t version) {
  const size_t i = index_of(all, version);
  return i == all.size() ? nullptr : all[i].get();
}

std::vector<const Checkpoint*> chain_of(const Checkpoints& all, uint64_t version) {
  std::vector<const Checkpoint*> chain;
  while (true) {
    const Checkpoint* c = find_version(all, version);
    if (c == nullptr) return {};
    chain.push_back(c);
    if (c->base == 0) break;
    version = c->base;  // always below the version itself: this ends
  }
  std::reverse(chain.begin(), chain.end());
  return chain;
}

size_t deltas_since_full(const Checkpoints& all) {
  size_t n = 0;
  for (auto c = all.rbegin(); c != all.rend() && (*c)->base != 0; ++c) ++n;
  return n;
}

void trim_chains(Checkpoints& all, uint32_t keep) {
  size_t fulls = 0, kept_from = all.size();
  while (kept_from > 0 && fulls < std::max<uint32_t>(keep, 1))
    if (all[--kept_from]->base == 0) ++fulls;
  if (kept_from == 0) return;
  // In what is older, a version stays when it or a later one of its chain is tagged.
  Checkpoints kept;
  bool needed = false;
  for (size_t i = kept_from; i-- > 0;) {
    needed = needed || !all[i]->tag.empty();
    if (needed) kept.push_back(all[i]);
    if (all[i]->base == 0) needed = false;
  }
  std::reverse(kept.begin(), kept.end());
  kept.insert(kept.end(), all.begin() + static_cast<ptrdiff_t>(kept_from), all.end());
  all = std::move(kept);
}

}  // namespace hf::task
