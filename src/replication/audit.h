// The audit's decisions: are two states the same, and what a replica makes of what the log tells it. A
// primary names an offset by a record in its log, HOLDFAST.AUDIT, the last of its frame: whoever applies that
// frame holds, at that moment, the state at that offset. The sums of the primary's state follow, when its
// walk is done, in HOLDFAST.AUDITED. So a link that breaks, a replica that is behind or one below another
// need nothing of their own. src/replication/ FORMAT.md gives the bytes.
#pragma once
#include <optional>
#include <span>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "base/types.h"
#include "store/digest.h"

namespace hf::replication {

constexpr Bytes audit_mark = "HOLDFAST.AUDIT";
constexpr Bytes audit_sums = "HOLDFAST.AUDITED";
/// Of what a state's sums are made. Another version's can't be compared, and are not.
constexpr uint64_t audit_version = 1;

/// Where two states differ: the lowest database, in it the lowest slice, and how many slices in all.
struct Difference {
  DbIndex db = 0;
  uint32_t slice = 0;
  uint64_t slices = 0;
  bool operator==(const Difference&) const = default;
};
std::optional<Difference> compare(const store::StateSums& ours, const store::StateSums& theirs);

std::string encode_sums(const store::StateSums& sums);
/// Empty: not what encode_sums writes.
std::optional<store::StateSums> decode_sums(Bytes in);

/// Skipped: it could not compare. Healed: it differed, and has taken in all of its primary's data since.
enum class Finding : uint8_t { Agrees, Differs, Skipped, Healed };
/// "agrees", "differs", "skipped", "healed".
Bytes finding_name(Finding finding);
std::optional<Finding> finding_of(Bytes name);

/// What a replica found at an offset; it tells its primary in REPLCONF hfaudit.
struct AuditReport {
  LogOffset at;
  Finding finding = Finding::Agrees;
  Difference where;  ///< of Differs and Healed
  bool operator==(const AuditReport&) const = default;
};
/// "at offset 42: database 0, slice 17, and 3 more" for logs.
std::string describe(const AuditReport& report);

/// A replica's side. Its own walk and the primary's sums come in either order; a mark that comes before both
/// are here takes the place of the one before, whose sums may never come.
class AuditMatch {
 public:
  /// A frame that names its end was applied: a walk is to begin now, and one under way to be given up.
  void marked(LogOffset at) {
    at_ = at;
    own_.reset(), theirs_.reset();
  }
  /// The primary's sums; those of another offset are nobody's any more.
  void told(LogOffset at, store::StateSums sums) {
    if (at_ == at) theirs_ = std::move(sums);
  }
  void walked(store::StateSums sums) {
    if (at_) own_ = std::move(sums);
  }
  /// Nothing to compare: the log went back, or this node follows nobody.
  void forget() {
    at_.reset();
    own_.reset(), theirs_.reset();
  }
  /// Once, when both are here.
  std::optional<AuditReport> take_report();
  std::optional<LogOffset> at() const { return at_; }

 private:
  std::optional<LogOffset> at_;
  std::optional<store::StateSums> own_, theirs_;
};

}  // namespace hf::replication
