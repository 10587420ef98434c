// An entry that fits a piece goes out whole; a larger one as a head, and then fields or bytes.
#include "rdb/value_builder.h"

#include "base/little_endian.h"
#include "store/entry.h"
#include "store/store.h"
#include "store/varint.h"

namespace hf::rdb {

using store::Type;

void ValueBuilder::begin(const Row& row, Bytes key, WallMs expire_at) {
  row_ = &row;
  key_ = key;
  expire_at_ = expire_at;
  own_number_ = fields_total_ = fields_seen_ = 0;
  timed_ = empty_ = taker_failed_ = have_name_ = false;
  fields_.clear();
}

Status ValueBuilder::hand(Bytes encoded) {
  Status status = taker_.take_piece(encoded);
  taker_failed_ = !status.ok();
  return status;
}

void ValueBuilder::put_head(Type type, std::string& out) const {
  const bool expires = expire_at_ != store::no_expiry;
  out += static_cast<char>(static_cast<uint8_t>(type) | (expires ? store::expiry_bit : 0));
  if (expires) put_le(out, static_cast<uint64_t>(expire_at_));
  store::put_varint(out, key_.size());
  out.append(key_);
}

Status ValueBuilder::item(const Item& item) {
  switch (row_->use) {
    case Use::String: return string_item(item);
    case Use::Task: return whole(Type::Task, item.text);
    case Use::HashPairs:
    case Use::HashTimedPairs: return pair_item(item);
    case Use::HashZipmap: return packed(Packing::Zipmap, item.text);
    case Use::HashZiplist: return packed(Packing::Ziplist, item.text);
    case Use::HashListpack: return packed(Packing::Listpack, item.text);
    case Use::HashTimedListpack:
      if (item.kind != Item::Kind::String) return ok();  // the earliest time of expiry
      return packed(Packing::Listpack, item.text);
    default: HF_CHECK(!"a value that is not taken");
  }
  return ok();
}

// ---- strings ----------------------------------------------------------------------------------------------

Status ValueBuilder::whole(Type type, Bytes value) {
  out_.clear();
  put_head(type, out_);
  store::put_varint(out_, value.size());
  out_.append(value);
  return hand(out_);
}

Status ValueBuilder::bytes(uint64_t number, Bytes value) {
  while (!value.empty()) {
    const Bytes piece = value.substr(0, store::piece_bytes_max);
    out_.clear();
    store::encode_bytes(number, piece, out_);
    if (Status s = hand(out_); !s) return s;
    value.remove_prefix(piece.size());
  }
  return ok();
}

Status ValueBuilder::string_item(const Item& item) {
  if (item.kind == Item::Kind::Piece) return bytes(own_number_, item.text);
  const uint64_t size = item.kind == Item::Kind::Begin ? item.number : item.text.size();
  if (item.kind == Item::Kind::String && size <= piece_max_) return whole(Type::String, item.text);
  own_number_ = ++last_number_;
  out_.clear();
  store::encode_large(
      {.number = own_number_, .type = Type::String, .expire_at = expire_at_, .key = key_, .size = size},
      out_);
  if (Status s = hand(out_); !s) return s;
  return bytes(own_number_, item.text);
}

// ---- hashes -----------------------------------------------------------------------------------------------

Status ValueBuilder::pair_item(const Item& item) {
  if (item.kind == Item::Kind::Count) {
    fields_total_ = item.number;
    return ok();
  }
  if (item.kind == Item::Kind::Number) {  // a field's time; before the count, the earliest of all
    if (fields_total_ > 0 && item.number != 0) timed_ = true;
    return ok();
  }
  if (have_name_) {
    have_name_ = false;
    return field(name_, item.text);
  }
  name_.assign(item.text);
  have_name_ = true;
  return ok();
}

Status ValueBuilder::packed(Packing packing, Bytes blob) {
  if (Status s = packed_pass(packing, blob, true, fields_total_); !s) return s;
  uint64_t fields = 0;
  return timed_ ? ok() : packed_pass(packing, blob, false, fields);
}

Status ValueBuilder::packed_pass(Packing packing, Bytes blob, bool count_only, uint64_t& fields) {
  const bool has_times = row_->use == Use::HashTimedListpack;
  PackedItems items(packing, blob);
  Bytes item;
  fields = 0;
  while (items.next(item)) {
    name_.assign(item);  // a copy: a number's digits are gone with the next item
    if (!items.next(item)) break;
    ++fields;
    if (!count_only)
      if (Status s = field(name_, item); !s) return s;
    if (!has_times) continue;
    if (!items.next(item)) break;
    timed_ = timed_ || item != "0";
  }
  if (items.problem() == nullptr && items.items() != fields * (has_times ? 3 : 2))
    return Error{"a packed hash has a field without a value"};
  if (items.problem() != nullptr)
    return Error{std::string("a packed hash is damaged at its byte ") + std::to_string(items.at()) + ": " +
                 items.problem()};
  return ok();
}

Status ValueBuilder::field(Bytes name, Bytes value) {
  ++fields_seen_;
  if (timed_) return ok();  // it is refused anyway
  if (value.size() > piece_max_) {
    if (own_number_ == 0)
      if (Status s = begin_large_hash(); !s) return s;
    if (Status s = flush_fields(); !s) return s;
    const uint64_t number = ++last_number_;
    out_.clear();
    store::encode_large_field(own_number_, name, number, value.size(), out_);
    if (Status s = hand(out_); !s) return s;
    return bytes(number, value);
  }
  if (own_number_ != 0 && fields_.empty()) store::encode_fields_head(own_number_, fields_);
  store::encode_field(name, value, fields_);
  if (fields_.size() <= piece_max_) return ok();
  if (own_number_ == 0) return begin_large_hash();
  return flush_fields();
}

/// The head, and what there is of fields.
Status ValueBuilder::begin_large_hash() {
  own_number_ = ++last_number_;
  out_.clear();
  store::encode_large({.number = own_number_,
                       .type = Type::Hash,
                       .expire_at = expire_at_,
                       .key = key_,
                       .size = fields_total_},
                      out_);
  if (Status s = hand(out_); !s) return s;
  if (fields_.empty()) return ok();
  std::string piece;
  store::encode_fields_head(own_number_, piece);
  fields_.insert(0, piece);
  return flush_fields();
}

Status ValueBuilder::flush_fields() {
  if (fields_.empty()) return ok();
  Status status = hand(fields_);
  fields_.clear();
  return status;
}

Status ValueBuilder::end() {
  if (row_->use == Use::String || row_->use == Use::Task || timed_) return ok();
  HF_CHECK(fields_seen_ == fields_total_);
  empty_ = fields_seen_ == 0;
  if (empty_) return ok();
  if (own_number_ != 0) return flush_fields();
  out_.clear();
  put_head(Type::Hash, out_);
  store::put_varint(out_, fields_total_);
  out_.append(fields_);
  return hand(out_);
}

}  // namespace hf::rdb
