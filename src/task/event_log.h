// The transitions a run went through, packed: a million live runs have two or three each, and as a vector of
// structs they were a fifth of a run. Some ten bytes an event; reading one back unpacks it.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <utility>

#include "base/bytes.h"
#include "base/types.h"
#include "task/transitions.h"
#include "task/types.h"

namespace hf::task {

/// One transition of a run, as TASK.EVENTS shows it. The views die with the next change of the log it came
/// from.
struct RunEvent {
  WallMs at = 0;
  Token token;  ///< of the attempt it began, went on or ended; 0: none
  Bytes worker, reason;
  Event what = Event::Submit;
  State before = State::Pending, after = State::Pending;
};

/// At most limits::task_events_max of them, oldest first. An event's id is first_id() plus its place.
class EventLog {
 public:
  EventLog() = default;
  EventLog(const EventLog& other);
  EventLog(EventLog&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  EventLog& operator=(EventLog other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~EventLog() { std::free(block_); }

  size_t size() const { return block_ == nullptr ? 0 : block_->count; }
  uint64_t first_id() const { return 1 + uint64_t{block_ == nullptr ? 0 : block_->dropped}; }
  static constexpr uint64_t first_id_max = UINT32_MAX;
  /// For loading: of an empty log, at most first_id_max.
  void set_first_id(uint64_t id);
  /// When it is full the oldest one goes.
  void push(const RunEvent& event);
  template <class Each>
  void for_each(Each&& each) const {
    Reader reader{*this};
    for (RunEvent event; reader.next(event);) each(std::as_const(event));
  }
  /// Heap held.
  size_t memory_bytes() const { return block_ == nullptr ? 0 : capacity_for(block_->used); }

 private:
  struct Block {
    uint32_t used : 22;  // bytes, this head included
    uint32_t count : 10;
    uint32_t dropped;  // events that went before the first one here
    uint32_t holder;   // where the latest token and worker stand; 0: nowhere
  };
  struct Reader {
    const EventLog& log;
    uint32_t at = sizeof(Block);
    Token token = {};
    Bytes worker = {};
    bool next(RunEvent& event);
  };
  static size_t capacity_for(size_t used);
  void drop_oldest();
  void make_room(size_t more);
  const char* bytes() const { return reinterpret_cast<const char*>(block_); }

  Block* block_ = nullptr;
};

}  // namespace hf::task
