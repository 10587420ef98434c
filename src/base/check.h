// CHECK catches our own mistakes and stays on in release builds. Never for data that a peer or a file
// controls: that gets an Error.
#pragma once

namespace hf {
[[noreturn]] void check_failed(const char* file, int line, const char* what);
}

#define HF_CHECK(cond) \
  (static_cast<bool>(cond) ? static_cast<void>(0) : ::hf::check_failed(__FILE__, __LINE__, #cond))
