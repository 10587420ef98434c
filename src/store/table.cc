// Splitting, merging and chains: the parts of the table that are not on the look-up path. See table.h for the
// rules.
#include "store/table.h"

#include <bit>

namespace hf::store {
namespace {

// Entries a bucket, in quarters. Growing at 4.5 costs about 16 bytes of table a record, chains included, and
// leaves nine look-ups in ten in the first line. Shrinking below 2 keeps the two far enough apart not to
// flutter.
constexpr size_t grow_at_quarters = 18;
constexpr size_t shrink_below_quarters = 8;

}  // namespace

Table::~Table() {
  HF_CHECK(size_ == 0);
  size_t none = SIZE_MAX;
  drain_some(none, [](Entry*) {});
  if (first_capacity_ > 0) context_.memory.give_lines(directory_[0], first_capacity_ * sizeof(Bucket));
  if (directory_ != &first_) context_.memory.give(directory_, directory_capacity_ * sizeof(Bucket*));
}

uint64_t Table::reversed(uint64_t x) {
  x = ((x >> 1) & 0x5555555555555555) | ((x & 0x5555555555555555) << 1);
  x = ((x >> 2) & 0x3333333333333333) | ((x & 0x3333333333333333) << 2);
  x = ((x >> 4) & 0x0f0f0f0f0f0f0f0f) | ((x & 0x0f0f0f0f0f0f0f0f) << 4);
  return __builtin_bswap64(x);
}

Table::Range Table::range_at(uint64_t position) const {
  const uint64_t hash = reversed(position);
  const size_t half =
      std::bit_floor(buckets_);  // 2^L: buckets that are split use L+1 bits of the hash, others L
  unsigned bits = static_cast<unsigned>(std::bit_width(half)) - 1;
  size_t bucket = hash & (half - 1);
  if (bucket + half < buckets_) {
    bucket = hash & (2 * half - 1);
    ++bits;
  }
  if (bits == 0) return {bucket, 0};
  return {bucket, (position | (~uint64_t{0} >> bits)) + 1};
}

void Table::prefetch_entry(uint64_t hash) const {
  if (buckets_ == 0) return;
  const Bucket* b = bucket_for(hash);
  for (uint64_t m = b->match(tag_of(hash) * 0x0101010101010101u); m != 0; m &= m - 1)
    prefetch(b->slots[__builtin_ctzll(m) >> 3].entry());
}

void Table::prefetch_ahead(uint64_t position) const {
  // Buckets are fetched four visits ahead and their entries two, when the bucket has arrived.
  for (int visits = 1; visits <= 4 && buckets_ != 0; ++visits) {
    position = range_at(position).end;
    if (position == 0) return;
    Bucket* b = bucket_at(range_at(position).bucket);
    if (visits == 4) prefetch(b);
    if (visits == 2)
      for (uint64_t m = b->used(); m != 0; m &= m - 1)
        prefetch(b->slots[__builtin_ctzll(m) >> 3].entry());
  }
}

Slot* Table::random(Prng& prng) const {
  if (size_ == 0) return nullptr;
  // A bucket and a place in it, both uniform, until the place is taken: uniform over all entries (chains
  // longer than `places` aside, which are as good as impossible).
  constexpr size_t places = 24;
  for (int attempt = 0; attempt < 4096; ++attempt) {
    Bucket* b = bucket_at(prng.below(buckets_));
    size_t place = prng.below(places);
    for (; b != nullptr; b = b->next())
      for (uint64_t m = b->used(); m != 0; m &= m - 1)
        if (place-- == 0) return &b->slots[__builtin_ctzll(m) >> 3];
  }
  for (size_t i = prng.below(buckets_);; i = (i + 1) % buckets_) {
    Bucket* b = bucket_at(i);
    if (const uint64_t m = b->used(); m != 0) return &b->slots[__builtin_ctzll(m) >> 3];
  }
}

bool Table::reserve_some(uint64_t keys, size_t buckets) {
  HF_CHECK(size_ == 0);
  for (; 4 * keys > grow_at_quarters * buckets_; --buckets) {
    if (buckets == 0) return false;
    add_bucket();
  }
  return true;
}

Slot* Table::insert(uint64_t hash, Entry* entry, bool expires) {
  if (buckets_ == 0) add_bucket();
  else if (4 * size_ >= grow_at_quarters * buckets_) split();
  const uint64_t pointer = reinterpret_cast<uint64_t>(entry);
  HF_CHECK((pointer & ~Slot::pointer_mask) == 0);
  ++size_;
  return put(bucket_for(hash), static_cast<uint8_t>(tag_of(hash)),
             window_of(hash) << 48 | pointer | (expires ? 1 : 0));
}

Slot* Table::put(Bucket* head, uint8_t tag, uint64_t word) {
  Bucket* b = head;
  while (b->chained) b = b->next();
  uint64_t free = b->match(0);
  if (free == 0) {
    constexpr size_t last = Bucket::slots_max - 1;
    Bucket* more = new_overflow();
    more->slots[0] = b->slots[last];
    more->tags[0] = b->tags[last];
    b->slots[last].word = reinterpret_cast<uint64_t>(more);
    b->tags[last] = 0;
    b->chained = 1;
    b = more;
    free = b->match(0);
  }
  const int i = __builtin_ctzll(free) >> 3;
  b->tags[i] = tag;
  b->slots[i].word = word;
  return &b->slots[i];
}

void Table::erase(Slot* slot, uint64_t hash) {
  Bucket* head = bucket_for(hash);
  Bucket* holder = reinterpret_cast<Bucket*>(reinterpret_cast<uintptr_t>(slot) & ~uintptr_t{63});
  const auto index = static_cast<size_t>(slot - holder->slots);
  if (!head->chained) {
    HF_CHECK(holder == head && holder->tags[index] != 0);
    holder->tags[index] = 0;
  } else {  // the hole is filled from the chain's last bucket
    Bucket *before = nullptr, *last = head;
    while (last->chained) before = last, last = last->next();
    const auto donor = static_cast<size_t>(__builtin_ctzll(last->used()) >> 3);
    if (holder != last) {
      *slot = last->slots[donor];
      holder->tags[index] = last->tags[donor];
      last->tags[donor] = 0;
    } else {
      holder->tags[index] = 0;
    }
    if (last->used() == 0) {
      before->chained = 0;
      context_.memory.give_lines(last, sizeof(Bucket));
      --overflow_;
    }
  }
  --size_;
  if (4 * size_ < shrink_below_quarters * buckets_ && buckets_ > 1) merge();
}

// ---- growing and shrinking --------------------------------------------------------------------------------

uint64_t Table::hash_bit(const Slot& slot, unsigned bit) const {
  if (bit >= window_shift && bit < window_shift + window_bits)
    return (slot.window() >> (bit - window_shift)) & 1;
  return (context_.hash(slot.entry()->key()) >> bit) & 1;
}

void Table::split() {
  const auto bit = static_cast<unsigned>(std::bit_width(buckets_)) - 1;
  const size_t low = buckets_ - (size_t{1} << bit);
  add_bucket();
  Bucket* one = bucket_at(low);
  Bucket* two = bucket_at(buckets_ - 1);
  const Bucket old = *one;
  std::memset(one->tags, 0, sizeof one->tags);
  one->chained = 0;
  for (const Bucket* b = &old; b != nullptr;) {
    for (uint64_t m = b->used(); m != 0; m &= m - 1) {
      const int i = __builtin_ctzll(m) >> 3;
      put(hash_bit(b->slots[i], bit) ? two : one, b->tags[i], b->slots[i].word);
    }
    Bucket* following = b->next();
    if (b != &old) {
      context_.memory.give_lines(const_cast<Bucket*>(b), sizeof(Bucket));
      --overflow_;
    }
    b = following;
  }
}

void Table::merge() {
  const size_t last = buckets_ - 1;
  Bucket* from = bucket_at(last);
  Bucket* into = bucket_at(last - std::bit_floor(last));
  for (Bucket* b = from; b != nullptr; b = b->next())
    for (uint64_t m = b->used(); m != 0; m &= m - 1) {
      const int i = __builtin_ctzll(m) >> 3;
      put(into, b->tags[i], b->slots[i].word);
    }
  free_chain(from);
  drop_last_bucket();
}

Bucket* Table::new_overflow() {
  auto* b = static_cast<Bucket*>(context_.memory.take_lines(sizeof(Bucket)));
  std::memset(b->tags, 0, sizeof b->tags);
  b->chained = 0;
  ++overflow_;
  return b;
}

void Table::free_chain(Bucket* head) {
  for (Bucket* b = head->next(); b != nullptr;) {
    Bucket* following = b->next();
    context_.memory.give_lines(b, sizeof(Bucket));
    --overflow_;
    b = following;
  }
  head->chained = 0;
}

void Table::resize_first_segment(size_t capacity) {
  auto* grown = static_cast<Bucket*>(context_.memory.take_lines(capacity * sizeof(Bucket)));
  if (first_capacity_ > 0) {
    std::memcpy(static_cast<void*>(grown), directory_[0], std::min(buckets_, capacity) * sizeof(Bucket));
    context_.memory.give_lines(directory_[0], first_capacity_ * sizeof(Bucket));
  }
  directory_[0] = grown;
  first_capacity_ = capacity;
}

void Table::add_bucket() {
  const size_t segment = buckets_ >> segment_shift;
  if (segment == 0) {
    if (buckets_ == first_capacity_) resize_first_segment(buckets_ == 0 ? 1 : 2 * buckets_);
  } else if ((buckets_ & (segment_buckets - 1)) == 0) {
    if (segment == directory_capacity_) {
      const size_t capacity = 4 * directory_capacity_;
      auto** grown = static_cast<Bucket**>(context_.memory.take(capacity * sizeof(Bucket*)));
      std::memcpy(grown, directory_, directory_capacity_ * sizeof(Bucket*));
      if (directory_ != &first_) context_.memory.give(directory_, directory_capacity_ * sizeof(Bucket*));
      directory_ = grown;
      directory_capacity_ = capacity;
    }
    directory_[segment] = static_cast<Bucket*>(context_.memory.take_lines(segment_buckets * sizeof(Bucket)));
  }
  Bucket* b = bucket_at(buckets_);
  std::memset(b->tags, 0, sizeof b->tags);
  b->chained = 0;
  ++buckets_;
  mask_ = std::bit_ceil(buckets_) - 1;
}

void Table::drop_last_bucket() {
  --buckets_;
  mask_ = buckets_ == 0 ? 0 : std::bit_ceil(buckets_) - 1;
  const size_t segment = buckets_ >> segment_shift;
  if (segment > 0 && (buckets_ & (segment_buckets - 1)) == 0) {
    context_.memory.give_lines(directory_[segment], segment_buckets * sizeof(Bucket));
  } else if (segment == 0 && buckets_ > 0 && 4 * buckets_ <= first_capacity_) {
    resize_first_segment(first_capacity_ / 2);
  }
}

}  // namespace hf::store
