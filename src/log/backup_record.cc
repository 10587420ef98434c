// BACKUP as text: a line a fact, closed by a sum, as MANIFEST is.
#include "log/backup_record.h"

#include <cerrno>
#include <cinttypes>
#include <cstdio>

#include "base/checksum.h"
#include "base/number.h"

namespace hf::log {
namespace {

constexpr Bytes first_line = "holdfast-backup 1\n";

std::string sum_line(Bytes body) {
  char text[32];
  std::snprintf(text, sizeof text, "sum %016" PRIx64 "\n", sum64(body));
  return text;
}

bool is_digest(Bytes text) {
  if (text.size() != 32) return false;
  for (const char c : text)
    if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f')) return false;
  return true;
}

bool read_fact(Bytes name, Bytes value, BackupRecord& record) {
  if (name == "digest") return is_digest(value) && (record.digest = std::string(value), true);
  const auto n = parse_uint(value);
  if (!n) return false;
  if (name == "offset") record.offset = {*n};
  else if (name == "begin") record.begin = {*n};
  else if (name == "end") record.end = {*n};
  else if (name == "bytes") record.bytes = *n;
  else if (name == "databases" && *n >= 1 && *n <= INT32_MAX) record.databases = *n;
  else if (name == "time" && *n <= INT64_MAX) record.wall_ms = static_cast<WallMs>(*n);
  else if (name == "full" && *n <= INT64_MAX) record.full_ms = static_cast<WallMs>(*n);
  else return false;
  return true;
}

}  // namespace

std::string encode_backup_record(const BackupRecord& r) {
  std::string out(first_line);
  const auto number = [&](const char* name, uint64_t value) {
    out += std::string(name) + " " + std::to_string(value) + "\n";
  };
  number("offset", r.offset.value);
  out += "digest " + r.digest + "\n";
  number("time", static_cast<uint64_t>(r.wall_ms));
  number("full", static_cast<uint64_t>(r.full_ms));
  number("begin", r.begin.value);
  number("end", r.end.value);
  number("bytes", r.bytes);
  number("databases", r.databases);
  return out + sum_line(out);
}

Result<BackupRecord> decode_backup_record(Bytes text) {
  const size_t body_bytes = text.rfind("sum ") == Bytes::npos ? 0 : text.rfind("sum ");
  const Bytes body = text.substr(0, body_bytes);
  if (!text.starts_with(first_line) || text.substr(body_bytes) != sum_line(body))
    return Error{"BACKUP, byte " + std::to_string(body_bytes) +
                 ": not the record of a backup, or damaged; back up into the folder once more"};
  BackupRecord record;
  for (size_t at = first_line.size(); at < body.size();) {
    const size_t end = std::min(body.find('\n', at), body.size());
    const Bytes line = body.substr(at, end - at);
    const size_t blank = std::min(line.find(' '), line.size());
    if (blank == line.size() || !read_fact(line.substr(0, blank), line.substr(blank + 1), record))
      return Error{"BACKUP, byte " + std::to_string(at) + ": not understood: " + quoted(line.substr(0, 80))};
    at = end + 1;
  }
  if (record.digest.empty()) return Error{"BACKUP, byte 0: the digest is missing"};
  return record;
}

Result<BackupRecord> read_backup_record(Files& folder) {
  if (!folder.exists(backup_record_name))
    return Error{
        "no backup into this folder was finished: it has no BACKUP file. (One made with --backup-to has none "
        "either, since no server told its digest; holdfast-check verifies its sums)",
        ENOENT};
  const auto text = folder.read(backup_record_name, 0, backup_record_bytes_max);
  if (!text) return text.error();
  return decode_backup_record(*text);
}

void add_backup_record_steps(const BackupRecord& record, std::vector<FileStep>& steps) {
  using Kind = FileStep::Kind;
  steps.push_back({.kind = Kind::Remove, .name = backup_record_temp_name});
  steps.push_back(
      {.kind = Kind::Write, .name = backup_record_temp_name, .bytes = encode_backup_record(record)});
  steps.push_back({.kind = Kind::Sync, .name = backup_record_temp_name});
  steps.push_back({.kind = Kind::Rename, .name = backup_record_temp_name, .to = backup_record_name});
  steps.push_back({.kind = Kind::SyncDir});
}

}  // namespace hf::log
