// Checkpoints: immutable versions of a run's progress, full ones and deltas that name their base, and the
// rules about them: what the sum covers, which versions make a chain, which ones are kept.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/types.h"

namespace hf::task {

/// Large bytes, shared and never changed: copies of a task, walks and replies hold the same ones.
using Blob = std::shared_ptr<const std::string>;

struct Checkpoint {
  uint64_t version = 0;
  uint64_t base = 0;  ///< the version this is a delta on; 0: a full one
  int64_t step = 0;
  WallMs at = 0;
  Token token;
  Sum128 sum;
  std::string meta, tag;
  Blob payload;  ///< never null
};
/// Heap held, payload included.
size_t memory_bytes(const Checkpoint& checkpoint);

/// Of one run, versions rising. Shared between a run and the one that restarted it.
using Checkpoints = std::vector<std::shared_ptr<const Checkpoint>>;

/// XXH3-128 over the payload, then the step as 8 bytes little endian, then the META bytes. A client that
/// sends SUM computes the same, and prints it as 32 hex digits, high half first.
Sum128 checkpoint_sum(Bytes payload, int64_t step, Bytes meta);
bool verify(const Checkpoint& checkpoint);
/// 32 hex digits in any case, or false.
bool parse_sum(Bytes hex, Sum128& sum);

const Checkpoint* find_version(const Checkpoints& all, uint64_t version);
/// What is needed to restore `version`: the full one first, `version` last. Empty: some of it is not there.
std::vector<const Checkpoint*> chain_of(const Checkpoints& all, uint64_t version);
/// Deltas since (and not counting) the latest full one.
size_t deltas_since_full(const Checkpoints& all);
/// Drops what is beyond the last `keep` chains (at least one), but of an older chain keeps what its tagged
/// versions need.
void trim_chains(Checkpoints& all, uint32_t keep);

}  // namespace hf::task
