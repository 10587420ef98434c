// The command line of the plain client: what it may say, and what it says when it is wrong.
#pragma once
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/address.h"

namespace hf::cli {

enum class Format : uint8_t {
  Auto,  ///< for people on a terminal, raw otherwise
  Human,
  Raw,
  Json,
};

/// How to reach a server: shared by every mode of the program.
struct ConnectOptions {
  std::vector<Address> addresses{Address{}};  ///< never empty; tried in order
  Credentials credentials;
  int db = 0;
  int protocol = 3;  ///< 2 or 3; falls back to 2 when the server does not know HELLO and none was asked for
  bool protocol_asked = false;
  int connect_timeout_ms = 3000;
};

struct Options {
  ConnectOptions connect;
  Format format = Format::Auto;
  bool last_arg_from_stdin = false;  // -x
  long repeat = 1;                   // -r, -1: for ever
  double interval_s = 0;             // -i
  bool scan = false;
  std::string pattern;
  std::string type;
  bool pipe = false;
  bool help = false, version = false;
  std::vector<std::string> words;  ///< the command, or a mode and its words
};

/// Reads the words behind the program's name, up to the first that is no option. `environment_password` is
/// HOLDFASTCLI_AUTH or REDISCLI_AUTH, used when the line gives none.
Result<Options> parse_options(const std::vector<std::string>& args, const std::string& environment_password);

/// If args[i] is one of -h -p -s -a --user -u -n --servers -2 -3, takes it (and its value) into `out`, moves
/// `i` behind it and answers true. Other words: false, nothing taken. Every mode understands these.
Result<bool> take_connect_option(const std::vector<std::string>& args, size_t& i, ConnectOptions& out);

extern const char* const kHelp;

}  // namespace hf::cli
