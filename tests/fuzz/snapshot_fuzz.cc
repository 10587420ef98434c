// A snapshot file of the fuzzer's bytes: it loads or is called damaged.
#include <cstddef>
#include <cstdint>

#include "log/memory_files.h"
#include "snapshot/reader.h"
#include "store/store.h"
#include "task/tasks.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  hf::test::MemoryFiles files;
  const std::string name = hf::snapshot::file_name({1});
  files.content(name) = std::string(reinterpret_cast<const char*>(data), size);
  hf::store::Store store({.databases = 4});
  store.set_loader(hf::store::Type::Task, hf::task::load_task);
  hf::snapshot::StoreSink sink(store);
  hf::snapshot::Reader reader(files, name);
  auto phase = reader.open();
  while (phase == hf::snapshot::Reader::Phase::Loading) phase = reader.step(1 << 16, sink);
  return 0;
}
