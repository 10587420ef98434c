// The file of options: what the parser hands over, and that the file we ship is the one the table describes.
#include "edge/toml.h"

#include <catch2/catch.hpp>

#include "config/table.h"

using namespace hf;
using config::Setting;

namespace {
std::vector<Setting> settings_of(const std::string& text) {
  const auto parsed = edge::parse_toml(text, "t.toml");
  INFO((parsed.ok() ? "" : parsed.error().message));
  REQUIRE(parsed.ok());
  return *parsed;
}
std::string error_of(const std::string& text) {
  const auto parsed = edge::parse_toml(text, "t.toml");
  REQUIRE(!parsed.ok());
  return parsed.error().message;
}
}  // namespace

TEST_CASE("settings come in the file's order with their lines, tables joined") {
  const auto s = settings_of(
      "port = 7000\n"
      "bind = ['127.0.0.1', '-::1']\n"
      "save = [[60, 1], [300, 10]]\n"
      "[recovery]\n"
      "max_retries = 5\n"
      "[log]\nsegment-bytes = \"1mb\"\n"
      "[protected]\nmode = false\n");
  REQUIRE(s.size() == 6);
  CHECK(s[0].name == "port");
  CHECK(s[0].line == 1);
  CHECK(s[1].value == "127.0.0.1 -::1");
  CHECK(s[2].value == "60 1 300 10");
  CHECK(s[3].name == "recovery-max_retries");
  CHECK(s[3].value == "5");
  CHECK(s[3].line == 5);
  CHECK(s[5].value == "no");
  config::Options options;
  CHECK(config::apply(options, s).ok());
  CHECK(options.task_retries_default == 5);
  CHECK(options.log_segment_bytes == 1 << 20);
  CHECK(!options.protected_mode);
}

TEST_CASE("what is not TOML is refused with its line") {
  CHECK(error_of("port = \n").starts_with("t.toml:1: not TOML: "));
  CHECK(error_of("a = 1\na = 2\n").starts_with("t.toml:2: not TOML: "));
  CHECK(error_of("\n\nport = 1979-05-27\n").starts_with("t.toml:3: 'port' must be"));
}

TEST_CASE("bytes that upset the library are refused like any other mistake") {
  CHECK(error_of("[\t\r\tmm = 1\n").find("not TOML") != std::string::npos);
  CHECK(error_of("na\xc3\xafve = 1\n").find("not TOML") != std::string::npos);
}

TEST_CASE("the shipped file is the table's, sound, and mentions every option") {
  const auto text = edge::read_text_file("conf/server.toml");
  REQUIRE(text.ok());
  CHECK(*text == config::default_file());
  CHECK(settings_of(*text).empty());

  std::string active;  // with every '#' in front of an option removed
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);)
    active +=
        (line.size() > 1 && line[0] == '#' && line[1] >= 'a' && line[1] <= 'z' ? line.substr(1) : line) +
        "\n";
  const auto all = settings_of(active);
  config::Options options;
  const auto applied = config::apply(options, all);
  INFO((applied.ok() ? "" : applied.error().message));
  CHECK(applied.ok());
  for (const config::Row& row : config::table()) {
    INFO(row.name);
    if (row.hidden) continue;
    CHECK(std::count_if(all.begin(), all.end(), [&](const Setting& s) { return s.name == row.name; }) == 1);
    CHECK(row.print(row, options) == row.print(row, config::Options{}));
  }
}

TEST_CASE("the table [backup] means the options of scheduled backups") {
  config::Options options;
  const std::string text = "[backup]\ndir = \"/b\"\nfull-at = \"04:30\"\nincremental-every = 600\nkeep = 3\n";
  REQUIRE(config::apply(options, settings_of(text)).ok());
  CHECK(options.backup_dir == "/b");
  CHECK(options.backup_full_at_s == 4 * 3600 + 30 * 60);
  CHECK(options.backup_incremental_every == 600);
  CHECK(options.backup_keep == 3);
  REQUIRE(config::apply(options, settings_of("backup-full-at = \"\"\n")).ok());
  CHECK(options.backup_full_at_s == -1);
  for (const char* bad : {"24:00", "3:00", "03:60", "03-00", "03:00:00", "ab:cd"})
    CHECK_FALSE(config::apply(options, settings_of("backup-full-at = \"" + std::string(bad) + "\"\n")).ok());
}

TEST_CASE("a rewritten file is TOML and means the new values") {
  config::Options options;
  options.requirepass = "pass \"word\"\t\\ \x01";
  options.bind = {"*", "-::*"};
  options.save.clear();
  options.unixsocketperm = 0770;
  options.appendonly = false;
  options.maxmemory = 1 << 30;
  const std::string text = config::rewrite("# c\nport = 6379\n[task]\nruns-keep = 5\n", options);
  config::Options read_back;
  REQUIRE(config::apply(read_back, settings_of(text)).ok());
  CHECK(config::get(read_back, "*") == config::get(options, "*"));
}
