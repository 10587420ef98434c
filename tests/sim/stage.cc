// The stage's clock is that of the disks: a node has nothing else to wait for.
#include "stage.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace hf::sim {
namespace {

constexpr int64_t wall_base_ms = 1'700'000'000'000;
constexpr int64_t turn_us = 20;
constexpr int64_t moment_us = 5'000;
constexpr int turns_max = 20'000;

}  // namespace

void Stage::after(int64_t delay_us, std::function<void()> what) {
  events_.push({now_us_ + std::max<int64_t>(0, delay_us), ++number_, std::move(what)});
}

bool Stage::step() {
  if (events_.empty()) return false;
  ++effects_;
  if (effects_ == cut_at_ && when_ == CutWhen::Before) throw PowerCut();
  // The queue's top is const for its order's sake, which moving `what` out leaves as it is.
  Event event = std::move(const_cast<Event&>(events_.top()));
  events_.pop();
  now_us_ = std::max(now_us_, event.at);
  event.what();
  if (effects_ == cut_at_ && when_ == CutWhen::After) throw PowerCut();
  return true;
}

Status carry_out(Stage& stage, SimDisk& disk, std::vector<FileStep> steps) {
  constexpr uint64_t id = UINT64_MAX;  // no node gets there
  std::optional<FileJobDone> done;
  const auto others = disk.on_done;
  disk.on_done = [&](const FileJobDone& answer) {
    if (answer.id == id) done = answer;
    else if (others) others(answer);
  };
  struct PutBack {
    SimDisk& disk;
    const std::function<void(const FileJobDone&)>& before;
    ~PutBack() { disk.on_done = before; }
  } put_back{disk, others};
  disk.submit({.id = id, .steps = std::move(steps)});
  while (!done && stage.step()) {}
  if (!done) return Error{"the job was not answered"};
  return done->ok ? ok() : Status(Error{done->message, done->code});
}

Player::Player(Stage& stage, SimDisk& disk, node::Setup setup, Oracle* oracle)
    : stage_(stage), disk_(disk), oracle_(oracle) {
  node_ = std::make_unique<node::ServerNode>(std::move(setup));
  disk_.on_done = [this](const FileJobDone& done) { node_->job_done(done); };
  conn_ = node_->connected({"127.0.0.1:1", "127.0.0.1:2", false, true});
}

Player::~Player() {
  disk_.on_done = [](const FileJobDone&) {};
}

void Player::turn() {
  effects_.clear();
  stage_.pass(turn_us);
  node_->turn({wall_base_ms + stage_.now_us() / 1000, stage_.now_us()}, effects_);
  for (const node::LogLine& line : effects_.lines) said_ += line.text + "\n";
  const uint64_t end = node_->log_place().end.value;
  if (oracle_ != nullptr && end != end_) {
    if (end_ == 0) {
      const std::string wrong = oracle_->recovered(node_->log_place().reign_begin.value, node_->digest());
      if (!wrong.empty()) throw Wrong{wrong};
    }
    oracle_->ended(end, node_->digest());
  }
  end_ = end;
  for (FileJob& job : effects_.jobs) disk_.submit(std::move(job));
  for (const node::Dial& dial : effects_.dial) dialed_.push_back(dial);
  if (effects_.exit) exit_ = *effects_.exit;
}

/// To the next slice of work that the node spreads over time; its timers' seconds are rest. False: there is none.
bool Player::sleep_a_moment() {
  const int64_t left = effects_.wake_at - stage_.now_us();
  if (effects_.wake_at == INT64_MAX || left > moment_us) return false;
  if (left > 0) stage_.pass(left);
  return true;
}

void Player::settle() {
  for (int turns = 0, quiet = 0; quiet < 2 && !exit_; ++turns) {
    if (turns > turns_max) throw Wrong{"the node does not come to rest"};
    turn();
    const bool busy = effects_.again || node_->wants_turn() || stage_.step();
    quiet = busy || sleep_a_moment() ? 0 : quiet + 1;
  }
}

void Player::feed(node::ConnId conn, Bytes bytes) {
  while (!bytes.empty()) {
    size_t room = 0;
    char* space = node_->read_space(conn, room);
    if (space == nullptr) throw Wrong{"the node does not read: " + said_};
    const size_t n = std::min(room, bytes.size());
    std::memcpy(space, bytes.data(), n);
    node_->received(conn, n);
    bytes.remove_prefix(n);
    settle();
  }
}

std::string Player::ask(const std::string& line) {
  const std::string bytes = line + "\r\n";
  size_t room = 0;
  char* space = node_->read_space(conn_, room);
  if (space == nullptr || room < bytes.size()) throw Wrong{"the node does not read: " + line};
  std::memcpy(space, bytes.data(), bytes.size());
  node_->received(conn_, bytes.size());
  turn();
  const uint64_t promise = end_;
  for (int turns = 0; !exit_; ++turns) {
    Buffer out = node_->take_output(conn_);
    const std::string reply(out.view());
    if (!reply.empty()) {
      node_->sent(conn_, reply.size(), Buffer());
      const bool always = node_->options().appendfsync == config::FsyncPolicy::Always;
      if (oracle_ != nullptr && reply[0] != '-') oracle_->promised(promise, always);
      return reply;
    }
    if (turns > turns_max) throw Wrong{"no reply to " + line};
    if (!effects_.again) stage_.step();
    turn();
  }
  throw Wrong{"the node ended instead of answering " + line + ": " + said_};
}

void Player::tell(const std::string& line) {
  const std::string reply = ask(line);
  if (reply[0] == '-') throw Wrong{line + " was answered with " + reply};
}

void Player::shut_down() {
  node_->request_shutdown();
  settle();
  if (exit_ != 0) throw Wrong{"the node did not end cleanly: " + said_};
}

}  // namespace hf::sim
