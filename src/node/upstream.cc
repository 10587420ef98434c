// Every way a link can fail ends in broken(): one sentence, one close, one retry.
#include "node/upstream.h"

#include <algorithm>

#include "base/checksum.h"
#include "base/limits.h"
#include "base/little_endian.h"
#include "base/number.h"
#include "base/planted.h"
#include "log/segment.h"
#include "resp/writer.h"

namespace hf::node {

namespace {

constexpr size_t line_bytes_max = 64 * 1024;
constexpr size_t bytes_a_turn = 256 * 1024;
constexpr MonoUs second_us = 1'000'000;
constexpr MonoUs healthy_after_us = 10 * second_us;

Bytes word(Bytes line, size_t n) {
  size_t at = 0;
  for (; n > 0; --n) {
    at = line.find(' ', at);
    if (at == Bytes::npos) return {};
    ++at;
  }
  return line.substr(at, line.find(' ', at) - at);
}

/// What a peer said, for the log and for INFO: bytes that are no text must not end a line, or break a parser.
std::string as_text(Bytes said) {
  constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (const char c : said) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) out += c;
    else out += std::string("\\x") + digits[byte >> 4] + digits[byte & 15];
  }
  return out;
}

}  // namespace

Upstream::Upstream(Follower& follower, Files& files, Prng& prng)
    : follower_(follower), files_(files), prng_(prng) {}

void Upstream::follow(UpstreamAddress address) {
  address_ = std::move(address);
  last_error_.clear();
  backoff_.reset();
  next_dial_us_ = 0;
  close_ = conn_.has_value();
  if (!conn_) state_ = Resting{};
}

void Upstream::dial_now() {
  if (conn_) return;
  backoff_.reset();
  next_dial_us_ = 0;
}

void Upstream::leave() {
  address_.reset();
  close_ = conn_.has_value();
  if (!conn_) state_ = Resting{};
}

void Upstream::let_go() {
  address_.reset();
  conn_.reset();
  close_ = false;
  give_up_load();
  state_ = Resting{};
}

void Upstream::give_up_load() {
  if (std::holds_alternative<Receiving>(state_)) follower_.beside().drop();
}

// ---- the connection
// ------------------------------------------------------------------------------------------------

bool Upstream::wants_dial(Now now) {
  if (!address_ || conn_ || now.mono_us < next_dial_us_ || !follower_.ready()) return false;
  state_ = Dialing{};
  close_ = false;
  stopped_ = false;  // of a link that is gone: its silence must not excuse this one's
  last_heard_us_ = now.mono_us;
  return true;
}

void Upstream::dialed(ConnId conn, bool ok, const std::string& why, Now now, Buffer& out) {
  if (conn_ != conn) return;
  if (!ok) {
    broken("it can't be reached: " + why);
    rest(now);
    return;
  }
  last_heard_us_ = now.mono_us;
  group_.clear();
  group_bytes_ = 0;
  heard_ = false;
  state_ = Handshake{Step::Ping};
  send_step(Step::Ping, out);
}

void Upstream::lost(ConnId conn, Now now) {
  if (conn_ != conn) return;
  if (!close_ && (up() || syncing())) {
    last_error_ = syncing()
                      ? "the primary closed the connection before the full sync was done; its log says why"
                      : "the primary closed the connection";
    follower_.say(LogLevel::Warning,
                  "Lost the primary" + (address_ ? " " + address_->name() : "") + ": " + last_error_);
  }
  rest(now);
}

void Upstream::rest(Now now) {
  if (up() && now.mono_us - up_since_us_ > healthy_after_us) backoff_.reset();
  if (down_since_us_ == 0) down_since_us_ = now.mono_us;
  conn_.reset();
  stock_.reset();
  give_up_load();
  state_ = Resting{};
  next_dial_us_ = now.mono_us + backoff_.next(prng_);
}

void Upstream::broken(std::string why) {
  why = as_text(why);
  if (last_error_ != why)
    follower_.say(LogLevel::Warning,
                  "No link to the primary" + (address_ ? " " + address_->name() : "") + ": " + why);
  last_error_ = std::move(why);
  close_ = true;
}

bool Upstream::tick(Now now, Buffer* out) {
  if (!conn_) return false;
  if (stopped_) last_heard_us_ = now.mono_us;  // the silence is this end's
  if (!follower_.ready()) reign_heard_us_ = now.mono_us;
  if (address_ && now.mono_us - last_heard_us_ > address_->timeout_ms * 1000 && !close_)
    broken("nothing came for " + std::to_string(address_->timeout_ms / 1000) + " s (repl-timeout)");
  if (address_ && up() && !stock_ &&
      now.mono_us - std::max(reign_heard_us_, up_since_us_) > address_->timeout_ms * 1000 && !close_)
    broken("it is there, but nothing came from anyone who reigns for " +
           std::to_string(address_->timeout_ms / 1000) +
           " s (repl-timeout): it has lost its own primary, or the servers follow each other in a circle");
  if (close_) return true;
  if (stock_) {
    if (out == nullptr || stock_->syncing() || (!ack_due_ && now.mono_us < next_ack_us_)) return false;
    ack_due_ = false;
    next_ack_us_ = now.mono_us + second_us;
    stock_->acknowledge(*out);
    return false;
  }
  const bool talking = up() || syncing();
  if (!talking || out == nullptr) return false;
  const Follower::Progress progress = up() ? follower_.progress() : Follower::Progress{};
  if (!ack_due_ && progress == acknowledged_ && now.mono_us < next_ack_us_) return false;
  ack_due_ = false;
  acknowledged_ = progress;
  next_ack_us_ = now.mono_us + second_us;
  resp::Writer(*out, 2).command(
      {"REPLCONF", "hfack", std::to_string(progress.epoch.value), std::to_string(progress.received.value),
       std::to_string(progress.synced.value), std::to_string(progress.applied.value)});
  return false;
}

MonoUs Upstream::next_wake() const {
  if (!address_) return INT64_MAX;
  // Not before the node is ready; a turn comes with what makes it so.
  if (!conn_) return follower_.ready() ? next_dial_us_ : INT64_MAX;
  const MonoUs silent_at = last_heard_us_ + address_->timeout_ms * 1000 + 1;
  if (const FullSync* sync = full_sync()) return std::min({next_ack_us_, silent_at, sync->next_load()});
  return up() || syncing() ? std::min(next_ack_us_, silent_at) : silent_at;
}

bool Upstream::may_go_on() const {
  if (!stopped_ || close_) return false;
  if (stock_) return stock_->syncing() ? stock_->has_room() : follower_.ready();
  if (up()) return follower_.ready();
  const FullSync* sync = full_sync();
  return sync != nullptr && sync->may_go_on();
}

// ---- shaking hands
// -------------------------------------------------------------------------------------------------

void Upstream::send_step(Step step, Buffer& out) {
  resp::Writer writer(out, 2);
  state_ = Handshake{step};
  switch (step) {
    case Step::Ping: return writer.command({"PING"});
    case Step::Auth:
      if (address_->password.empty()) return send_step(Step::Port, out);
      if (address_->user.empty()) return writer.command({"AUTH", address_->password});
      return writer.command({"AUTH", address_->user, address_->password});
    case Step::Port:
      return writer.command({"REPLCONF", "listening-port", std::to_string(address_->own_port)});
    case Step::Host:
      if (address_->announced_host.empty()) return send_step(Step::Capabilities, out);
      return writer.command({"REPLCONF", "ip-address", address_->announced_host});
    case Step::Capabilities:
      return writer.command(
          {"REPLCONF", "capa", "eof", "capa", "psync2", "capa", replication::native_capability});
    case Step::Holding: {
      const replication::Holding holding = follower_.holding();
      const std::string text = holding.cluster_id.empty() ? "" : replication::encode(holding);
      return writer.command({"REPLCONF", "holdfast", text});
    }
    case Step::Psync: {
      if (stock_wanted_) {
        const ForeignPlace place = follower_.foreign_place();
        if (!place.known()) return writer.command({"PSYNC", "?", "-1"});
        return writer.command({"PSYNC", place.id, std::to_string(place.offset + 1)});
      }
      const replication::Holding holding = follower_.holding();
      if (holding.history.empty()) return writer.command({"PSYNC", "?", "-1"});
      return writer.command({"PSYNC", holding.history.last().id, std::to_string(holding.end.value)});
    }
  }
}

/// False: the link is broken, or the handshake is over.
bool Upstream::handshake_line(Bytes line, Now now, Buffer& out) {
  const Step step = std::get<Handshake>(state_).step;
  if (line.empty()) return true;  // a primary that needs time sends empty lines
  const bool error = line[0] == '-';
  const std::string text(line.substr(0, 200));
  switch (step) {
    case Step::Ping:
      if (error && !line.starts_with("-NOAUTH") && !line.starts_with("-NOPERM"))
        return broken("PING: " + text), false;
      if (error && address_->password.empty())
        return broken("it asks for a password (" + text + "); set masterauth"), false;
      send_step(Step::Auth, out);
      return true;
    case Step::Auth:
      if (error)
        return broken("it refused the password (" + text + "); check masterauth and masteruser"), false;
      send_step(Step::Port, out);
      return true;
    case Step::Port: send_step(Step::Host, out); return true;
    case Step::Host:
      if (error) return broken("it refused replica-announce-ip (" + text + ")"), false;
      send_step(Step::Capabilities, out);
      return true;
    case Step::Capabilities:
      stock_wanted_ = line.find(replication::native_capability) == Bytes::npos;
      if (stock_wanted_) {
        if (Status begun = follower_.follow_foreign(); !begun) return broken(begun.error().message), false;
        send_step(Step::Psync, out);
        return true;
      }
      send_step(Step::Holding, out);
      return true;
    case Step::Holding:
      if (error) return broken("REPLCONF: " + text), false;
      send_step(Step::Psync, out);
      return true;
    case Step::Psync: psync_answer(line, now); return false;
  }
  return false;
}

void Upstream::psync_answer(Bytes line, Now now) {
  const Bytes verdict = word(line, 0);
  if (stock_wanted_) {
    ForeignPlace place = follower_.foreign_place();
    const bool full = verdict == "+FULLRESYNC";
    if (!full && verdict != "+CONTINUE") return broken("PSYNC: " + std::string(line.substr(0, 200)));
    // What every frame will note as this node's place there: only what can be asked for again.
    const Bytes id = word(line, 1);
    const auto offset = full ? parse_int(word(line, 2)) : std::optional<int64_t>(0);
    const bool named = is_id(id) || (!full && id.empty());
    if (!named || !offset || *offset < 0 || (!full && !place.known()))
      return broken("an answer to PSYNC that makes no sense: " + quoted(line.substr(0, 100)));
    if (!id.empty()) place.id = std::string(id);
    if (full) place.offset = static_cast<uint64_t>(*offset);
    follower_.say(LogLevel::Notice, "Following the Redis at " + address_->name() +
                                        (full ? ", in full" : ", on") + " from its offset " +
                                        std::to_string(place.offset));
    stock_ = std::make_unique<StockSource>(follower_, place, full);
    state_ = Streaming{};
    last_error_.clear();
    up_since_us_ = now.mono_us;
    down_since_us_ = 0;
    ack_due_ = true;
    return;
  }
  if (verdict == "+CONTINUE") {
    follower_.say(LogLevel::Notice, "Following " + address_->name() + ", on from offset " +
                                        std::to_string(follower_.holding().end.value));
    state_ = Streaming{};
  } else if (verdict == "+FULLRESYNC") {
    follower_.say(LogLevel::Notice, "Full sync from " + address_->name() + ": waiting for its snapshot");
    // An older primary says no third word: nothing is known to have parted then.
    const auto shared = parse_uint(word(line, 3));
    if (!word(line, 3).empty())
      follower_.full_sync_begins(shared ? std::optional(LogOffset{*shared}) : std::nullopt);
    else follower_.full_sync_begins(follower_.holding().end);
    state_ = Receiving{std::make_unique<FullSync>(follower_, now)};
  } else if (verdict == "+DIVERGED") {
    const auto at = parse_uint(word(line, 1));
    // To cut nothing off would change nothing, and the next answer would be the same.
    if (!at || *at >= follower_.holding().end.value)
      return broken("an answer to PSYNC that makes no sense: " + quoted(line.substr(0, 100)));
    follower_.say(LogLevel::Warning, "This node's log parts from the primary's at offset " +
                                         std::to_string(*at) +
                                         ": what lies behind is saved under rescue/ and cut off");
    close_ = true;
    backoff_.reset();
    follower_.diverged({*at});
    return;
  } else {
    return broken("PSYNC: " + std::string(line.substr(0, 200)));
  }
  last_error_.clear();
  up_since_us_ = now.mono_us;
  down_since_us_ = 0;
  ack_due_ = true;
}

// ---- the stream
// ----------------------------------------------------------------------------------------------------

bool Upstream::consume(Now now, Buffer& in, Buffer& out) {
  if (!in.empty()) last_heard_us_ = now.mono_us;
  stopped_ = false;
  while (!close_ && std::holds_alternative<Handshake>(state_)) {
    const Bytes all = in.view();
    const size_t end = all.find('\n');
    if (end == Bytes::npos) {
      if (all.size() > line_bytes_max) broken("an answer without an end");
      return false;
    }
    const std::string line(all.substr(0, end > 0 && all[end - 1] == '\r' ? end - 1 : end));
    in.consume(end + 1);
    if (!handshake_line(line, now, out)) break;
  }
  if (close_) return in.clear(), false;
  if (stock_) {
    const bool more = stock_->consume(in, out);
    if (!stock_->broken().empty()) {
      if (stock_->hopeless()) backoff_.rest_long();
      broken(stock_->broken());
      return in.clear(), false;
    }
    stopped_ = !in.empty() && !more;
    return more;
  }
  if (FullSync* sync = full_sync()) {
    stopped_ = sync->consume(now, in);
    if (!sync->broken().empty()) broken(sync->broken());
    return false;
  }
  if (up()) return stream(now, in);
  stopped_ = !in.empty();
  return false;
}

bool Upstream::stream(Now now, Buffer& in) {
  size_t taken = 0;
  while (!close_ && follower_.ready()) {
    const size_t before = in.size();
    const Bytes all = in.view();
    if (all.size() < 4) return false;
    if (all.starts_with(replication::heartbeat_magic)) {
      if (all.size() < replication::heartbeat_bytes) return false;
      const auto heartbeat = replication::decode_heartbeat(all.substr(0, replication::heartbeat_bytes));
      if (!heartbeat) return broken("a heartbeat arrived damaged"), false;
      if (heartbeat->sequence != heartbeat_.sequence) reign_heard_us_ = now.mono_us;
      heartbeat_ = *heartbeat;
      heard_ = true;
      in.consume(replication::heartbeat_bytes);
      follower_.take_heartbeat(heartbeat_);
      ack_due_ = true;
    } else if (all.starts_with(replication::hand_over_magic)) {
      if (all.size() < replication::hand_over_bytes) return false;
      const auto hand_over = replication::decode_hand_over(all.substr(0, replication::hand_over_bytes));
      if (!hand_over) return broken("the word that hands over the role arrived damaged"), false;
      in.consume(replication::hand_over_bytes);
      follower_.take_over(*hand_over);
      return false;
    } else if (all.starts_with(log::frame_magic)) {
      if (!take_frame(in)) return false;
      reign_heard_us_ = now.mono_us;
    } else {
      return broken("the stream holds what is neither frame nor heartbeat: " + quoted(all.substr(0, 16))),
             false;
    }
    taken += before - in.size();
    if (taken > bytes_a_turn) return !in.empty();
  }
  stopped_ = !in.empty();
  return false;
}

/// False: it is not whole yet, or the link is broken.
bool Upstream::take_frame(Buffer& in) {
  const Bytes all = in.view();
  if (all.size() < log::frame_header_bytes) return false;
  const uint64_t salt = get_le<uint64_t>(all, 16);
  log::DecodedFrame decoded;
  const log::Verdict verdict = log::decode_frame(all, salt, decoded);
  if (verdict == log::Verdict::Incomplete) return false;
  if (verdict != log::Verdict::Valid)
    return broken(std::string("a frame arrived damaged (") + log::verdict_text(verdict) + ")"), false;
  const size_t size = decoded.header.frame_bytes();
  group_bytes_ += size;
  if (group_bytes_ > limits::log_group_bytes_max) return broken("a transaction that is too large"), false;
  if (decoded.header.more) {
    group_.emplace_back(all.substr(0, size));
    in.consume(size);
    return true;
  }
  std::vector<log::MirrorFrame> group;
  const auto add = [&](Bytes bytes) {
    log::DecodedFrame frame;
    (void)log::decode_frame(bytes, get_le<uint64_t>(bytes, 16), frame);
    group.push_back({frame.header, frame.sum, bytes.substr(0, frame.header.frame_bytes()), frame.stored});
  };
  for (const std::string& frame : group_) add(frame);
  group.push_back({decoded.header, decoded.sum, all.substr(0, size), decoded.stored});
  const Status taken = follower_.take_group(group);
  group_.clear();
  group_bytes_ = 0;
  in.consume(size);
  if (!taken) return broken(taken.error().message), false;
  return true;
}

// ---- a snapshot in full
// ------------------------------------------------------------------------------------------------

const FullSync* Upstream::full_sync() const {
  const auto* receiving = std::get_if<Receiving>(&state_);
  return receiving != nullptr ? receiving->sync.get() : nullptr;
}

std::optional<FileJob> Upstream::next_job() {
  if (close_) return {};
  auto job = stock_        ? stock_->next_job(next_job_ | job_bit)
             : full_sync() ? full_sync()->next_job(next_job_ | job_bit)
                           : std::nullopt;
  if (job) ++next_job_;
  return job;
}

void Upstream::job_done(const FileJobDone& done, Now now) {
  const bool last = done.id + 1 == (next_job_ | job_bit);  // else of a link that is gone
  if (stock_) {
    if (last) stock_->job_done(done);
    if (!stock_->broken().empty()) broken(stock_->broken());
    return;
  }
  FullSync* sync = full_sync();
  if (sync == nullptr || !sync->in_flight() || !last) return;
  sync->job_done(done);
  if (!sync->broken().empty()) return broken(sync->broken());
  if (!sync->stored()) return;
  sync->report_end(now);
  const snapshot::Header header = sync->header();
  state_ = Streaming{};
  reign_heard_us_ = now.mono_us;
  follower_.adopt(header);
}

bool Upstream::load_some(Now now) {
  FullSync* sync = full_sync();
  if (sync == nullptr || close_) return false;
  if (sync->whole()) last_heard_us_ = now.mono_us;  // all is here: there is nothing to be heard
  const bool more = sync->load_some(now);
  if (!sync->broken().empty()) broken(sync->broken());
  return more;
}

Upstream::Transfer Upstream::transfer() const {
  if (stock_) return {stock_->total(), stock_->received()};
  const FullSync* sync = full_sync();
  return sync != nullptr ? Transfer{sync->expected(), sync->received()} : Transfer{};
}

Upstream::Transfer Upstream::load_progress() const {
  const FullSync* sync = full_sync();
  return sync != nullptr ? Transfer{sync->expected(), sync->looked_through()} : Transfer{};
}

const char* Upstream::state_name() const {
  if (std::holds_alternative<Resting>(state_)) return "connect";
  if (std::holds_alternative<Dialing>(state_)) return "connecting";
  if (std::holds_alternative<Handshake>(state_)) return "handshake";
  return syncing() ? "sync" : "connected";
}

}  // namespace hf::node
