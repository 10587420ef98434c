// What a client may call itself: printable, without blanks, so that CLIENT LIST stays one line a client.
#pragma once
#include "base/bytes.h"

namespace hf::command {

inline bool is_client_name(Bytes name) {
  for (const char c : name)
    if (c < '!' || c > '~') return false;
  return true;
}
constexpr const char* invalid_client_name =
    "ERR Client names cannot contain spaces, newlines or special characters.";

}  // namespace hf::command
