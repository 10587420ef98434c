// Each take_... either takes its item whole or leaves `in` as it is, so that nothing but the place in the
// layout and the counts of bytes to pass over survive from one piece of input to the next.
#include "rdb/walker.h"

#include <liblzf/lzf.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/number.h"
#include "rdb/format.h"

namespace hf::rdb {
namespace {

/// The longest a run of LZF's can get: 3 bytes for 264.
constexpr uint64_t lzf_growth_max = 88;

template <class T>
T little(Bytes in) {
  T value;
  std::memcpy(&value, in.data(), sizeof value);
  return value;
}

uint64_t big(Bytes in, size_t size) {
  uint64_t value = 0;
  for (size_t i = 0; i < size; ++i) value = value << 8 | static_cast<uint8_t>(in[i]);
  return value;
}

}  // namespace

Took take_length(Bytes& in, uint64_t& value) {
  if (in.empty()) return Took::More;
  const auto first = static_cast<uint8_t>(in[0]);
  size_t size = 1;
  if (first < 0x40) {
    value = first;
  } else if (first < 0x80) {
    size = 2;
  } else if (first == length_32) {
    size = 5;
  } else if (first == length_64) {
    size = 9;
  } else {
    return Took::Bad;
  }
  if (in.size() < size) return Took::More;
  if (size == 2) value = static_cast<uint64_t>(first & 0x3f) << 8 | static_cast<uint8_t>(in[1]);
  if (size > 2) value = big(in.substr(1), size - 1);
  in.remove_prefix(size);
  return Took::Whole;
}

Took take_string_head(Bytes& in, StringHead& head) {
  if (in.empty()) return Took::More;
  const auto first = static_cast<uint8_t>(in[0]);
  head = {};
  if (first < 0xc0) {
    const Took took = take_length(in, head.stored);
    head.size = head.stored;
    return took;
  }
  Bytes rest = in.substr(1);
  if (first == string_lzf) {
    head.kind = StringHead::Kind::Lzf;
    Took took = take_length(rest, head.stored);
    if (took == Took::Whole) took = take_length(rest, head.size);
    if (took == Took::Whole) in = rest;
    return took;
  }
  if (first > string_lzf) return Took::Bad;
  const size_t size = size_t{1} << (first - string_int8);
  if (rest.size() < size) return Took::More;
  head.kind = StringHead::Kind::Number;
  head.number = first == string_int8    ? little<int8_t>(rest)
                : first == string_int16 ? little<int16_t>(rest)
                                        : little<int32_t>(rest);
  in = rest.substr(size);
  return Took::Whole;
}

void Walker::begin(const char* layout, Strings strings, uint64_t pieces_above) {
  at_ = layout;
  strings_ = strings;
  pieces_above_ = pieces_above;
  depth_ = 0;
  skip_left_ = piece_left_ = module_values_ = 0;
}

Walker::Step Walker::next(Bytes& in, Item& item) {
  for (;;) {
    item = {};
    if (skip_left_ > 0) {
      const size_t n = std::min<uint64_t>(skip_left_, in.size());
      in.remove_prefix(n);
      skip_left_ -= n;
      if (skip_left_ > 0) return Step::More;
    }
    if (piece_left_ > 0) {
      if (in.empty()) return Step::More;
      item.kind = Item::Kind::Piece;
      item.text = in.substr(0, std::min<uint64_t>(piece_left_, in.size()));
      in.remove_prefix(item.text.size());
      piece_left_ -= item.text.size();
      return Step::Item;
    }
    switch (*at_) {
      case '\0': return Step::End;
      case ')': close_loop(); continue;
      case '(': return take_count(in, item);
      case '1': return take_fixed(in, 1, item);
      case '4': return take_fixed(in, 4, item);
      case '8': return take_fixed(in, 8, item);
      case 'w': return take_fixed(in, 16, item);
      case 's': return take_string(in, item);
      case 'f': return take_score(in, item);
      case 'm': {
        const Step step = take_module_value(in, item);
        if (step == Step::Item && item.kind != Item::Kind::Values) continue;
        return step;
      }
      case 'l': {
        const Took took = take_length(in, item.number);
        if (took == Took::More) return Step::More;
        if (took == Took::Bad) return bad("a length is expected here, and this is none");
        item.kind = Item::Kind::Number;
        ++at_;
        return Step::Item;
      }
      default: HF_CHECK(!"a letter that no layout has");
    }
  }
}

void Walker::close_loop() {
  HF_CHECK(depth_ > 0);
  Loop& loop = loops_[depth_ - 1];
  if (--loop.left > 0) {
    at_ = loop.body;
  } else {
    --depth_;
    ++at_;
  }
}

Walker::Step Walker::take_fixed(Bytes& in, size_t size, Item& item) {
  if (in.size() < size) return Step::More;
  if (size <= 8) {
    item.kind = Item::Kind::Number;
    std::memcpy(&item.number, in.data(), size);
  }
  in.remove_prefix(size);
  ++at_;
  return Step::Item;
}

Walker::Step Walker::take_count(Bytes& in, Item& item) {
  const Took took = take_length(in, item.number);
  if (took == Took::More) return Step::More;
  if (took == Took::Bad) return bad("a count is expected here, and this is none");
  if (item.number > limits_.items_max)
    return bad("a value claims " + std::to_string(item.number) + " elements, at most " +
               std::to_string(limits_.items_max) + " are possible");
  item.kind = Item::Kind::Count;
  ++at_;
  if (item.number > 0) {
    HF_CHECK(depth_ < depth_max);
    loops_[depth_++] = {at_, item.number};
    return Step::Item;
  }
  for (size_t open = 1; open > 0; ++at_) open += *at_ == '(' ? 1 : *at_ == ')' ? -1 : 0;
  return Step::Item;
}

Walker::Step Walker::check(const StringHead& head) {
  const uint64_t most = std::max(head.stored, head.size);
  if (most > limits_.string_bytes_max)
    return bad("a string of " + std::to_string(most) + " bytes, at most " +
               std::to_string(limits_.string_bytes_max) + " are allowed");
  // Of nothing lzf_decompress would read a byte all the same.
  if (head.kind == StringHead::Kind::Lzf &&
      (head.stored == 0 || head.size == 0 || head.size / lzf_growth_max > head.stored))
    return bad("a compressed string of " + std::to_string(head.stored) + " bytes claims to hold " +
               std::to_string(head.size));
  return Step::Item;
}

Walker::Step Walker::take_string(Bytes& in, Item& item) {
  Bytes rest = in;
  StringHead head;
  const Took took = take_string_head(rest, head);
  if (took == Took::More) return Step::More;
  if (took == Took::Bad) return bad("a string is expected here, and this is none");
  if (const Step checked = check(head); checked == Step::Bad) return checked;
  item.kind = Item::Kind::String;
  if (strings_ == Strings::Skip) {
    skip_left_ = head.stored;
  } else if (head.kind == StringHead::Kind::Raw && head.size > pieces_above_) {
    item.kind = Item::Kind::Begin;
    item.number = piece_left_ = head.size;
  } else {
    if (rest.size() < head.stored) return Step::More;
    if (const Step kept = keep(head, rest.substr(0, head.stored), item); kept == Step::Bad) return kept;
    rest.remove_prefix(head.stored);
  }
  in = rest;
  ++at_;
  return Step::Item;
}

Walker::Step Walker::keep(const StringHead& head, Bytes body, Item& item) {
  switch (head.kind) {
    case StringHead::Kind::Raw: item.text = body; break;
    case StringHead::Kind::Number:
      scratch_ = to_text(head.number);
      item.text = scratch_;
      break;
    case StringHead::Kind::Lzf:
      scratch_.resize(head.size);
      if (lzf_decompress(body.data(), static_cast<unsigned>(body.size()), scratch_.data(),
                         static_cast<unsigned>(head.size)) != head.size)
        return bad("a compressed string does not hold what its head says");
      item.text = scratch_;
      break;
  }
  return Step::Item;
}

Walker::Step Walker::take_score(Bytes& in, Item&) {
  if (in.empty()) return Step::More;
  const auto size = static_cast<uint8_t>(in[0]);
  if (size < 253) skip_left_ = size;  // the three above are not-a-number and the infinities
  in.remove_prefix(1);
  ++at_;
  return Step::Item;
}

Walker::Step Walker::take_module_value(Bytes& in, Item& item) {
  enum : uint64_t { end = 0, whole = 1, unsigned_whole = 2, float_4 = 3, float_8 = 4, string = 5 };
  Bytes rest = in;
  uint64_t kind = end, number = 0;
  Took took = take_length(rest, kind);
  if (took == Took::Whole && (kind == whole || kind == unsigned_whole)) took = take_length(rest, number);
  if (took == Took::Whole && kind == string) {
    StringHead head;
    took = take_string_head(rest, head);
    if (took == Took::Whole && check(head) == Step::Bad) return Step::Bad;
    skip_left_ = took == Took::Whole ? head.stored : 0;
  }
  if (took == Took::More) return Step::More;
  if (took == Took::Bad || kind > string) return bad("a module's value is expected here, and this is none");
  if (kind == float_4) skip_left_ = 4;
  if (kind == float_8) skip_left_ = 8;
  in = rest;
  if (kind == end) {
    item.kind = Item::Kind::Values;
    item.number = std::exchange(module_values_, 0);
    ++at_;
  } else {
    ++module_values_;
  }
  return Step::Item;
}

}  // namespace hf::rdb
