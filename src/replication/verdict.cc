// A reign's number and id name who wrote a stretch of the log, and one reign writes an offset once: so two
// logs are the same as far as they name the same reigns, and up to the earlier end of the last reign that
// both name.
#include "replication/verdict.h"

#include <algorithm>

#include "base/planted.h"

namespace hf::replication {
namespace {

/// Where reign `i` of a history ends.
LogOffset reign_end(const Holding& holding, size_t i) {
  const auto& reigns = holding.history.reigns();
  return i + 1 < reigns.size() ? reigns[i + 1].first : holding.end;
}

}  // namespace

std::optional<LogOffset> shared_end(const Holding& primary, const Holding& replica) {
  if (replica.cluster_id.empty() || replica.cluster_id != primary.cluster_id) return {};
  const auto& ours = primary.history.reigns();
  const auto& theirs = replica.history.reigns();
  // The newest reign that both name; older ones may be forgotten on either side.
  for (size_t j = theirs.size(); j-- > 0;) {
    const auto same = std::find(ours.begin(), ours.end(), theirs[j]);
    if (same != ours.end())
      return std::min(reign_end(primary, static_cast<size_t>(same - ours.begin())), reign_end(replica, j));
  }
  return {};
}

Verdict judge(const Holding& primary, const Holding& replica) {
  if (replica.cluster_id.empty()) return Full{"the replica is empty"};
  if (replica.cluster_id != primary.cluster_id)
    return Full{"the replica belongs to another cluster (" + replica.cluster_id + ")"};
  if (replica.history.empty()) return Full{"the replica has no history"};
  const auto shared = shared_end(primary, replica);
  if (!shared) return Full{"the two histories have no reign in common"};
  const LogOffset common = *shared;
  if (common < primary.begin)
    return Full{"the log begins at offset " + std::to_string(primary.begin.value) +
                ", behind what the replica has (offset " + std::to_string(common.value) + ")"};
  if (common < replica.end && common < replica.begin)
    return Full{"the histories part at offset " + std::to_string(common.value) +
                ", and the replica can only go back to offset " + std::to_string(replica.begin.value)};
  if (common < replica.end && !planted(Bug::ChainNotChecked)) return Diverged{common};
  const auto& ours = primary.history.reigns();
  const bool has_last = std::find(replica.history.reigns().begin(), replica.history.reigns().end(),
                                  ours.back()) != replica.history.reigns().end();
  if (planted(Bug::PartialForgotten) && !has_last) return Full{"the primary has restarted"};
  return Continue{common};
}

std::string describe(const Verdict& verdict) {
  if (const auto* go_on = std::get_if<Continue>(&verdict))
    return "continues at offset " + std::to_string(go_on->from.value);
  if (const auto* diverged = std::get_if<Diverged>(&verdict))
    return "diverged at offset " + std::to_string(diverged->at.value);
  return "full sync: " + std::get<Full>(verdict).why;
}

}  // namespace hf::replication
