// Every (state, event) pair of the table, written out a second time, and carried out on a run in each state.
#include "task/transitions.h"

#include <catch2/catch.hpp>
#include <map>

#include "task/change.h"
#include "task/decide.h"
#include "task/task_object.h"

namespace hf::task {
namespace {

constexpr Event all_events[] = {Event::DependenciesMet,
                                Event::DependencyFailed,
                                Event::TimeComes,
                                Event::Claim,
                                Event::Reissue,
                                Event::Readopt,
                                Event::Beat,
                                Event::Checkpoint,
                                Event::Release,
                                Event::Done,
                                Event::FailTransient,
                                Event::FailPermanent,
                                Event::LeaseLost,
                                Event::Timeout,
                                Event::Pause,
                                Event::Resume,
                                Event::Cancel};

/// What the design's table says, state by state: "event>move" for what is not refused.
const std::map<State, std::map<Event, Move>> expected = {{State::Blocked,
                                                          {{Event::DependenciesMet, Move::ToPending},
                                                           {Event::DependencyFailed, Move::ToFailed},
                                                           {Event::Pause, Move::ToPaused},
                                                           {Event::Resume, Move::Same},
                                                           {Event::Cancel, Move::ToCancelled}}},
                                                         {State::Delayed,
                                                          {{Event::TimeComes, Move::ToPending},
                                                           {Event::Readopt, Move::ToRunning},
                                                           {Event::Pause, Move::ToPaused},
                                                           {Event::Resume, Move::Same},
                                                           {Event::Cancel, Move::ToCancelled}}},
                                                         {State::Pending,
                                                          {{Event::Claim, Move::ToRunning},
                                                           {Event::Readopt, Move::ToRunning},
                                                           {Event::Pause, Move::ToPaused},
                                                           {Event::Resume, Move::Same},
                                                           {Event::Cancel, Move::ToCancelled}}},
                                                         {State::Running,
                                                          {{Event::Reissue, Move::Stay},
                                                           {Event::Beat, Move::Stay},
                                                           {Event::Checkpoint, Move::Stay},
                                                           {Event::Release, Move::GiveBack},
                                                           {Event::Done, Move::ToSuccess},
                                                           {Event::FailTransient, Move::Retry},
                                                           {Event::FailPermanent, Move::ToFailed},
                                                           {Event::LeaseLost, Move::Retry},
                                                           {Event::Timeout, Move::Retry},
                                                           {Event::Pause, Move::AskPause},
                                                           {Event::Resume, Move::TakeBackPause},
                                                           {Event::Cancel, Move::ToCancelled}}},
                                                         {State::Paused,
                                                          {{Event::DependenciesMet, Move::Same},
                                                           {Event::DependencyFailed, Move::Same},
                                                           {Event::Pause, Move::Same},
                                                           {Event::Resume, Move::Unpause},
                                                           {Event::Cancel, Move::ToCancelled}}},
                                                         {State::Success, {}},
                                                         {State::Failed, {}},
                                                         {State::Cancelled, {{Event::Cancel, Move::Same}}}};

TEST_CASE("every state and event have the move that the design gives them") {
  for (size_t s = 0; s < state_count; ++s)
    for (const Event event : all_events) {
      const auto state = static_cast<State>(s);
      INFO(state_name(state) << " " << event_name(event));
      const auto& moves = expected.at(state);
      CHECK(move_for(state, event) == (moves.contains(event) ? moves.at(event) : Move::Refuse));
    }
}

/// A task whose only run is in `state`, brought there by changes alone. BLOCKED cannot be reached yet.
std::unique_ptr<TaskObject> task_in(State state) {
  auto task = std::make_unique<TaskObject>();
  const Now now{1000, 1};
  Options options;
  Change submit;
  submit.queue = "q";
  submit.lease_ms = 1000;
  submit.retries = 1;
  CHECK(
      task->apply(decide_submit(nullptr, submit, state == State::Delayed ? 5000 : 0, 1, now, options)).ok());
  const auto run = [&]() -> const Run& { return *task->newest(); };
  const auto steer = [&](Event event) {
    CHECK(task->apply(decide_steer("t", run(), event, "", now).change).ok());
  };
  if (state == State::Paused) steer(Event::Pause);
  if (state == State::Cancelled) steer(Event::Cancel);
  if (state == State::Running || state == State::Success || state == State::Failed)
    CHECK(task->apply(decide_lease(run(), Event::Claim, "w", "", 0, {7}, now)).ok());
  if (state == State::Success) CHECK(task->apply(decide_done(run(), false, "", now)).ok());
  if (state == State::Failed) CHECK(task->apply(decide_fail_permanent(run(), "no", now)).ok());
  CHECK(run().state == state);
  return task;
}

TEST_CASE("apply carries out exactly the changes that the table allows, and others change nothing") {
  for (size_t s = 0; s < state_count; ++s)
    for (const Event event : all_events)
      for (size_t to = 0; to < state_count; ++to) {
        const auto from = static_cast<State>(s);
        if (from == State::Blocked) continue;
        const auto task = task_in(from);
        std::string before, after;
        task->save(before);
        Change change;
        change.kind = Change::Kind::Move;
        change.event = event;
        change.run = 1;
        change.at = 2000;
        change.to = static_cast<State>(to);
        change.token = {9};
        INFO(state_name(from) << " " << event_name(event) << " " << state_name(change.to));
        const bool allowed = leads_to(move_for(from, event), from, change.to);
        CHECK(task->apply(change).ok() == allowed);
        task->save(after);
        CHECK((before != after) == allowed);
        if (allowed) CHECK(task->newest()->state == change.to);
      }
}

TEST_CASE("names of states and events are read back") {
  for (size_t s = 0; s < state_count; ++s) {
    State state{};
    CHECK(parse_state(state_name(static_cast<State>(s)), state));
    CHECK(static_cast<size_t>(state) == s);
  }
  for (const Event event : all_events) {
    Event parsed{};
    CHECK(parse_event(event_name(event), parsed));
    CHECK(parsed == event);
  }
  State state{};
  CHECK(parse_state("running", state));
  CHECK(!parse_state("", state));
}

TEST_CASE("run ids are read, names that look like one are refused") {
  Bytes task;
  uint64_t run = 0;
  CHECK((parse_run_id("nlp#12", task, run) && task == "nlp" && run == 12));
  CHECK((parse_run_id("nlp", task, run) && task == "nlp" && run == 0));
  CHECK((parse_run_id("a#b", task, run) && task == "a#b" && run == 0));
  CHECK((parse_run_id("a#1#2", task, run) && task == "a#1" && run == 2));
  CHECK(!parse_run_id("a#0", task, run));
  CHECK(!parse_run_id("#1", task, run));
  CHECK(!parse_run_id("a#99999999999999999999", task, run));
  CHECK(name_error("a#1") != "");
  CHECK(name_error("a#") == "");
  CHECK(name_error("") != "");
  CHECK(when(0) == "1970-01-01T00:00:00.000Z");
  CHECK(when(1'709'210'096'789) == "2024-02-29T12:34:56.789Z");
  CHECK(when(-1) == "1969-12-31T23:59:59.999Z");
}

}  // namespace
}  // namespace hf::task
