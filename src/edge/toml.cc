// toml++ is used here and nowhere else: it is large, and a list of settings is all that the rest needs.
#include "edge/toml.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#include <toml++/toml.h>
#pragma GCC diagnostic pop

#include "base/number.h"

namespace hf::edge {
namespace {

constexpr int depth_max = 8;
constexpr size_t config_file_bytes_max = 1 << 20;

struct Walk {
  const std::string& file;
  std::vector<config::Setting> settings;
  std::string problem;

  void fail(const toml::node& node, const std::string& what) {
    if (problem.empty())
      problem = file + ":" + to_text(static_cast<int64_t>(node.source().begin.line)) + ": " + what;
  }

  /// Appends one scalar's text; false when it is of a kind that no option has.
  bool scalar(const toml::node& node, std::string& out) {
    if (const auto* s = node.as_string()) {
      out += s->get();
    } else if (const auto* i = node.as_integer()) {
      out += to_text(i->get());
    } else if (const auto* b = node.as_boolean()) {
      out += b->get() ? "yes" : "no";
    } else if (const auto* f = node.as_floating_point()) {
      out += to_text(f->get());
    } else {
      return false;
    }
    return true;
  }

  bool words(const toml::array& array, std::string& out, int depth) {
    if (depth > depth_max) return false;
    for (const toml::node& element : array) {
      std::string word;
      const toml::array* inner = element.as_array();
      if (inner != nullptr ? !words(*inner, word, depth + 1) : !scalar(element, word)) return false;
      out += (out.empty() || word.empty() ? "" : " ") + word;
    }
    return true;
  }

  void table(const toml::table& t, const std::string& prefix, int depth) {
    for (const auto& [key, node] : t) {
      const std::string name = prefix + std::string(key.str());
      if (const auto* inner = node.as_table()) {
        if (depth > depth_max) return fail(node, "tables are nested too deeply");
        table(*inner, name + "-", depth + 1);
        continue;
      }
      std::string value;
      const auto* array = node.as_array();
      if (array != nullptr ? !words(*array, value, 0) : !scalar(node, value)) {
        fail(node, "'" + name + "' must be a string, a number, true or false, or an array of these");
        continue;
      }
      settings.push_back({name, value, file, static_cast<int>(node.source().begin.line)});
    }
  }
};

}  // namespace

Result<std::vector<config::Setting>> parse_toml(const std::string& text, const std::string& file) {
  try {
    const toml::table parsed = toml::parse(text, file);
    Walk walk{file, {}, {}};
    walk.table(parsed, "", 0);
    if (!walk.problem.empty()) return Error{walk.problem};
    // Tables are sorted by name; people expect the first mistake of the file first.
    std::stable_sort(walk.settings.begin(), walk.settings.end(),
                     [](const auto& a, const auto& b) { return a.line < b.line; });
    return std::move(walk.settings);
  } catch (const toml::parse_error& e) {
    return Error{file + ":" + to_text(static_cast<int64_t>(e.source().begin.line)) +
                 ": not TOML: " + std::string(e.description())};
  }
}

Result<std::string> read_text_file(const std::string& path) {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "rbe"), std::fclose);
  if (!file) return Error{path + ": " + std::strerror(errno), errno};
  std::string text;
  char chunk[16 * 1024];
  for (;;) {
    const size_t n = std::fread(chunk, 1, sizeof chunk, file.get());
    if (n == 0) break;
    text.append(chunk, n);
    if (text.size() > config_file_bytes_max)
      return Error{path + ": larger than 1 MiB; is it the right file?"};
  }
  if (std::ferror(file.get()) != 0) return Error{path + ": " + std::strerror(errno), errno};
  return text;
}

}  // namespace hf::edge
