// One frame: a batch of canonical commands under two checksums, chained to the one before. Bytes: FORMAT.md.
#pragma once
#include <string>

#include "base/bytes.h"
#include "base/history.h"
#include "base/limits.h"
#include "base/result.h"
#include "base/types.h"

namespace hf::log {

/// Numbers are part of the format: never renumber.
enum class FrameType : uint8_t {
  Data = 1,   ///< canonical commands
  Epoch = 2,  ///< one HOLDFAST.EPOCH command: a new reign begins here
};

struct FrameHeader {
  FrameType type = FrameType::Data;
  bool compressed = false;    ///< the stored content is one lz4 block of raw_bytes
  bool more = false;          ///< the group goes on in the next frame; only a complete group may be applied
  uint32_t stored_bytes = 0;  ///< content as it lies in the file
  uint32_t raw_bytes = 0;     ///< content as commands; what LogOffset counts
  uint64_t salt = 0;          ///< the segment's: a frame is only valid in its own segment
  Epoch epoch;                ///< reign that wrote it
  LogOffset offset;           ///< of the first content byte
  uint64_t visible_end = 0;   ///< the Redis-visible offset behind this frame
  WallMs wall_ms = 0;         ///< the primary's clock; never runs backwards along the log
  LogOffset commit;           ///< commit offset known when sealed
  LogOffset durable_upto;     ///< known to be synced here when sealed
  uint64_t previous_sum = 0;  ///< the frame sum of the frame before (0 at the start of history)

  LogOffset end() const { return offset + raw_bytes; }
  size_t frame_bytes() const;  ///< header, stored content and sum
  bool operator==(const FrameHeader&) const = default;
};

constexpr size_t frame_header_bytes = 88;
constexpr size_t frame_trailer_bytes = 8;
/// Contents of these sizes are compressed when that helps. Larger ones would hold up the loop, which seals.
constexpr size_t compress_bytes_min = 4096, compress_bytes_max = 1024 * 1024;
constexpr Bytes frame_magic = "HFrm";
inline size_t FrameHeader::frame_bytes() const {
  return frame_header_bytes + stored_bytes + frame_trailer_bytes;
}

/// What is wrong with bytes that should be a frame, in the order in which it is found out.
enum class Verdict : uint8_t {
  Valid,
  End,         ///< no bytes at all
  Incomplete,  ///< the file ends inside the frame
  Zeros,       ///< nothing but zero bytes where the header should be
  BadMagic,
  BadHeaderSum,  ///< the lengths can't be believed
  BadLength,     ///< header intact, but it names a length past the limits: not written by us
  WrongSalt,     ///< a frame, but of another segment
  BadSum,        ///< content or trailer damaged
  BadContent,    ///< sums right, lz4 block wrong: not written by us
  ChainBroken,   ///< valid by itself, but not the successor of the frame before
};
const char* verdict_text(Verdict verdict);

/// Appends the whole frame to `out`: header, `stored` content, sum. `header.stored_bytes` and `raw_bytes`
/// must be set and fit `stored`. Returns the frame's sum: the next frame's `previous_sum`.
uint64_t encode_frame(const FrameHeader& header, Bytes stored, std::string& out);

/// Looks at a header alone: Valid (fields in `header`), Incomplete, End, Zeros, BadMagic, BadHeaderSum,
/// BadLength or WrongSalt.
Verdict decode_header(Bytes in, uint64_t salt, FrameHeader& header);

struct DecodedFrame {
  FrameHeader header;
  Bytes stored;      ///< into `in`
  uint64_t sum = 0;  ///< the next frame's previous_sum
};
/// A whole frame at the front of `in` (bytes behind it are ignored). With Incomplete and an intact header,
/// `out.header` is filled, so that the caller knows how much to fetch. Does not judge the chain.
Verdict decode_frame(Bytes in, uint64_t salt, DecodedFrame& out);

/// The canonical command that opens a reign: HOLDFAST.EPOCH <epoch> <reign id> <first offset>.
std::string epoch_command(const Reign& reign);
/// The reign that an Epoch frame's content announces; an error says what is wrong with it.
Result<Reign> parse_epoch_command(Bytes content);

}  // namespace hf::log
