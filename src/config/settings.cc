// Options by name: set, change, get, apply. Every path goes through a row's parse.
#include "config/settings.h"

#include "base/glob.h"
#include "base/number.h"
#include "config/table.h"

namespace hf::config {
namespace {

/// Names that only the file has: tables that read well there.
constexpr std::pair<Bytes, Bytes> file_names[] = {
    {"recovery-max-retries", "task-retries-default"},
    {"recovery-backoff-strategy", "task-backoff"},
    {"recovery-timeout", "task-timeout-ms"},
};

std::string dashed(Bytes name) {
  std::string out = to_lower(name);
  for (char& c : out)
    if (c == '_') c = '-';
  return out;
}

std::string where(const Setting& s) {
  if (s.file.empty()) return "command line: ";
  return s.file + ":" + to_text(static_cast<int64_t>(s.line)) + ": ";
}

std::string shown_name(const Setting& s) { return s.file.empty() ? "--" + s.name : s.name; }

}  // namespace

Bytes option_name(Bytes written) {
  const std::string name = dashed(written);
  for (const auto& [in_file, option] : file_names)
    if (name == in_file) return option;
  return written;
}

Status set(Options& options, Bytes name, Bytes value, Source source) {
  const Row* row = find(name);
  if (row == nullptr) return Error{"unknown option"};
  if (source == Source::Runtime && row->when == When::Start) return Error{"can't set immutable config"};
  if (source == Source::Runtime && row->when == When::Protected) return Error{"can't set protected config"};
  return row->parse(*row, value, options);
}

Status change(Options& options, const Pairs& pairs) {
  Options changed = options;
  std::vector<const Row*> seen;
  for (const auto& [name, value] : pairs) {
    const Row* row = find(name);
    if (row == nullptr) return Error{"Unknown option or number of arguments for CONFIG SET - '" + name + "'"};
    const auto fail = [&name = name](const std::string& why) {
      return Error{"CONFIG SET failed (possibly related to argument '" + name + "') - " + why};
    };
    for (const Row* other : seen)
      if (other == row) return fail("duplicate parameter");
    seen.push_back(row);
    if (Status s = set(changed, name, value, Source::Runtime); !s) return fail(s.error().message);
  }
  options = std::move(changed);
  return ok();
}

Pairs get(const Options& options, Bytes pattern) {
  Pairs out;
  for (const Row& row : table()) {
    if (row.hidden && !equal_nocase(pattern, row.name)) continue;
    for (const Bytes name : {row.name, row.alias})
      if (!name.empty() && glob_match(pattern, name, true)) out.emplace_back(name, row.print(row, options));
  }
  return out;
}

Status apply(Options& options, const std::vector<Setting>& settings) {
  std::vector<std::pair<const Row*, const Setting*>> in_file;
  for (const Setting& s : settings) {
    const Row* row = find(option_name(s.name));
    if (row == nullptr) {
      const Bytes near = nearest(dashed(s.name));
      return Error{where(s) + "unknown option '" + shown_name(s) + "'" +
                   (near.empty() ? "; holdfast-server --help lists all"
                                 : "; did you mean '" + std::string(near) + "'?")};
    }
    for (const auto& [other_row, other] : in_file)
      if (other_row == row && !s.file.empty() && other->file == s.file)
        return Error{where(s) + "'" + s.name + "' is set twice, first in line " +
                     to_text(static_cast<int64_t>(other->line))};
    in_file.emplace_back(row, &s);
    if (Status done = row->parse(*row, s.value, options); !done) {
      const std::string value = row->shape == Shape::Secret ? "" : " = " + quoted(s.value);
      const bool said = row->shape == Shape::Choice || row->shape == Shape::YesNo;  // the message lists them
      return Error{where(s) + shown_name(s) + value + ": " + done.error().message +
                   (said ? "" : " (allowed: " + allowed(*row) + ")")};
    }
  }
  return ok();
}

Status check(const Options& options) {
  if (options.port == 0 && options.unixsocket.empty())
    return Error{"port is 0 and unixsocket is empty: there is nothing to listen on; set one of them"};
  if (options.port != 0 && options.bind.empty())
    return Error{"bind is empty: name an address to listen on, or set port to 0 and use unixsocket"};
  if (options.dir.empty()) return Error{"dir is empty: name the folder of the data"};
  return ok();
}

}  // namespace hf::config
