// The list of reigns that made the log, oldest first. The log, snapshots, MANIFEST and replication all store
// or compare it, and none of them may know another: that is why this value type lives down here.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/types.h"

namespace hf {

/// 40 lower-case hex digits: names a reign (Redis's replication id) or a cluster.
constexpr size_t id_hex_digits = 40;
bool is_id(Bytes text);
/// The 20 bytes that `id` spells, as formats store it, and back. CHECK: is_id(id), 20 bytes.
std::string id_to_bytes(Bytes id);
std::string id_from_bytes(Bytes raw);

/// One primary's reign: it wrote everything from `first` until the next reign's `first`.
struct Reign {
  Epoch epoch;
  std::string id;   ///< is_id
  LogOffset first;  ///< where its epoch record begins
  bool operator==(const Reign&) const = default;
};

/// Epochs rise strictly and first offsets never fall. At most limits::history_reigns_max reigns are kept: the
/// oldest go first (a replica that still lives in one of those gets a full sync).
class History {
 public:
  const std::vector<Reign>& reigns() const { return reigns_; }
  bool empty() const { return reigns_.empty(); }
  /// CHECK: not empty.
  const Reign& last() const;
  /// False, and nothing added, when the reign does not follow the last one or its id is none.
  bool add(Reign reign);
  /// The reign that wrote the byte at `offset`; null when that is older than what is kept.
  const Reign* at(LogOffset offset) const;
  bool operator==(const History&) const = default;

  /// Binary form, as snapshot headers hold it: u32 count, then per reign u64 epoch, 20 bytes of id, u64 first
  /// offset (little-endian).
  void encode(std::string& out) const;
  /// Reads one history off the front of `in`; empty when the bytes are no history.
  static std::optional<History> decode(Bytes& in);

 private:
  std::vector<Reign> reigns_;
};

}  // namespace hf
