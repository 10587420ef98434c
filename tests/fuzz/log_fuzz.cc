// A data folder whose log is the fuzzer's bytes: recovery and the check end with a verdict, never otherwise.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "log/check.h"
#include "log/log_support.h"
#include "log/segment.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 4) return 0;
  // Two lengths (u16, little-endian) say how the rest is shared out between MANIFEST and up to two segments.
  const hf::Bytes rest(reinterpret_cast<const char*>(data) + 4, size - 4);
  const size_t manifest = std::min<size_t>(data[0] + 256u * data[1], rest.size());
  const size_t first = std::min<size_t>(data[2] + 256u * data[3], rest.size() - manifest);
  hf::test::MemoryFiles files;
  if (manifest > 0) files.content("MANIFEST") = std::string(rest.substr(0, manifest));
  files.content(hf::log::segment_name({0})) = std::string(rest.substr(manifest, first));
  if (first + manifest < rest.size())
    files.content(hf::log::segment_name({first})) = std::string(rest.substr(manifest + first));
  hf::test::recover(files, 1 << 16, 1 << 12);
  (void)hf::log::check_folder(files, {});
  return 0;
}
