// A payload's value is walked and built as one of a dump would be, under an empty key, in one piece.
#include "rdb/payload.h"

#include "base/little_endian.h"
#include "rdb/crc64.h"
#include "rdb/format.h"
#include "rdb/value_builder.h"

namespace hf::rdb {
namespace {

constexpr size_t version_bytes = 2, sum_bytes = 8;

/// Keeps the one entry that comes.
class Keep final : public PieceTaker {
 public:
  Status take_piece(Bytes encoded) override {
    entry.assign(encoded);
    return ok();
  }
  std::string entry;
};

}  // namespace

void encode_payload(const store::Entry& entry, const WriteOptions& options, std::string& out) {
  std::string encoded;
  store::encode_value(entry, encoded);
  const size_t begin = out.size();
  out += '\0';
  const auto code = put_value(out, entry.type(), Bytes(encoded).substr(1), options);
  HF_CHECK(code.ok());
  out[begin] = static_cast<char>(*code);
  put_le(out, static_cast<uint16_t>(version_written));
  put_le(out, crc64(0, Bytes(out).substr(begin)));
}

bool payload_is_intact(Bytes payload) {
  if (payload.size() < version_bytes + sum_bytes) return false;
  const size_t sum_at = payload.size() - sum_bytes;
  return get_le<uint16_t>(payload, sum_at - version_bytes) <= version_read_max &&
         get_le<uint64_t>(payload, sum_at) == crc64(0, payload.substr(0, sum_at));
}

Result<std::string> decode_payload(Bytes payload, const Limits& limits) {
  HF_CHECK(payload.size() >= version_bytes + sum_bytes);
  Bytes in = payload.substr(0, payload.size() - version_bytes - sum_bytes);
  const auto at = [&] { return "byte " + std::to_string(in.data() - payload.data()) + " of the payload: "; };
  const Row* row = in.empty() ? nullptr : find_row(static_cast<uint8_t>(in[0]));
  if (row == nullptr || (!is_value(*row) && row->use != Use::KeyMetadata))
    return Error{at() + "no value begins so"};
  if (is_refused(*row) || row->use == Use::KeyMetadata)
    return Error{std::string("the payload is ") + row->what + ", which Holdfast does not hold yet"};
  in.remove_prefix(1);

  Keep keep;
  Walker walker(limits);
  ValueBuilder builder(keep, UINT64_MAX);
  walker.begin(row->layout, Walker::Strings::Keep);
  builder.begin(*row, {}, store::no_expiry);
  Item item;
  for (;;) {
    const std::string here = at();
    const Walker::Step step = walker.next(in, item);
    if (step == Walker::Step::Bad) return Error{here + walker.problem()};
    if (step == Walker::Step::More) return Error{here + "it ends before its value does"};
    if (step == Walker::Step::End) break;
    if (Status s = builder.item(item); !s) return Error{here + s.error().message};
  }
  if (!in.empty()) return Error{at() + "bytes behind the value"};
  if (Status s = builder.end(); !s) return s.error();
  if (builder.refused())
    return Error{std::string("the payload is ") + row->what + ", which Holdfast does not hold yet"};
  if (builder.was_empty()) return Error{"the payload is a hash without fields"};
  keep.entry.erase(1, 1);  // the length of the empty key: type and value are left
  return std::move(keep.entry);
}

}  // namespace hf::rdb
