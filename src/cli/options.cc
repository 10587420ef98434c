// One table-like chain per group of options; the help text stands beside it so that both change together.
#include "cli/options.h"

#include "base/number.h"

namespace hf::cli {

const char* const kHelp =
    R"(holdfast-cli: talk to Holdfast, or to any server that speaks Redis's protocol

  holdfast-cli [options] COMMAND [argument ...]     run one command
  holdfast-cli [options]                            a prompt; no terminal: a command a line from stdin
  holdfast-cli [options] --pipe < file              send a file of protocol text as it is, count the answers
  holdfast-cli [options] --scan [--pattern p]       print every key that matches
  holdfast-cli task ls|show|runs|events [...]       look at tasks               (holdfast-cli task --help)
  holdfast-cli run --task NAME -- PROGRAM [...]     run a program that survives  (holdfast-cli run --help)
  holdfast-cli backup DIR                           copy the data while the server runs (backup --help)
  holdfast-cli follow [HOST PORT]                   make the server a replica, watch its sync (follow --help)
  holdfast-cli checkpoint FILE --step N             from inside such a program: save FILE as its progress

Where
  -h HOST            server's name or address (127.0.0.1)
  -p PORT            server's port (6379)
  -s PATH            unix socket instead of host and port
  -u URL             redis://[user:password@]host[:port][/db]
  --servers LIST     host:port,host:port ...: the first that answers is used
  -n DB              database number (0)
  -a PASSWORD        password; better in HOLDFASTCLI_AUTH (or REDISCLI_AUTH), where ps does not show it
  --user NAME        user the password belongs to
  -2, -3             protocol version (3, or 2 where the server does not know it)

What it prints
  --raw              answers as plain bytes (what a pipe gets anyway)
  --no-raw           answers with types and numbers (what a terminal gets anyway)
  --json             answers as JSON, one a line

How
  -x                 read the last argument from stdin
  -r N               run the command N times (-1: for ever)
  -i SECONDS         wait between them (fractions allowed)
  --pattern GLOB     with --scan: keys that match;   --type NAME: of one type
  --help, --version

Exit codes: 0 done; 1 the server answered an error; 2 the command line is wrong; 65 bad data; 69
no server there; 75 try later (loading, busy, or held by another worker)
)";

namespace {

Result<std::string> value_of(const std::vector<std::string>& args, size_t& i) {
  if (i + 1 >= args.size()) return Error{"option " + args[i] + " needs a value; see holdfast-cli --help"};
  i += 2;
  return args[i - 1];
}

Result<int64_t> number_of(const std::vector<std::string>& args, size_t& i, int64_t low, int64_t high) {
  const std::string& name = args[i];
  auto text = value_of(args, i);
  if (!text) return text.error();
  const auto n = parse_int(*text);
  if (!n || *n < low || *n > high)
    return Error{"option " + name + ": a number from " + to_text(low) + " to " + to_text(high) +
                 " expected, not " + quoted(*text)};
  return *n;
}

Status take_url(const std::string& url, ConnectOptions& out) {
  out.addresses.resize(1);
  return parse_url(url, out.addresses[0], out.credentials, out.db);
}

}  // namespace

Result<bool> take_connect_option(const std::vector<std::string>& args, size_t& i, ConnectOptions& out) {
  const std::string& word = args[i];
  if (word == "-2" || word == "-3") {
    out.protocol = word[1] - '0';
    out.protocol_asked = true;
    ++i;
    return true;
  }
  if (word == "-p" || word == "-n") {
    auto n = number_of(args, i, word == "-p" ? 1 : 0, word == "-p" ? 65535 : 1000000);
    if (!n) return n.error();
    (word == "-p" ? out.addresses[0].port : out.db) = static_cast<int>(*n);
    return true;
  }
  if (word != "-h" && word != "-s" && word != "-a" && word != "--pass" && word != "--user" && word != "-u" &&
      word != "--servers")
    return false;
  const std::string& name = word;
  auto value = value_of(args, i);
  if (!value) return value.error();
  if (name == "-h") out.addresses[0].host = *value;
  else if (name == "-s") out.addresses[0].socket_path = *value;
  else if (name == "--user") out.credentials.user = *value;
  else if (name == "-a" || name == "--pass") out.credentials.password = *value;
  else if (name == "-u") {
    if (const Status s = take_url(*value, out); !s) return s.error();
  } else {
    auto list = parse_addresses(*value);
    if (!list) return list.error();
    out.addresses = std::move(*list);
  }
  return true;
}

Result<Options> parse_options(const std::vector<std::string>& args, const std::string& environment_password) {
  Options o;
  size_t i = 0;
  while (i < args.size() && args[i].size() > 1 && args[i][0] == '-') {
    const std::string& word = args[i];
    if (word == "-h" && i + 1 == args.size()) o.help = true, ++i;
    else if (auto taken = take_connect_option(args, i, o.connect); !taken) return taken.error();
    else if (*taken) continue;
    else if (word == "--help" || word == "--version") (word == "--help" ? o.help : o.version) = true, ++i;
    else if (word == "--raw") o.format = Format::Raw, ++i;
    else if (word == "--no-raw") o.format = Format::Human, ++i;
    else if (word == "--json") o.format = Format::Json, ++i;
    else if (word == "-x") o.last_arg_from_stdin = true, ++i;
    else if (word == "--scan") o.scan = true, ++i;
    else if (word == "--pipe") o.pipe = true, ++i;
    else if (word == "--no-auth-warning") ++i;  // redis-cli's; we print no such warning
    else if (word == "-r") {
      auto n = number_of(args, i, -1, INT64_MAX);
      if (!n) return n.error();
      o.repeat = static_cast<long>(*n);
    } else if (word == "-i") {
      auto text = value_of(args, i);
      if (!text) return text.error();
      const auto n = parse_double(*text);
      if (!n || *n < 0 || *n > 1e6) return Error{"option -i: seconds expected, not " + quoted(*text)};
      o.interval_s = *n;
    } else if (word == "--pattern" || word == "--type") {
      std::string& target = word == "--pattern" ? o.pattern : o.type;
      auto text = value_of(args, i);
      if (!text) return text.error();
      target = *text;
    } else {
      return Error{"unknown option " + word + "; see holdfast-cli --help"};
    }
  }
  if (o.connect.credentials.password.empty()) o.connect.credentials.password = environment_password;
  o.words.assign(args.begin() + static_cast<long>(i), args.end());
  if ((o.scan || o.pipe) && !o.words.empty()) return Error{"--scan and --pipe take no command"};
  if (o.last_arg_from_stdin && o.words.empty())
    return Error{"-x needs a command whose last argument is read from stdin"};
  return o;
}

}  // namespace hf::cli
