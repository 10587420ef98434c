// Digests: order-free sums that must not depend on how a value lies in memory, nor on whether a walk handed
// it over whole or in pieces.
#include "store/digest.h"

#include "base/check.h"
#include "base/little_endian.h"
#include "store/inside.h"
#include "store/varint.h"

namespace hf::store {
namespace {

void add(Sum128& sum, Sum128 term) {
  sum.low += term.low;
  sum.high += term.high;
}

void put_head(std::string& out, Type type, WallMs expire_at, Bytes key) {
  out += static_cast<char>(type);
  put_le<uint64_t>(out, static_cast<uint64_t>(expire_at));
  put_counted(out, key);
}

void put_fields(std::string& out, const Sum128& fields) {
  put_le<uint64_t>(out, fields.low);
  put_le<uint64_t>(out, fields.high);
}

Sum128 sum_of_field(Bytes field, Bytes value, std::string& scratch) {
  scratch.clear();
  put_counted(scratch, field);
  put_counted(scratch, value);
  return sum128(scratch);
}

Sum128 sum_of(const Entry& entry, std::string& scratch) {
  Sum128 fields;
  if (entry.type() == Type::Hash)
    entry.hash_for_each([&](Bytes field, Bytes value) { add(fields, sum_of_field(field, value, scratch)); });
  scratch.clear();
  put_head(scratch, entry.type(), entry.expire_at(), entry.key());
  if (entry.type() == Type::Hash) {
    put_le<uint64_t>(scratch, entry.hash_size());
    put_fields(scratch, fields);
  } else if (entry.type() == Type::String) {
    Scratch number;
    put_counted(scratch, entry.string(number));
  } else {
    std::string saved;
    entry.object()->save(saved);
    put_counted(scratch, saved);
  }
  return sum128(scratch);
}

void add_in(DbIndex db, Sum128 sum, Sum128& total) {
  char buf[20];
  for (size_t i = 0; i < 8; ++i) buf[i] = static_cast<char>(sum.low >> (8 * i));
  for (size_t i = 0; i < 8; ++i) buf[8 + i] = static_cast<char>(sum.high >> (8 * i));
  for (size_t i = 0; i < 4; ++i) buf[16 + i] = static_cast<char>(db >> (8 * i));
  add(total, sum128({buf, sizeof buf}));
}

}  // namespace

Sum128 Store::digest_of(const Entry& entry) const {
  std::string scratch;
  return sum_of(entry, scratch);
}

void Store::add_to_digest(DbIndex db, const Entry& entry, Sum128& total) const {
  std::string scratch;
  add_in(db, sum_of(entry, scratch), total);
}

Sum128 Store::digest() const {
  Sum128 total;
  std::string scratch;
  for (DbIndex db = 0; db < databases(); ++db)
    in_->database(db).table.for_each([&](Slot& slot) { add_in(db, sum_of(*slot.entry(), scratch), total); });
  return total;
}

// ---- of a walk --------------------------------------------------------------------------------------------

Sum128 total_of(const StateSums& sums) {
  Sum128 total;
  for (const auto& [db, slices] : sums)
    for (const Sum128& slice : slices) add(total, slice);
  return total;
}

namespace {

// Measured on small strings and hashes; a look-up in a cold table is the most of it.
constexpr uint64_t entry_work = 150, field_work = 50, bytes_a_work = 8;

}  // namespace

void WalkDigest::add_entry(DbIndex db, uint32_t slice, Sum128 sum) { add_in(db, sum, sums_[db][slice]); }

void WalkDigest::take(DbIndex db, const Entry& entry) {
  add_entry(db, slice_of(entry.key()), sum_of(entry, scratch_));
  ++keys_;
  work_ += entry_work + scratch_.size() / bytes_a_work;
  if (entry.type() == Type::Hash) work_ += field_work * entry.hash_size();
}

void WalkDigest::take_large(const LargeValue& value) {
  Partial partial{.db = value.db, .slice = slice_of(value.key), .left = value.size};
  put_head(partial.head, value.type, value.expire_at, value.key);
  if (value.type == Type::Hash) {
    put_le<uint64_t>(partial.head, value.size);
  } else {
    put_varint(partial.head, value.size);
    partial.bytes = std::make_unique<Sum128Stream>();
    partial.bytes->update(partial.head);
  }
  HF_CHECK(partial_.emplace(value.number, std::move(partial)).second);
  ++keys_;
  work_ += entry_work;
}

void WalkDigest::take_field(uint64_t hash, Bytes field, Bytes value) {
  add_field(hash, sum_of_field(field, value, scratch_));
  work_ += field_work + value.size() / bytes_a_work;
}

void WalkDigest::take_large_field(uint64_t hash, Bytes field, uint64_t number, uint64_t size) {
  Partial partial{.left = size, .hash = hash, .bytes = std::make_unique<Sum128Stream>()};
  scratch_.clear();
  put_counted(scratch_, field);
  put_varint(scratch_, size);
  partial.bytes->update(scratch_);
  HF_CHECK(partial_.emplace(number, std::move(partial)).second);
}

void WalkDigest::take_bytes(uint64_t number, Bytes piece) {
  const auto at = partial_.find(number);
  HF_CHECK(at != partial_.end() && piece.size() <= at->second.left);
  at->second.bytes->update(piece);
  work_ += piece.size() / bytes_a_work;
  at->second.left -= piece.size();
  if (at->second.left > 0) return;
  const Partial whole = std::move(at->second);
  partial_.erase(at);
  if (whole.hash != 0) add_field(whole.hash, whole.bytes->digest());
  else add_entry(whole.db, whole.slice, whole.bytes->digest());
}

void WalkDigest::add_field(uint64_t hash, Sum128 sum) {
  const auto at = partial_.find(hash);
  HF_CHECK(at != partial_.end() && at->second.left > 0);
  Partial& partial = at->second;
  add(partial.fields, sum);
  if (--partial.left > 0) return;
  put_fields(partial.head, partial.fields);
  add_entry(partial.db, partial.slice, sum128(partial.head));
  partial_.erase(at);
}

}  // namespace hf::store
