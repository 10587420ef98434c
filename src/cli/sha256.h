// SHA-256 (FIPS 180-4), for checkpoints that lie outside the server: anybody can check them with sha256sum.
#pragma once
#include <array>
#include <cstdint>
#include <string>

#include "base/bytes.h"

namespace hf::cli {

class Sha256 {
 public:
  Sha256();
  void update(Bytes bytes);
  /// 64 hex digits. Ends the sum: call it once.
  std::string hex();

 private:
  void block(const unsigned char* p);
  std::array<uint32_t, 8> h_;
  std::array<unsigned char, 64> pending_;
  uint64_t total_ = 0;
};

}  // namespace hf::cli
