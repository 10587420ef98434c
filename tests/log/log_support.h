// What the log's tests share: running a writer against the disk in memory, and recovering from it in one go.
#pragma once
#include <string>
#include <vector>

#include "log/recovery.h"
#include "log/writer.h"
#include "memory_files.h"

namespace hf::test {

inline const std::string cluster = "00112233445566778899aabbccddeeff00112233";
inline std::string reign_id(uint64_t n) {
  std::string id(40, 'a');
  for (size_t i = 40; n > 0; n /= 10) id[--i] = static_cast<char>('0' + n % 10);
  return id;
}

/// Keeps everything that is replayed.
class Collected final : public log::ReplaySink {
 public:
  struct Group {
    log::FrameHeader header;
    LogOffset begin;
    std::string content;
  };
  Status replay(const log::FrameHeader& header, LogOffset begin, Bytes content) override {
    groups.push_back({header, begin, std::string(content)});
    text += content;
    return refuse_at && begin >= *refuse_at ? Status(Error{"refused by the test"}) : ok();
  }
  std::vector<Group> groups;
  std::string text;
  std::optional<LogOffset> refuse_at;
};

struct RecoveryRun {
  log::Outcome outcome;
  Collected seen;
  std::vector<std::string> notes;
  bool fresh() const { return std::holds_alternative<log::Fresh>(outcome); }
  bool recovered() const { return std::holds_alternative<log::Recovered>(outcome); }
  const log::Recovered& result() const { return std::get<log::Recovered>(outcome); }
  std::string refusal() const {
    const auto* refused = std::get_if<log::Refused>(&outcome);
    return refused ? refused->why : "";
  }
};

/// Recovers without snapshots.
inline RecoveryRun recover(Files& files, size_t budget = 1 << 20, size_t read_bytes = 1 << 20) {
  RecoveryRun run;
  log::Recovery recovery(files, {.wall_ms = 1700000000000, .read_bytes = read_bytes});
  recovery.open();
  while (recovery.phase() == log::Recovery::Phase::LoadSnapshot)
    recovery.snapshot_damaged("the test has no loader");
  while (recovery.phase() == log::Recovery::Phase::Replay) recovery.step(budget, run.seen);
  run.outcome = std::move(recovery.outcome());
  run.notes = recovery.notes();
  return run;
}

/// Does what Recovered asks for before a writer is made.
inline void repair(MemoryFiles& disk, const log::Recovered& recovered) {
  const FileJobDone done = disk.run({.id = 1, .steps = recovered.repair});
  HF_CHECK(done.ok);
}

/// Runs every job that is due until nothing is.
inline void drain(MemoryFiles& disk, log::Writer& writer, bool want_sync) {
  while (auto job = writer.next_job(want_sync)) writer.job_done(disk.run(*job));
}

/// A canonical command of about `bytes` bytes whose content tells which it is.
inline std::string command_text(uint64_t number, size_t bytes = 0) {
  std::string value = "value-" + std::to_string(number);
  while (value.size() < bytes) value += static_cast<char>('a' + (number + value.size() * 7) % 26);
  const std::string key = "key:" + std::to_string(number);
  return "*3\r\n$3\r\nSET\r\n$" + std::to_string(key.size()) + "\r\n" + key + "\r\n$" +
         std::to_string(value.size()) + "\r\n" + value + "\r\n";
}

inline LogOffset append(log::Writer& writer, const std::string& content, WallMs wall_ms = 1700000000001) {
  const auto& history = writer.history();
  return writer.append({.epoch = history.empty() ? Epoch{1} : history.last().epoch,
                        .wall_ms = wall_ms,
                        .visible_bytes = content.size(),
                        .commit = writer.synced(),
                        .content = content});
}

}  // namespace hf::test
