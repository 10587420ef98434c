// An audit, on either side: when the log is told to name an offset, the walk at that cut, what the sums of
// both sides mean, and what replicas have said of theirs. Time, frames and reports come in; the node asks
// what is to be logged, said and done. Nothing here knows a socket or the log.
//
//   primary:  Idle -> Asked -> Walking -> Summed -> Waiting -> Idle
//   replica:  a mark applied -> a walk; the walk's sums and the primary's -> a report
//   \-> forgotten, whatever it is doing, when the role or the log it belongs to changes
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "command/journal.h"
#include "command/server.h"
#include "node/effects.h"
#include "replication/audit.h"
#include "store/digest.h"
#include "store/store.h"

namespace hf::node {

class Audit {
 public:
  /// `store` must outlive it. A slice visits `entries_a_slice` at most.
  Audit(store::Store& store, size_t entries_a_slice) : store_(store), entries_a_slice_(entries_a_slice) {}

  // ---- as a primary
  /// Error: one is running.
  Status ask();
  bool running() const { return phase_ != Phase::Idle; }
  bool due(Now now, int64_t interval_s) const;
  /// The last thing before a frame is sealed: what an audit has to put into the log.
  void write(command::Journal& journal);
  /// The frame is sealed, and the store holds what the log says up to `end`: where a mark was written, the
  /// walk begins. True: it did.
  bool sealed(LogOffset end, Now now);
  /// A replica's report; `who` is "host:port". False: it is of another audit than the last one here, or
  /// nothing new.
  bool reported(const std::string& who, const replication::AuditReport& report);
  /// It reported that it differs and has not synced in full since: its log alone won't do.
  bool differed(const std::string& who) const;
  /// It has taken in all of this node's data. True: that heals what it reported.
  bool synced_in_full(const std::string& who);
  /// A replica that is linked: whether it must report.
  struct Member {
    std::string host;
    int port = 0;
    bool native = true;
    bool passes = false;   ///< the mark is part of what this link streams to it
    bool applied = false;  ///< it has applied the mark
    std::string who() const { return host + ":" + std::to_string(port); }
  };
  /// Looks whether anybody has yet to report: who is behind as well, as long as its link passes the mark.
  /// True once: the audit is over.
  bool settle(const std::vector<Member>& members, Now now);
  /// The line for the log when it is over.
  std::string summary(const std::vector<Member>& members) const;

  // ---- as a replica
  /// HOLDFAST.AUDIT was met in a frame being applied, and then: that frame is applied, up to its end.
  void marked() { met_mark_ = true; }
  void applied(LogOffset end, Now now);
  /// HOLDFAST.AUDITED was met. Error: it makes no sense.
  Status told(std::span<const Bytes> args);
  /// Once, when both sides' sums are here: what this replica found.
  std::optional<replication::AuditReport> take_report();
  /// The report is still to be sent over this link to the primary.
  bool report_due(ConnId link) const { return report_ && reported_to_ != link; }
  void report_sent(ConnId link) { reported_to_ = link; }
  const replication::AuditReport& report() const { return *report_; }
  /// This node's data is not its primary's: nobody is to be served from it. Until healed().
  bool distrusted() const { return distrusted_; }
  void healed();

  // ---- either
  /// A slice of the walk, when it is time for one; a small one while clients want something.
  void walk_some(Now now, bool busy);
  bool walking() const { return walk_ != 0; }
  /// Past `bytes_max` kept aside for it the walk is given up. True: it was.
  bool give_up_over(size_t bytes_max);
  /// The role changed, or the log went back: what was begun means nothing any more.
  void forget(Now now);
  MonoUs next_wake() const { return walk_ == 0 ? INT64_MAX : next_slice_us_; }
  command::AuditState state(const std::vector<Member>& members) const;
  /// The offset of the newest audit; 0: there was none.
  LogOffset at() const { return at_; }
  /// There was one: divergences in state().
  const replication::AuditReport& last_divergence() const { return last_divergence_; }
  const char* result() const;

 private:
  enum class Phase : uint8_t { Idle, Asked, Walking, Summed, Waiting };
  void begin(LogOffset at, Now now);
  void end_walk();
  void skip();
  const replication::AuditReport* report_of(const std::string& who) const;

  store::Store& store_;
  size_t entries_a_slice_;
  Phase phase_ = Phase::Idle;
  bool mark_written_ = false, met_mark_ = false;
  std::optional<LogOffset> mark_;  ///< of the frame applied last
  LogOffset at_;
  WallMs wall_ms_ = 0;
  MonoUs begun_us_ = -1, next_slice_us_ = 0;
  int64_t milliseconds_ = 0;
  bool leads_ = false;  ///< the newest audit is this node's own
  bool over_ = false;   ///< and it came to its end
  std::unique_ptr<store::WalkDigest> digest_;
  store::WalkId walk_ = 0;  ///< 0: none
  store::StateSums sums_;   ///< a primary's, until they are logged
  std::string total_;
  uint64_t keys_ = 0;
  replication::AuditMatch match_;
  std::optional<replication::AuditReport> report_;  ///< this replica's last
  std::optional<ConnId> reported_to_;
  bool distrusted_ = false;
  uint64_t divergences_ = 0;
  replication::AuditReport last_divergence_;
  std::map<std::string, replication::AuditReport> reports_;  ///< of the newest audit, by who
};

}  // namespace hf::node
