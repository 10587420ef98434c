// Thin wrappers: liblz4 does the work.
#include "base/compress.h"

#include <lz4.h>

namespace hf {

std::string lz4_compress(Bytes raw) {
  if (raw.size() < 64 || raw.size() > LZ4_MAX_INPUT_SIZE) return {};
  std::string out(raw.size(), '\0');
  const int n = LZ4_compress_default(raw.data(), out.data(), static_cast<int>(raw.size()),
                                     static_cast<int>(raw.size() - 1));
  if (n <= 0) return {};
  out.resize(static_cast<size_t>(n));
  return out;
}

Result<std::string> lz4_decompress(Bytes block, size_t raw_size) {
  if (block.size() > LZ4_MAX_INPUT_SIZE || raw_size > LZ4_MAX_INPUT_SIZE)
    return Error{"lz4 block is too large"};
  std::string out(raw_size, '\0');
  const int n = LZ4_decompress_safe(block.data(), out.data(), static_cast<int>(block.size()),
                                    static_cast<int>(raw_size));
  if (n < 0 || static_cast<size_t>(n) != raw_size)
    return Error{"lz4 block does not hold what its header says"};
  return out;
}

}  // namespace hf
