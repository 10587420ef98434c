// Names of states, events and backoffs as commands, records and the log spell them.
#include "task/transitions.h"

namespace hf::task {
namespace {
constexpr const char* state_names[state_count] = {"BLOCKED", "DELAYED", "PENDING", "RUNNING",
                                                  "PAUSED",  "SUCCESS", "FAILED",  "CANCELLED"};
constexpr const char* event_names[event_count] = {"submit",
                                                  "dependencies-met",
                                                  "dependency-failed",
                                                  "time-comes",
                                                  "claim",
                                                  "reissue",
                                                  "readopt",
                                                  "beat",
                                                  "checkpoint",
                                                  "release",
                                                  "done",
                                                  "fail-transient",
                                                  "fail-permanent",
                                                  "lease-lost",
                                                  "timeout",
                                                  "pause",
                                                  "resume",
                                                  "cancel"};
}  // namespace

const char* state_name(State state) { return state_names[static_cast<size_t>(state)]; }

bool parse_state(Bytes name, State& state) {
  for (size_t i = 0; i < state_count; ++i)
    if (equal_nocase(name, state_names[i])) {
      state = static_cast<State>(i);
      return true;
    }
  return false;
}

const char* event_name(Event event) { return event_names[static_cast<size_t>(event)]; }

bool parse_event(Bytes name, Event& event) {
  for (size_t i = 0; i < event_count; ++i)
    if (name == event_names[i]) {
      event = static_cast<Event>(i);
      return true;
    }
  return false;
}

const char* backoff_name(Backoff backoff) {
  switch (backoff) {
    case Backoff::None: return "NONE";
    case Backoff::Fixed: return "FIXED";
    case Backoff::Exponential: return "EXPONENTIAL";
  }
  return "";
}

}  // namespace hf::task
