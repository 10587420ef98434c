// The one hash table, for databases and for big hashes: linear hashing over cache-line buckets. It grows by
// splitting one bucket an insert and shrinks by merging one a delete, so there is no rehash state, no second
// table and no pause.
//
// Invariants:
//  1. Buckets 0..n-1 exist. A hash lies in bucket `hash mod P`, P the power of two at or above n, or, where
//  that bucket
//     does not exist yet, in `hash mod P/2`.
//  2. So each bucket holds a contiguous range of *reversed* hashes, and splitting cuts a range in two. A
//  cursor is a
//     position in that space: everything below it has been visited, however the table changes in between.
//  3. In a chain every bucket but the last is full.
//  4. Sixteen bits of the hash ride in each slot's pointer, so that a split reads no entry in tables up to
//  2^24 buckets.
#pragma once
#include <cstdint>

#include "base/bytes.h"
#include "base/prefetch.h"
#include "base/prng.h"
#include "store/entry.h"
#include "store/memory.h"

namespace hf::store {

/// Hash bits 8..23 | pointer | has an expiry. (User space ends below 2^47; entries are aligned.)
struct Slot {
  static constexpr uint64_t pointer_mask = 0x0000fffffffffffe;
  uint64_t word;

  Entry* entry() const { return reinterpret_cast<Entry*>(word & pointer_mask); }
  bool expires() const { return (word & 1) != 0; }
  uint64_t window() const { return word >> 48; }
  /// Puts another allocation of the same key in place.
  void set(Entry* entry, bool expires) {
    word = (word & ~(pointer_mask | 1)) | reinterpret_cast<uint64_t>(entry) | (expires ? 1 : 0);
  }
};

struct alignas(64) Bucket {
  static constexpr size_t slots_max = 7;
  Slot slots[slots_max];
  uint8_t tags[slots_max];  ///< 0: the slot is free
  uint8_t chained;          ///< 1: the last slot is the next bucket of the chain

  Bucket* next() const { return chained ? reinterpret_cast<Bucket*>(slots[slots_max - 1].word) : nullptr; }
  /// A bit (bit 7 of byte i) for each slot i whose tag is the one repeated in `pattern`. Exact: no false
  /// ones.
  uint64_t match(uint64_t pattern) const {
    constexpr uint64_t low7 = 0x7f7f7f7f7f7f7f7f;
    uint64_t t;
    std::memcpy(&t, tags, sizeof t);
    const uint64_t x = t ^ pattern;
    return ~(((x & low7) + low7) | x | low7) & 0x0080808080808080;
  }
  uint64_t used() const { return ~match(0) & 0x0080808080808080; }
};
static_assert(sizeof(Bucket) == 64);

class Table {
 public:
  explicit Table(Context& context) : context_(context) {}
  /// CHECK: drained, see drain_some.
  ~Table();
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  size_t size() const { return size_; }
  size_t buckets() const { return buckets_; }
  size_t overflow_buckets() const { return overflow_; }
  uint64_t hash(Bytes key) const { return context_.hash(key); }

  /// Null when absent. A slot lives until the next insert or erase.
  Slot* find(uint64_t hash, Bytes key) const {
    if (buckets_ == 0) return nullptr;
    const uint64_t pattern = tag_of(hash) * 0x0101010101010101u;
    const uint64_t window = window_of(hash);
    for (Bucket* b = bucket_for(hash);;) {
      for (uint64_t m = b->match(pattern); m != 0; m &= m - 1) {
        Slot& slot = b->slots[__builtin_ctzll(m) >> 3];
        if (slot.window() == window && slot.entry()->key() == key) return &slot;
      }
      if (!b->chained) return nullptr;
      b = b->next();
    }
  }
  void prefetch_bucket(uint64_t hash) const {
    if (buckets_ != 0) prefetch(bucket_for(hash));
  }
  void prefetch_entry(uint64_t hash) const;

  /// CHECK-free: the caller knows that the key is not there. May split a bucket before it inserts.
  Slot* insert(uint64_t hash, Entry* entry, bool expires);
  /// Grows an empty table towards the size at which `keys` inserts split nothing, by `buckets` at most. True:
  /// it has that size.
  bool reserve_some(uint64_t keys, size_t buckets);
  /// `slot` is of this table and was found under `hash`. The entry is the caller's.
  void erase(Slot* slot, uint64_t hash);

  /// Calls `each(Slot&)` for the bucket at `position` and returns the position behind it; 0: that was the
  /// last. `each` may change slots in place but not insert or erase.
  template <class F>
  uint64_t visit(uint64_t position, F&& each) const {
    if (buckets_ == 0) return 0;
    const Range range = range_at(position);
    each_in_chain(bucket_at(range.bucket), each);
    return range.end;
  }
  template <class F>
  void for_each(F&& each) const {
    for (size_t i = 0; i < buckets_; ++i) each_in_chain(bucket_at(i), each);
  }
  /// For a sweep that is about to visit `position`: starts fetching what the visits after it will read.
  void prefetch_ahead(uint64_t position) const;
  /// Uniform over the entries; null in an empty table.
  Slot* random(Prng& prng) const;

  /// Hands every entry of the last buckets to `free_entry(Entry*)` until `budget` is used up. True when all
  /// is gone.
  template <class F>
  bool drain_some(size_t& budget, F&& free_entry) {
    while (buckets_ > 0 && budget > 0) {
      size_t visited = 0;
      Bucket* b = bucket_at(buckets_ - 1);
      each_in_chain(b, [&](Slot& slot) {
        free_entry(slot.entry());
        ++visited;
      });
      size_ -= visited;
      free_chain(b);
      drop_last_bucket();
      budget -= visited + 1 < budget ? visited + 1 : budget;
    }
    return buckets_ == 0;
  }

  /// SCAN's cursors are positions, bits reversed: small numbers in small tables.
  static uint64_t reversed(uint64_t x);

 private:
  static constexpr unsigned segment_shift = 10;
  static constexpr size_t segment_buckets = size_t{1} << segment_shift;
  static constexpr unsigned window_shift = 8, window_bits = 16;
  struct Range {
    size_t bucket;
    uint64_t end;
  };

  static uint64_t tag_of(uint64_t hash) {
    const uint64_t top = hash >> 56;
    return top + (top == 0);
  }
  static uint64_t window_of(uint64_t hash) { return (hash >> window_shift) & 0xffff; }
  Bucket* bucket_at(size_t i) const { return directory_[i >> segment_shift] + (i & (segment_buckets - 1)); }
  Bucket* bucket_for(uint64_t hash) const {
    size_t i = hash & mask_;
    if (i >= buckets_) i &= mask_ >> 1;
    return bucket_at(i);
  }
  Range range_at(uint64_t position) const;

  template <class F>
  static void each_in_chain(Bucket* b, F&& each) {
    for (; b != nullptr; b = b->next())
      for (uint64_t m = b->used(); m != 0; m &= m - 1) each(b->slots[__builtin_ctzll(m) >> 3]);
  }
  Slot* put(Bucket* head, uint8_t tag, uint64_t word);
  uint64_t hash_bit(const Slot& slot, unsigned bit) const;
  Bucket* new_overflow();
  void free_chain(Bucket* head);
  void add_bucket();
  void drop_last_bucket();
  void resize_first_segment(size_t capacity);
  void split();
  void merge();

  Context& context_;
  Bucket** directory_ = &first_;  ///< segments of 1024 buckets; the first one grows by doubling
  Bucket* first_ = nullptr;       ///< the directory of a table with one segment
  size_t directory_capacity_ = 1;
  size_t first_capacity_ = 0;  ///< buckets allocated in the first segment
  size_t buckets_ = 0;
  size_t mask_ = 0;  ///< power of two at or above buckets_, minus one
  size_t size_ = 0;
  size_t overflow_ = 0;
};

}  // namespace hf::store
