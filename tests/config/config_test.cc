// The table of options and its three doors: file, flags, CONFIG SET.
#include <catch2/catch.hpp>
#include <set>

#include "config/command_line.h"
#include "config/scan.h"
#include "config/settings.h"
#include "config/table.h"

using namespace hf;
using namespace hf::config;

namespace {
std::string value_of(const Options& options, Bytes name) {
  const Pairs found = get(options, name);
  REQUIRE(found.size() == 1);
  return found[0].second;
}
std::string error_of(const Status& status) { return status.ok() ? "" : status.error().message; }
Setting in_file(std::string name, std::string value, int line) {
  return {std::move(name), std::move(value), "s.toml", line};
}
}  // namespace

TEST_CASE("every default is a value that the option accepts, and reads back the same") {
  for (const Row& row : table()) {
    INFO(row.name);
    Options options;
    const std::string text = row.print(row, options);
    CHECK(error_of(row.parse(row, text, options)) == "");
    CHECK(row.print(row, options) == text);
    CHECK(!row.help.empty());
    CHECK(!allowed(row).empty());
  }
}

TEST_CASE("no two rows share a name or an alias") {
  std::set<std::string> names;
  for (const Row& row : table()) {
    CHECK(names.insert(std::string(row.name)).second);
    if (!row.alias.empty()) CHECK(names.insert(std::string(row.alias)).second);
  }
}

TEST_CASE("names are found in any case, with '-' or '_'") {
  REQUIRE(find("PORT") != nullptr);
  CHECK(find("tcp_keepalive") == find("tcp-keepalive"));
  CHECK(find("hash-max-ziplist-entries") == find("hash-max-listpack-entries"));
  CHECK(find("prt") == nullptr);
}

TEST_CASE("a nearby name is suggested, a far one is not") {
  CHECK(nearest("appendfsyc") == "appendfsync");
  CHECK(nearest("prot") == "port");
  CHECK(nearest("quite-something-else") == "");
}

TEST_CASE("values are read with their units") {
  Options o;
  CHECK(set(o, "maxmemory", "64mb", Source::Start).ok());
  CHECK(o.maxmemory == 64 << 20);
  CHECK(set(o, "task-final-keep-ms", "7d", Source::Start).ok());
  CHECK(o.task_final_keep_ms == 7ll * 86'400'000);
  CHECK(set(o, "task-lease-ms-default", "500ms", Source::Start).ok());
  CHECK(o.task_lease_ms_default == 500);
  CHECK(set(o, "unixsocketperm", "770", Source::Start).ok());
  CHECK(o.unixsocketperm == 0770);
  CHECK(value_of(o, "unixsocketperm") == "770");
  CHECK(set(o, "save", "10 1  60 5", Source::Start).ok());
  CHECK(o.save == std::vector<SavePoint>{{10, 1}, {60, 5}});
  CHECK(set(o, "save", "", Source::Start).ok());
  CHECK(o.save.empty());
  CHECK(set(o, "bind", "* -::1", Source::Start).ok());
  CHECK(o.bind == std::vector<std::string>{"*", "-::1"});
  CHECK(set(o, "appendfsync", "ALWAYS", Source::Start).ok());
  CHECK(o.appendfsync == FsyncPolicy::Always);
  CHECK(set(o, "client-output-buffer-limit", "replica 1mb 2kb 3", Source::Start).ok());
  CHECK(o.output_limit(ClientClass::Replica) == BufferLimit{1 << 20, 2048, 3});
  CHECK(o.output_limit(ClientClass::Pubsub).hard_bytes == 32 << 20);
}

TEST_CASE("a bad value changes nothing and says what is allowed") {
  Options o;
  CHECK(error_of(set(o, "port", "abc", Source::Start)) == "argument couldn't be parsed into an integer");
  CHECK(error_of(set(o, "port", "65536", Source::Start)) == "argument must be between 0 and 65535 inclusive");
  CHECK(error_of(set(o, "appendfsync", "x", Source::Start)) ==
        "argument(s) must be one of the following: always, everysec, no");
  CHECK(error_of(set(o, "maxmemory-policy", "allkeys-lru", Source::Start)) ==
        "argument(s) must be one of the following: noeviction");
  CHECK(error_of(set(o, "appendonly", "maybe", Source::Start)) == "argument must be 'yes' or 'no'");
  CHECK(error_of(set(o, "maxmemory", "1xb", Source::Start)) == "argument must be a memory value");
  CHECK(error_of(set(o, "save", "10", Source::Start)) == "Invalid save parameters");
  CHECK(error_of(set(o, "save", "0 1", Source::Start)) == "Invalid save parameters");
  CHECK(error_of(set(o, "unixsocketperm", "999", Source::Start)) != "");
  CHECK(error_of(set(o, "task-final-keep-ms", "9999999999999d", Source::Start)) != "");
  CHECK(error_of(set(o, "client-output-buffer-limit", "a 1 2 3", Source::Start)) ==
        "Invalid client class specified in buffer limit configuration.");
  CHECK(error_of(set(o, "dir", Bytes("a\0b", 3), Source::Start)) != "");
  for (const Row& row : table()) CHECK(row.print(row, o) == row.print(row, Options{}));
}

TEST_CASE("CONFIG SET takes all pairs or none, and answers as Redis does") {
  Options o;
  CHECK(change(o, {{"hz", "50"}, {"maxclients", "5"}}).ok());
  CHECK(o.hz == 50);
  CHECK(error_of(change(o, {{"hz", "20"}, {"maxclients", "0"}})) ==
        "CONFIG SET failed (possibly related to argument 'maxclients') - argument must be between 1 and "
        "1000000 "
        "inclusive");
  CHECK(o.hz == 50);
  CHECK(error_of(change(o, {{"hz", "20"}, {"HZ", "30"}})) ==
        "CONFIG SET failed (possibly related to argument 'HZ') - duplicate parameter");
  CHECK(error_of(change(o, {{"nosuch", "1"}})) ==
        "Unknown option or number of arguments for CONFIG SET - 'nosuch'");
  CHECK(error_of(change(o, {{"databases", "4"}})) ==
        "CONFIG SET failed (possibly related to argument 'databases') - can't set immutable config");
  CHECK(error_of(change(o, {{"dir", "/tmp"}})) ==
        "CONFIG SET failed (possibly related to argument 'dir') - can't set protected config");
}

TEST_CASE("CONFIG GET matches names and aliases, and keeps hidden ones back") {
  const Options o;
  CHECK(get(o, "hash-max-*").size() == 4);
  CHECK(get(o, "SAVE")[0].second == "3600 1 300 100 60 10000");
  for (const auto& [name, value] : get(o, "*")) CHECK(name != "hash-seed");
  CHECK(get(o, "hash-seed").size() == 1);
  CHECK(value_of(o, "client-output-buffer-limit") ==
        "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60");
}

TEST_CASE("an error in the file names file, line, option and what is allowed") {
  Options o;
  CHECK(error_of(apply(o, {in_file("appendfsyc", "no", 3)})) ==
        "s.toml:3: unknown option 'appendfsyc'; did you mean 'appendfsync'?");
  CHECK(error_of(apply(o, {in_file("port", "x", 4)})) ==
        "s.toml:4: port = \"x\": argument couldn't be parsed into an integer (allowed: 0 to 65535)");
  CHECK(error_of(apply(o, {in_file("hz", "10", 1), in_file("HZ", "11", 2)})) ==
        "s.toml:2: 'HZ' is set twice, first in line 1");
  CHECK(error_of(apply(o, {{"prot", "1", "", 0}})) ==
        "command line: unknown option '--prot'; did you mean 'port'?");
}

TEST_CASE("recovery's table means the task options") {
  Options o;
  CHECK(apply(o, {in_file("recovery-max_retries", "9", 2), in_file("recovery-backoff_strategy", "fixed", 3),
                  in_file("recovery-timeout", "1h", 4)})
            .ok());
  CHECK(o.task_retries_default == 9);
  CHECK(o.task_backoff == Backoff::Fixed);
  CHECK(o.task_timeout_ms == 3'600'000);
}

TEST_CASE("nothing to listen on is an error") {
  Options o;
  CHECK(check(o).ok());
  o.port = 0;
  CHECK(!check(o).ok());
  o.unixsocket = "/tmp/s";
  CHECK(check(o).ok());
}

TEST_CASE("flags are read Redis's way") {
  const auto line = parse_command_line({"s.toml", "--port", "7000", "--save", "60", "1", "300", "10",
                                        "--bind", "127.0.0.1", "-::1", "--requirepass=--x", "--save", ""});
  REQUIRE(line.ok());
  CHECK(line->file == "s.toml");
  REQUIRE(line->settings.size() == 5);
  CHECK(line->settings[1].value == "60 1 300 10");
  CHECK(line->settings[2].value == "127.0.0.1 -::1");
  CHECK(line->settings[3].value == "--x");
  CHECK(line->settings[4].value == "");
  CHECK(!parse_command_line({"--port"}).ok());
  CHECK(!parse_command_line({"a.toml", "b.toml"}).ok());
  CHECK(parse_command_line({"--check-config", "a.toml"})->mode == CommandLine::Mode::CheckConfig);
  CHECK(parse_command_line({"-h"})->mode == CommandLine::Mode::Help);
}

TEST_CASE("CONFIG REWRITE changes only what differs and keeps comments") {
  const std::string text =
      "# mine\n"
      "port = 7000  # the port\n"
      "hz=10\n"
      "bind = [ # where\n"
      "  '127.0.0.1',\n"
      "]\n"
      "tcp-backlog = 5_11 # [not a table]\n"
      "\n"
      "[log] # files\n"
      "segment-bytes = \"1mb\"\n";
  Options o;
  o.port = 7000, o.log_segment_bytes = 1 << 20;
  CHECK(rewrite(text, o) == text);
  o.hz = 50;
  o.appendonly = false;
  o.bind = {"127.0.0.1", "-::1"};
  o.requirepass = "a\"b";
  o.log_segment_bytes = 2 << 20;
  CHECK(rewrite(text, o) ==
        "# mine\n"
        "port = 7000  # the port\n"
        "hz=50\n"
        "bind = [\"127.0.0.1\", \"-::1\"]\n"
        "tcp-backlog = 5_11 # [not a table]\n"
        "\n"
        "requirepass = \"a\\\"b\"\n"
        "appendonly = false\n"
        "\n"
        "[log] # files\n"
        "segment-bytes = 2097152\n");
  Options plain;
  plain.hz = 20;
  CHECK(rewrite("", plain) == "hz = 20\n");
  CHECK(rewrite("port = 6379", plain) == "port = 6379\nhz = 20\n");
}

TEST_CASE("the scan of a file finds every kind of value") {
  const Scanned found = scan(
      "a = \"x\\ty\\u00e9\"  # c\n'b c' = 'raw\\n'\nc.d = '''\nlong'''\ne = [[1, 2], [\n# no\n3, 4]]\n[t.u]\n"
      "f = true");
  REQUIRE(found.values.size() == 5);
  CHECK(found.values[0].value == "x\ty\xc3\xa9");
  CHECK(found.values[1].name == "b c");
  CHECK(found.values[1].value == "raw\\n");
  CHECK(found.values[2].name == "c-d");
  CHECK(found.values[2].value == "long");
  CHECK(found.values[3].value == "1 2 3 4");
  CHECK(found.values[4].name == "t-u-f");
  CHECK(found.values[4].value == "true");
}

TEST_CASE("a scan of nonsense ends") {
  for (const char* text : {"[", "=", "a=", "a=[", "a=[[[[[[[[[[[[", "a=\"", "a='''", "a=\"\\", "a=\"\\u",
                           "a={b=1}", "]", "a=[{x=1},]", "\"", "a=[=", "a = ]\nb = 1"})
    CHECK(scan(text).values.size() <= 2);
}
