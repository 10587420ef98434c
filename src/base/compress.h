// lz4 blocks, for snapshot blocks and large frames.
#pragma once
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace hf {

/// `raw` as one lz4 block; empty when that would not be smaller than `raw`.
std::string lz4_compress(Bytes raw);
/// The `raw_size` bytes that `block` holds. `raw_size` comes from outside: the caller has bounded it.
Result<std::string> lz4_decompress(Bytes block, size_t raw_size);

}  // namespace hf
