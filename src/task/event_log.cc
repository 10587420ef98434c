// An event's bytes: what it was and three flags; both states; the time, six bytes or eight; then, where the
// flags say so, token and worker, and the reason. Token and worker are left out where they are those of the
// event that last had any: the end of an attempt repeats its beginning.
#include "task/event_log.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/limits.h"

namespace hf::task {
namespace {

constexpr uint8_t what_mask = 31, flag_held = 32, flag_same_holder = 64, flag_reason = 128;
constexpr uint8_t state_mask = 7, before_shift = 3, flag_long_time = 64;  // of the second byte
static_assert(event_count <= what_mask + 1 && state_count <= state_mask + 1);
constexpr size_t short_time_bytes = 6;
constexpr size_t event_bytes_max =
    2 + 8 + 10 + limits::worker_id_bytes_max + 2 + limits::task_reason_bytes_max;
static_assert(limits::task_events_max < 1 << 10 &&
              limits::task_events_max * event_bytes_max < (1 << 22) - 64);
// A text's size takes two bytes.
static_assert(limits::worker_id_bytes_max <= UINT16_MAX && limits::task_reason_bytes_max <= UINT16_MAX);

template <class N>
void put(char*& to, N value) {
  std::memcpy(to, &value, sizeof value);
  to += sizeof value;
}
template <class N>
N get(const char*& from) {
  N value;
  std::memcpy(&value, from, sizeof value);
  from += sizeof value;
  return value;
}
void put_text(char*& to, Bytes text) {
  put(to, static_cast<uint16_t>(text.size()));
  if (!text.empty()) std::memcpy(to, text.data(), text.size());  // an empty one may have no address
  to += text.size();
}
Bytes get_text(const char*& from) {
  const size_t size = get<uint16_t>(from);
  const Bytes text(from, size);
  from += size;
  return text;
}

}  // namespace

EventLog::EventLog(const EventLog& other) {
  if (other.block_ == nullptr) return;
  make_room(other.block_->used);
  std::memcpy(static_cast<void*>(block_), other.block_, other.block_->used);
}

/// A function of what is used, so that it need not be kept. 48 bytes hold a submit and a claim; then by 16
/// while small.
size_t EventLog::capacity_for(size_t used) {
  if (used <= 128) return std::max<size_t>(48, (used + 15) & ~size_t{15});
  size_t capacity = 192;
  while (capacity < used) capacity += capacity / 2;
  return capacity;
}

void EventLog::make_room(size_t more) {
  const size_t used = block_ == nullptr ? 0 : block_->used;
  const size_t wanted = capacity_for(used + more);
  if (used > 0 && wanted == capacity_for(used)) return;
  block_ = static_cast<Block*>(std::realloc(block_, wanted));
  HF_CHECK(block_ != nullptr);
}

void EventLog::set_first_id(uint64_t id) {
  HF_CHECK(size() == 0 && id >= 1 && id <= first_id_max);
  if (block_ == nullptr) make_room(sizeof(Block));
  *block_ = {.used = sizeof(Block), .count = 0, .dropped = static_cast<uint32_t>(id - 1), .holder = 0};
}

void EventLog::push(const RunEvent& event) {
  HF_CHECK(event.worker.size() <= limits::worker_id_bytes_max);
  HF_CHECK(event.reason.size() <= limits::task_reason_bytes_max);
  if (block_ == nullptr) set_first_id(1);
  if (block_->count >= limits::task_events_max) drop_oldest();
  bool held = event.token.value != 0 || !event.worker.empty(), same = false;
  if (held && block_->holder != 0) {
    const char* last = bytes() + block_->holder;
    same = get<uint64_t>(last) == event.token.value && get_text(last) == event.worker;
  }
  const bool named = held && !same;
  const bool long_time = event.at < 0 || event.at >= WallMs{1} << (8 * short_time_bytes);
  make_room(2 + (long_time ? 8 : short_time_bytes) + (named ? 10 + event.worker.size() : 0) +
            (event.reason.empty() ? 0 : 2 + event.reason.size()));
  char* const begin = reinterpret_cast<char*>(block_);
  char* to = begin + block_->used;
  put(to, static_cast<uint8_t>(static_cast<uint8_t>(event.what) | (named ? flag_held : 0) |
                               (same ? flag_same_holder : 0) | (event.reason.empty() ? 0 : flag_reason)));
  put(to, static_cast<uint8_t>(static_cast<uint8_t>(event.before) << before_shift |
                               static_cast<uint8_t>(event.after) | (long_time ? flag_long_time : 0)));
  std::memcpy(to, &event.at, long_time ? 8 : short_time_bytes);  // its low bytes come first
  to += long_time ? 8 : short_time_bytes;
  if (named) {
    block_->holder = static_cast<uint32_t>(to - begin);
    put(to, event.token.value);
    put_text(to, event.worker);
  }
  if (!event.reason.empty()) put_text(to, event.reason);
  block_->used = static_cast<uint32_t>(to - begin);
  ++block_->count;
}

bool EventLog::Reader::next(RunEvent& event) {
  if (log.block_ == nullptr || at >= log.block_->used) return false;
  const char* const begin = log.bytes();
  const char* from = begin + at;
  const auto first = get<uint8_t>(from), states = get<uint8_t>(from);
  event.what = static_cast<Event>(first & what_mask);
  event.before = static_cast<State>(states >> before_shift & state_mask);
  event.after = static_cast<State>(states & state_mask);
  const size_t time_bytes = (states & flag_long_time) != 0 ? 8 : short_time_bytes;
  event.at = 0;
  std::memcpy(&event.at, from, time_bytes);
  from += time_bytes;
  if ((first & flag_held) != 0) {
    token.value = get<uint64_t>(from);
    worker = get_text(from);
  }
  const bool held = (first & (flag_held | flag_same_holder)) != 0;
  event.token = held ? token : Token{};
  event.worker = held ? worker : Bytes();
  event.reason = (first & flag_reason) != 0 ? get_text(from) : Bytes();
  at = static_cast<uint32_t>(from - begin);
  return true;
}

/// The rest is packed anew, since a later event may lean on the token of the one that goes.
void EventLog::drop_oldest() {
  EventLog rest;
  rest.set_first_id(std::min(first_id() + 1, first_id_max));
  Reader reader{*this};
  RunEvent event;
  reader.next(event);
  while (reader.next(event)) rest.push(event);
  std::swap(block_, rest.block_);
}

}  // namespace hf::task
