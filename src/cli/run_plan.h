// What `holdfast-cli run` does next, decided without doing it: events in (a reply, the program's end, a
// signal, time), effects out (send this, start the program, end it, exit). No socket, no clock, no file:
// tests play every story.
//
//   Look -> Submit -> Claim -> Chain -> Leftovers -> Fetch -> Restore -> Running -> Closing -> (Retry ->
//   Claim) -> Over
//             ^         |  ^
//             +---------+  +-- Waiting (held elsewhere, or its time has not come)
//
// From Claim on the lease is beaten for, in every phase. One request is under way at a time; when the
// connection breaks it is sent again on the next one, which every command allows.
#pragma once
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/prng.h"
#include "cli/connection.h"
#include "cli/run_folder.h"
#include "resp/reader.h"

namespace hf::cli {

/// The sum the server keeps of a version: XXH3-128 over payload, step (8 bytes, little endian) and META; 32
/// hex digits.
std::string sum_of(const Restorable& version);

/// Milliseconds of a monotonic clock.
using Millis = int64_t;

struct RunSettings {
  std::string task, queue, worker, payload;
  std::vector<std::pair<std::string, std::string>> tags;
  std::string trace, backoff_kind;
  int64_t priority = 0, retries = -1, lease_ms = 0, timeout_ms = 0, backoff_base_ms = 0, backoff_cap_ms = 0;
  bool fresh = false, once = false, no_wait = false, wait = false, fallback = false, strict = false;
  int64_t grace_ms = 30000, checkpoint_every_ms = 0;
  std::vector<int> permanent_exit_codes;
  size_t addresses = 1;
};

namespace effect {
struct Dial {
  size_t address;
};
struct HangUp {};
struct Send {
  Arguments args;
};
/// The folder is this run's from now on; answer with on_adopted().
struct Adopt {
  std::string run;
};
/// Look for the next checkpoint to send; answer with on_collected(), later.
struct Collect {
  std::string run;
  uint64_t version;
  int64_t newer_than;
};
struct Settle {
  std::string name;
};
/// Put a chain in place; answer with on_restored(), later.
struct Restore {
  std::vector<Restorable> chain;
};
/// Start the program; answer with on_exit() when it ends, or on_start_failed().
struct Start {
  std::string run, token, attempt, resources;
  int64_t step;
};
/// To the program's process group.
struct Signal {
  int number;
};
/// SIGUSR1 to those processes of the group that handle it.
struct AskProgram {};
struct RememberEnd {
  std::string run;
  int code;
};
struct PruneStore {
  std::string run;
  std::vector<uint64_t> keep;
};
struct Say {
  std::string text;
};
/// The end. `clear`: nothing in the folder is needed any more.
struct Exit {
  int code;
  bool clear;
};
}  // namespace effect
using Effect =
    std::variant<effect::Dial, effect::HangUp, effect::Send, effect::Adopt, effect::Collect, effect::Settle,
                 effect::Restore, effect::Start, effect::Signal, effect::AskProgram, effect::RememberEnd,
                 effect::PruneStore, effect::Say, effect::Exit>;

class RunPlan {
 public:
  /// `seed` decides jitter and nonces: different in every process.
  RunPlan(RunSettings settings, uint64_t seed, Millis now);

  // Events. `wall_ms` is wall-clock time, for words only.
  void on_connected(Millis now);
  /// `later`: the server is there and asks for patience.
  void on_dial_failed(const std::string& why, bool later, Millis now);
  void on_disconnected(const std::string& why, Millis now);
  void on_reply(const resp::Value& reply, Millis now);
  void on_adopted(std::optional<int> ended_with);
  void on_collected(Result<std::optional<Prepared>> prepared, const std::string& failed, Millis now);
  void on_restored(const Status& status);
  /// Something may have come into out/.
  void on_out_changed() { look_in_out_ = true; }
  void on_progress(const Progress& progress);
  /// `signal` 0: it exited by itself with `code`. `finished`: the mark is there.
  void on_exit(int code, int signal, bool finished, Millis now);
  /// The program could not be started; `code` is what a shell would exit with. The run is given back.
  void on_start_failed(int code, const std::string& why, Millis now);
  void on_signal(int number, Millis now);

  /// The next thing to do, or nothing until an event or wake_at(). Call until it has nothing.
  std::optional<Effect> next(Millis now);
  Millis wake_at(Millis now) const;

  const Progress& progress() const { return progress_; }
  const std::string& run() const { return run_; }
  bool program_runs() const { return program_; }
  bool connected() const { return link_ == Link::Up; }

 private:
  enum class Phase : uint8_t {
    Look,
    Submit,
    Claim,
    Waiting,
    Chain,
    Leftovers,
    Fetch,
    Restore,
    Running,
    Closing,
    Retry,
    Over
  };
  enum class Link : uint8_t { Down, Dialing, Up };
  enum class Ask : uint8_t {
    Get,
    Submit,
    Claim,
    Holder,
    Chain,
    Versions,
    Payload,
    Beat,
    Save,
    Keep,
    Verdict,
    After
  };
  enum class End : uint8_t { None, Done, Release, Transient, Permanent };
  struct Request {
    Ask what;
    Arguments args;
    Millis sent_at, patience_ms;
  };
  struct Version {
    Restorable content;
    std::string sum;
  };

  void say(std::string text) { out_.push_back(effect::Say{std::move(text)}); }
  void over(int code, bool clear = false);
  void enter(Phase phase) { phase_ = phase; }
  std::optional<Request> pick(Millis now);
  std::optional<Request> pick_step(Millis now);
  Request beat(Millis now);
  Request submit() const;
  Request save() const;
  Request verdict() const;
  Arguments run_options() const;
  void tend_program(Millis now);
  void redial(Millis now);
  void break_link(const std::string& why, Millis now);

  // Replies, a function each; in run_replies.cc.
  void got_record(const resp::Value& v, Millis now);
  void got_submitted(const resp::Value& v, Millis now);
  void got_claim(const resp::Value& v, Millis now);
  void got_holder(const resp::Value& v, Millis now);
  void got_chain(const resp::Value& v, Millis now);
  void got_versions(const resp::Value& v, Millis now);
  void got_payload(const resp::Value& v, Millis now);
  void got_beat(const resp::Value& v, Millis now);
  void got_saved(const resp::Value& v, Millis now);
  void got_keep(const resp::Value& v);
  void got_verdict(const resp::Value& v, Millis now);
  void got_after(const resp::Value& v, Millis now);
  bool got_refusal(const Request& r, const resp::Value& v, Millis now);
  void unverifiable(const std::string& why);
  void give_up_restoring();
  bool tell_holder(const resp::Value& record);
  void lost(const std::string& why, int code);
  void claimed(const resp::Value& record, Millis now);
  void stop_program(int signal, const std::string& why, Millis now);

  RunSettings s_;
  Prng prng_;
  std::deque<Effect> out_;
  Phase phase_ = Phase::Look;

  Link link_ = Link::Down;
  size_t address_ = 0, dials_ = 0;
  bool ever_connected_ = false, told_away_ = false;
  Millis dial_at_ = 0;
  std::optional<Request> asked_;
  Millis quiet_until_ = 0;  // the server asked for patience

  std::string run_, token_, attempt_, resources_, queue_;
  std::string unique_, nonce_, from_run_;  // from_run_: restart this one
  bool force_ = false, joined_ = false;
  Millis claim_not_before_ = 0;
  std::string told_holder_;
  Millis lease_ms_ = 15000, beat_at_ = 0, lease_end_ = 0;
  bool claimed_ = false;

  uint64_t version_ = 0;  // the latest the server has
  int64_t step_ = -1;
  bool has_checkpoint_ = false, chain_again_ = false, fallback_looked_ = false;
  std::vector<Version> chain_;
  size_t fetched_ = 0;
  std::vector<uint64_t> candidates_;  // versions to fall back to, newest last
  uint64_t wanted_version_ = 0;       // 0: the latest

  std::optional<Prepared> prepared_;
  uint64_t stored_as_ = 0;
  int save_tries_ = 0;
  bool look_in_out_ = false, collecting_ = false, restoring_ = false, keep_wanted_ = false,
       told_store_ = false;

  Progress progress_, sent_progress_;
  bool program_ = false;
  Millis ask_at_ = 0, kill_at_ = INT64_MAX;
  int signals_ = 0;
  bool stop_asked_ = false;
  std::optional<int> lost_code_;

  End end_ = End::None;
  int end_code_ = 0;
  std::string end_reason_;
  std::optional<int> remembered_;
};

}  // namespace hf::cli
