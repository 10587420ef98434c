// Redis's glob patterns: * ? [a-z] [^x] and backslash escapes.
#pragma once
#include "base/bytes.h"

namespace hf {

bool glob_match(Bytes pattern, Bytes text, bool nocase = false);

}  // namespace hf
