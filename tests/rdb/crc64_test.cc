// The sum of dumps.
#include "rdb/crc64.h"

#include <catch2/catch.hpp>
#include <string>

namespace hf::rdb {
namespace {

TEST_CASE("the sum of nine digits is the one that the polynomial's tables of check values give") {
  CHECK(crc64(0, "123456789") == 0xe9c6d914c4b8d9ca);
  CHECK(crc64(0, "") == 0);
}

TEST_CASE("a sum over pieces is the sum over the whole, wherever it is cut") {
  std::string text;
  for (int i = 0; i < 100; ++i) text += static_cast<char>(i * 37);
  const uint64_t whole = crc64(0, text);
  for (size_t cut = 0; cut <= text.size(); ++cut)
    CHECK(crc64(crc64(0, Bytes(text).substr(0, cut)), Bytes(text).substr(cut)) == whole);
}

}  // namespace
}  // namespace hf::rdb
