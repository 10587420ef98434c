// The sum at the end of Redis's dumps: CRC-64 with the Jones polynomial, bits reflected, starting at 0. None
// of Debian's libraries has it with this polynomial, hence ours.
#pragma once
#include <cstdint>

#include "base/bytes.h"

namespace hf::rdb {

/// The sum of what `crc` is the sum of, followed by `bytes`. Begin with 0.
uint64_t crc64(uint64_t crc, Bytes bytes);

}  // namespace hf::rdb
