// Every way it can fail ends in break_off(): one sentence, which the link is closed with.
#include "node/full_sync.h"

#include <algorithm>
#include <cstdio>

#include "base/limits.h"
#include "base/number.h"
#include "base/planted.h"
#include "log/segment.h"
#include "node/upstream.h"

namespace hf::node {

namespace {

constexpr size_t chunk_bytes = 1024 * 1024;
constexpr size_t unwritten_bytes_max = 8 * 1024 * 1024;  // what comes while a sync takes its time
constexpr uint64_t sync_every_bytes = 32ull * 1024 * 1024;
constexpr MonoUs second_us = 1'000'000;

}  // namespace

bool FullSync::has_room() const {
  return chunk_.size() < unwritten_bytes_max && (waits_ || stream_.kept_bytes() < chunk_bytes);
}

bool FullSync::consume(Now now, Buffer& in) {
  while (broken_.empty() && !whole_ && !in.empty()) {
    if (piece_left_ == 0) {
      if (!take_record(now, in)) return false;
      continue;
    }
    if (!has_room()) break;
    const size_t n = std::min({piece_left_, in.size(), chunk_bytes});
    chunk_.append(in.view().substr(0, n));
    stream_.keep(in.view().substr(0, n));
    in.consume(n);
    waits_ = false;
    piece_left_ -= n;
    received_ += n;
  }
  report(now);
  return !in.empty();
}

/// False: it is not whole yet, or the link is broken.
bool FullSync::take_record(Now now, Buffer& in) {
  const Bytes all = in.view();
  if (all.size() < 4) return false;
  if (all.starts_with(replication::heartbeat_magic)) {
    // The primary is taking a snapshot.
    if (all.size() < replication::heartbeat_bytes) return false;
    if (!replication::decode_heartbeat(all.substr(0, replication::heartbeat_bytes)))
      return break_off("a heartbeat arrived damaged");
    in.consume(replication::heartbeat_bytes);
    return true;
  }
  if (ahead_) {
    if (all.size() < replication::snapshot_piece_bytes) return false;
    if (!take_piece(all.substr(0, replication::snapshot_piece_bytes))) return false;
    in.consume(replication::snapshot_piece_bytes);
    return true;
  }
  if (all.size() < replication::snapshot_ahead_bytes) return false;
  ahead_ = replication::decode_snapshot_ahead(all.substr(0, replication::snapshot_ahead_bytes));
  if (!ahead_) return break_off("the announcement of a snapshot arrived damaged");
  in.consume(replication::snapshot_ahead_bytes);
  expected_ = ahead_->bytes;
  begun_us_ = now.mono_us;
  next_report_us_ = now.mono_us + second_us;
  follower_.beside().begin(expected_);
  return true;
}

bool FullSync::take_piece(Bytes record) {
  const auto piece = replication::decode_snapshot_piece(record);
  if (!piece || piece->bytes > limits::snapshot_piece_bytes_max)
    return break_off("the head of a piece of a snapshot arrived damaged");
  piece_left_ = piece->bytes;
  whole_ = piece->bytes == 0;
  waits_ = waits_ && !whole_;  // one more look: whether that is all
  expected_ = std::max(piece->file_bytes, received_ + piece->bytes);
  return true;
}

void FullSync::report(Now now) {
  if (!ahead_ || now.mono_us < next_report_us_) return;
  next_report_us_ = now.mono_us + second_us;
  char text[120];
  std::snprintf(
      text, sizeof text, "Full sync: %.0f %% of %s received",
      100.0 * static_cast<double>(received_) / static_cast<double>(std::max<uint64_t>(1, expected_)),
      to_human(expected_).c_str());
  follower_.say(LogLevel::Notice, text);
}

std::optional<FileJob> FullSync::next_job(uint64_t id) {
  if (!ahead_ || in_flight_ || stored_) return {};
  const bool all = complete();
  if (chunk_.size() < chunk_bytes && !all) return {};
  const std::string name = log::received_name(ahead_->offset);
  FileJob job{.id = id, .lane = Lane::Transfer};
  if (written_ == 0) job.steps.push_back({.kind = FileStep::Kind::Remove, .name = name});
  job.steps.push_back(
      {.kind = FileStep::Kind::Write, .name = name, .offset = written_, .bytes = std::move(chunk_)});
  chunk_.clear();
  written_ = received_;
  // What is synced on the way need not be waited for at the end.
  if (written_ - synced_ >= sync_every_bytes || all) {
    if (!planted(Bug::AdoptedUnsynced)) job.steps.push_back({.kind = FileStep::Kind::Sync, .name = name});
    synced_ = written_;
  }
  if (all) job.steps.push_back({.kind = FileStep::Kind::SyncDir});
  finishing_ = all;
  in_flight_ = true;
  return job;
}

void FullSync::job_done(const FileJobDone& done) {
  in_flight_ = false;
  if (!done.ok) break_off("the snapshot can't be stored: " + done.message);
  else if (finishing_) stored_ = true;
}

/// Takes one part of the file that is whole. False: there is none.
Result<bool> FullSync::load_step() {
  class Discard final : public snapshot::EntrySink {
    Status entry(DbIndex, Bytes) override { return ok(); }
  } discard;
  Beside& beside = follower_.beside();
  snapshot::EntrySink& sink = beside.loading() ? beside.sink() : static_cast<snapshot::EntrySink&>(discard);
  if (stream_.header() && !prepared_) {
    if (stream_.header()->offset != ahead_->offset)
      return Error{"it stands at offset " + std::to_string(stream_.header()->offset.value) + ", but offset " +
                   std::to_string(ahead_->offset.value) + " was announced"};
    prepared_ = sink.prepare(*stream_.header(), expected_);
    return true;
  }
  return stream_.step(sink);
}

bool FullSync::load_some(Now now) {
  if (!may_load()) return false;
  Beside& beside = follower_.beside();
  const bool has_room = beside.has_room();
  if (!has_room && !std::exchange(told_, true))
    follower_.say(LogLevel::Warning,
                  "Full sync: the old data set is dropped before the new one is loaded, "
                  "and reads get -LOADING meanwhile: " +
                      beside.reason());
  if (has_room && !beside.slice_due()) return false;
  const Result<bool> taken = load_step();
  if (!taken || (whole_ && !*taken && !complete())) {
    beside.drop();
    return break_off("the snapshot can't be taken (" +
                     (taken ? std::string("it ends too early") : taken.error().message) +
                     "); it is fetched again");
  }
  waits_ = !*taken;
  return may_load() && (!has_room || beside.next_slice() <= now.mono_us);
}

MonoUs FullSync::next_load() const { return may_load() ? follower_.beside().next_slice() : INT64_MAX; }

/// False, for who is to say that nothing more comes of it.
bool FullSync::break_off(std::string why) {
  broken_ = std::move(why);
  return false;
}

void FullSync::report_end(Now now) const {
  char text[160];
  const double seconds = static_cast<double>(now.mono_us - begun_us_) / 1e6;
  std::snprintf(text, sizeof text, "Full sync: %s received in %.2f s", to_human(received_).c_str(), seconds);
  follower_.say(LogLevel::Notice, text);
  if (!follower_.beside().loading()) return;
  std::snprintf(text, sizeof text, "Full sync: %llu keys loaded beside the old data set in %.2f s",
                static_cast<unsigned long long>(stream_.keys()), seconds);
  follower_.say(LogLevel::Notice, text);
}

}  // namespace hf::node
