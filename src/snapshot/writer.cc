// Entries into blocks, blocks into jobs. Only the closures in the jobs' steps run on the lane's thread; they
// share the OnLane with the writer, which looks at nothing but its atomic byte count.
#include "snapshot/writer.h"

#include <array>
#include <atomic>

#include "base/check.h"
#include "base/little_endian.h"
#include "base/planted.h"

namespace hf::snapshot {
namespace {

using Kind = FileStep::Kind;

// Blocks in one job: few enough that an answer comes soon and frees their memory.
constexpr size_t blocks_per_job_max = 4;
// Emptied blocks that wait to be filled again; not those that one large entry has stretched.
constexpr size_t spare_blocks_max = 10;
constexpr size_t spare_bytes_max = 4 * limits::snapshot_block_bytes;

}  // namespace

/// Touched by steps only, one after another; `file_bytes` and `spares` from outside, too.
struct Writer::OnLane {
  uint64_t salt = 0;
  std::atomic<uint64_t> file_bytes{0};
  std::vector<IndexEntry> index;
  /// The memory of blocks goes round: were it given back and asked for again, the loop would wait for the
  /// kernel to clear the same pages each time, and for the allocator's lock, which the lane, whose thread has
  /// only what is left of the processor, may hold for a millisecond.
  std::array<std::atomic<std::string*>, spare_blocks_max> spares{};

  ~OnLane() {
    for (auto& spare : spares) delete spare.load();
  }
  /// By the lane.
  void give(std::string bytes) {
    if (bytes.capacity() > spare_bytes_max) return;
    bytes.clear();
    auto one = std::make_unique<std::string>(std::move(bytes));
    for (auto& spare : spares) {
      std::string* none = nullptr;
      if (!spare.compare_exchange_strong(none, one.get())) continue;
      (void)one.release();
      return;
    }
  }
  /// By the loop. Empty: there is none.
  std::string take() {
    for (auto& spare : spares)
      if (const std::unique_ptr<std::string> one{spare.exchange(nullptr)}) return std::move(*one);
    return {};
  }
};

Writer::Writer(Header header, WriterOptions options)
    : header_(std::move(header)),
      options_(options),
      lane_(std::make_shared<OnLane>()),
      next_id_(options.first_job_id) {
  HF_CHECK(is_id(header_.cluster_id));
}

Writer::~Writer() = default;

size_t Writer::open_entry(DbIndex db) {
  fields_of_ = 0;
  const size_t begin = open_.raw.size();
  put_le<uint32_t>(open_.raw, db);
  put_le<uint32_t>(open_.raw, 0);
  return begin;
}

void Writer::take(DbIndex db, const store::Entry& entry) {
  if (state_ != State::Taking) return;
  const size_t begin = open_entry(db);
  store::encode_entry(entry, open_.raw);
  ++keys_;
  entry_added(begin);
}

void Writer::take_encoded(DbIndex db, Bytes encoded) {
  if (state_ != State::Taking) return;
  const size_t begin = open_entry(db);
  open_.raw.append(encoded);
  ++keys_;
  entry_added(begin);
}

void Writer::take_large(const store::LargeValue& value) {
  if (state_ != State::Taking) return;
  const size_t begin = open_entry(value.db);
  store::encode_large(value, open_.raw);
  ++keys_;
  entry_added(begin);
}

void Writer::take_field(uint64_t hash, Bytes field, Bytes value) {
  if (state_ != State::Taking) return;
  const bool more = fields_of_ == hash && open_.raw.size() - fields_begin_ < store::piece_bytes_max / 2;
  if (!more) {
    const size_t begin = open_entry(0);
    store::encode_fields_head(hash, open_.raw);
    store::encode_field(field, value, open_.raw);
    fields_begin_ = begin;
    entry_added(begin);
    fields_of_ = open_.raw.empty() ? 0 : hash;  // empty: the block was closed
    return;
  }
  // The fields of one hash share an entry while nothing else comes in between.
  const size_t before = open_.raw.size();
  store::encode_field(field, value, open_.raw);
  set_le<uint32_t>(open_.raw.data() + fields_begin_ + 4,
                   static_cast<uint32_t>(open_.raw.size() - fields_begin_ - entry_prefix_bytes));
  count_waiting(open_.raw.size() - before);
  if (state_ == State::Taking && open_.raw.size() >= options_.block_bytes) close_block();
}

void Writer::take_large_field(uint64_t hash, Bytes field, uint64_t number, uint64_t size) {
  if (state_ != State::Taking) return;
  const size_t begin = open_entry(0);
  store::encode_large_field(hash, field, number, size, open_.raw);
  entry_added(begin);
}

void Writer::take_bytes(uint64_t number, Bytes piece) {
  if (state_ != State::Taking) return;
  const size_t begin = open_entry(0);
  store::encode_bytes(number, piece, open_.raw);
  entry_added(begin);
}

void Writer::entry_added(size_t begin) {
  const size_t added = open_.raw.size() - begin;
  if (added > limits::snapshot_block_raw_bytes_max) {
    fail("an entry of " + std::to_string(added) + " bytes is larger than a block can be");
    return;
  }
  set_le<uint32_t>(open_.raw.data() + begin + 4, static_cast<uint32_t>(added - entry_prefix_bytes));
  ++open_.entries;
  ++entries_;
  count_waiting(added);
  if (state_ != State::Taking) return;
  if (open_.raw.size() < options_.block_bytes) return;
  // A large entry gets a block of its own, so that no block outgrows the limit.
  if (open_.entries > 1 && added >= options_.block_bytes) {
    Block large{open_.raw.substr(begin), 1};
    open_.raw.resize(begin);
    --open_.entries;
    close_block();
    open_ = std::move(large);
  }
  close_block();
}

void Writer::count_waiting(size_t added) {
  raw_bytes_ += added;
  // One entry may be of any size: what counts is what was waiting before it.
  const bool over = waiting_ > options_.waiting_bytes_max;
  waiting_ += added;
  if (over)
    fail("more than " + std::to_string(options_.waiting_bytes_max) +
         " bytes wait to be written: the disk does not keep up with the changes. Try again when there is "
         "less load");
}

void Writer::close_block() {
  fields_of_ = 0;
  if (open_.entries == 0) return;
  ready_.push_back(std::move(open_));
  open_ = {lane_->take()};
}

void Writer::finish() {
  if (state_ != State::Taking) return;
  close_block();
  state_ = State::Finishing;
}

void Writer::fail(std::string why) {
  if (state_ == State::Failed || state_ == State::Done) return;
  state_ = State::Failed;
  reason_ = "snapshot " + name() + ": " + std::move(why);
  open_ = {};
  ready_.clear();
  waiting_ = in_flight_bytes_;
}

void Writer::add_block_step(Block block, std::vector<FileStep>& steps) {
  in_flight_bytes_ += block.raw.size();
  auto raw = std::make_shared<Block>(std::move(block));
  const auto compress = [raw, lane = lane_, number = blocks_++]() {
    std::string bytes = encode_block(raw->raw, raw->entries, number, lane->salt);
    lane->index.push_back({lane->file_bytes, static_cast<uint32_t>(bytes.size()), raw->entries});
    lane->file_bytes += bytes.size();
    lane->give(std::move(raw->raw));
    return bytes;
  };
  steps.push_back({.kind = Kind::Append, .name = temp_name(header_.offset), .produce = compress});
}

void Writer::add_last_steps(std::vector<FileStep>& steps) {
  const std::string temp = temp_name(header_.offset);
  const auto close = [lane = lane_, entries = entries_, raw_bytes = raw_bytes_]() {
    std::string bytes = encode_index(lane->index, lane->salt);
    const Footer footer{lane->file_bytes, bytes.size(), lane->index.size(), entries, raw_bytes};
    bytes += encode_footer(footer, lane->salt);
    lane->file_bytes += bytes.size();
    return bytes;
  };
  steps.push_back({.kind = Kind::Append, .name = temp, .produce = close});
  steps.push_back({.kind = Kind::Sync, .name = temp});
  steps.push_back({.kind = Kind::Rename, .name = temp, .to = name()});
  steps.push_back({.kind = Kind::SyncDir});
}

std::optional<FileJob> Writer::next_job(LogOffset synced) {
  if (in_flight_id_ != 0 || state_ == State::Failed || state_ == State::Done) return {};
  const bool reached = synced >= header_.offset || planted(Bug::SnapshotTooEarly);
  const bool last = state_ == State::Finishing && ready_.size() <= blocks_per_job_max && reached;
  if (ready_.empty() && !last) return {};
  FileJob job{.lane = Lane::Snapshot};
  const std::string temp = temp_name(header_.offset);
  if (!begun_) {
    std::string header = encode_header(header_);
    lane_->salt = header_sum(header);
    lane_->file_bytes = header.size();
    job.steps.push_back({.kind = Kind::Remove, .name = temp});
    job.steps.push_back({.kind = Kind::Write, .name = temp, .bytes = std::move(header)});
    begun_ = true;
  }
  for (size_t n = 0; n < blocks_per_job_max && !ready_.empty(); ++n) {
    add_block_step(std::move(ready_.front()), job.steps);
    ready_.pop_front();
  }
  if (last) add_last_steps(job.steps);
  last_in_flight_ = last;
  job.id = in_flight_id_ = next_id_++;
  return job;
}

void Writer::job_done(const FileJobDone& done) {
  HF_CHECK(done.lane == Lane::Snapshot && in_flight_id_ != 0 && done.id == in_flight_id_);
  in_flight_id_ = 0;
  waiting_ -= in_flight_bytes_;
  in_flight_bytes_ = 0;
  if (state_ == State::Failed) return;
  if (!done.ok) return fail(done.message);
  written_ = lane_->file_bytes;
  if (last_in_flight_) state_ = State::Done;
}

FileJob Writer::abort_job() {
  HF_CHECK(in_flight_id_ == 0 && state_ != State::Done);
  fail("given up");
  FileJob job{.lane = Lane::Snapshot};
  job.steps.push_back({.kind = Kind::Remove, .name = temp_name(header_.offset)});
  job.id = in_flight_id_ = next_id_++;
  last_in_flight_ = false;
  return job;
}

uint64_t Writer::file_bytes() const { return lane_->file_bytes; }

}  // namespace hf::snapshot
