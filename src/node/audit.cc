// A walk of an audit is nobody's hurry: a slice every two milliseconds, so that it has a tenth of the loop.
#include "node/audit.h"

#include <algorithm>
#include <cstdio>

#include "base/limits.h"
#include "base/number.h"
#include "base/planted.h"

namespace hf::node {

namespace {

constexpr MonoUs slice_every_us = 2'000;
// WalkDigest::work of a slice: about a fifth of a millisecond. It is looked at between steps.
constexpr uint64_t slice_work = 200'000;
constexpr size_t entries_a_step = 16;
constexpr size_t busy_share = 4;

}  // namespace

// ---- as a primary -----------------------------------------------------------------------------------------

Status Audit::ask() {
  if (running())
    return Error{at_.value == 0 || phase_ == Phase::Asked
                     ? "an audit is about to begin already; REPLICATION AUDIT STATUS shows it"
                     : "the audit at offset " + std::to_string(at_.value) +
                           " is not over yet; REPLICATION AUDIT STATUS shows who has still to report"};
  phase_ = Phase::Asked;
  return ok();
}

bool Audit::due(Now now, int64_t interval_s) const {
  return interval_s > 0 && !running() &&
         now.mono_us - std::max<MonoUs>(0, begun_us_) >= interval_s * 1'000'000;
}

void Audit::write(command::Journal& journal) {
  if (phase_ == Phase::Summed) {
    journal.append(0,
                   {replication::audit_sums, std::to_string(at_.value),
                    std::to_string(replication::audit_version), replication::encode_sums(sums_)},
                   false);
    sums_.clear();
    phase_ = Phase::Waiting;
  } else if (phase_ == Phase::Asked) {
    journal.append(0, {replication::audit_mark}, false);
    mark_written_ = true;
  }
}

bool Audit::sealed(LogOffset end, Now now) {
  if (!mark_written_) return false;
  mark_written_ = false;
  leads_ = true;
  begin(end, now);
  phase_ = Phase::Walking;
  return true;
}

bool Audit::reported(const std::string& who, const replication::AuditReport& report) {
  if (report.at != at_ || at_.value == 0) return false;
  if (reports_.size() >= limits::audit_reports_max && reports_.count(who) == 0) return false;
  const auto [known, fresh] = reports_.try_emplace(who, report);
  if (fresh) return true;
  // Behind its full sync it may come by the same offset again, and agree there.
  const bool mended = report.finding == replication::Finding::Agrees &&
                      (known->second.finding == replication::Finding::Differs ||
                       known->second.finding == replication::Finding::Healed);
  const replication::Finding finding = mended ? replication::Finding::Healed : report.finding;
  if (known->second.finding == finding) return false;
  if (!mended) known->second.where = report.where;
  known->second.finding = finding;
  return true;
}

const replication::AuditReport* Audit::report_of(const std::string& who) const {
  const auto found = reports_.find(who);
  return found == reports_.end() ? nullptr : &found->second;
}

bool Audit::settle(const std::vector<Member>& members, Now now) {
  if (phase_ != Phase::Waiting) return false;
  for (const Member& member : members)
    if (member.native && member.passes && report_of(member.who()) == nullptr) return false;
  phase_ = Phase::Idle;
  over_ = true;
  milliseconds_ = (now.mono_us - begun_us_) / 1000;
  return true;
}

const char* Audit::result() const {
  if (running()) return "running";
  if (at_.value == 0) return "none";
  if (!leads_) {
    const bool found = report_ && report_->at == at_;
    return found ? replication::finding_name(report_->finding).data() : match_.at() ? "running" : "given-up";
  }
  const auto any = [&](replication::Finding finding) {
    return std::any_of(reports_.begin(), reports_.end(),
                       [&](const auto& each) { return each.second.finding == finding; });
  };
  if (any(replication::Finding::Differs)) return "differs";
  if (any(replication::Finding::Healed)) return "healed";
  return any(replication::Finding::Agrees) ? "agrees" : !over_ ? "given-up" : "unanswered";
}

std::string Audit::summary(const std::vector<Member>& members) const {
  size_t agree = 0, silent = 0;
  for (const Member& member : members) silent += member.native && report_of(member.who()) == nullptr ? 1 : 0;
  for (const auto& [who, report] : reports_) agree += report.finding == replication::Finding::Agrees ? 1 : 0;
  char text[200];
  std::snprintf(
      text, sizeof text,
      "Audit at offset %llu: %zu of %zu replicas that answered agree (%llu keys, digest %s, %.2f s)",
      static_cast<unsigned long long>(at_.value), agree, reports_.size(),
      static_cast<unsigned long long>(keys_), total_.c_str(), static_cast<double>(milliseconds_) / 1000);
  if (silent == 0) return text;
  return text + ("; " + std::to_string(silent) + " linked since or not that far yet: not compared");
}

// ---- as a replica -----------------------------------------------------------------------------------------

void Audit::applied(LogOffset end, Now now) {
  if (std::exchange(met_mark_, false)) mark_ = end;
  if (!mark_ || (*mark_ == end && planted(Bug::AuditCutLate))) return;
  leads_ = false;
  phase_ = Phase::Idle;
  begin(*mark_, now);
  match_.marked(*mark_);
  mark_.reset();
}

Status Audit::told(std::span<const Bytes> args) {
  const auto at = args.size() == 4 ? parse_uint(args[1]) : std::nullopt;
  const auto version = args.size() == 4 ? parse_uint(args[2]) : std::nullopt;
  if (!at || !version) return Error{"a malformed " + std::string(replication::audit_sums)};
  if (*version != replication::audit_version) {
    skip();
    return ok();
  }
  auto sums = replication::decode_sums(args[3]);
  if (!sums) return Error{"the sums in " + std::string(replication::audit_sums) + " are malformed"};
  match_.told({*at}, std::move(*sums));
  return ok();
}

void Audit::healed() {
  if (!std::exchange(distrusted_, false)) return;
  report_ = last_divergence_;
  report_->finding = replication::Finding::Healed;
}

bool Audit::differed(const std::string& who) const {
  const replication::AuditReport* report = report_of(who);
  return report != nullptr && report->finding == replication::Finding::Differs;
}

bool Audit::synced_in_full(const std::string& who) {
  const auto found = reports_.find(who);
  if (found == reports_.end() || found->second.finding != replication::Finding::Differs) return false;
  found->second.finding = replication::Finding::Healed;
  return true;
}

std::optional<replication::AuditReport> Audit::take_report() {
  auto report = match_.take_report();
  if (!report) return {};
  report_ = report;
  reported_to_.reset();
  over_ = true;
  if (report->finding == replication::Finding::Differs) {
    ++divergences_;
    last_divergence_ = *report;
    distrusted_ = !planted(Bug::AuditServes);
  }
  return report;
}

// ---- either -----------------------------------------------------------------------------------------------

void Audit::begin(LogOffset at, Now now) {
  end_walk();
  at_ = at;
  wall_ms_ = now.wall_ms;
  begun_us_ = next_slice_us_ = now.mono_us;
  milliseconds_ = 0;
  over_ = false;
  reports_.clear();
  digest_ = std::make_unique<store::WalkDigest>();
  walk_ = store_.begin_walk(*digest_);
}

void Audit::end_walk() {
  if (walk_ != 0) store_.abort_walk(walk_);
  walk_ = 0;
  digest_.reset();
}

void Audit::walk_some(Now now, bool busy) {
  if (walk_ == 0 || now.mono_us < next_slice_us_) return;
  next_slice_us_ = now.mono_us + slice_every_us;
  const uint64_t share = busy ? busy_share : 1;
  const uint64_t stop_at = digest_->work() + slice_work / share;
  bool done = false;
  for (size_t left = std::max<size_t>(1, entries_a_slice_ / share);
       !done && left > 0 && digest_->work() < stop_at;) {
    const size_t step = std::min(left, entries_a_step);
    left -= step;
    done = store_.walk_some(walk_, step);
  }
  if (!done) return;
  walk_ = 0;
  keys_ = digest_->keys();
  total_ = to_hex(digest_->total());
  milliseconds_ = (now.mono_us - begun_us_) / 1000;
  if (leads_) {
    sums_ = digest_->sums();
    phase_ = Phase::Summed;
  } else {
    match_.walked(digest_->sums());
  }
  digest_.reset();
}

bool Audit::give_up_over(size_t bytes_max) {
  if (walk_ == 0 || store_.kept_for_walks_bytes() <= bytes_max) return false;
  end_walk();
  phase_ = Phase::Idle;
  if (!leads_) skip();
  return true;
}

/// What was asked for can't be said: the primary need not wait for it.
void Audit::skip() {
  end_walk();
  match_.forget();
  report_ = replication::AuditReport{.at = at_, .finding = replication::Finding::Skipped};
  reported_to_.reset();
}

void Audit::forget(Now now) {
  end_walk();
  match_.forget();
  mark_.reset();
  met_mark_ = mark_written_ = false;
  phase_ = Phase::Idle;
  begun_us_ = now.mono_us;  // a primary's first audit comes an interval behind its beginning
}

command::AuditState Audit::state(const std::vector<Member>& members) const {
  command::AuditState state;
  state.offset = at_.value;
  state.result = result();
  constexpr const char* phases[] = {"idle", "asked", "walking", "walking", "waiting"};
  state.phase = !leads_ && walk_ != 0 ? "walking" : phases[static_cast<size_t>(phase_)];
  state.wall_ms = wall_ms_;
  state.milliseconds = milliseconds_;
  state.keys = digest_ ? digest_->keys() : keys_;
  state.digest = digest_ ? "" : total_;
  state.divergences = divergences_;
  const auto add = [&](const std::string& host, int port, const replication::AuditReport& report) {
    state.replicas.push_back({host, port, std::string(replication::finding_name(report.finding)),
                              report.where.db, report.where.slice, report.where.slices});
  };
  auto reports = reports_;
  for (const Member& member : members) {
    const auto found = reports.find(member.who());
    if (found != reports.end()) {
      add(member.host, member.port, found->second);
      reports.erase(found);
      continue;
    }
    const char* why = !member.native    ? "not-audited"
                      : at_.value == 0  ? "none"
                      : !member.passes  ? "missed"
                      : !member.applied ? "behind"
                                        : "awaited";
    state.replicas.push_back({member.host, member.port, why});
  }
  for (const auto& [who, report] : reports) {  // gone since
    const size_t colon = who.rfind(':');
    add(who.substr(0, colon), static_cast<int>(parse_int(Bytes(who).substr(colon + 1)).value_or(0)), report);
  }
  return state;
}

}  // namespace hf::node
