// Stock Redis replicas: they get Redis's dump, made out of a snapshot on its way, then bare commands, and
// they know only the Redis-visible offset. Their place is found again in the log's own files after any
// restart.
#include <algorithm>

#include "base/little_endian.h"
#include "log/segment.h"
#include "node/replicas.h"
#include "resp/writer.h"

namespace hf::node {
namespace {

// A read's worth is decompressed and written anew on the loop: small pieces.
constexpr uint64_t dump_read_bytes = 64 * 1024;
constexpr MonoUs second_us = 1'000'000;

}  // namespace

/// What the group may still lose is never shown to somebody who can't take it back.
LogOffset Replicas::stock_sendable() const {
  const LogOffset written = parts_.persistence.writer()->written();
  return quorum_ ? std::min(written, commit_) : written;
}

bool Replicas::begin_stock(Session& session, const ReplicaIntroduction& introduction, const StockAsk& ask,
                           Now now) {
  if (refuse_sync(session, now)) return false;
  resp::Writer reply(session.outbox.buffer(), 2);
  if (!introduction.takes_marked_dumps) {
    reply.error("ERR this server sends dumps whose length is not known ahead: say REPLCONF capa eof first");
    return false;
  }
  remove(session.id);
  Replica& replica = replicas_.emplace_back(Replica{.conn = session.id, .introduction = introduction});
  replica.acknowledged_us = replica.caught_up_us = now.mono_us;
  take_address(replica, session);
  replica.stock = std::make_unique<Stock>();
  replica.stock->plain_sync = ask.plain_sync;
  if (++stock_count_ == 1) next_ping_us_ = now.mono_us + parts_.options.repl_ping_replica_period * second_us;
  session.client.replica = true;

  const replication::Holding held = holding();
  const auto& reigns = held.history.reigns();
  const auto reign =
      std::find_if(reigns.begin(), reigns.end(), [&](const Reign& known) { return known.id == ask.reign; });
  if (ask.plain_sync || ask.reign == "?" || ask.next < 1) {
    AwaitsSnapshot awaits{};
    if (introduction.dump_only) awaits.from = parts_.persistence.end();
    replica.state = awaits;
    ++full_syncs_;
    parts_.persistence.say(LogLevel::Notice, "Redis replica " + name_of(replica, session) +
                                                 ": full sync: it has nothing of this history yet");
  } else if (reign == reigns.end()) {
    needs_full(replica, session, "it knows another history (" + ask.reign.substr(0, id_hex_digits) + ")");
  } else if (static_cast<uint64_t>(ask.next) - 1 > parts_.persistence.visible_end()) {
    needs_full(replica, session, "it asks for offset " + std::to_string(ask.next) + ", past this node's end");
  } else {
    Seeks seeks{.below = parts_.persistence.writer()->written(),
                .wanted = static_cast<uint64_t>(ask.next) - 1,
                .reign = reign->epoch,
                .reign_end = {}};
    if (reign + 1 != reigns.end()) seeks.reign_end = (reign + 1)->first;
    replica.state = seeks;
  }
  return true;
}

void Replicas::needs_full(Replica& replica, Session& session, const std::string& why) {
  ++partial_refused_;
  ++full_syncs_;
  replica.stock->feed.reset();
  replica.state = AwaitsSnapshot{};
  parts_.persistence.say(LogLevel::Notice,
                         "Redis replica " + name_of(replica, session) + ": full sync: " + why);
}

void Replicas::feed_stock(Replica& replica, Session& session, Now now, Effects& effects) {
  Stock& stock = *replica.stock;
  Buffer& out = session.outbox.buffer();
  const bool paced = parts_.options.replication_max_bytes_per_second > 0 && budget_bytes_ <= 0;
  // What a Redis is sent of a frame is made of the whole frame: while all hold too much it waits.
  const bool free = session.output_bytes() < window() && !paced && replica.job == 0 && !stock_waits_;
  if (std::holds_alternative<AwaitsSnapshot>(replica.state)) start_snapshot(replica, session, now);
  if (std::holds_alternative<AwaitsSnapshot>(replica.state)) {
    if (now.mono_us - replica.last_sent_us >= second_us) {
      out.append("\n");  // says that the link is alive, as Redis does while a dump is made
      replica.last_sent_us = now.mono_us;
    }
  } else if (auto* sends = std::get_if<SendsSnapshot>(&replica.state)) {
    if (!free) return;
    read(replica,
         {.kind = FileStep::Kind::Read,
          .name = snapshot::file_name(sends->offset),
          .offset = sends->read,
          .length = dump_read_bytes},
         effects);
  } else if (std::holds_alternative<Seeks>(replica.state) && !stock.feed) {
    if (free) seek_segment(replica, session, effects);
  } else if (free && stock.feed && (stock.listens || std::holds_alternative<Seeks>(replica.state)) &&
             !stock_from_memory(replica, session)) {
    const log::Writer& writer = *parts_.persistence.writer();
    auto step = replica.tail.next_read(writer.manifest().segments, stock_sendable());
    if (!step) return fail(session, step.error().message + "; it starts again from a snapshot");
    if (*step) read(replica, std::move(**step), effects);
    else if (std::holds_alternative<Seeks>(replica.state) && replica.tail.next() >= writer.end())
      needs_full(replica, session, "its offset lies past this log's end");
  }
  if (stock.acknowledged >= parts_.persistence.visible_end()) replica.caught_up_us = now.mono_us;
}

void Replicas::stock_job_done(Replica& replica, Session& session, const FileJobDone& done) {
  if (std::holds_alternative<SendsSnapshot>(replica.state)) return take_dump(replica, session, done.bytes);
  if (std::holds_alternative<Seeks>(replica.state) && !replica.stock->feed)
    return seek_in(replica, session, done.bytes);
  if (!replica.stock->feed) return;
  const Status taken = replica.tail.take(done.bytes, [&](const log::FrameHeader& header, Bytes frame) {
    take_stock(replica, session, header, frame);
  });
  if (!taken) fail(session, taken.error().message);
}

// ---- the dump ---------------------------------------------------------------------------------------------

std::unique_ptr<StockDump> Replicas::begin_dump(Replica& replica, Session& session, Now now) {
  return std::make_unique<StockDump>(
      session.outbox.buffer(),
      StockDump::Ask{.reign = replica.stock->plain_sync ? std::string() : holding().history.last().id,
                     .mark = random_hex40(parts_.prng),
                     .empty = replica.introduction.dump_empty,
                     .created_seconds = now.wall_ms / 1000});
}

void Replicas::take_dump(Replica& replica, Session& session, Bytes bytes) {
  auto& sends = std::get<SendsSnapshot>(replica.state);
  Stock& stock = *replica.stock;
  if (bytes.empty()) return fail(session, snapshot::file_name(sends.offset) + " ends too early");
  sends.read += bytes.size();
  if (Status taken = stock.dump->take(bytes); !taken)
    return fail(session, snapshot::file_name(sends.offset) + ": " + taken.error().message);
  if (!stock.dump->done()) return;
  const uint64_t tasks = stock.dump->tasks_left_out();
  tasks_left_out_ += tasks;
  parts_.persistence.say(LogLevel::Notice, "Redis replica " + name_of(replica, session) +
                                               ": sent a dump of " + std::to_string(stock.dump->keys()) +
                                               " keys, " + std::to_string(tasks) + " tasks left out");
  if (replica.introduction.dump_only) session.closing = true;  // once it has everything
  const snapshot::Header& header = stock.dump->header();
  stock.feed =
      std::make_unique<StockFeed>(header.offset, header.visible_offset, header.visible_offset, header.epoch);
  replica.tail = log::Tail(header.offset);
  replica.state = Streams{};
  stock.dump.reset();
}

// ---- the stream -------------------------------------------------------------------------------------------

void Replicas::take_stock(Replica& replica, Session& session, const log::FrameHeader& header, Bytes frame) {
  if (!replica.stock->feed) return;  // the frame before told that it needs everything
  std::string bytes;
  StockFeed& feed = *replica.stock->feed;
  const Bytes stored = frame.substr(log::frame_header_bytes, header.stored_bytes);
  if (Status taken = feed.take(header, stored, bytes); !taken) return fail(session, taken.error().message);
  if (std::holds_alternative<Seeks>(replica.state)) {
    if (feed.foreign())
      return needs_full(replica, session, "what it has at its end is of another reign than it says");
    if (!feed.found()) return;
    continue_stock(replica, session);
  }
  session.outbox.buffer().append(bytes);
  budget_bytes_ -= static_cast<double>(bytes.size());
}

/// True: the place is in memory, and what may be sent and fits was.
bool Replicas::stock_from_memory(Replica& replica, Session& session) {
  const LogOffset upto = stock_sendable();
  const RecentFrames::Chunk* chunk = recent_.holding(replica.tail.next());
  if (chunk == nullptr || chunk->begin != replica.tail.next()) return false;
  for (; chunk != nullptr && chunk->end <= upto; chunk = recent_.holding(replica.tail.next())) {
    if (session.output_bytes() > window()) break;
    for (Bytes rest = chunk->bytes; !rest.empty();) {
      log::DecodedFrame frame;
      // Sealed by this very process: the frame's own word for its salt will do.
      const bool whole = rest.size() >= log::frame_header_bytes &&
                         log::decode_frame(rest, get_le<uint64_t>(rest, 16), frame) == log::Verdict::Valid;
      if (!whole) {
        fail(session, "a frame in memory is damaged");
        return true;
      }
      const size_t size = frame.header.frame_bytes();
      take_stock(replica, session, frame.header, rest.substr(0, size));
      rest.remove_prefix(size);
      if (!replica.stock->feed) return true;  // it needs everything after all
    }
    replica.tail.skip_to(chunk->end);
  }
  return true;
}

void Replicas::acknowledge_stock(ConnId conn, uint64_t received, std::optional<uint64_t> synced, Now now) {
  Replica* replica = find(conn);
  if (replica == nullptr || !replica->stock) return;
  Stock& stock = *replica->stock;
  replica->acknowledged_us = now.mono_us;
  if (!std::holds_alternative<Streams>(replica->state) || !stock.feed) return;
  stock.listens = true;
  if (received > stock.feed->at()) return;
  stock.acknowledged = std::max(stock.acknowledged, received);
  if (const auto place = stock.feed->place(received)) {
    replica->received = std::max(replica->received, *place);
    replica->applied = replica->received;
  }
  if (const auto place = synced ? stock.feed->place(std::min(*synced, received)) : std::nullopt)
    replica->synced = std::max(replica->synced, *place);
  stock.feed->forget_below(synced ? std::min(*synced, received) : received);
  progressed_ = true;
}

bool Replicas::take_ping_due(Now now) {
  if (now.mono_us < next_ping_us_) return false;
  next_ping_us_ = now.mono_us + parts_.options.repl_ping_replica_period * second_us;
  return true;
}

// ---- finding the place ------------------------------------------------------------------------------------

/// The newest segment that begins below the place holds it; the headers say where each begins.
void Replicas::seek_segment(Replica& replica, Session& session, Effects& effects) {
  auto& seeks = std::get<Seeks>(replica.state);
  const auto& segments = parts_.persistence.writer()->manifest().segments;
  const auto behind = std::find_if(segments.begin(), segments.end(), [&](const log::SegmentRef& segment) {
    return segment.first >= seeks.below;
  });
  if (behind == segments.begin())
    return needs_full(replica, session, "the log no longer reaches back to what it has");
  seeks.segment = std::prev(behind)->first;
  read(replica,
       {.kind = FileStep::Kind::Read,
        .name = log::segment_name(seeks.segment),
        .length = log::segment_header_bytes},
       effects);
}

void Replicas::seek_in(Replica& replica, Session& session, Bytes segment_header) {
  auto& seeks = std::get<Seeks>(replica.state);
  const auto header = log::decode_segment_header(segment_header);
  if (!header)
    return fail(session, log::segment_name(seeks.segment) + ": " + header.error().message +
                             "; run holdfast-check on this folder");
  // Where the log begins exactly behind what it has, nobody can look at that any more: the history decides.
  const bool first = parts_.persistence.writer()->begin() == seeks.segment;
  const bool exact = first && header->visible_offset == seeks.wanted &&
                     (!seeks.reign_end || *seeks.reign_end >= seeks.segment);
  if (header->visible_offset >= seeks.wanted && !exact) {
    seeks.below = seeks.segment;
    return;
  }
  replica.tail = log::Tail(seeks.segment);
  replica.stock->feed =
      std::make_unique<StockFeed>(seeks.segment, header->visible_offset, seeks.wanted, seeks.reign);
  if (replica.stock->feed->found()) continue_stock(replica, session);
}

void Replicas::continue_stock(Replica& replica, Session& session) {
  ++partial_syncs_;
  const uint64_t from = std::get<Seeks>(replica.state).wanted;
  resp::Writer(session.outbox.buffer(), 2).simple("CONTINUE " + holding().history.last().id);
  replica.stock->listens = true;
  replica.stock->acknowledged = from;
  replica.state = Streams{};
  parts_.persistence.say(LogLevel::Notice, "Redis replica " + name_of(replica, session) +
                                               ": continues at its offset " + std::to_string(from + 1));
}

}  // namespace hf::node
