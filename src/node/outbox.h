// Replies on their way out. A reply may leave when what it reveals is safe: the outbox of a connection
// remembers, for stretches of its bytes, which log offset must be safe first, and the dirty keys remember
// which unsafe offset last touched a key, so that reads wait too.
#pragma once
#include <algorithm>
#include <array>
#include <vector>

#include "base/buffer.h"
#include "base/types.h"

namespace hf::node {

constexpr size_t copies_max = 7;

/// How far the log is safe, by the two meanings a reply may ask for.
struct Safe {
  LogOffset written;  ///< survives kill -9 of the process
  LogOffset synced;   ///< survives a power cut
  /// By number of members that have it synced, this node among them: survives the loss of all but one of
  /// them.
  std::array<LogOffset, copies_max + 1> on_copies{};
  bool operator==(const Safe&) const = default;
};

/// What a reply waits for. Offset 0 waits for nothing.
struct Need {
  LogOffset offset;
  bool synced = false;
  uint8_t copies = 0;  ///< members that must have it synced; 0: this node's policy alone
  bool met(const Safe& safe) const {
    return offset <= (copies > 0 ? safe.on_copies[copies] : synced ? safe.synced : safe.written);
  }
};

class Outbox {
 public:
  Buffer& buffer() { return buffer_; }
  size_t size() const { return buffer_.size(); }
  bool empty() const { return buffer_.empty(); }
  /// How many bytes were ever appended.
  uint64_t stream_end() const { return taken_ + buffer_.size(); }

  /// Everything appended up to now waits for `need`. Needs of one connection only grow in order: a later
  /// reply never overtakes an earlier one.
  void hold(Need need);
  /// How many bytes may leave under `safe`; forgets the marks that are met.
  size_t releasable(const Safe& safe);
  /// Moves `n` releasable bytes out; the whole buffer without copying when all may go.
  Buffer take(size_t n);
  /// Gives an emptied buffer back for reuse.
  void reuse(Buffer spare);
  bool holding() const { return first_ < marks_.size(); }
  /// The first thing held waits for other members, not only for this node's disk.
  bool waits_for_others() const { return holding() && marks_[first_].need.copies > 1; }

 private:
  struct Mark {
    uint64_t end;  // position in the stream of all bytes ever appended
    Need need;
  };
  Buffer buffer_;
  uint64_t taken_ = 0;  // stream position of the buffer's begin
  uint64_t released_ = 0;  // stream position up to which bytes may leave
  std::vector<Mark> marks_;
  size_t first_ = 0;
};

/// For each slot of key hashes, the last log offset that touched a key in it: bounded, and never too small
/// (two keys sharing a slot wait for each other's writes, no more).
class DirtyKeys {
 public:
  void touched(uint64_t hash, LogOffset need) { slots_[index(hash)] = last_ = need; }
  void touched_all(LogOffset need) { all_ = last_ = need; }
  LogOffset of(uint64_t hash) const { return std::max(all_, slots_[index(hash)]); }
  /// Of anything at all.
  LogOffset last() const { return last_; }

 private:
  static constexpr size_t slots_count = 8192;
  static size_t index(uint64_t hash) { return (hash >> 20) & (slots_count - 1); }
  std::array<LogOffset, slots_count> slots_{};
  LogOffset all_, last_;
};

}  // namespace hf::node
