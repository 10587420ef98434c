// Fixed-width integers as formats store them: little-endian, whatever the machine and the alignment.
#pragma once
#include <cstdint>
#include <cstring>
#include <string>

#include "base/bytes.h"
#include "base/check.h"

namespace hf {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "formats are written by copying");

template <class T>
void put_le(std::string& out, T value) {
  char raw[sizeof(T)];
  std::memcpy(raw, &value, sizeof(T));
  out.append(raw, sizeof(T));
}
/// The integer at `in[at...]`. CHECK: it lies inside.
template <class T>
T get_le(Bytes in, size_t at) {
  HF_CHECK(at <= in.size() && in.size() - at >= sizeof(T));
  T value;
  std::memcpy(&value, in.data() + at, sizeof(T));
  return value;
}
template <class T>
void set_le(char* at, T value) {
  std::memcpy(at, &value, sizeof(T));
}

}  // namespace hf
