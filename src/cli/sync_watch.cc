// INFO's lines are looked up by name; what a server does not tell counts as 0.
#include "cli/sync_watch.h"

#include <algorithm>

#include "base/number.h"
#include "cli/tables.h"

namespace hf::cli {

namespace {

/// The value of a line "name:value"; empty: there is none.
Bytes text_of(Bytes info, Bytes name) {
  for (size_t at = 0; at < info.size();) {
    const size_t end = std::min(info.find('\n', at), info.size());
    Bytes line = info.substr(at, end - at);
    at = end + 1;
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.size() > name.size() && line.starts_with(name) && line[name.size()] == ':')
      return line.substr(name.size() + 1);
  }
  return {};
}

int64_t number_of(Bytes info, Bytes name) { return parse_int(text_of(info, name)).value_or(0); }

}  // namespace

const char* SyncWatch::phase_text(Phase phase) {
  switch (phase) {
    case Phase::Linking: return "no link to the primary yet";
    case Phase::Waiting: return "the primary takes a snapshot";
    case Phase::Receiving: return "receiving the snapshot";
    case Phase::Loading: return "loading";
    case Phase::CatchingUp: return "catching up";
    case Phase::InStep: return "in step";
    case Phase::Alone: return "following nobody";
  }
  return "";
}

void SyncWatch::take(Bytes info, int64_t now_ms) {
  const Phase before = phase_;
  const Progress shown = progress_;
  progress_ = {};
  const Bytes role = text_of(info, "role");
  const Bytes host = text_of(info, "master_host");
  primary_ =
      host.empty() ? std::string() : std::string(host) + ":" + std::string(text_of(info, "master_port"));
  error_.clear();
  offset_ = number_of(info, "slave_repl_offset");
  const bool up = text_of(info, "master_link_status") == "up";
  const bool syncing = number_of(info, "master_sync_in_progress") != 0;
  const bool loading = number_of(info, "loading") != 0 || number_of(info, "async_loading") != 0;
  const int64_t total = number_of(info, "master_sync_total_bytes"),
                read = number_of(info, "master_sync_read_bytes");
  if (role != "slave") {
    phase_ = Phase::Alone;
  } else if (syncing || loading) {
    snapshot_bytes_ = std::max({snapshot_bytes_, total, read});
    // What comes is loaded at once where there is room for two: until all has come, coming is what takes its
    // time.
    if (total > read) phase_ = Phase::Receiving, progress_ = {read, total, ""};
    else if (!loading && snapshot_bytes_ == 0) phase_ = Phase::Waiting;
    else
      phase_ = Phase::Loading,
      progress_ = {number_of(info, "loading_loaded_bytes"), number_of(info, "loading_total_bytes"), ""};
    target_ = -1;
  } else if (!up) {
    phase_ = Phase::Linking;
    error_ = std::string(text_of(info, "master_link_last_error"));
    target_ = -1;
  } else {
    // A redis-server does not tell what its primary has: the link is all there is to wait for.
    const Bytes applied = text_of(info, "replica_applied_offset");
    const int64_t at = parse_int(applied).value_or(0);
    if (target_ < 0)
      target_ = number_of(info, "replica_received_offset") + number_of(info, "replica_lag_bytes"),
      phase_from_ = at;
    phase_ = applied.empty() || at >= target_ ? Phase::InStep : Phase::CatchingUp;
    if (phase_ == Phase::CatchingUp) progress_ = {at - phase_from_, target_ - phase_from_, ""};
  }
  if (phase_ != before || phase_since_ms_ < 0) {
    phase_since_ms_ = now_ms;
    if (phase_ != Phase::CatchingUp) phase_from_ = progress_.n;
  }
  const bool moved = phase_ != before || progress_.n != shown.n || moved_ms_ < 0;
  if (moved) moved_ms_ = now_ms;
  rate(now_ms);
}

/// Over the whole phase: a rate of the last moment jumps about.
void SyncWatch::rate(int64_t now_ms) {
  if (progress_.total == 0 || phase_ == Phase::Linking) return;
  const int64_t took_ms = now_ms - phase_since_ms_;
  const int64_t done = phase_ == Phase::CatchingUp ? progress_.n : progress_.n - phase_from_;
  progress_.note = phase_text(phase_);
  if (took_ms < 500 || done <= 0) return;
  const double a_ms = static_cast<double>(done) / static_cast<double>(took_ms);
  const int64_t left_ms = static_cast<int64_t>(static_cast<double>(progress_.total - progress_.n) / a_ms);
  progress_.note +=
      ", " + size_text(static_cast<uint64_t>(a_ms * 1000)) + "/s, " + span_text(left_ms) + " left";
}

}  // namespace hf::cli
