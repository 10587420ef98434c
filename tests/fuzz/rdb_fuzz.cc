// A dump of the fuzzer's bytes, whole and in pieces: the reader says the same of both, and what it loads
// comes back out of a dump of our own. The same bytes as a payload of DUMP's.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "base/little_endian.h"
#include "rdb/crc64.h"
#include "rdb/payload.h"
#include "rdb/reader.h"
#include "rdb/writer.h"
#include "store/store.h"

namespace {

using hf::Bytes;
using hf::rdb::Reader;

constexpr hf::rdb::ReaderOptions options{.limits = {.string_bytes_max = 1 << 20}};

Reader::Phase load(Bytes dump, size_t step, hf::store::Store& store) {
  hf::rdb::StoreSink sink(store);
  Reader reader(sink, options);
  while (!dump.empty() && reader.phase() == Reader::Phase::Reading)
    dump.remove_prefix(reader.feed(dump.substr(0, step)));
  reader.end_of_input();
  return reader.phase();
}

void write_again(const hf::store::Store& store) {
  hf::Buffer out;
  hf::rdb::Writer writer(out);
  writer.begin({});
  for (hf::DbIndex db = 0; db < store.databases(); ++db)
    store.for_each(db, [&](const hf::store::Entry& entry) {
      std::string encoded;
      hf::store::encode_entry(entry, encoded);
      HF_CHECK(writer.entry(db, encoded).ok());
    });
  HF_CHECK(writer.finish().ok());
  hf::store::Store second({.databases = store.databases()});
  HF_CHECK(load(out.view(), SIZE_MAX, second) == Reader::Phase::Done);
  HF_CHECK(second.digest() == store.digest());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Bytes input(reinterpret_cast<const char*>(data), size);
  hf::store::Store whole({.databases = 4}), pieces({.databases = 4});
  const Reader::Phase phase = load(input, SIZE_MAX, whole);
  HF_CHECK(load(input, 1 + size % 7, pieces) == phase);
  HF_CHECK(pieces.digest() == whole.digest());
  if (phase == Reader::Phase::Done) write_again(whole);

  std::string payload(input);
  hf::put_le(payload, uint16_t{10});
  hf::put_le(payload, hf::rdb::crc64(0, payload));
  HF_CHECK(hf::rdb::payload_is_intact(payload));
  const auto value = hf::rdb::decode_payload(payload, options.limits);
  if (!value.ok()) return 0;
  hf::store::Store third({.databases = 1});
  (void)third.load_value(0, third.key("k"), *value, hf::store::no_expiry);
  return 0;
}
