// How a replica goes on: a pure function of two histories and what either side holds. Who reads files and who
// sends bytes is not its business.
#pragma once
#include <optional>
#include <string>
#include <variant>

#include "base/bytes.h"
#include "base/history.h"
#include "base/types.h"

namespace hf::replication {

/// What a node has of a log.
struct Holding {
  std::string cluster_id;  ///< empty: nothing at all yet
  History history;
  LogOffset begin;  ///< the log reaches back to here; of a replica: it can go back to here
  LogOffset end;    ///< behind the last frame
};

/// Both have the same up to the replica's end: the log goes on from there.
struct Continue {
  LogOffset from;
  bool operator==(const Continue&) const = default;
};
/// The replica holds something behind `at` that the primary does not: it saves that, cuts its log there and
/// asks again.
struct Diverged {
  LogOffset at;
  bool operator==(const Diverged&) const = default;
};
/// The replica needs a snapshot; `why` is a sentence for people.
struct Full {
  std::string why;
  bool operator==(const Full&) const = default;
};
using Verdict = std::variant<Continue, Diverged, Full>;

/// The end of what both logs have alike, as far as their histories tell. Empty: nothing is known to be.
std::optional<LogOffset> shared_end(const Holding& primary, const Holding& replica);

Verdict judge(const Holding& primary, const Holding& replica);

/// "at offset 42: ..." for logs.
std::string describe(const Verdict& verdict);

}  // namespace hf::replication
