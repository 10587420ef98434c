// Workers that crash, pause, repeat and come back late; a foreman who submits, cancels, restarts and, after
// each start of the node and at the end, looks after every run.
#include "worker.h"

#include "base/checksum.h"
#include "task_book.h"

namespace hf::sim {
namespace {

constexpr int64_t ms = 1'000;
enum Kind : int { Claim, Beat, Save, Done, Fail, Release, Submit, Restart, Cancel, Get, Restore, Payload };

std::string queue_name(uint64_t n) { return "q" + std::to_string(n); }

/// The sum a client sends: over payload, step (8 bytes, little-endian) and META.
std::string sum_of(const std::string& payload, int64_t step) {
  std::string all = payload;
  for (int i = 0; i < 8; ++i) all += static_cast<char>(static_cast<uint64_t>(step) >> (8 * i));
  return to_hex(sum128(all));
}

/// One request at a time; one that got no reply is sent again as it was.
class OneByOne : public Actor {
 public:
  OneByOne(World& world, TaskBook& book) : Actor(world), book_(book) {}

  void lost(std::deque<Request>& unanswered) override {
    (void)unanswered;
    link_ = nullptr;
    in_flight_ = false;
    wake_in(world_.prng().between(1 * ms, 40 * ms));
  }

 protected:
  /// False: not connected.
  bool connected() {
    if (link_ == nullptr) link_ = world_.connect(*this);
    return link_ != nullptr;
  }
  void ask(Request request) {
    request.task = true;
    asked_ = true;
    last_ = request;
    send_last();
  }
  void send_last() {
    std::vector<Request> out{last_};
    last_.b = 1;  // from now on it is a repetition
    in_flight_ = true;
    world_.send(*link_, std::move(out));
  }
  void hang_up() {
    if (link_ != nullptr) world_.hang_up(*link_);
  }

  TaskBook& book_;
  Link* link_ = nullptr;
  bool asked_ = false;      ///< last_ has not been answered yet
  bool in_flight_ = false;  ///< and is on its way on this connection
  Request last_;
};

class Worker final : public OneByOne {
 public:
  Worker(World& world, TaskBook& book, int number) : OneByOne(world, book), number_(number) {}

  void wake() override {
    Prng& prng = world_.prng();
    if (world_.winding_down() && book_.all_final()) return;
    if (!connected()) return wake_in(prng.between(2 * ms, 30 * ms));
    if (in_flight_) return;
    if (asked_) {
      world_.count(last_.kind == Claim ? Fault::ClaimRepeated : Fault::CommandRepeated);
      return send_last();
    }
    if (!world_.winding_down() && prng.chance(1, 40)) {  // as if it had died: a new process knows of nothing
      world_.count(Fault::WorkerCrashed);
      hang_up();
      remember_token();
      run_.clear();
      return wake_in(prng.between(5 * ms, 300 * ms));
    }
    if (!world_.winding_down() && !old_.empty() && prng.chance(1, 12)) return come_late();
    if (run_.empty()) return claim();
    work();
  }

  void left(Request& request, const resp::Value& value) override {
    if (value.is_error()) return;
    const uint64_t token = request.a;
    if (request.kind >= Done && request.b == 0) book_.accepted(request.text, token, request.turn);
    switch (request.kind) {
      case Claim:
        for (const resp::Value& record : value.items) {
          const resp::Value* retries = record.field("retry_count");
          if (retries != nullptr && retries->integer > 0) world_.count(Fault::LeaseLost);
          book_.claimed(record.field("run")->text, std::stoull(record.field("token")->text), request.text,
                        request.blocks ? world_.turn() : request.turn, request.b == 1);
        }
        if (!value.items.empty() && request.b == 0 && !request.blocks) world_.promise(request.log_end, true);
        return;
      case Beat: return book_.accepted(request.text, token, request.turn);
      case Save:
        book_.saved(request.text, static_cast<uint64_t>(value.integer),
                    {token, request.turn, std::stoll(request.args[3]), request.args[4]}, request.b == 1);
        if (request.b == 0) world_.promise(request.log_end, true);
        return;
      case Done: book_.closed(request.text, token, "DONE", "SUCCESS", request.turn); break;
      case Fail:
        book_.closed(request.text, token, "FAIL", request.args[3] == "PERMANENT" ? "FAILED" : "",
                     request.turn);
        break;
      case Release: book_.closed(request.text, token, "RELEASE", "", request.turn); break;
      default: return;
    }
    if (request.b == 0) world_.promise(request.log_end, true);
  }

  void reply(Request& request, resp::Value& value) override {
    asked_ = in_flight_ = false;
    Prng& prng = world_.prng();
    const bool unsure =
        value.is_error() && (value.error_code() == "LOADING" || value.error_code() == "MISCONF");
    if (unsure) {
      asked_ = true;  // the same again, later
      last_.b = request.b;
      return wake_in(prng.between(10 * ms, 200 * ms));
    }
    if (request.kind == Claim) {
      if (!value.is_error() && !value.items.empty()) take(value.items[0]);
    } else if (request.text == run_ && request.a == token_) {
      if (value.is_error()) {
        if (value.error_code() == "FENCED") world_.count(Fault::WorkerFenced);
        if (value.error_code() != "BASE" && value.error_code() != "STALE") lose();
        base_ = 0;
      } else if (request.kind == Save) {
        base_ = static_cast<uint64_t>(value.integer);
      } else if (request.kind == Beat) {
        if (paused_) world_.count(Fault::Readopted);
        paused_ = false;
      } else {
        lose();
      }
    }
    wake_in(prng.between(1 * ms, 60 * ms));
  }
  bool finished() const override { return book_.all_final(); }

 private:
  void take(const resp::Value& record) {
    run_ = record.field("run")->text;
    token_ = std::stoull(record.field("token")->text);
    const resp::Value* step = record.field("checkpoint_step");
    step_ = step != nullptr && !step->is_null() ? step->integer : 0;
    steps_left_ = world_.prng().between(1, 6);
    base_ = 0;
    paused_ = false;
  }
  void remember_token() {
    if (!run_.empty()) old_.emplace_back(run_, token_);
    if (old_.size() > 8) old_.erase(old_.begin());
  }
  void lose() {
    remember_token();
    run_.clear();
  }

  void claim() {
    Prng& prng = world_.prng();
    Request request;
    request.kind = Claim;
    request.text = "w" + std::to_string(number_);
    request.args = {"TASK.CLAIM",
                    "2",
                    queue_name(prng.below(2)),
                    queue_name(prng.below(2)),
                    "WORKER",
                    request.text,
                    "REQ",
                    "r" + std::to_string(number_) + "-" + std::to_string(++requests_)};
    if (prng.chance(1, 2)) {
      request.blocks = true;
      request.args.insert(request.args.end(), {"BLOCK", std::to_string(prng.between(10, 400))});
    }
    ask(std::move(request));
  }

  Request about(Kind kind, const std::string& run, uint64_t token, std::vector<std::string> args) {
    Request request;
    request.kind = kind;
    request.text = run;
    request.a = token;
    request.args = std::move(args);
    request.args.insert(request.args.begin() + 1, {run, std::to_string(token)});
    return request;
  }

  void work() {
    Prng& prng = world_.prng();
    if (!world_.winding_down() && !paused_ && prng.chance(1, 25)) {
      world_.count(Fault::WorkerPaused);
      paused_ = true;
      return wake_in(prng.between(200 * ms, 2'500 * ms));
    }
    if (paused_ || prng.chance(1, 3)) {
      std::vector<std::string> args{"TASK.BEAT"};
      if (prng.chance(1, 2))
        args.insert(args.end(), {"PROGRESS", std::to_string(step_), "1000", "NOTE", "at work"});
      return ask(about(Beat, run_, token_, std::move(args)));
    }
    if (steps_left_-- > 0) return save();
    const uint64_t dice = prng.below(world_.winding_down() ? 6 : 10);
    if (dice < 6) return ask(about(Done, run_, token_, {"TASK.DONE", "RESULT", run_}));
    if (dice < 8) return ask(about(Release, run_, token_, {"TASK.RELEASE"}));
    ask(about(Fail, run_, token_, {"TASK.FAIL", prng.chance(1, 5) ? "PERMANENT" : "TRANSIENT", "bad luck"}));
  }

  void save() {
    Prng& prng = world_.prng();
    step_ += prng.between(0, 5);
    std::string payload = "c" + std::to_string(world_.next_value());
    if (prng.chance(1, 12)) payload.append(static_cast<size_t>(prng.between(100, 9'000)), 'y');
    std::vector<std::string> args{"TASK.CHECKPOINT", std::to_string(step_), payload};
    if (base_ != 0 && prng.chance(1, 2)) args.insert(args.end(), {"DELTA", std::to_string(base_)});
    if (prng.chance(1, 2)) args.insert(args.end(), {"SUM", sum_of(payload, step_)});
    ask(about(Save, run_, token_, std::move(args)));
  }

  /// A word about a run it lost long ago.
  void come_late() {
    world_.count(Fault::LateBeat);
    const auto [run, token] = old_[world_.prng().below(old_.size())];
    if (world_.prng().chance(1, 2)) return ask(about(Beat, run, token, {"TASK.BEAT"}));
    ask(about(Save, run, token,
              {"TASK.CHECKPOINT", "1000000", "late" + std::to_string(world_.next_value())}));
  }

  int number_;
  std::string run_;
  uint64_t token_ = 0, base_ = 0, requests_ = 0;
  int64_t step_ = 0, steps_left_ = 0;
  bool paused_ = false;
  std::vector<std::pair<std::string, uint64_t>> old_;
};

class Foreman final : public OneByOne {
 public:
  explicit Foreman(World& world) : OneByOne(world, own_book_), own_book_(world) {}
  TaskBook& book() { return own_book_; }

  void wake() override {
    Prng& prng = world_.prng();
    if (!connected()) return wake_in(prng.between(2 * ms, 30 * ms));
    if (in_flight_) return;
    if (asked_) {
      world_.count(Fault::CommandRepeated);
      return send_last();
    }
    if (!audit_.empty()) {
      Request next = std::move(audit_.back());
      audit_.pop_back();
      return ask(std::move(next));
    }
    if (world_.winding_down()) {
      if (book_.all_final() && !looked_) {
        looked_ = true;
        plan_audit(1'000);
        return wake_in(0);
      }
      done_ = looked_;
      if (done_) return;
      plan_audit(1'000, true);
      return wake_in(40 * ms);
    }
    order();
  }

  void left(Request& request, const resp::Value& value) override {
    switch (request.kind) {
      case Submit:
      case Restart:
        if (value.is_error()) return;
        book_.submitted(request.text, value.text);
        if (request.b == 0) world_.promise(request.log_end, true);
        return;
      case Cancel:
        if (!value.is_error()) book_.finished(request.text, "CANCELLED", request.turn);
        return;
      case Get: return book_.shown(request.text, value, request.turn);
      case Restore:
        world_.check(!value.is_error() || value.error_code() != "CHECKSUM",
                     [&] { return "a checkpoint does not verify: " + value.text; });
        return;
      case Payload: return book_.shown_payload(request.text, request.a, value);
      default: return;
    }
  }
  void reply(Request& request, resp::Value& value) override {
    asked_ = in_flight_ = false;
    if (value.is_error() && (value.error_code() == "LOADING" || value.error_code() == "MISCONF")) {
      asked_ = true;
      last_.b = request.b;
    }
    wake_in(audit_.empty() ? world_.prng().between(2 * ms, 120 * ms) : world_.prng().between(0, 2 * ms));
  }
  void settled() override {
    audit_.clear();
    plan_audit(8);
  }
  bool finished() const override { return done_; }

 private:
  void order() {
    Prng& prng = world_.prng();
    Request request;
    const std::string unique = "u" + std::to_string(++uniques_);
    const uint64_t dice = prng.below(12);
    const std::string some = some_run();
    if (dice < 1 && !some.empty()) {
      request.kind = Cancel;
      request.text = some;
      request.args = {"TASK.CANCEL", some, "changed my mind"};
    } else if (dice < 3 && !some.empty() && !book_.find(some)->final_state.empty()) {
      request.kind = Restart;
      request.text = unique;
      request.args = {"TASK.RESTART", some, "UNIQUE", unique};
    } else {
      request.kind = Submit;
      request.text = unique;
      request.args = {"TASK.SUBMIT", "t" + std::to_string(prng.below(10)),
                      "UNIQUE",      unique,
                      "QUEUE",       queue_name(prng.below(2)),
                      "PAYLOAD",     "do " + unique,
                      "LEASE",       std::to_string(prng.between(150, 900)),
                      "RETRIES",     prng.chance(1, 4) ? "1" : "100000",
                      "BACKOFF",     "FIXED",
                      "10",          "200"};
      if (prng.chance(1, 5))
        request.args.insert(request.args.end(), {"DELAY", std::to_string(prng.between(1, 400))});
      if (prng.chance(1, 5))
        request.args.insert(request.args.end(), {"PRIORITY", std::to_string(prng.between(-2, 2))});
      if (prng.chance(1, 10))
        request.args.insert(request.args.end(), {"TIMEOUT", std::to_string(prng.between(50, 900))});
      if (prng.chance(1, 10)) request.args.push_back("FORCE");
    }
    ask(std::move(request));
  }

  std::string some_run() {
    if (book_.runs().empty()) return "";
    auto it = book_.runs().begin();
    std::advance(it, static_cast<std::ptrdiff_t>(world_.prng().below(book_.runs().size())));
    return it->first;
  }

  void plan_audit(size_t runs, bool only_open = false) {
    const auto add = [&](Kind kind, const std::string& run, std::vector<std::string> args, uint64_t a) {
      Request request;
      request.kind = kind;
      request.text = run;
      request.args = std::move(args);
      request.a = a;
      audit_.push_back(std::move(request));
    };
    const bool all = runs >= book_.runs().size();
    for (const auto& [run, facts] : book_.runs()) {
      if (only_open && !facts.final_state.empty()) continue;
      if (!all && !world_.prng().chance(runs, book_.runs().size())) continue;
      if (!facts.versions.empty()) {
        const uint64_t version = facts.versions.rbegin()->first;
        add(Payload, run, {"TASK.PAYLOAD", run, "VERSION", std::to_string(version)}, version);
        add(Restore, run, {"TASK.RESTORE", run}, 0);
      }
      add(Get, run, {"TASK.GET", run}, 0);
    }
  }

  TaskBook own_book_;
  std::vector<Request> audit_;
  uint64_t uniques_ = 0;
  bool looked_ = false, done_ = false;
};

}  // namespace

void add_workers(World& world, std::vector<std::unique_ptr<Actor>>& actors) {
  auto foreman = std::make_unique<Foreman>(world);
  TaskBook& book = foreman->book();
  actors.push_back(std::move(foreman));
  const int64_t workers = world.prng().between(2, 4);
  for (int i = 0; i < workers; ++i) actors.push_back(std::make_unique<Worker>(world, book, i));
}

}  // namespace hf::sim
