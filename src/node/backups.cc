// The life of a backup, as the node sees it.
#include "node/backups.h"

#include <algorithm>
#include <cstdio>

#include "base/number.h"

namespace hf::node {

log::BackupPolicy Backups::policy() const {
  return {.full_at_s = options_.backup_full_at_s,
          .incremental_s = options_.backup_incremental_every,
          .keep = static_cast<size_t>(std::max<int64_t>(1, options_.backup_keep))};
}

Result<uint64_t> Backups::begin(command::BackupRequest request, Now now) {
  if (running() || beside_id_ != 0) return Error{"BUSY a backup is running already; BACKUP STATUS shows it"};
  if (persistence_.phase() != Persistence::Phase::Serving)
    return Error{"ERR no backup can begin in this phase"};
  if (!persistence_.logging()) return Error{"ERR a backup is a copy of the log, which needs appendonly yes"};
  BackupOrder order{.folder = std::move(request.folder), .token = std::move(request.token)};
  if (order.folder.empty()) {
    if (options_.backup_dir.empty())
      return Error{"ERR backup-dir is not set; `holdfast-cli backup DIR` backs up into any other folder"};
    order.root = options_.backup_dir;
    order.folder = request.full || known_.empty() ? log::backup_folder_name(now.wall_ms) : known_.back().name;
  }
  ask(std::move(order), now);
  return backup_id_;
}

void Backups::ask(BackupOrder order, Now now) {
  order.kind = BackupOrder::Kind::Copy;
  order.id = backup_id_ = next_id_++;
  order_ = std::move(order);
  report_ = {};
  called_off_.clear();
  digest_.reset();
  shown_folder_ = order_.root.empty() ? order_.folder : order_.root + "/" + order_.folder;
  begun_us_ = now.mono_us;
  phase_ = Phase::Asked;
}

void Backups::sealed(Now now) {
  if (phase_ != Phase::Asked) return;
  order_.record = {
      .offset = persistence_.end(), .digest = {}, .wall_ms = now.wall_ms, .full_ms = now.wall_ms};
  order_.record.databases = static_cast<uint64_t>(options_.databases);
  digest_ = std::make_unique<store::WalkDigest>();
  walk_ = store_.begin_walk(*digest_);
  persistence_.want_sync(order_.record.offset);
  phase_ = Phase::Digest;
}

bool Backups::walk_some(size_t entries) {
  if (walk_ == 0) return false;
  if (!store_.walk_some(walk_, entries)) return true;
  walk_ = 0;
  order_.record.digest = to_hex(digest_->total());
  digest_.reset();
  phase_ = Phase::Sync;
  return false;
}

void Backups::send(BackupOrder order) { to_send_ = std::move(order); }

void Backups::pump(Effects& effects) {
  if (phase_ == Phase::Sync && persistence_.writer()->synced() >= order_.record.offset) {
    phase_ = Phase::Copy;
    send(order_);
  }
  if (!to_send_) return;
  effects.backup = std::move(to_send_);
  to_send_.reset();
}

void Backups::report(const BackupReport& report, Now now) {
  if (report.id == beside_id_) {
    if (!report.over) return;
    beside_id_ = 0;
    known_ = report.known;
    if (!known_.empty()) last_ms_ = std::max(last_ms_, known_.back().last_ms);
    if (!report.error.empty()) {
      failed_ms_ = now.wall_ms;
      persistence_.say(LogLevel::Warning, "Backups in " + options_.backup_dir + ": " + report.error);
    }
    return;
  }
  if (report.id != backup_id_ || phase_ != Phase::Copy) return;
  report_ = report;
  if (report.over) ended(report, now);
}

void Backups::abort(std::string why, Now now) {
  called_off_ = std::move(why);
  if (phase_ == Phase::Copy) return send({.id = backup_id_, .kind = BackupOrder::Kind::Cancel});
  if (phase_ == Phase::Idle) return;
  if (walk_ != 0) store_.abort_walk(std::exchange(walk_, 0));
  digest_.reset();
  ended({.id = backup_id_, .over = true, .error = called_off_}, now);
}

void Backups::ended(const BackupReport& report, Now now) {
  phase_ = Phase::Idle;
  last_milliseconds_ = (now.mono_us - begun_us_) / 1000;
  last_error_ = report.error.empty() || called_off_.empty() ? report.error : called_off_;
  const bool scheduled = !order_.root.empty();
  if (!last_error_.empty()) {
    if (scheduled) failed_ms_ = now.wall_ms;
    persistence_.say(LogLevel::Warning, "The backup into " + shown_folder_ + " failed: " + last_error_ +
                                            ". The data set is not affected.");
    return;
  }
  order_.record = report.record;
  last_ms_ = report.record.wall_ms;
  last_bytes_ = report.bytes_done;
  char text[200];
  std::snprintf(text, sizeof text, ": %s copied in %.2f s, log from offset %llu to %llu, digest %s at %llu",
                to_human(report.bytes_done).c_str(), static_cast<double>(last_milliseconds_) / 1000,
                static_cast<unsigned long long>(report.record.begin.value),
                static_cast<unsigned long long>(report.record.end.value), report.record.digest.c_str(),
                static_cast<unsigned long long>(report.record.offset.value));
  persistence_.say(LogLevel::Notice, "Backup into " + shown_folder_ + text);
  if (!scheduled) return;
  failed_ms_ = 0;
  known_ = report.known;
  BackupOrder order{.kind = BackupOrder::Kind::Remove, .root = order_.root};
  order.remove = log::backups_to_remove(report.names, known_, policy().keep);
  if (order.remove.empty()) return;
  for (const std::string& name : order.remove)
    persistence_.say(LogLevel::Notice, "Removing the backup " + order_.root + "/" + name + " (backup-keep)");
  order.id = beside_id_ = next_id_++;
  send(std::move(order));
}

void Backups::once_a_second(Now now) {
  if (options_.backup_dir.empty() || running() || beside_id_ != 0) return;
  if (persistence_.phase() != Persistence::Phase::Serving || !persistence_.logging()) return;
  if (!looked_) {
    looked_ = true;
    BackupOrder order{.id = next_id_++, .kind = BackupOrder::Kind::Look, .root = options_.backup_dir};
    beside_id_ = order.id;
    return send(std::move(order));
  }
  const log::BackupDue due = log::due_backup(policy(), known_, failed_ms_, now.wall_ms);
  if (due == log::BackupDue::No) return;
  const bool full = due == log::BackupDue::Full;
  ask({.root = options_.backup_dir,
       .folder = full ? log::backup_folder_name(now.wall_ms) : known_.back().name},
      now);
}

command::BackupState Backups::state() const {
  command::BackupState out;
  out.id = backup_id_;
  constexpr const char* phases[] = {"", "digest", "digest", "sync", "copy"};
  out.phase = running()             ? phases[static_cast<size_t>(phase_)]
              : backup_id_ == 0     ? "idle"
              : last_error_.empty() ? "done"
                                    : "failed";
  out.folder = shown_folder_;
  out.digest = order_.record.digest;
  if (!running()) out.error = last_error_;
  out.bytes_done = report_.bytes_done, out.bytes_total = report_.bytes_total;
  out.offset = order_.record.offset.value;
  out.begin = order_.record.begin.value, out.end = order_.record.end.value;
  out.wall_ms = order_.record.wall_ms;
  out.milliseconds = running() ? 0 : last_milliseconds_;
  return out;
}

}  // namespace hf::node
