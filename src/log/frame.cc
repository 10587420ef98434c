// Frames to bytes and back. Everything that judges a frame by itself is here; the chain is judged by
// reader.cc.
#include "log/frame.h"

#include "base/buffer.h"
#include "base/check.h"
#include "base/checksum.h"
#include "base/little_endian.h"
#include "base/number.h"
#include "resp/parser.h"
#include "resp/writer.h"

namespace hf::log {
namespace {

// Byte positions in the header: see FORMAT.md.
constexpr size_t at_type = 4, at_flags = 5, at_zero = 6, at_stored = 8, at_raw = 12, at_salt = 16,
                 at_epoch = 24, at_offset = 32, at_visible = 40, at_wall = 48, at_commit = 56,
                 at_durable = 64, at_previous = 72, at_header_sum = 80;
static_assert(at_header_sum + 8 == frame_header_bytes);

constexpr uint8_t flag_compressed = 1, flag_more = 2;
constexpr const char* epoch_command_name = "HOLDFAST.EPOCH";

void write_header(const FrameHeader& h, char* out) {
  std::memcpy(out, frame_magic.data(), 4);
  out[at_type] = static_cast<char>(h.type);
  out[at_flags] = static_cast<char>((h.compressed ? flag_compressed : 0) | (h.more ? flag_more : 0));
  set_le<uint16_t>(out + at_zero, 0);
  set_le<uint32_t>(out + at_stored, h.stored_bytes);
  set_le<uint32_t>(out + at_raw, h.raw_bytes);
  set_le<uint64_t>(out + at_salt, h.salt);
  set_le<uint64_t>(out + at_epoch, h.epoch.value);
  set_le<uint64_t>(out + at_offset, h.offset.value);
  set_le<uint64_t>(out + at_visible, h.visible_end);
  set_le<int64_t>(out + at_wall, h.wall_ms);
  set_le<uint64_t>(out + at_commit, h.commit.value);
  set_le<uint64_t>(out + at_durable, h.durable_upto.value);
  set_le<uint64_t>(out + at_previous, h.previous_sum);
  set_le<uint64_t>(out + at_header_sum, sum64({out, at_header_sum}));
}

/// Lengths and codes that this version can have written.
bool plausible(const FrameHeader& h, uint8_t type, uint8_t flags, uint16_t zero) {
  if (type != static_cast<uint8_t>(FrameType::Data) && type != static_cast<uint8_t>(FrameType::Epoch))
    return false;
  if ((flags & ~(flag_compressed | flag_more)) != 0 || zero != 0) return false;
  if (h.raw_bytes == 0 || h.raw_bytes > limits::frame_content_bytes_max) return false;
  return h.compressed ? h.stored_bytes > 0 && h.stored_bytes < h.raw_bytes : h.stored_bytes == h.raw_bytes;
}

}  // namespace

const char* verdict_text(Verdict verdict) {
  switch (verdict) {
    case Verdict::Valid: return "valid";
    case Verdict::End: return "end of file";
    case Verdict::Incomplete: return "the file ends inside a frame";
    case Verdict::Zeros: return "zero bytes where a frame should begin";
    case Verdict::BadMagic: return "no frame begins here";
    case Verdict::BadHeaderSum: return "checksum mismatch in a frame's header";
    case Verdict::BadLength: return "a frame of impossible type or length";
    case Verdict::WrongSalt: return "a frame of another segment";
    case Verdict::BadSum: return "checksum mismatch in a frame's content";
    case Verdict::BadContent: return "a frame's content does not decompress";
    case Verdict::ChainBroken: return "a frame that does not continue the one before";
  }
  return "unknown";
}

uint64_t encode_frame(const FrameHeader& header, Bytes stored, std::string& out) {
  HF_CHECK(header.stored_bytes == stored.size() && header.raw_bytes <= limits::frame_content_bytes_max);
  HF_CHECK(header.raw_bytes > 0 && header.compressed == (header.stored_bytes != header.raw_bytes));
  char raw[frame_header_bytes];
  write_header(header, raw);
  const size_t begin = out.size();
  out.append(raw, sizeof raw);
  out.append(stored);
  const uint64_t sum = sum64(Bytes(out).substr(begin));
  put_le<uint64_t>(out, sum);
  return sum;
}

Verdict decode_header(Bytes in, uint64_t salt, FrameHeader& header) {
  if (in.empty()) return Verdict::End;
  if (in.size() < frame_header_bytes)
    return in.find_first_not_of('\0') == Bytes::npos ? Verdict::Zeros : Verdict::Incomplete;
  if (in.substr(0, 4) != frame_magic)
    return in.substr(0, frame_header_bytes).find_first_not_of('\0') == Bytes::npos ? Verdict::Zeros
                                                                                   : Verdict::BadMagic;
  if (get_le<uint64_t>(in, at_header_sum) != sum64(in.substr(0, at_header_sum))) return Verdict::BadHeaderSum;
  const auto type = static_cast<uint8_t>(in[at_type]), flags = static_cast<uint8_t>(in[at_flags]);
  header.type = static_cast<FrameType>(type);
  header.compressed = (flags & flag_compressed) != 0;
  header.more = (flags & flag_more) != 0;
  header.stored_bytes = get_le<uint32_t>(in, at_stored);
  header.raw_bytes = get_le<uint32_t>(in, at_raw);
  header.salt = get_le<uint64_t>(in, at_salt);
  header.epoch = {get_le<uint64_t>(in, at_epoch)};
  header.offset = {get_le<uint64_t>(in, at_offset)};
  header.visible_end = get_le<uint64_t>(in, at_visible);
  header.wall_ms = get_le<int64_t>(in, at_wall);
  header.commit = {get_le<uint64_t>(in, at_commit)};
  header.durable_upto = {get_le<uint64_t>(in, at_durable)};
  header.previous_sum = get_le<uint64_t>(in, at_previous);
  if (!plausible(header, type, flags, get_le<uint16_t>(in, at_zero))) return Verdict::BadLength;
  return header.salt == salt ? Verdict::Valid : Verdict::WrongSalt;
}

Verdict decode_frame(Bytes in, uint64_t salt, DecodedFrame& out) {
  const Verdict verdict = decode_header(in, salt, out.header);
  if (verdict != Verdict::Valid) return verdict;
  const size_t size = out.header.frame_bytes();
  if (in.size() < size) return Verdict::Incomplete;
  const size_t summed = size - frame_trailer_bytes;
  out.sum = get_le<uint64_t>(in, summed);
  if (out.sum != sum64(in.substr(0, summed))) return Verdict::BadSum;
  out.stored = in.substr(frame_header_bytes, out.header.stored_bytes);
  return Verdict::Valid;
}

std::string epoch_command(const Reign& reign) {
  Buffer out;
  resp::Writer writer(out, 2);
  writer.command(
      {epoch_command_name, std::to_string(reign.epoch.value), reign.id, std::to_string(reign.first.value)});
  return std::string(out.view());
}

Result<Reign> parse_epoch_command(Bytes content) {
  resp::RequestParser parser;
  std::vector<Bytes> args;
  if (parser.next(content, args, resp::RequestLimits{}) != resp::RequestParser::Outcome::Request ||
      parser.used() != content.size())
    return Error{"an epoch record must hold exactly one command"};
  if (args.size() != 4 || !equal_nocase(args[0], epoch_command_name))
    return Error{"an epoch record must read HOLDFAST.EPOCH <epoch> <reign id> <first offset>"};
  const auto epoch = parse_uint(args[1]), first = parse_uint(args[3]);
  if (!epoch || !first || !is_id(args[2]))
    return Error{"an epoch record needs a number, 40 hex digits and an offset"};
  return Reign{{*epoch}, std::string(args[2]), {*first}};
}

}  // namespace hf::log
