// The transition table of a run: for every state and every event, what becomes of it. A pair left out does
// not compile. What a move means in numbers (which delay, which token) is decided in decide.h and carried out
// by TaskObject::apply.
#pragma once
#include <array>
#include <cstdint>

#include "task/types.h"

namespace hf::task {

/// Numbers are part of the saved format: never renumber.
enum class Event : uint8_t {
  Submit = 0,  ///< the birth of a run; not in the table
  DependenciesMet = 1,
  DependencyFailed = 2,
  TimeComes = 3,
  Claim = 4,
  Reissue = 5,  ///< a claim by the worker that holds the lease already: its predecessor died
  Readopt = 6,  ///< a late beat with the last token, and nobody claimed since
  Beat = 7,
  Checkpoint = 8,
  Release = 9,
  Done = 10,
  FailTransient = 11,
  FailPermanent = 12,
  LeaseLost = 13,
  Timeout = 14,
  Pause = 15,
  Resume = 16,
  Cancel = 17,
};
constexpr size_t event_count = 18;
/// "lease-lost": how TASK.EVENTS and the log name it.
const char* event_name(Event event);
bool parse_event(Bytes name, Event& event);

enum class Move : uint8_t {
  Missing = 0,  ///< a hole in the table: does not compile
  Refuse,       ///< does not apply in this state; changes nothing and is told why
  Same,         ///< is so already: OK, and nothing changes
  Stay,         ///< RUNNING stays RUNNING
  ToPending,
  ToRunning,
  ToPaused,
  ToSuccess,
  ToFailed,
  ToCancelled,
  Retry,          ///< DELAYED while attempts are left (PAUSED when pause was asked), else FAILED
  GiveBack,       ///< PENDING or DELAYED (PAUSED when pause was asked); not counted
  AskPause,       ///< keeps running; release, fail, lost lease will then lead to PAUSED
  TakeBackPause,  ///< keeps running
  Unpause,        ///< what it would be now: PENDING or DELAYED, later BLOCKED too
};

namespace table {
using enum Move;
using Row = std::array<Move, state_count>;
// clang-format off
constexpr std::array<Row, event_count> moves = {{
    // Blocked, Delayed, Pending, Running, Paused, Success, Failed, Cancelled
    /* Submit          */ {Refuse, Refuse, Refuse, Refuse, Refuse, Refuse, Refuse, Refuse},
    /* DependenciesMet */ {ToPending, Refuse, Refuse, Refuse, Same, Refuse, Refuse, Refuse},
    /* DependencyFailed*/ {ToFailed, Refuse, Refuse, Refuse, Same, Refuse, Refuse, Refuse},
    /* TimeComes       */ {Refuse, ToPending, Refuse, Refuse, Refuse, Refuse, Refuse, Refuse},
    /* Claim           */ {Refuse, Refuse, ToRunning, Refuse, Refuse, Refuse, Refuse, Refuse},
    /* Reissue         */ {Refuse, Refuse, Refuse, Stay, Refuse, Refuse, Refuse, Refuse},
    /* Readopt         */ {Refuse, ToRunning, ToRunning, Refuse, Refuse, Refuse, Refuse, Refuse},
    /* Beat            */ {Refuse, Refuse, Refuse, Stay, Refuse, Refuse, Refuse, Refuse},
    /* Checkpoint      */ {Refuse, Refuse, Refuse, Stay, Refuse, Refuse, Refuse, Refuse},
    /* Release         */ {Refuse, Refuse, Refuse, GiveBack, Refuse, Refuse, Refuse, Refuse},
    /* Done            */ {Refuse, Refuse, Refuse, ToSuccess, Refuse, Refuse, Refuse, Refuse},
    /* FailTransient   */ {Refuse, Refuse, Refuse, Retry, Refuse, Refuse, Refuse, Refuse},
    /* FailPermanent   */ {Refuse, Refuse, Refuse, ToFailed, Refuse, Refuse, Refuse, Refuse},
    /* LeaseLost       */ {Refuse, Refuse, Refuse, Retry, Refuse, Refuse, Refuse, Refuse},
    /* Timeout         */ {Refuse, Refuse, Refuse, Retry, Refuse, Refuse, Refuse, Refuse},
    /* Pause           */ {ToPaused, ToPaused, ToPaused, AskPause, Same, Refuse, Refuse, Refuse},
    /* Resume          */ {Same, Same, Same, TakeBackPause, Unpause, Refuse, Refuse, Refuse},
    /* Cancel          */ {ToCancelled, ToCancelled, ToCancelled, ToCancelled, ToCancelled, Refuse, Refuse,
                           Same},
}};
constexpr bool total() {
  for (const Row& row : moves)
    for (const Move move : row)
      if (move == Missing) return false;
  return true;
}
static_assert(total(), "a (state, event) pair has no move");
constexpr bool final_is_final() {
  for (const Row& row : moves)
    for (size_t s = static_cast<size_t>(State::Success); s < state_count; ++s)
      if (row[s] != Refuse && row[s] != Same) return false;
  return true;
}
static_assert(final_is_final(), "an event moves a run out of a final state");
}  // namespace table

constexpr Move move_for(State state, Event event) {
  return table::moves[static_cast<size_t>(event)][static_cast<size_t>(state)];
}

/// May this move end in `to`? What apply checks of a change that comes out of the log.
constexpr bool leads_to(Move move, State from, State to) {
  switch (move) {
    case Move::Missing:
    case Move::Refuse:
    case Move::Same: return false;
    case Move::Stay:
    case Move::AskPause:
    case Move::TakeBackPause: return to == from;
    case Move::ToPending: return to == State::Pending;
    case Move::ToRunning: return to == State::Running;
    case Move::ToPaused: return to == State::Paused;
    case Move::ToSuccess: return to == State::Success;
    case Move::ToFailed: return to == State::Failed;
    case Move::ToCancelled: return to == State::Cancelled;
    case Move::Retry: return to == State::Delayed || to == State::Paused || to == State::Failed;
    case Move::GiveBack: return to == State::Pending || to == State::Delayed || to == State::Paused;
    case Move::Unpause: return to == State::Pending || to == State::Delayed || to == State::Blocked;
  }
  return false;
}

}  // namespace hf::task
