// Encoded entries of the fuzzer's bytes, tasks among them: refused, or a value that encodes to what it is.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "store/store.h"
#include "task/tasks.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const hf::Bytes input(reinterpret_cast<const char*>(data), size);
  hf::store::Store store({.databases = 1});
  store.set_loader(hf::store::Type::Task, hf::task::load_task);
  if (!store.load_entry(0, input).ok()) {
    HF_CHECK(store.size(0) == 0);
    (void)hf::task::load_task(input);
    return 0;
  }
  HF_CHECK(store.size(0) == 1);
  std::string encoded;
  store.for_each(0, [&](const hf::store::Entry& entry) { hf::store::encode_entry(entry, encoded); });
  hf::store::Store second({.databases = 1});
  second.set_loader(hf::store::Type::Task, hf::task::load_task);
  HF_CHECK(second.load_entry(0, encoded).ok());
  HF_CHECK(second.digest() == store.digest());
  return 0;
}
