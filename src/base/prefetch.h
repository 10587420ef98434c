// The one way to start fetching a cache line. In a file of its own because the builtin alone is not enough:
// GCC takes a function that does nothing but prefetch for one without effects, and drops the calls to it.
#pragma once

namespace hf {

/// Starts fetching the line at `address`, which may be any: a bad one is ignored by the processor.
inline void prefetch(const void* address) {
  __builtin_prefetch(address);
  asm volatile("" : : "r"(address));  // an effect, in the compiler's eyes
}

}  // namespace hf
