// Offsets, epochs, tokens and times as types of their own, so that one is never handed in for another.
#pragma once
#include <compare>
#include <cstdint>

namespace hf {

template <class Tag, class Rep>
struct Strong {
  Rep value{};
  constexpr auto operator<=>(const Strong&) const = default;
};

/// A position in the log: bytes of canonical command text since the start of history.
using LogOffset = Strong<struct LogOffsetTag, uint64_t>;
constexpr LogOffset operator+(LogOffset a, uint64_t bytes) { return {a.value + bytes}; }
constexpr uint64_t operator-(LogOffset a, LogOffset b) { return a.value - b.value; }

/// The number of a primary's reign: rises with every start of a writable node.
using Epoch = Strong<struct EpochTag, uint64_t>;

/// The fencing number of a lease: `epoch << 44 | counter`.
using Token = Strong<struct TokenTag, uint64_t>;

/// Wall-clock milliseconds since 1970 (UTC): what records carry.
using WallMs = int64_t;
/// Monotonic microseconds since some fixed point: what leases and timers count on.
using MonoUs = int64_t;

/// The time of one turn of the loop, sampled once at its start and handed down.
struct Now {
  WallMs wall_ms = 0;
  MonoUs mono_us = 0;
  constexpr int64_t mono_ms() const { return mono_us / 1000; }
};

constexpr int64_t never_ms = INT64_MAX;

/// A database's number (SELECT's argument).
using DbIndex = uint32_t;

}  // namespace hf
