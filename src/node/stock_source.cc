// The stream's offset counts every byte that came, as Redis counts it: its PINGs and GETACKs too.
#include "node/stock_source.h"

#include <algorithm>

#include "base/limits.h"
#include "base/number.h"
#include "log/segment.h"
#include "node/upstream.h"
#include "resp/writer.h"

namespace hf::node {

namespace {

constexpr size_t chunk_bytes = 1024 * 1024;
constexpr size_t bytes_a_turn = 256 * 1024;
constexpr size_t head_bytes_max = 128;

}  // namespace

StockSource::StockSource(Follower& follower, ForeignPlace place, bool full)
    : follower_(follower), state_(full ? State::Head : State::Stream), place_(std::move(place)) {
  if (full) reader_ = std::make_unique<rdb::Reader>(judge_);
}

bool StockSource::consume(Buffer& in, Buffer& out) {
  if (state_ == State::Head && !take_head(in)) return false;
  if (state_ == State::Dump) take_dump(in);
  if (state_ == State::Mark && in.size() >= mark_.size()) {
    if (in.view().substr(0, mark_.size()) != mark_) broken_ = "the dump does not end with its mark";
    in.consume(mark_.size());
    state_ = State::Storing;
  }
  if (state_ == State::Stream && broken_.empty()) return stream(in, out);
  return false;
}

// ---- the dump ---------------------------------------------------------------------------------------------

bool StockSource::take_head(Buffer& in) {
  while (!in.empty() && in.view()[0] == '\n') in.consume(1);  // the primary is still making it
  const size_t end = in.view().find('\n');
  if (end == Bytes::npos) {
    if (in.size() > head_bytes_max) broken_ = "what came is no dump";
    return false;
  }
  const std::string line(in.view().substr(0, end > 0 && in.view()[end - 1] == '\r' ? end - 1 : end));
  in.consume(end + 1);
  if (line.starts_with("$EOF:")) {
    mark_ = line.substr(5);
  } else if (const auto size = line.starts_with("$") ? parse_uint(Bytes(line).substr(1)) : std::nullopt) {
    total_ = *size;
  } else {
    broken_ = "what came is no dump: " + quoted(Bytes(line).substr(0, 100));
    return false;
  }
  state_ = State::Dump;
  return true;
}

void StockSource::take_dump(Buffer& in) {
  if (in.empty() || chunk_.size() >= chunk_bytes) return;
  const Bytes piece = in.view().substr(0, chunk_bytes);
  const size_t used = reader_->feed(piece);
  chunk_.append(piece.substr(0, used));
  received_ += used;
  in.consume(used);
  using Phase = rdb::Reader::Phase;
  if (reader_->phase() == Phase::Reading) return;
  if (reader_->phase() != Phase::Done) {
    hopeless_ = reader_->phase() == Phase::Refused;
    broken_ = (hopeless_ ? "its data set can't be taken: " : "its dump: ") + reader_->reason();
    return;
  }
  state_ = mark_.empty() ? State::Storing : State::Mark;
}

bool StockSource::has_room() const {
  return state_ == State::Head || state_ == State::Mark ||
         (state_ == State::Dump && chunk_.size() < chunk_bytes);
}

std::optional<FileJob> StockSource::next_job(uint64_t id) {
  const bool whole = state_ == State::Storing;
  if (in_flight_ || !broken_.empty() || state_ == State::Stream || finishing_) return {};
  if (chunk_.size() < chunk_bytes && !whole) return {};
  const std::string name = log::received_name({place_.offset});
  FileJob job{.id = id, .lane = Lane::Transfer};
  if (written_ == 0) job.steps.push_back({.kind = FileStep::Kind::Remove, .name = name});
  job.steps.push_back({.kind = FileStep::Kind::Write, .name = name, .offset = written_, .bytes = chunk_});
  written_ += chunk_.size();
  chunk_.clear();
  finishing_ = whole;
  in_flight_ = true;
  return job;
}

void StockSource::job_done(const FileJobDone& done) {
  in_flight_ = false;
  if (!done.ok) broken_ = "the dump can't be stored: " + done.message;
  if (!finishing_ || !done.ok) return;
  state_ = State::Stream;
  reader_.reset();
  follower_.import_dump(log::received_name({place_.offset}), place_);
}

// ---- the stream -------------------------------------------------------------------------------------------

bool StockSource::stream(Buffer& in, Buffer& out) {
  std::vector<Bytes> args;
  size_t taken = 0;
  while (broken_.empty() && follower_.ready()) {
    using Outcome = resp::RequestParser::Outcome;
    const Bytes all = in.view();
    const Outcome outcome = parser_.next(all, args, resp::RequestLimits{});
    if (outcome == Outcome::Invalid) broken_ = "its stream: " + parser_.error();
    if (outcome != Outcome::Request && outcome != Outcome::Empty) return false;
    const size_t used = parser_.used();
    if (outcome == Outcome::Request && !args.empty()) take_command(args, all.substr(0, used), out);
    if (!broken_.empty()) return false;  // its place stays in front of this command
    in.consume(used);
    place_.offset += used;
    taken += used;
    if (!in_transaction_) follower_.foreign_place_is(place_);
    if (taken > bytes_a_turn) return !in.empty();
  }
  return false;
}

void StockSource::take_command(const std::vector<Bytes>& args, Bytes raw, Buffer& out) {
  const Bytes name = args[0];
  if (equal_nocase(name, "ping") || equal_nocase(name, "publish") || equal_nocase(name, "spublish")) return;
  if (equal_nocase(name, "replconf")) {
    if (args.size() > 1 && equal_nocase(args[1], "getack")) acknowledge(out);
    return;
  }
  if (equal_nocase(name, "select")) {
    const auto db = args.size() == 2 ? parse_int(args[1]) : std::nullopt;
    // More than a DbIndex holds would come out as another database.
    if (!db || *db < 0 || *db > UINT32_MAX) broken_ = "its stream: a SELECT that makes no sense";
    else db_ = static_cast<DbIndex>(*db);
    return;
  }
  if (equal_nocase(name, "multi")) {
    in_transaction_ = true;
    return;
  }
  if (equal_nocase(name, "exec")) {
    in_transaction_ = false;
    queued_bytes_ = 0;
    for (const Queued& command : queued_) {
      std::vector<Bytes> parts;
      resp::RequestParser parser;
      if (parser.next(command.raw, parts, resp::RequestLimits{}) != resp::RequestParser::Outcome::Request)
        continue;
      pass_on(command.db, parts, command.raw);
    }
    queued_.clear();
    return;
  }
  if (!in_transaction_) return pass_on(db_, args, raw);
  queued_bytes_ += raw.size();
  if (queued_bytes_ > limits::log_group_bytes_max) broken_ = "its stream: a transaction that is too large";
  queued_.push_back({db_, std::string(raw)});
}

void StockSource::pass_on(DbIndex db, const std::vector<Bytes>& args, Bytes raw) {
  if (!broken_.empty()) return;
  const Status taken = follower_.take_foreign(db, args, raw);
  if (taken) return;
  hopeless_ = true;
  broken_ = taken.error().message;
}

void StockSource::acknowledge(Buffer& out) const {
  resp::Writer(out, 2).command({"REPLCONF", "ACK", std::to_string(place_.offset)});
}

}  // namespace hf::node
