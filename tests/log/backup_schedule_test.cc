// The calendar of backups, retention, and the record that a backup leaves.
#include <catch2/catch.hpp>

#include "log/backup_record.h"
#include "log/backup_schedule.h"

using namespace hf;
using namespace hf::log;

namespace {

constexpr int64_t hour_ms = 3'600'000, day_ms = 24 * hour_ms;
constexpr WallMs midnight = 20'000 * day_ms;  // 2024-10-04

KnownBackup known(WallMs full_ms, WallMs last_ms) {
  return {backup_folder_name(full_ms), full_ms, last_ms, 1};
}

}  // namespace

TEST_CASE("the first backup is a full one, at once") {
  CHECK(due_backup({.full_at_s = 3 * 3600}, {}, 0, midnight) == BackupDue::Full);
  CHECK(due_backup({}, {}, 0, midnight) == BackupDue::Full);
}

TEST_CASE("a full backup is due once a day at its time, also when that passed while nothing ran") {
  const BackupPolicy policy{.full_at_s = 3 * 3600};
  const std::vector<KnownBackup> list = {known(midnight + 3 * hour_ms, midnight + 3 * hour_ms)};
  CHECK(due_backup(policy, list, 0, midnight + 4 * hour_ms) == BackupDue::No);
  CHECK(due_backup(policy, list, 0, midnight + day_ms + 3 * hour_ms - 1) == BackupDue::No);
  CHECK(due_backup(policy, list, 0, midnight + day_ms + 3 * hour_ms) == BackupDue::Full);
  CHECK(due_backup(policy, list, 0, midnight + 9 * day_ms) == BackupDue::Full);
  CHECK(due_backup({}, list, 0, midnight + 9 * day_ms) == BackupDue::No);
}

TEST_CASE("between the full ones, incremental backups come at their interval") {
  const BackupPolicy policy{.full_at_s = 3 * 3600, .incremental_s = 3600};
  const WallMs full = midnight + 3 * hour_ms;
  CHECK(due_backup(policy, {known(full, full)}, 0, full + hour_ms - 1) == BackupDue::No);
  CHECK(due_backup(policy, {known(full, full)}, 0, full + hour_ms) == BackupDue::Incremental);
  CHECK(due_backup(policy, {known(full, full + hour_ms)}, 0, full + hour_ms + 1) == BackupDue::No);
  CHECK(due_backup(policy, {known(full, full + 23 * hour_ms)}, 0, full + day_ms) == BackupDue::Full);
}

TEST_CASE("a failed backup is tried again after minutes, and a clock set back makes nothing due twice") {
  const BackupPolicy policy{.full_at_s = 3 * 3600, .incremental_s = 3600};
  CHECK(due_backup(policy, {}, midnight, midnight + 60'000) == BackupDue::No);
  CHECK(due_backup(policy, {}, midnight, midnight + 300'000) == BackupDue::Full);
  CHECK(due_backup(policy, {}, midnight, midnight - hour_ms) == BackupDue::Full);
  const WallMs full = midnight + 3 * hour_ms;
  CHECK(due_backup(policy, {known(full, full)}, 0, full - 30 * 60'000) == BackupDue::No);
}

TEST_CASE("folders are named by their time, and only such names are ours") {
  CHECK(backup_folder_name(1'763'789'445'123) == "full-20251122T053045Z");
  CHECK(is_backup_folder_name("full-20251122T053045Z"));
  for (const char* other :
       {"full-20251122T053045", "full-2025112xT053045Z", "data", "", "full-20251122T053045Z.old"})
    CHECK_FALSE(is_backup_folder_name(other));
}

TEST_CASE("retention keeps the newest finished folders and never touches what is not a backup") {
  std::vector<std::string> names = {"data", "notes"};
  std::vector<KnownBackup> list;
  for (int day = 0; day < 6; ++day) {
    const WallMs at = midnight + day * day_ms;
    names.push_back(backup_folder_name(at));
    if (day != 1 && day != 5) list.push_back(known(at, at));  // these two were cut short
  }
  const auto name = [&](int day) { return backup_folder_name(midnight + day * day_ms); };
  CHECK(backups_to_remove(names, list, 2) == std::vector<std::string>{name(0), name(1), name(2)});
  CHECK(backups_to_remove(names, list, 4) == std::vector<std::string>{name(1)});
  CHECK(backups_to_remove(names, list, 0) == std::vector<std::string>{name(0), name(1), name(2), name(3)});
  CHECK(backups_to_remove(names, {}, 2).empty());
}

TEST_CASE("the record of a backup comes back as it was, and any flipped byte or cut is refused") {
  const BackupRecord record{
      {1234}, std::string(32, 'a'), 1'763'789'445'123, 1'763'789'445'000, {0}, {2000}, 99, 32};
  const std::string text = encode_backup_record(record);
  const auto back = decode_backup_record(text);
  REQUIRE(back.ok());
  CHECK(*back == record);
  for (size_t i = 0; i < text.size(); ++i) {
    std::string flipped = text;
    flipped[i] = static_cast<char>(flipped[i] ^ 1);
    CHECK_FALSE(decode_backup_record(flipped).ok());
    CHECK_FALSE(decode_backup_record(Bytes(text).substr(0, i)).ok());
  }
}
