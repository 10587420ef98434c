// Files go through in pieces: whatever their size, memory is that of their largest string.
#include "edge/redis_dump.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <map>
#include <memory>
#include <vector>

#include "edge/posix_files.h"
#include "log/segment.h"
#include "rdb/reader.h"
#include "rdb/writer.h"
#include "snapshot/reader.h"

namespace hf::edge {
namespace {

constexpr size_t piece_bytes = 256 * 1024;

struct CloseFile {
  void operator()(FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<FILE, CloseFile>;

int complain(const std::string& what) {
  std::fprintf(stderr, "holdfast-check: %s\n", what.c_str());
  return 2;
}

std::string failure(const std::string& path) { return path + ": " + std::strerror(errno); }

/// False: the file cannot be read; that is said.
bool read_dump(const std::string& path, rdb::Reader& reader) {
  const File file(std::fopen(path.c_str(), "rb"));
  std::vector<char> piece(piece_bytes);
  while (file && reader.phase() == rdb::Reader::Phase::Reading) {
    const size_t n = std::fread(piece.data(), 1, piece.size(), file.get());
    if (n == 0) break;
    reader.feed({piece.data(), n});
  }
  if (!file || std::ferror(file.get()) != 0) return complain(failure(path)), false;
  reader.end_of_input();
  return true;
}

// ---- looking ----------------------------------------------------------------------------------------------

class Look final : public rdb::Sink {
 public:
  Status auxiliary(Bytes name, Bytes value) override {
    if (notes.size() < notes_max) notes.emplace(name.substr(0, text_max), value.substr(0, text_max));
    return ok();
  }
  Status entry(DbIndex db, Bytes encoded) override {
    if (store::begins_entry(encoded)) highest_db = std::max(highest_db, db);
    return ok();
  }
  static constexpr size_t notes_max = 100, text_max = 200;
  std::map<std::string, std::string> notes;
  DbIndex highest_db = 0;
};

const char* verdict(rdb::Reader::Phase phase) {
  switch (phase) {
    case rdb::Reader::Phase::Done: return "sound";
    case rdb::Reader::Phase::Refused: return "refused";
    default: return "damaged";
  }
}

std::string json_text(Bytes text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    char escaped[8];
    if (c == '"' || c == '\\') out += '\\';
    if (byte >= 0x20 && byte < 0x7f) {
      out += c;
    } else {
      std::snprintf(escaped, sizeof escaped, "\\u%04x", byte);
      out += escaped;
    }
  }
  return out + "\"";
}

void print_json(const std::string& path, const rdb::Reader& reader, const Look& look) {
  const rdb::ReaderCounts& counts = reader.counts();
  std::string out = "{\"dump\":" + json_text(path) + ",\"state\":" + json_text(verdict(reader.phase()));
  out += ",\"verdict\":" + json_text(reader.reason()) + ",\"version\":" + std::to_string(reader.version());
  out +=
      ",\"bytes\":" + std::to_string(reader.position()) + ",\"sum\":" + (reader.has_sum() ? "true" : "false");
  out += ",\"strings\":" + std::to_string(counts.strings) + ",\"hashes\":" + std::to_string(counts.hashes);
  out += ",\"expiring\":" + std::to_string(counts.expiring);
  out += ",\"empty_hashes\":" + std::to_string(counts.empty_hashes);
  out += ",\"databases\":" + std::to_string(look.highest_db + 1) + ",\"notes\":{";
  for (auto at = look.notes.begin(); at != look.notes.end(); ++at)
    out += (at == look.notes.begin() ? "" : ",") + json_text(at->first) + ":" + json_text(at->second);
  out += "},\"refused\":[";
  for (const rdb::Refusals::Kind& kind : reader.refusals().kinds()) {
    out += out.back() == '[' ? "{" : ",{";
    out += "\"what\":" + json_text(kind.all) + ",\"count\":" + std::to_string(kind.count) + ",\"first\":[";
    for (size_t i = 0; i < kind.names.size(); ++i) out += (i == 0 ? "" : ",") + json_text(kind.names[i]);
    out += "]}";
  }
  std::printf("%s]}\n", out.c_str());
}

void print_row(const char* what, const std::string& value) {
  std::printf("  %-28s %s\n", what, value.c_str());
}

void print_table(const std::string& path, const rdb::Reader& reader, const Look& look) {
  const rdb::ReaderCounts& counts = reader.counts();
  const auto version = look.notes.find("redis-ver");
  std::printf("%s: a dump of Redis's, version %u%s%s\n\n", path.c_str(), reader.version(),
              version == look.notes.end() ? "" : ", written by ",
              version == look.notes.end() ? "" : quoted(version->second).c_str());
  print_row("bytes", std::to_string(reader.position()));
  print_row("sum", reader.has_sum()                                ? "right"
                   : reader.phase() == rdb::Reader::Phase::Damaged ? "-"
                                                                   : "none was made (rdbchecksum no)");
  std::printf("\nA move would take\n");
  print_row("strings", std::to_string(counts.strings));
  print_row("hashes", std::to_string(counts.hashes));
  print_row("of them with an expiry", std::to_string(counts.expiring));
  print_row("databases, highest in use + 1", std::to_string(look.highest_db + 1));
  if (counts.empty_hashes > 0) print_row("hashes without fields: none", std::to_string(counts.empty_hashes));
  if (!reader.refusals().empty()) {
    std::printf("\nand refuse, because of\n");
    for (const rdb::Refusals::Kind& kind : reader.refusals().kinds()) {
      std::string names;
      for (const std::string& name : kind.names) names += (names.empty() ? "" : ", ") + name;
      print_row(kind.all.c_str(),
                std::to_string(kind.count) + ": " + names + (kind.count > kind.names.size() ? ", ..." : ""));
    }
  }
  std::printf("\n%s%s%s\n", verdict(reader.phase()), reader.reason().empty() ? "" : ": ",
              reader.reason().c_str());
}

// ---- writing ----------------------------------------------------------------------------------------------

/// A dump on its way to a file. What the writer has ready goes out once there is enough of it.
class Output {
 public:
  explicit Output(FILE* file) : file_(file), writer_(ready_) {}
  void begin() { writer_.begin({.created_seconds = std::time(nullptr)}); }
  Status entry(DbIndex db, Bytes encoded) {
    if (Status s = writer_.entry(db, encoded); !s) return s;
    return ready_.size() < piece_bytes ? ok() : write();
  }
  Status finish() {
    if (Status s = writer_.finish(); !s) return s;
    if (Status s = write(); !s) return s;
    return std::fflush(file_) == 0 && fsync(fileno(file_)) == 0 ? ok() : Status(Error{std::strerror(errno)});
  }
  const rdb::Writer& writer() const { return writer_; }

 private:
  Status write() {
    const Bytes bytes = ready_.view();
    if (std::fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size()) return Error{std::strerror(errno)};
    ready_.clear();
    return ok();
  }
  FILE* file_;
  Buffer ready_;
  rdb::Writer writer_;
};

/// What a reader of either kind finds, into the dump.
template <class Sink>
class Into final : public Sink {
 public:
  explicit Into(Output& output) : output_(output) {}
  Status entry(DbIndex db, Bytes encoded) override { return output_.entry(db, encoded); }

 private:
  Output& output_;
};

Status convert_dump(const std::string& path, Output& output) {
  Into<rdb::Sink> sink(output);
  rdb::Reader reader(sink);
  if (!read_dump(path, reader)) return Error{"it cannot be read"};
  if (reader.phase() != rdb::Reader::Phase::Done) return Error{reader.reason()};
  return ok();
}

Status convert_snapshot(const std::string& folder, Output& output, std::string& said) {
  PosixFiles files(folder);
  const auto names = files.list();
  if (!names) return names.error();
  std::string newest;
  for (const std::string& name : *names)
    if (log::parse_snapshot_name(name) &&
        (newest.empty() || *log::parse_snapshot_name(newest) < *log::parse_snapshot_name(name)))
      newest = name;
  if (newest.empty()) return Error{"there is no snapshot; let the server make one (SAVE), then come again"};
  snapshot::Reader reader(files, newest);
  Into<snapshot::EntrySink> sink(output);
  reader.open();
  while (reader.phase() == snapshot::Reader::Phase::Loading) reader.step(piece_bytes, sink);
  if (reader.phase() == snapshot::Reader::Phase::Damaged) return Error{reader.reason()};
  said = newest + " (what the log has after it is not in the dump)";
  return ok();
}

}  // namespace

bool is_file(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

int check_dump(const std::string& path, bool json) {
  Look look;
  rdb::Reader reader(look);
  if (!read_dump(path, reader)) return 2;
  if (json) print_json(path, reader, look);
  else print_table(path, reader, look);
  return reader.phase() == rdb::Reader::Phase::Done ? 0 : 1;
}

int write_dump(const std::string& from, const std::string& into) {
  if (access(into.c_str(), F_OK) == 0)
    return complain(into + " is there already; name another file, or remove it");
  const std::string aside = into + ".part";
  File file(std::fopen(aside.c_str(), "wb"));
  if (!file) return complain(failure(aside));
  Output output(file.get());
  std::string said = from;
  output.begin();
  Status status = is_file(from) ? convert_dump(from, output) : convert_snapshot(from, output, said);
  if (status.ok()) status = output.finish();
  if (status.ok() && std::rename(aside.c_str(), into.c_str()) != 0) status = Error{failure(into)};
  if (!status.ok()) {
    std::remove(aside.c_str());
    complain(from + ": " + status.error().message);
    return 1;
  }
  std::printf("%s: %llu keys out of %s; %llu tasks left out, which Redis does not know\n", into.c_str(),
              static_cast<unsigned long long>(output.writer().keys()), said.c_str(),
              static_cast<unsigned long long>(output.writer().tasks_left_out()));
  return 0;
}

}  // namespace hf::edge
