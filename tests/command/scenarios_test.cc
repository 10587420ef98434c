// The scenario files of tests/scenarios, run in-process: the same files that run.py holds against a live
// server.
#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "harness.h"

namespace hf::test {
namespace {

struct Player {
  Harness node;
  size_t client = 0;
  bool unordered = false;

  /// Top-level elements without their numbers, sorted.
  static std::vector<std::string> sorted(const std::string& text) {
    std::vector<std::string> out;
    size_t begin = 0;
    while (begin <= text.size()) {
      const size_t end = std::min(text.find('\n', begin), text.size());
      std::string line = text.substr(begin, end - begin);
      line.erase(0, std::min(line.find_first_not_of(" 0123456789"), line.size()));
      line.erase(0, std::min(line.find_first_not_of(")~# "), line.size()));
      out.push_back(line);
      begin = end + 1;
    }
    std::sort(out.begin(), out.end());
    return out;
  }

  void directive(const std::string& line) {
    if (line.starts_with("@client ")) client = std::stoul(line.substr(8));
    if (line.starts_with("@sleep ")) node.sleep(std::stol(line.substr(7)));
    if (line == "@unordered") unordered = true;
  }

  void step(const std::string& file, const std::string& command, const std::string& expected) {
    INFO(file << ": " << command);
    const std::string got = node.run(client, command);
    if (expected == "...") return;
    if (unordered) CHECK(sorted(got) == sorted(expected));
    else CHECK(got == expected);
    unordered = false;
  }
};

void play(const std::filesystem::path& path) {
  Player player;
  std::ifstream in(path);
  std::string line, command, expected;
  const auto finish = [&] {
    if (!command.empty()) player.step(path.filename(), command, expected);
    command.clear();
    expected.clear();
  };
  while (std::getline(in, line)) {
    if (line.starts_with("> ")) {
      finish();
      command = line.substr(2);
    } else if (line.empty() || line[0] == '#' || line[0] == '@') {
      finish();
      player.directive(line);
    } else {
      expected += (expected.empty() ? "" : "\n") + line;
    }
  }
  finish();
}

bool needs_a_whole_server(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::string line;
  while (std::getline(in, line))
    if (line == "@server-only") return true;
  return false;
}

TEST_CASE("every scenario file gets the replies it names") {
  size_t files = 0;
  for (const auto& file : std::filesystem::directory_iterator("tests/scenarios")) {
    if (file.path().extension() != ".txt" || needs_a_whole_server(file.path())) continue;
    play(file.path());
    ++files;
  }
  CHECK(files >= 8);
}

}  // namespace
}  // namespace hf::test
