// What travels between a primary and its native replicas beside frames: heartbeats, and a snapshot in pieces.
// Each begins with four letters, as a frame does, so that a stream can be told apart record by record.
// FORMAT.md gives the bytes.
#pragma once
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/types.h"
#include "replication/verdict.h"

namespace hf::replication {

/// The word a replica adds to REPLCONF capa when it takes frames.
constexpr Bytes native_capability = "holdfast1";

/// Sent at least once a heartbeat interval, and at once when the commit offset moves.
struct Heartbeat {
  bool quorum = false;  ///< apply up to `commit` only; else everything as it comes
  bool sync = false;    ///< sync what comes at once: replies wait for it
  Epoch epoch;
  LogOffset end, commit;
  WallMs wall_ms = 0;
  uint64_t sequence = 0;
  bool operator==(const Heartbeat&) const = default;
};
constexpr Bytes heartbeat_magic = "HFhb";
constexpr size_t heartbeat_bytes = 56;
std::string encode(const Heartbeat& heartbeat);

/// The replica holds everything up to `end`, and nothing more will come: it is the primary now. It answers
/// REPLCONF hfpromoted <epoch> once its reign is open.
struct HandOver {
  Epoch epoch;
  LogOffset end;
  bool operator==(const HandOver&) const = default;
};
constexpr Bytes hand_over_magic = "HFho";
constexpr size_t hand_over_bytes = 32;
std::string encode(const HandOver& hand_over);

/// The file follows in pieces. It may still be growing: `bytes` is then what it is expected to come to.
struct SnapshotAhead {
  LogOffset offset;
  uint64_t bytes = 0;
  bool operator==(const SnapshotAhead&) const = default;
};
constexpr Bytes snapshot_magic = "HFsn";
constexpr size_t snapshot_ahead_bytes = 32;
std::string encode(const SnapshotAhead& ahead);

/// So many bytes of the file follow; none: that was all of it. Between two pieces other records may stand.
struct SnapshotPiece {
  uint32_t bytes = 0;
  uint64_t file_bytes = 0;  ///< of the whole file, as far as it is known by now
  bool operator==(const SnapshotPiece&) const = default;
};
constexpr Bytes piece_magic = "HFsp";
constexpr size_t snapshot_piece_bytes = 24;
std::string encode(const SnapshotPiece& piece);

/// Empty: the bytes (of exactly that size) are none, or damaged.
std::optional<Heartbeat> decode_heartbeat(Bytes in);
std::optional<HandOver> decode_hand_over(Bytes in);
std::optional<SnapshotAhead> decode_snapshot_ahead(Bytes in);
std::optional<SnapshotPiece> decode_snapshot_piece(Bytes in);

/// A replica tells what it holds in REPLCONF holdfast <this>: cluster id, begin, end, history.
std::string encode(const Holding& holding);
std::optional<Holding> decode_holding(Bytes in);

}  // namespace hf::replication
