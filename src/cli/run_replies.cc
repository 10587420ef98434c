// The plan's other half: what each answer of the server leads to.
#include <algorithm>
#include <csignal>
#include <utility>

#include "base/number.h"
#include "cli/exit_codes.h"
#include "cli/run_plan.h"

namespace hf::cli {

using resp::Value;

namespace {

std::string text_of(const Value& record, Bytes name) {
  const Value* v = record.field(name);
  return v == nullptr || v->is_aggregate() ? "" : v->as_text();
}

int64_t int_of(const Value& record, Bytes name, int64_t otherwise) {
  const Value* v = record.field(name);
  return v == nullptr ? otherwise : v->as_int().value_or(otherwise);
}

bool is_final(const std::string& state) {
  return state == "SUCCESS" || state == "FAILED" || state == "CANCELLED";
}

const char kCheckpointVersion[] = "checkpoint version ";

bool asks_patience(Bytes code) {
  for (const char* later : {"LOADING", "BUSY", "TRYAGAIN", "MASTERDOWN", "CLUSTERDOWN", "NOREPLICAS",
                            "MISCONF", "OOM", "READONLY"})
    if (code == later) return true;
  return false;
}

}  // namespace

void RunPlan::on_reply(const Value& v, Millis now) {
  if (phase_ == Phase::Over) return;
  if (!asked_) return break_link("the server answered something that was not asked", now);
  const Request request = std::move(*asked_);
  asked_.reset();
  if (v.is_error() && got_refusal(request, v, now)) return;
  // Not before one serves: a replica, or a server that loads, answers too.
  if (std::exchange(told_away_, false)) say("connected again");
  switch (request.what) {
    case Ask::Get: return got_record(v, now);
    case Ask::Submit: return got_submitted(v, now);
    case Ask::Claim:
      // A server that does not wait must not be asked in a tight circle.
      claim_not_before_ = now - request.sent_at < 200 ? now + 200 : now;
      return got_claim(v, now);
    case Ask::Holder: return got_holder(v, now);
    case Ask::Chain: return got_chain(v, now);
    case Ask::Versions: return got_versions(v, now);
    case Ask::Payload: return got_payload(v, now);
    case Ask::Beat:
      if (!v.is_error()) lease_end_ = request.sent_at + lease_ms_;
      return got_beat(v, now);
    case Ask::Save: return got_saved(v, now);
    case Ask::Keep: return got_keep(v);
    case Ask::Verdict: return got_verdict(v, now);
    case Ask::After: return got_after(v, now);
  }
}

/// Errors that mean the same whatever was asked. False: the answer's own function decides.
bool RunPlan::got_refusal(const Request& r, const Value& v, Millis now) {
  const Bytes code = v.error_code();
  if (asks_patience(code)) {
    quiet_until_ = now + 300;
    if (r.what == Ask::Beat) beat_at_ = now;
    if (code == "READONLY" && s_.addresses > 1) {
      address_ = (address_ + 1) % s_.addresses;
      break_link("this server is a replica; the next of --servers is asked", now);
    }
    return true;
  }
  const bool under_lease = r.what == Ask::Beat || r.what == Ask::Save || r.what == Ask::Verdict;
  if (under_lease && (code == "FENCED" || code == "CANCELLED" || code == "FINAL" || code == "NORUN")) {
    lost(v.text, code == "FENCED" ? kExitTryLater : kExitServerError);
    return true;
  }
  if (code == "NOAUTH" || code == "NOPERM" || code == "WRONGPASS" ||
      v.text.find("unknown command") != std::string::npos) {
    if (program_) {
      quiet_until_ = now + 2000;  // a server set up anew; perhaps it is put right before the lease ends
      say("the server refuses us: " + v.text);
    } else {
      say(v.text + (code == "ERR" ? " (is it a Holdfast server?)" : ""));
      over(kExitServerError);
    }
    return true;
  }
  return false;
}

void RunPlan::lost(const std::string& why, int code) {
  claimed_ = false;
  prepared_.reset();
  look_in_out_ = false;
  if (!program_) {
    say("lost the run: " + why);
    return over(code);
  }
  if (lost_code_) return;
  lost_code_ = code;
  out_.push_back(effect::Say{"lost the run, the program is stopped: " + why});
  out_.push_back(effect::Signal{SIGTERM});
}

void RunPlan::got_record(const Value& v, Millis) {
  from_run_.clear();
  force_ = false;
  if (v.error_code() == "NORUN" || v.is_null()) return enter(Phase::Submit);
  if (v.is_error()) {
    say(v.text);
    return over(kExitServerError);
  }
  const std::string state = text_of(v, "state"), run = text_of(v, "run");
  if (!is_final(state)) {
    const bool elsewhere = state == "RUNNING" && text_of(v, "worker") != s_.worker;
    if (s_.fresh && !elsewhere) {
      say(run + " is cancelled; starting over (--fresh)");
      force_ = true;
      return enter(Phase::Submit);
    }
    run_ = run;
    if (const std::string queue = text_of(v, "queue"); !queue.empty()) queue_ = queue;
    joined_ = true;
    // Said before the first claim, which waits for a while.
    if (elsewhere && !tell_holder(v)) return;
    return enter(Phase::Claim);
  }
  if (state == "SUCCESS" && s_.once) {
    say(run + " has succeeded already (--once)");
    return over(kExitOk);
  }
  if (state != "SUCCESS" && !s_.fresh) {
    const std::string reason = text_of(v, "reason");
    say(run + " is " + state + (reason.empty() ? "" : " (" + reason + ")") +
        "; going on from its last checkpoint in a new run (--fresh starts over)");
    from_run_ = run;
    if (const std::string queue = text_of(v, "queue"); !queue.empty()) queue_ = queue;
  }
  enter(Phase::Submit);
}

void RunPlan::got_submitted(const Value& v, Millis now) {
  if (v.error_code() == "ACTIVE" || v.error_code() == "NORUN") {  // somebody was quicker: look again
    quiet_until_ = now + 50;
    return enter(Phase::Look);
  }
  if (v.is_error() || v.as_text().empty()) {
    say(v.as_text());
    return over(kExitServerError);
  }
  run_ = v.as_text();
  enter(Phase::Claim);
}

void RunPlan::got_claim(const Value& v, Millis now) {
  if (v.is_error()) {
    const Bytes code = v.error_code();
    if (code == "ERR" || code == "NORUN" || code == "WRONGTYPE") {
      say(v.text);
      return over(kExitServerError);
    }
    return enter(Phase::Waiting);  // held, paused, final: its record says which
  }
  if (!v.is_aggregate() || v.items.empty()) return enter(Phase::Waiting);
  const Value& record = v.items[0];
  if (text_of(record, "token").empty()) {
    say("the server's answer to TASK.CLAIM holds no token");
    return over(kExitBadData);
  }
  claimed(record, now);
}

void RunPlan::claimed(const Value& record, Millis now) {
  token_ = text_of(record, "token");
  attempt_ = text_of(record, "attempt");
  resources_ = text_of(record, "resources");
  lease_ms_ = std::max<Millis>(int_of(record, "lease_ms", lease_ms_), 50);
  beat_at_ = now + lease_ms_ / 5;
  lease_end_ = now + lease_ms_;
  claimed_ = true;
  end_ = End::None;
  stop_asked_ = false;
  signals_ = 0;
  told_holder_.clear();
  chain_again_ = fallback_looked_ = false;
  wanted_version_ = 0;
  candidates_.clear();
  look_in_out_ = true;
  enter(Phase::Chain);
  out_.push_back(effect::Adopt{run_});
}

void RunPlan::got_holder(const Value& v, Millis) {
  if (v.is_error() || v.is_null()) {
    say(v.is_null() ? run_ + " is gone" : v.text);
    return over(kExitServerError);
  }
  const std::string state = text_of(v, "state"), reason = text_of(v, "reason");
  if (is_final(state)) {
    say(run_ + " is " + state + (reason.empty() ? "" : " (" + reason + ")"));
    return over(state == "SUCCESS" ? kExitOk : kExitServerError);
  }
  const bool elsewhere = state == "RUNNING" && text_of(v, "worker") != s_.worker;
  if ((elsewhere || state == "PAUSED") && !tell_holder(v)) return;
  enter(Phase::Claim);
}

/// Says once why `record`'s run can't be had at once. False: nobody waits for it, and the wrapper is over.
bool RunPlan::tell_holder(const Value& record) {
  const std::string what = text_of(record, "state") == "PAUSED"
                               ? "is paused (TASK.RESUME " + run_ + " lets it go on)"
                               : "is held by worker " + text_of(record, "worker") + " (attempt " +
                                     text_of(record, "attempt") + ")";
  if (s_.no_wait) {
    say(run_ + " " + what + "; not waiting (--no-wait)");
    over(kExitTryLater);
    return false;
  }
  if (told_holder_ != what) say(run_ + " " + what + "; waiting for it");
  told_holder_ = what;
  return true;
}

void RunPlan::got_chain(const Value& v, Millis) {
  if (v.is_error()) return unverifiable(v.text);
  chain_.clear();
  fetched_ = 0;
  for (const Value& c : v.items) {
    Version one;
    one.content.version = static_cast<uint64_t>(int_of(c, "version", 0));
    one.content.step = int_of(c, "step", -1);
    one.content.meta = text_of(c, "meta");
    one.sum = text_of(c, "sum");
    if (one.content.version == 0 || one.sum.empty())
      return unverifiable("the server's answer to TASK.RESTORE is not understood");
    chain_.push_back(std::move(one));
  }
  if (wanted_version_ == 0 && !chain_.empty()) {
    version_ = chain_.back().content.version;
    step_ = chain_.back().content.step;
  } else if (wanted_version_ == 0) {
    version_ = 0;
    step_ = -1;
  }
  if (chain_again_ || wanted_version_ != 0) return enter(Phase::Fetch);
  look_in_out_ = true;
  enter(Phase::Leftovers);
}

void RunPlan::got_payload(const Value& v, Millis) {
  if (v.is_error() || v.is_null()) return unverifiable(v.is_null() ? "its bytes are gone" : v.text);
  Version& one = chain_[fetched_];
  one.content.payload = v.text;
  if (sum_of(one.content) != to_lower(one.sum))
    return unverifiable("version " + to_text(static_cast<int64_t>(one.content.version)) +
                        ": the sum does not match what arrived");
  ++fetched_;
}

void RunPlan::unverifiable(const std::string& why) {
  const uint64_t which = wanted_version_ != 0 ? wanted_version_ : version_;
  if (why.starts_with(kCheckpointVersion)) say(run_ + ": " + why);  // it names the version itself
  else
    say((which == 0 ? "the last checkpoint" : kCheckpointVersion + to_text(static_cast<int64_t>(which))) +
        " of " + run_ + " can't be used: " + why);
  if (s_.fallback) {
    wanted_version_ = 0;
    if (!fallback_looked_) {
      candidates_.assign(1, which);  // asks for the list of versions next
      return enter(Phase::Chain);
    }
    while (!candidates_.empty() && candidates_.back() >= which && which != 0) candidates_.pop_back();
    if (!candidates_.empty()) {
      wanted_version_ = candidates_.back();
      candidates_.pop_back();
      say("falling back to version " + to_text(static_cast<int64_t>(wanted_version_)));
      return enter(Phase::Chain);
    }
    say("no older one is kept; nothing was started (--fresh starts over)");
  } else {
    say("nothing was started; --fallback takes the newest one before it that can be verified");
  }
  give_up_restoring();
}

void RunPlan::give_up_restoring() {
  end_ = End::Release;
  end_code_ = kExitBadData;
  look_in_out_ = false;
  enter(Phase::Closing);
}

void RunPlan::got_versions(const Value& v, Millis) {
  uint64_t failed = candidates_.empty() ? 0 : candidates_[0];
  candidates_.clear();
  fallback_looked_ = true;
  for (const Value& c : v.items)
    if (const auto version = int_of(c, "version", 0); version > 0)
      candidates_.push_back(static_cast<uint64_t>(version));
  std::sort(candidates_.begin(), candidates_.end());
  // Where the server did not say which one it refused, it was the newest: that is what we asked for.
  if (failed == 0 && !candidates_.empty()) failed = candidates_.back();
  version_ = failed;
  while (!candidates_.empty() && candidates_.back() >= failed) candidates_.pop_back();
  if (candidates_.empty()) {
    say("no older one is kept; nothing was started (--fresh starts over)");
    return give_up_restoring();
  }
  if (v.items.size() > 0)
    version_ = std::max(version_, static_cast<uint64_t>(int_of(v.items.back(), "version", 0)));
  wanted_version_ = candidates_.back();
  candidates_.pop_back();
  say("falling back to version " + to_text(static_cast<int64_t>(wanted_version_)));
}

void RunPlan::got_beat(const Value& v, Millis now) {
  if (v.is_error()) return say("the server refuses a heartbeat: " + v.text);
  const std::string answer = v.as_text();
  if (!program_ || stop_asked_) return;
  if (answer == "CHECKPOINT") out_.push_back(effect::AskProgram{});
  if (answer == "PAUSE")
    stop_program(
        SIGTERM,
        run_ + " is asked to pause; the program has " + to_text(s_.grace_ms / 1000) + " s to save and stop",
        now);
  if (answer == "DRAIN")
    stop_program(
        SIGTERM,
        "this worker is drained; the program has " + to_text(s_.grace_ms / 1000) + " s to save and stop",
        now);
}

void RunPlan::got_saved(const Value& v, Millis now) {
  if (!prepared_) return;
  const Bytes code = v.error_code();
  if (code == "CHECKSUM" && ++save_tries_ < 3) {  // bytes changed on the way: the same again
    quiet_until_ = now + 100;
    return;
  }
  if (v.is_error()) {
    say("checkpoint " + prepared_->name + " was refused and is dropped: " + v.text);
    if (code == "BASE" && program_) out_.push_back(effect::AskProgram{});
  } else {
    version_ =
        static_cast<uint64_t>(std::max<int64_t>(v.as_int().value_or(0), static_cast<int64_t>(version_)));
    step_ = std::max(step_, prepared_->step);
    chain_again_ = true;
    keep_wanted_ = keep_wanted_ || (!prepared_->stored_at.empty() && phase_ != Phase::Leftovers);
  }
  out_.push_back(effect::Settle{prepared_->name});
  prepared_.reset();
  look_in_out_ = true;
}

void RunPlan::got_keep(const Value& v) {
  keep_wanted_ = false;
  if (v.is_error() || !v.is_aggregate() || v.items.empty()) return;
  effect::PruneStore prune{run_, {}};
  for (const Value& c : v.items) prune.keep.push_back(static_cast<uint64_t>(int_of(c, "version", 0)));
  out_.push_back(std::move(prune));
}

void RunPlan::got_verdict(const Value& v, Millis) {
  if (v.is_error()) {
    say("the server refuses the end of " + run_ + ": " + v.text);
    return over(end_code_ == 0 ? kExitServerError : end_code_);
  }
  claimed_ = false;
  switch (end_) {
    case End::Done: say(run_ + " done"); return over(end_code_, true);
    case End::Permanent: say(run_ + " failed for good: " + end_reason_); return over(end_code_);
    case End::Transient: return enter(Phase::Retry);
    default:
      // Any other code: the same command would meet the same obstacle.
      say(run_ + (end_code_ == kExitTryLater
                      ? " given back; the same command goes on from its last checkpoint"
                      : " given back, unfinished"));
      return over(end_code_);
  }
}

void RunPlan::got_after(const Value& v, Millis) {
  const std::string state = v.is_error() ? "" : text_of(v, "state");
  if (state != "DELAYED" && state != "PENDING" && state != "RUNNING") {
    say(run_ + " failed: " + end_reason_ + (state.empty() ? "" : "; it is " + state));
    return over(end_code_);
  }
  say(run_ + ": attempt " + attempt_ + " failed (" + end_reason_ + "); trying again, " +
      text_of(v, "retry_count") + " of " + text_of(v, "retries") + " retries used");
  nonce_ = to_text(static_cast<int64_t>(prng_.next() >> 1));
  claim_not_before_ = 0;
  enter(Phase::Claim);
}

}  // namespace hf::cli
