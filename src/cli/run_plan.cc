// The plan's own half: what to ask next, the link, the program, time. What answers mean stands in
// run_replies.cc.
#include "cli/run_plan.h"

#include <algorithm>
#include <csignal>

#include "base/checksum.h"
#include "base/number.h"
#include "cli/exit_codes.h"

namespace hf::cli {

namespace {

constexpr Millis kClaimBlockMs = 2000;
constexpr Millis kRedialMsMin = 50, kRedialMsMax = 2000;
constexpr Millis kPatienceMs = 5000;  // for an answer, beyond what the command itself may wait

std::string text(int64_t n) { return to_text(n); }

/// Payload, then the step as eight bytes little endian, then META: what the server sums up.
std::string checkpoint_sum(Bytes payload, int64_t step, Bytes meta) {
  char le[8];
  for (int i = 0; i < 8; ++i) le[i] = static_cast<char>(static_cast<uint64_t>(step) >> (8 * i) & 0xff);
  Sum128Stream sum;
  sum.update(payload);
  sum.update({le, sizeof le});
  sum.update(meta);
  return to_hex(sum.digest());
}

}  // namespace

std::string sum_of(const Restorable& v) { return checkpoint_sum(v.payload, v.step, v.meta); }

RunPlan::RunPlan(RunSettings settings, uint64_t seed, Millis now)
    : s_(std::move(settings)), prng_(seed), dial_at_(now) {
  const auto word = [this] { return text(static_cast<int64_t>(prng_.next() >> 1)); };
  unique_ = "run-" + word();
  nonce_ = word();
  queue_ = s_.queue;
  if (s_.lease_ms > 0) lease_ms_ = s_.lease_ms;
}

void RunPlan::over(int code, bool clear) {
  if (phase_ == Phase::Over) return;
  phase_ = Phase::Over;
  out_.push_back(effect::Exit{code, clear});
}

// ---- the link ---------------------------------------------------------------------------------------------

void RunPlan::on_connected(Millis now) {
  link_ = Link::Up;
  dials_ = 0;
  ever_connected_ = true;
  quiet_until_ = now;
  beat_at_ = now;  // whatever the lease still has, it is high time
}

void RunPlan::on_dial_failed(const std::string& why, bool later, Millis now) {
  link_ = Link::Down;
  ++dials_;
  address_ = (address_ + 1) % s_.addresses;
  if (!ever_connected_ && !later && !s_.wait && dials_ >= s_.addresses) {
    say(why + " (--wait waits for a server)");
    return over(kExitNoServer);
  }
  if (!told_away_)
    say(why +
        (program_ ? " The program goes on; trying again until the server is back." : " Waiting for it."));
  told_away_ = true;
  redial(now);
}

void RunPlan::redial(Millis now) {
  const size_t rounds = std::min<size_t>(dials_ / s_.addresses, 6);
  const Millis most = std::min<Millis>(kRedialMsMin << rounds, kRedialMsMax);
  dial_at_ = now + prng_.between(most / 2, most);
}

void RunPlan::on_disconnected(const std::string& why, Millis now) {
  if (link_ == Link::Down || phase_ == Phase::Over) return;
  link_ = Link::Down;
  asked_.reset();  // what is still wanted is asked again: every command may be sent twice
  if (!told_away_)
    say(why +
        (program_ ? ". The program goes on; trying again until the server is back." : ". Trying again."));
  told_away_ = true;
  redial(now);
}

void RunPlan::break_link(const std::string& why, Millis now) {
  out_.push_back(effect::HangUp{});
  on_disconnected(why, now);
}

// ---- the program ------------------------------------------------------------------------------------------

void RunPlan::on_progress(const Progress& progress) { progress_ = progress; }

void RunPlan::stop_program(int signal, const std::string& why, Millis now) {
  say(why);
  out_.push_back(effect::Signal{signal});
  stop_asked_ = true;
  kill_at_ = std::min(kill_at_, now + s_.grace_ms);
}

void RunPlan::on_signal(int number, Millis now) {
  if (phase_ == Phase::Over) return;
  const bool hang_up = number == SIGHUP;
  if (!hang_up || signals_ == 0) ++signals_;
  if (program_) {
    const char* name = number == SIGINT ? "Ctrl-C" : hang_up ? "SIGHUP" : "SIGTERM";
    if (signals_ == 1)
      stop_program(number,
                   std::string(name) + " passed on to the program; it has " + text(s_.grace_ms / 1000) +
                       " s to save and stop",
                   now);
    else if (!hang_up) kill_at_ = now;
    return;
  }
  if (claimed_ && phase_ != Phase::Closing && phase_ != Phase::Retry) {
    end_ = End::Release;
    end_code_ = kExitTryLater;
    enter(Phase::Closing);
  }
  if (!claimed_ || link_ != Link::Up || signals_ > 1) {
    if (claimed_) say("the server has not been told; the same command will go on from here");
    over(kExitTryLater);
  }
}

void RunPlan::on_exit(int code, int signal, bool finished, Millis now) {
  program_ = false;
  kill_at_ = INT64_MAX;
  if (phase_ == Phase::Over) return;
  end_code_ = signal != 0 ? 128 + signal : code;
  end_reason_ = signal != 0 ? "killed by signal " + text(signal) : "exit code " + text(code);
  if (lost_code_) return over(*lost_code_);
  const auto& permanent = s_.permanent_exit_codes;
  if (stop_asked_ && !(finished && signal == 0 && code == 0)) {
    // Whatever it ended with: the work is not done, and `run ... && deploy` must not take it for done.
    end_ = End::Release;
    end_code_ = kExitTryLater;
  } else if (signal == 0 && code == 0) end_ = End::Done;
  else if (signal == 0 && code == kExitTryLater) end_ = End::Release;
  else if (signal == 0 && std::find(permanent.begin(), permanent.end(), code) != permanent.end())
    end_ = End::Permanent;
  else end_ = End::Transient;
  if (end_ == End::Done) out_.push_back(effect::RememberEnd{run_, end_code_});
  look_in_out_ = true;
  if (!(progress_ == sent_progress_)) beat_at_ = now;  // what the program said last is worth a beat
  enter(Phase::Closing);
}

void RunPlan::on_start_failed(int code, const std::string& why, Millis now) {
  // Most likely a slip on the command line: no reason to use up the run's retries.
  say(why);
  stop_asked_ = true;
  on_exit(code, 0, false, now);
  end_code_ = code;
}

void RunPlan::tend_program(Millis now) {
  if (!program_) return;
  if (now >= kill_at_) {
    out_.push_back(effect::Signal{SIGKILL});
    kill_at_ = INT64_MAX;
  }
  if (s_.checkpoint_every_ms > 0 && now >= ask_at_ && !stop_asked_) {
    out_.push_back(effect::AskProgram{});
    ask_at_ = now + s_.checkpoint_every_ms;
  }
  if (s_.strict && now >= lease_end_ && !lost_code_) {
    lost_code_ = kExitTryLater;
    say(run_ + ": the lease has run out and the server can't be reached; the program is stopped (--strict)");
    out_.push_back(effect::Signal{SIGKILL});
  }
}

// ---- the folder -------------------------------------------------------------------------------------------

void RunPlan::on_adopted(std::optional<int> ended_with) { remembered_ = ended_with; }

void RunPlan::on_collected(Result<std::optional<Prepared>> prepared, const std::string& failed, Millis) {
  collecting_ = false;
  if (!prepared) {
    say("checkpoint " + failed + " can't be sent and is dropped: " + prepared.error().message);
    out_.push_back(effect::Settle{failed});
    look_in_out_ = true;
    return;
  }
  if (!*prepared) return;
  prepared_ = std::move(**prepared);
  save_tries_ = 0;
  if (!prepared_->stored_at.empty() && !told_store_) {
    told_store_ = true;
    say("checkpoints of this size are kept outside the server, in " +
        prepared_->stored_at.substr(0, prepared_->stored_at.rfind("/version-")));
  }
}

void RunPlan::on_restored(const Status& status) {
  restoring_ = false;
  if (phase_ != Phase::Restore) return;
  if (!status) return unverifiable(status.error().message);
  std::string from = "from the beginning";
  if (!chain_.empty())
    from = "from checkpoint version " + text(static_cast<int64_t>(chain_.back().content.version)) +
           " (step " + text(chain_.back().content.step) + ")";
  say(run_ + ": attempt " + attempt_ + ", " + from);
  const int64_t step = chain_.empty() ? 0 : chain_.back().content.step;
  for (Version& v : chain_) v.content.payload = std::string();
  program_ = true;
  progress_ = sent_progress_ = Progress{};
  ask_at_ = 0;
  enter(Phase::Running);
  out_.push_back(effect::Start{run_, token_, attempt_, resources_, step});
}

// ---- what to do next --------------------------------------------------------------------------------------

std::optional<Effect> RunPlan::next(Millis now) {
  const auto take = [this]() -> std::optional<Effect> {
    Effect e = std::move(out_.front());
    out_.pop_front();
    return e;
  };
  if (!out_.empty()) return take();
  if (phase_ == Phase::Over) return std::nullopt;
  if (program_ && ask_at_ == 0) ask_at_ = now + s_.checkpoint_every_ms;
  tend_program(now);
  if (!out_.empty()) return take();
  const bool sends = phase_ == Phase::Leftovers || phase_ == Phase::Running || phase_ == Phase::Closing;
  if (sends && look_in_out_ && !collecting_ && !prepared_ && !lost_code_) {
    look_in_out_ = false;
    collecting_ = true;
    stored_as_ = version_ + 1;
    return effect::Collect{run_, stored_as_, phase_ == Phase::Leftovers ? step_ : -1};
  }
  if (phase_ == Phase::Leftovers && !collecting_ && !prepared_) {
    if (remembered_) {
      say(run_ + " had ended well before; telling the server");
      end_ = End::Done;
      end_code_ = *remembered_;
      enter(Phase::Closing);
    } else {
      enter(chain_again_ ? Phase::Chain : Phase::Fetch);
    }
  }
  if (phase_ == Phase::Fetch && fetched_ == chain_.size()) {
    std::vector<Restorable> chain;
    for (const Version& v : chain_) chain.push_back(v.content);
    restoring_ = true;
    enter(Phase::Restore);
    return effect::Restore{std::move(chain)};
  }
  if (asked_ && now >= asked_->sent_at + asked_->patience_ms) {
    break_link("the server has not answered " + asked_->args[0] + " for " + text(asked_->patience_ms) + " ms",
               now);
    return take();
  }
  if (link_ == Link::Down && now >= dial_at_) {
    link_ = Link::Dialing;
    return effect::Dial{address_};
  }
  if (link_ != Link::Up || asked_ || now < quiet_until_ || lost_code_) return std::nullopt;
  asked_ = pick(now);
  if (!asked_) return std::nullopt;
  return effect::Send{asked_->args};
}

Millis RunPlan::wake_at(Millis now) const {
  if (!out_.empty()) return now;
  Millis at = now + 1000;
  if (link_ == Link::Down) at = std::min(at, dial_at_);
  if (asked_) at = std::min(at, asked_->sent_at + asked_->patience_ms);
  if (link_ == Link::Up && !asked_ && claimed_) at = std::min(at, std::max(beat_at_, quiet_until_));
  if (link_ == Link::Up && !asked_ && phase_ != Phase::Running)
    at = std::min(at, std::max({quiet_until_, claim_not_before_, now + 20}));
  if (program_) at = std::min(at, kill_at_);
  if (program_ && s_.checkpoint_every_ms > 0) at = std::min(at, ask_at_);
  if (program_ && s_.strict) at = std::min(at, lease_end_);
  return std::max(at, now);
}

std::optional<RunPlan::Request> RunPlan::pick(Millis now) {
  if (claimed_ && now >= beat_at_) return beat(now);
  auto request = pick_step(now);
  if (request) request->sent_at = now;
  return request;
}

RunPlan::Request RunPlan::beat(Millis now) {
  Arguments args{"TASK.BEAT", run_, token_};
  if (!(progress_ == sent_progress_)) {
    args.insert(args.end(), {"PROGRESS", text(progress_.n), text(progress_.total)});
    if (!progress_.note.empty()) args.insert(args.end(), {"NOTE", progress_.note});
    sent_progress_ = progress_;
  }
  beat_at_ = now + lease_ms_ / 5;
  return {Ask::Beat, std::move(args), now, std::max<Millis>(1000, lease_ms_ / 3)};
}

std::optional<RunPlan::Request> RunPlan::pick_step(Millis now) {
  const auto ask = [](Ask what, Arguments args, Millis patience = kPatienceMs) {
    return Request{what, std::move(args), 0, patience};
  };
  switch (phase_) {
    case Phase::Look: return ask(Ask::Get, {"TASK.GET", s_.task});
    case Phase::Submit: return submit();
    case Phase::Claim: {
      if (now < claim_not_before_) return std::nullopt;
      Arguments args{"TASK.CLAIM", "1", queue_, "WORKER", s_.worker, "RUN", run_};
      if (s_.lease_ms > 0) args.insert(args.end(), {"LEASE", text(s_.lease_ms)});
      args.insert(args.end(), {"BLOCK", text(s_.no_wait ? 1 : kClaimBlockMs), "REQ", nonce_});
      return ask(Ask::Claim, std::move(args), kClaimBlockMs + kPatienceMs);
    }
    case Phase::Waiting: return ask(Ask::Holder, {"TASK.GET", run_});
    case Phase::Chain:
      if (wanted_version_ == 0 && !fallback_looked_ && !candidates_.empty())
        return ask(Ask::Versions, {"TASK.CHECKPOINTS", run_});
      if (wanted_version_ == 0) return ask(Ask::Chain, {"TASK.RESTORE", run_});
      return ask(Ask::Chain, {"TASK.RESTORE", run_, "VERSION", text(static_cast<int64_t>(wanted_version_))});
    case Phase::Fetch:
      return ask(
          Ask::Payload,
          {"TASK.PAYLOAD", run_, "VERSION", text(static_cast<int64_t>(chain_[fetched_].content.version))},
          30000);
    case Phase::Leftovers:
      if (prepared_) return save();
      return std::nullopt;
    case Phase::Restore: return std::nullopt;
    case Phase::Running:
    case Phase::Closing:
      if (prepared_) return save();
      if (keep_wanted_) return ask(Ask::Keep, {"TASK.CHECKPOINTS", run_});
      if (phase_ == Phase::Running || collecting_ || look_in_out_) return std::nullopt;
      return verdict();
    case Phase::Retry: return ask(Ask::After, {"TASK.GET", run_});
    case Phase::Over: return std::nullopt;
  }
  return std::nullopt;
}

Arguments RunPlan::run_options() const {
  Arguments a;
  const auto add = [&a](std::initializer_list<std::string> words) { a.insert(a.end(), words); };
  add({"QUEUE", s_.queue, "PAYLOAD", s_.payload});
  if (s_.priority != 0) add({"PRIORITY", text(s_.priority)});
  if (s_.retries >= 0) add({"RETRIES", text(s_.retries)});
  if (!s_.backoff_kind.empty())
    add({"BACKOFF", s_.backoff_kind, text(s_.backoff_base_ms), text(s_.backoff_cap_ms)});
  if (s_.lease_ms > 0) add({"LEASE", text(s_.lease_ms)});
  if (s_.timeout_ms > 0) add({"TIMEOUT", text(s_.timeout_ms)});
  if (!s_.tags.empty()) {
    add({"TAGS", text(static_cast<int64_t>(s_.tags.size()))});
    for (const auto& [key, value] : s_.tags) add({key, value});
  }
  if (!s_.trace.empty()) add({"TRACE", s_.trace});
  return a;
}

RunPlan::Request RunPlan::submit() const {
  if (!from_run_.empty())
    return {Ask::Submit, {"TASK.RESTART", from_run_, "UNIQUE", unique_}, 0, kPatienceMs};
  Arguments args{"TASK.SUBMIT", s_.task};
  const Arguments options = run_options();
  args.insert(args.end(), options.begin(), options.end());
  args.insert(args.end(), {"UNIQUE", unique_, "HELD"});
  if (force_) args.push_back("FORCE");
  return {Ask::Submit, std::move(args), 0, kPatienceMs};
}

RunPlan::Request RunPlan::save() const {
  Arguments args{"TASK.CHECKPOINT", run_, token_, text(prepared_->step), prepared_->payload};
  if (prepared_->delta) args.insert(args.end(), {"DELTA", text(static_cast<int64_t>(version_))});
  args.insert(args.end(), {"META", prepared_->meta, "SUM",
                           checkpoint_sum(prepared_->payload, prepared_->step, prepared_->meta)});
  return {Ask::Save, std::move(args), 0, 30000};
}

RunPlan::Request RunPlan::verdict() const {
  switch (end_) {
    case End::Done: return {Ask::Verdict, {"TASK.DONE", run_, token_}, 0, kPatienceMs};
    case End::Transient:
      return {Ask::Verdict, {"TASK.FAIL", run_, token_, "TRANSIENT", end_reason_}, 0, kPatienceMs};
    case End::Permanent:
      return {Ask::Verdict, {"TASK.FAIL", run_, token_, "PERMANENT", end_reason_}, 0, kPatienceMs};
    default: return {Ask::Verdict, {"TASK.RELEASE", run_, token_}, 0, kPatienceMs};
  }
}

}  // namespace hf::cli
