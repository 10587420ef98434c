// Fixed sizes and a sum at the end of each: a damaged one ends the link, as a damaged frame does.
#include "replication/wire.h"

#include "base/check.h"
#include "base/checksum.h"
#include "base/little_endian.h"

namespace hf::replication {
namespace {

bool whole(Bytes in, size_t size, Bytes magic) {
  return in.size() == size && in.starts_with(magic) &&
         get_le<uint64_t>(in, size - 8) == sum64(in.substr(0, size - 8));
}

}  // namespace

std::string encode(const Heartbeat& heartbeat) {
  std::string out(heartbeat_magic);
  put_le<uint32_t>(out, (heartbeat.quorum ? 1 : 0) | (heartbeat.sync ? 2 : 0));
  put_le<uint64_t>(out, heartbeat.epoch.value);
  put_le<uint64_t>(out, heartbeat.end.value);
  put_le<uint64_t>(out, heartbeat.commit.value);
  put_le<int64_t>(out, heartbeat.wall_ms);
  put_le<uint64_t>(out, heartbeat.sequence);
  put_le<uint64_t>(out, sum64(out));
  HF_CHECK(out.size() == heartbeat_bytes);
  return out;
}

std::optional<Heartbeat> decode_heartbeat(Bytes in) {
  if (!whole(in, heartbeat_bytes, heartbeat_magic)) return {};
  return Heartbeat{.quorum = (get_le<uint32_t>(in, 4) & 1) != 0,
                   .sync = (get_le<uint32_t>(in, 4) & 2) != 0,
                   .epoch = {get_le<uint64_t>(in, 8)},
                   .end = {get_le<uint64_t>(in, 16)},
                   .commit = {get_le<uint64_t>(in, 24)},
                   .wall_ms = get_le<int64_t>(in, 32),
                   .sequence = get_le<uint64_t>(in, 40)};
}

std::string encode(const HandOver& hand_over) {
  std::string out(hand_over_magic);
  put_le<uint32_t>(out, 0);
  put_le<uint64_t>(out, hand_over.epoch.value);
  put_le<uint64_t>(out, hand_over.end.value);
  put_le<uint64_t>(out, sum64(out));
  HF_CHECK(out.size() == hand_over_bytes);
  return out;
}

std::optional<HandOver> decode_hand_over(Bytes in) {
  if (!whole(in, hand_over_bytes, hand_over_magic)) return {};
  return HandOver{.epoch = {get_le<uint64_t>(in, 8)}, .end = {get_le<uint64_t>(in, 16)}};
}

std::string encode(const SnapshotAhead& ahead) {
  std::string out(snapshot_magic);
  put_le<uint32_t>(out, 0);
  put_le<uint64_t>(out, ahead.offset.value);
  put_le<uint64_t>(out, ahead.bytes);
  put_le<uint64_t>(out, sum64(out));
  HF_CHECK(out.size() == snapshot_ahead_bytes);
  return out;
}

std::optional<SnapshotAhead> decode_snapshot_ahead(Bytes in) {
  if (!whole(in, snapshot_ahead_bytes, snapshot_magic)) return {};
  return SnapshotAhead{.offset = {get_le<uint64_t>(in, 8)}, .bytes = get_le<uint64_t>(in, 16)};
}

std::string encode(const SnapshotPiece& piece) {
  std::string out(piece_magic);
  put_le<uint32_t>(out, piece.bytes);
  put_le<uint64_t>(out, piece.file_bytes);
  put_le<uint64_t>(out, sum64(out));
  HF_CHECK(out.size() == snapshot_piece_bytes);
  return out;
}

std::optional<SnapshotPiece> decode_snapshot_piece(Bytes in) {
  if (!whole(in, snapshot_piece_bytes, piece_magic)) return {};
  return SnapshotPiece{.bytes = get_le<uint32_t>(in, 4), .file_bytes = get_le<uint64_t>(in, 8)};
}

std::string encode(const Holding& holding) {
  HF_CHECK(is_id(holding.cluster_id));
  std::string out = id_to_bytes(holding.cluster_id);
  put_le<uint64_t>(out, holding.begin.value);
  put_le<uint64_t>(out, holding.end.value);
  holding.history.encode(out);
  return out;
}

std::optional<Holding> decode_holding(Bytes in) {
  constexpr size_t fixed = id_hex_digits / 2 + 16;
  if (in.size() < fixed) return {};
  Holding holding;
  holding.cluster_id = id_from_bytes(in.substr(0, id_hex_digits / 2));
  holding.begin = {get_le<uint64_t>(in, id_hex_digits / 2)};
  holding.end = {get_le<uint64_t>(in, id_hex_digits / 2 + 8)};
  in.remove_prefix(fixed);
  auto history = History::decode(in);
  if (!history || !in.empty()) return {};
  holding.history = std::move(*history);
  return holding;
}

}  // namespace hf::replication
