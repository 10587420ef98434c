// Recovery's verdicts: torn or damaged, to the byte; and the folders that it must refuse.
#include <catch2/catch.hpp>

#include "base/checksum.h"
#include "log_support.h"

using namespace hf;
using namespace hf::log;
using namespace hf::test;

namespace {

const std::string segment0 = "log-00000000000000000000.aof";
using Folder = std::map<std::string, std::string>;

/// A small log of several segments. `synced_to_the_end`: the last thing done was a sync that a later frame
/// tells of.
struct SmallLog {
  MemoryFiles disk;
  std::string text;          ///< everything appended
  std::vector<size_t> ends;  ///< where frames end in it
  LogOffset durable;         ///< what frames and MANIFEST tell was durable
  Folder folder;
};

void add(SmallLog& log, Writer& writer, const std::string& content) {
  append(writer, content);
  log.text += content;
  log.ends.push_back(log.text.size());
}

std::unique_ptr<SmallLog> small_log(size_t frames, size_t segment_bytes, bool sync_each) {
  auto log = std::make_unique<SmallLog>();
  Writer writer({.segment_bytes = segment_bytes, .salt_seed = 5}, fresh_start(cluster));
  const Reign reign{{1}, reign_id(1), {0}};
  writer.begin_reign(reign, 1700000000000);
  log->text = epoch_command(reign);
  log->ends = {0, log->text.size()};
  for (uint64_t i = 0; i < frames; ++i) {
    drain(log->disk, writer, sync_each);
    log->durable = writer.synced();  // the next frame, or MANIFEST, says so
    add(*log, writer, command_text(i, i == 3 ? 5000 : 10));
  }
  drain(log->disk, writer, false);
  log->durable = std::max(log->durable, writer.manifest().segments.back().first);
  log->folder = log->disk.snapshot();
  return log;
}

/// What must hold whatever was done to a log: refused by name, or a prefix of whole frames with everything
/// durable.
void check_verdict(const SmallLog& log, const RecoveryRun& run, const std::string& file, LogOffset durable) {
  if (const std::string why = run.refusal(); !why.empty()) {
    REQUIRE(why.find("byte") != std::string::npos);
    REQUIRE((why.find(file) != std::string::npos || why.find("MANIFEST") != std::string::npos));
    return;
  }
  REQUIRE(run.recovered());
  REQUIRE(run.seen.text == log.text.substr(0, run.seen.text.size()));
  REQUIRE(run.seen.text.size() >= durable.value);
  REQUIRE(std::find(log.ends.begin(), log.ends.end(), run.seen.text.size()) != log.ends.end());
}

}  // namespace

TEST_CASE("a flip of any byte of a synced log is refused, or costs only a tail that nobody was promised") {
  for (const bool sync_each : {true, false}) {
    const auto log = small_log(8, 700, sync_each);
    REQUIRE(log->folder.size() >= 3);
    size_t refused = 0, torn = 0;
    for (const auto& [name, good] : log->folder) {
      for (size_t i = 0; i < good.size(); ++i) {
        for (const int flip : {1, 0x80, 0xff}) {
          log->disk.restore(log->folder);
          log->disk.content(name)[i] = static_cast<char>(good[i] ^ flip);
          const RecoveryRun run = recover(log->disk, 1 << 20, 512);
          INFO(name << " byte " << i << " flip " << flip << ": " << run.refusal());
          check_verdict(*log, run, name, log->durable);
          run.refusal().empty() ? ++torn : ++refused;
          REQUIRE((run.refusal().empty() ? run.result().torn.has_value() : true));
        }
      }
    }
    CHECK(refused > 0);
    CHECK(torn > 0);
  }
}

TEST_CASE("a log cut at any length is refused, or costs only a tail that nobody was promised") {
  const auto log = small_log(8, 700, true);
  for (const auto& [name, good] : log->folder) {
    for (size_t n = 0; n < good.size(); ++n) {
      log->disk.restore(log->folder);
      log->disk.content(name).resize(n);
      const RecoveryRun run = recover(log->disk, 1 << 20, 512);
      INFO(name << " cut to " << n << ": " << run.refusal());
      // What only the lost frames told was durable, nobody can know any more; every whole frame must be used.
      LogOffset whole{0};
      if (name == log->folder.rbegin()->first) {
        SegmentReader reader(log->disk, name);
        if (reader.open().ok()) {
          ChainPoint chain{reader.header().first, reader.header().previous_sum, reader.header().epoch};
          SegmentReader::Frame frame;
          while (*reader.next(chain, frame) == Verdict::Valid) {}
          whole = chain.offset;
        }
      }
      check_verdict(*log, run, name, whole);
    }
  }
}

TEST_CASE("pages of an unsynced tail that reached the disk in any order make a torn tail, never damage") {
  const auto log = small_log(30, 1 << 20, false);
  const std::string good = log->folder.at(segment0);
  Prng prng(11);
  for (int round = 0; round < 2000; ++round) {
    log->disk.restore(log->folder);
    std::string& bytes = log->disk.content(segment0);
    const size_t page = 32 << prng.below(5);
    for (size_t at = segment_header_bytes; at < bytes.size(); at += page) {
      if (!prng.chance(1, 6)) continue;
      for (size_t i = at; i < std::min(at + page, bytes.size()); ++i)
        bytes[i] = prng.chance(1, 2) ? '\0' : static_cast<char>(prng.next());
    }
    if (prng.chance(1, 2))
      bytes.resize(segment_header_bytes + prng.below(bytes.size() - segment_header_bytes));
    const RecoveryRun run = recover(log->disk, 1 << 20, 256);
    INFO(run.refusal());
    REQUIRE(run.recovered());
    check_verdict(*log, run, segment0, log->durable);
  }
}

TEST_CASE("a torn tail is kept under rescue, cut, and the log goes on") {
  const auto log = small_log(6, 1 << 20, false);
  std::string& bytes = log->disk.content(segment0);
  bytes.resize(bytes.size() - 5);
  const size_t torn_size = bytes.size();
  const RecoveryRun run = recover(log->disk);
  REQUIRE(run.refusal() == "");
  REQUIRE(run.result().torn);
  const TornTail torn = *run.result().torn;
  CHECK(torn.segment == segment0);
  CHECK(torn.byte + torn.bytes == torn_size);
  CHECK(torn.offset.value == log->ends[log->ends.size() - 2]);
  CHECK(torn.why == verdict_text(Verdict::Incomplete));
  const std::string tail = bytes.substr(torn.byte);
  repair(log->disk, run.result());
  CHECK(log->disk.content(segment0).size() == torn.byte);
  CHECK(log->disk.content("rescue/1700000000000-" + segment0 + "-from-" + std::to_string(torn.byte)) == tail);
  REQUIRE_FALSE(run.notes.empty());

  Writer writer({}, run.result().resume);
  append(writer, command_text(1000));
  drain(log->disk, writer, true);
  const RecoveryRun again = recover(log->disk);
  REQUIRE(again.refusal() == "");
  CHECK(again.seen.text == run.seen.text + command_text(1000));
}

TEST_CASE("zeros behind the last frame are cut without a rescue file") {
  const auto log = small_log(6, 1 << 20, true);
  log->disk.content(segment0).append(5000, '\0');
  const RecoveryRun run = recover(log->disk, 1 << 20, 512);
  REQUIRE(run.refusal() == "");
  CHECK(run.seen.text == log->text);
  REQUIRE(run.result().repair.size() == 2);
  repair(log->disk, run.result());
  CHECK(log->disk.snapshot() == log->folder);
}

TEST_CASE("a log file stored as a value fools nobody") {
  // The value holds frames that are valid in another log and tell of a later durable offset.
  const auto other = small_log(20, 1 << 20, true);
  MemoryFiles disk;
  Writer writer({.compress = false, .salt_seed = 99}, fresh_start(cluster));
  append(writer, command_text(1));
  drain(disk, writer, false);
  append(writer, "*1\r\n$" + std::to_string(other->folder.at(segment0).size()) + "\r\n" +
                     other->folder.at(segment0) + "\r\n");
  drain(disk, writer, false);
  std::string& bytes = disk.content(segment0);
  bytes[segment_header_bytes + frame_header_bytes + command_text(1).size() + 20] ^=
      1;  // the second frame's header
  const RecoveryRun run = recover(disk);
  REQUIRE(run.refusal() == "");
  CHECK(run.seen.text.size() <= command_text(1).size());
  CHECK(run.result().torn);
}

TEST_CASE("a valid frame behind the bad byte that tells of a later sync makes it damage") {
  MemoryFiles disk;
  Writer writer({}, fresh_start(cluster));
  append(writer, command_text(1));
  drain(disk, writer, true);
  append(writer, command_text(2));
  drain(disk, writer, true);
  append(writer, command_text(3));
  drain(disk, writer, false);
  const size_t second =
      segment_header_bytes + frame_header_bytes + command_text(1).size() + frame_trailer_bytes;
  disk.content(segment0)[second + 100] ^= 1;
  const std::string why = recover(disk).refusal();
  CHECK(why.find("byte " + std::to_string(second)) != std::string::npos);
  CHECK(why.find("(offset " + std::to_string(command_text(1).size()) + ")") != std::string::npos);
  CHECK(why.find("holdfast-check") != std::string::npos);
}

TEST_CASE("an empty folder is a fresh start, and so is one where the first start died at once") {
  MemoryFiles disk;
  CHECK(recover(disk).fresh());
  Writer writer({}, fresh_start(cluster));
  append(writer, command_text(1));
  const auto job = writer.next_job(true);
  for (size_t steps = 0; steps <= job->steps.size(); ++steps) {
    MemoryFiles other;
    other.run_part(*job, steps, 50);
    const RecoveryRun run = recover(other);
    INFO("after " << steps << " steps: " << run.refusal());
    REQUIRE(run.refusal() == "");
    CHECK(run.fresh() == !other.exists("MANIFEST"));
  }
}

TEST_CASE("folders that can't be judged are refused with a sentence") {
  const auto log = small_log(20, 400, true);
  const auto refusal_after = [&](auto change) {
    log->disk.restore(log->folder);
    change();
    return recover(log->disk).refusal();
  };
  std::vector<std::string> segments;
  for (const auto& [name, bytes] : log->folder)
    if (parse_segment_name(name)) segments.push_back(name);
  REQUIRE(segments.size() > 4);

  CHECK(refusal_after([&] { log->disk.remove("MANIFEST"); }).find("MANIFEST is missing") == 0);
  CHECK(refusal_after([&] { log->disk.remove(segments[2]); }).find(segments[2]) != std::string::npos);
  CHECK(refusal_after([&] { log->disk.remove(segments.back()); }).find("missing") != std::string::npos);
  CHECK(refusal_after([&] { log->disk.unreadable = segments[1]; }).find("Input/output error") !=
        std::string::npos);
  log->disk.unreadable.clear();
  CHECK(refusal_after([&] {
          log->disk.content(segments[1]) = log->folder.at(segments[2]);
        }).find("another segment") != std::string::npos);
  CHECK(refusal_after([&] {
          Manifest older = *decode_manifest(log->folder.at("MANIFEST"));
          older.segments.pop_back();
          older.durable_upto = {0};
          log->disk.content("MANIFEST") = encode_manifest(older);
        }).find("MANIFEST is older than the log") != std::string::npos);
  CHECK(refusal_after([&] { log->disk.content(segments[0])[8] = 2; }).find("newer version") !=
        std::string::npos);
  CHECK(refusal_after([&] {
          Manifest later = *decode_manifest(log->folder.at("MANIFEST"));
          later.segments.erase(later.segments.begin());
          log->disk.content("MANIFEST") = encode_manifest(later);
        }).find("no snapshot") != std::string::npos);
}

TEST_CASE("what the sink refuses ends recovery with the byte of its frame") {
  const auto log = small_log(5, 1 << 20, true);
  Collected sink;
  sink.refuse_at = LogOffset{log->ends[3]};
  Recovery recovery(log->disk, {});
  recovery.open();
  while (recovery.phase() == Recovery::Phase::Replay) recovery.step(1, sink);
  const auto& refused = std::get<Refused>(recovery.outcome());
  CHECK(refused.why.find("offset " + std::to_string(log->ends[3])) != std::string::npos);
  CHECK(refused.why.find("refused by the test") != std::string::npos);
}

TEST_CASE("recovery goes in slices and tells how far it is") {
  const auto log = small_log(30, 2000, true);
  Collected sink;
  Recovery recovery(log->disk, {});
  recovery.open();
  size_t slices = 0;
  uint64_t before = 0;
  while (recovery.phase() == Recovery::Phase::Replay) {
    recovery.step(200, sink);
    ++slices;
    CHECK(recovery.bytes_done() >= before);
    before = recovery.bytes_done();
  }
  CHECK(slices > 10);
  CHECK(recovery.bytes_done() == recovery.bytes_total());
  CHECK(recovery.frames() == 31);
  CHECK(sink.text == log->text);
}

TEST_CASE("every start adds a reign, and the history comes back from the log alone") {
  MemoryFiles disk;
  History history;
  for (uint64_t start = 1; start <= 5; ++start) {
    RecoveryRun run = recover(disk);
    REQUIRE(run.refusal() == "");
    ResumePoint resume = run.recovered() ? run.result().resume : fresh_start(cluster);
    CHECK(resume.manifest.history == history);
    Writer writer({.segment_bytes = 300, .salt_seed = start}, resume);
    const Reign reign{{resume.epoch_max.value + 1}, reign_id(start), writer.end()};
    writer.begin_reign(reign, 0);
    history.add(reign);
    append(writer, command_text(start));
    drain(disk, writer, true);
    CHECK(writer.wall_ms() >= resume.wall_ms);
  }
}
