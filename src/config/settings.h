// Options given by name: from the file, the flags and CONFIG SET, all through the same door; and back into
// text for CONFIG GET and CONFIG REWRITE.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "config/options.h"

namespace hf::config {

enum class Source : uint8_t { Start, Runtime };

/// Sets one option. The error says what is allowed, without the option's name; nothing has changed then.
Status set(Options& options, Bytes name, Bytes value, Source source);

/// CONFIG SET: all pairs or none. The error is Redis's whole sentence, without "ERR ".
using Pairs = std::vector<std::pair<std::string, std::string>>;
Status change(Options& options, const Pairs& pairs);

/// CONFIG GET: names (and aliases) that match a glob pattern, with their values, in the table's order.
Pairs get(const Options& options, Bytes pattern);

/// One option as it was written. `file` is empty for a flag.
struct Setting {
  std::string name;   ///< as written; a table's name and its key are joined with '-'
  std::string value;  ///< an array's words are joined with blanks
  std::string file;
  int line = 0;
};

/// The option that a name in the file means: [recovery] max_retries and its like have names of their own
/// there.
Bytes option_name(Bytes written);

/// Sets every one in order. The error names file, line, option, what is allowed, and a name that may have
/// been meant.
Status apply(Options& options, const std::vector<Setting>& settings);
/// What no single option can know: that something is listened on, for one.
Status check(const Options& options);

/// CONFIG REWRITE: `text`, a TOML file, with the values that differ from `options` replaced, and options that
/// are missing from it and not at their default added. Everything else, comments too, stays as it is.
std::string rewrite(Bytes text, const Options& options);

/// A commented TOML file of every option with its help and default: conf/server.toml is this.
std::string default_file();
/// --help.
std::string help();

}  // namespace hf::config
