// Audits in the turn: when one begins, what the log hears of it, and what follows from a finding. A replica
// whose data differs though its log is its primary's is served to nobody and replaced whole: the log could
// only bring it to the same place again. It keeps what it has until the primary's has come, so that a person
// may still choose it (REPLICAOF NO ONE) should the primary be lost in between.
#include <algorithm>

#include "base/number.h"
#include "node/info_section.h"
#include "node/inside.h"
#include "resp/writer.h"

namespace hf::node {

namespace {

// Of what snapshots may have copied aside: an audit gives way before it costs one.
constexpr int64_t share_of_copies = 4;

}  // namespace

// ---- as a primary -----------------------------------------------------------------------------------------

/// The log may grow now, and says all that happens to the data set.
bool ServerNode::Impl::may_audit() const {
  return persistence_.phase() == Persistence::Phase::Serving && persistence_.logging() &&
         !persistence_.following() && persistence_.reign_open() && persistence_.refuse_writes().empty() &&
         !import_ && !switchover_.pausing();
}

std::vector<Audit::Member> ServerNode::Impl::audit_members() const {
  return replicas_.audit_members(audit_.at());
}

Status ServerNode::Impl::begin_audit() {
  if (persistence_.following())
    return Error{"this node is a replica; ask its primary, " + upstream_.address().host + ":" +
                 std::to_string(upstream_.address().port)};
  if (!may_audit())
    return Error{
        "no audit can begin while this node loads, fails over or can't write its log; ask again later"};
  if (!replicas_.any_native())
    return Error{"there is nobody to audit: no replica that is a Holdfast is online"};
  return audit_.ask();
}

void ServerNode::Impl::audit_when_due(Effects& effects) {
  settle_audit();
  if (shutdown_asked_ || !audit_.due(now_, options_.audit_interval) || !may_audit() ||
      !replicas_.any_native())
    return;
  if (audit_.ask()) effects.again = true;
}

/// The last of this turn's frame: who applies the frame holds what this node holds when it is sealed.
void ServerNode::Impl::write_audit() {
  if (!audit_.running()) return;
  if (may_audit()) audit_.write(journal_);
}

void ServerNode::Impl::settle_audit() {
  const std::vector<Audit::Member> members = audit_members();
  if (!audit_.settle(members, now_)) return;
  const bool sound = Bytes(audit_.result()) != "differs";
  persistence_.say(sound ? LogLevel::Notice : LogLevel::Warning, audit_.summary(members));
}

void ServerNode::Impl::replica_audited(uint64_t client, std::span<const Bytes> words) {
  const Session* session = session_of(client);
  const auto who = session == nullptr ? std::nullopt : replicas_.who_is(session->id);
  const auto at = parse_uint(words[0]), slices = parse_uint(words[2]), db = parse_uint(words[3]),
             slice = parse_uint(words[4]);
  const auto finding = replication::finding_of(words[1]);
  if (!who || !at || !finding || !slices || !db || !slice || *db > UINT32_MAX ||
      *slice >= store::digest_slices)
    return;
  const replication::AuditReport report{
      {*at}, *finding, {static_cast<DbIndex>(*db), static_cast<uint32_t>(*slice), *slices}};
  // Its link streams on; what it then asks for is everything. By this end, so that the report is here.
  if (*finding == replication::Finding::Differs) replicas_.sync_in_full(session->id);
  if (!audit_.reported(*who, report)) return;
  if (*finding == replication::Finding::Differs)
    persistence_.say(LogLevel::Warning, "Replica " + *who + " holds other data than this node: audit " +
                                            replication::describe(report) + ". It syncs in full");
  settle_audit();
}

void ServerNode::Impl::replica_synced_in_full(const std::string& who) {
  if (!audit_.synced_in_full(who)) return;
  persistence_.say(LogLevel::Notice, "Replica " + who +
                                         " has taken in all of this node's data: what the audit at offset " +
                                         std::to_string(audit_.at().value) + " found in it is healed");
}

// ---- as a replica -----------------------------------------------------------------------------------------

void ServerNode::Impl::hear_audit(std::span<const Bytes> args) {
  if (args[0] == replication::audit_mark) return audit_.marked();
  if (args[0] != replication::audit_sums) return;
  if (const Status told = audit_.told(args); !told)
    persistence_.say(LogLevel::Warning, "An audit can't be made: the primary sent " + told.error().message);
}

void ServerNode::Impl::act_on_audit() {
  if (audit_.give_up_over(static_cast<size_t>(options_.snapshot_copy_bytes_max / share_of_copies))) {
    persistence_.say(LogLevel::Warning,
                     "The audit at offset " + std::to_string(audit_.at().value) +
                         " is given up here: changes kept too much of the old data aside for it");
    everyone_ready(audit_key);
  }
  const auto report = audit_.take_report();
  if (!report || report->finding != replication::Finding::Differs) return;
  persistence_.say(LogLevel::Warning,
                   "This replica's data differs from its primary's: audit " + replication::describe(*report) +
                       ". Nothing is served from it any more; all of it is replaced by a full sync");
  replicas_.drop_all(kill_);  // none of them is to begin with a snapshot of this
}

/// Also on each new link: the one before may have gone with the report on its way.
void ServerNode::Impl::report_audit(Session& link) {
  if (upstream_.stock() || !(upstream_.up() || upstream_.syncing()) || !audit_.report_due(link.id)) return;
  const replication::AuditReport& report = audit_.report();
  audit_.report_sent(link.id);
  resp::Writer(link.outbox.buffer(), 2)
      .command({"REPLCONF", "hfaudit", std::to_string(report.at.value),
                replication::finding_name(report.finding), std::to_string(report.where.slices),
                std::to_string(report.where.db), std::to_string(report.where.slice)});
}

// ---- either -----------------------------------------------------------------------------------------------

void ServerNode::Impl::forget_audit() {
  audit_.forget(now_);
  everyone_ready(audit_key);
}

/// Promoted by a person: better this data than none.
void ServerNode::Impl::keep_distrusted() {
  if (!audit_.distrusted()) return;
  persistence_.say(LogLevel::Warning,
                   "This node reigns with data that differed from its former primary's: audit " +
                       replication::describe(audit_.report()));
  audit_.healed();
}

/// What was served until the primary's data took its place is gone only now.
void ServerNode::Impl::settle_adopted() {
  if (!adopting_ || persistence_.phase() != Persistence::Phase::Serving) return;
  adopting_ = false;
  audit_.healed();
}

/// MASTERDOWN is what clients know to go elsewhere for.
void ServerNode::Impl::refuse_distrusted(Gate& gate) const {
  if (!audit_.distrusted()) return;
  gate.stale = "MASTERDOWN This replica's data differs from its primary's (audit " +
               replication::describe(audit_.report()) +
               ") and is being replaced by a full sync; read from the primary until then.";
}

void ServerNode::Impl::info_audit(Section& s, const command::AuditState& state) const {
  s.text("audit_state", state.phase).text("audit_last_result", state.result);
  if (state.offset > 0) {
    s.number("audit_last_offset", state.offset).number("audit_last_time", state.wall_ms / 1000);
    s.number("audit_last_milliseconds", state.milliseconds).number("audit_last_keys", state.keys);
  }
  if (!persistence_.following()) return;
  s.number("audit_divergences", state.divergences);
  s.number("audit_distrusted", int64_t{audit_.distrusted()});
  if (state.divergences > 0) s.text("audit_last_divergence", replication::describe(audit_.last_divergence()));
}

}  // namespace hf::node
