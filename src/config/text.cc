// Options as text for people: the rewritten file, the commented default file, --help.
#include <algorithm>

#include "base/number.h"
#include "config/scan.h"
#include "config/settings.h"
#include "config/table.h"

namespace hf::config {
namespace {

constexpr size_t text_columns = 110;

std::string toml_string(Bytes text) {
  static constexpr char hex[] = "0123456789ABCDEF";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      out += "\\u00";
      out += hex[byte >> 4];
      out += hex[byte & 15];
    } else {
      out += c;
    }
  }
  return out + "\"";
}

/// A value as TOML writes it.
std::string toml_value(const Row& row, const Options& options) {
  const std::string text = row.print(row, options);
  switch (row.shape) {
    case Shape::YesNo: return text == "yes" ? "true" : "false";
    case Shape::Number:
    case Shape::Fraction:
    case Shape::Memory:
    case Shape::Millis: return text;
    case Shape::Words: {
      std::string list;
      size_t at = 0;
      while (at < text.size()) {
        const size_t end = std::min(text.find(' ', at), text.size());
        list += (list.empty() ? "" : ", ") + toml_string(Bytes(text).substr(at, end - at));
        at = end + 1;
      }
      return "[" + list + "]";
    }
    default: return toml_string(text);
  }
}

/// `text` in lines of at most `width` columns, each after `indent`.
std::string wrapped(Bytes text, const std::string& indent, size_t width) {
  std::string out, line;
  size_t at = 0;
  while (at < text.size()) {
    const size_t end = std::min(text.find(' ', at), text.size());
    const Bytes word = text.substr(at, end - at);
    if (!line.empty() && indent.size() + line.size() + 1 + word.size() > width) {
      out += indent + line + "\n";
      line.clear();
    }
    if (!line.empty()) line += ' ';
    line += word;
    at = end + 1;
  }
  return out + indent + line + "\n";
}

}  // namespace

std::string rewrite(Bytes text, const Options& options) {
  const Scanned scanned = scan(text);
  std::vector<const Row*> present;
  for (const ScannedValue& v : scanned.values) present.push_back(find(option_name(v.name)));
  std::string added;
  for (const Row& row : table()) {
    const bool listed = std::find(present.begin(), present.end(), &row) != present.end();
    if (listed || row.hidden || row.print(row, options) == row.print(row, Options{})) continue;
    added += std::string(row.name) + " = " + toml_value(row, options) + "\n";
  }

  std::string out;
  size_t at = 0;
  const auto copy_to = [&](size_t to) {
    if (!added.empty() && scanned.tables_begin <= to) {
      out += text.substr(at, scanned.tables_begin - at);
      at = scanned.tables_begin;
      if (!out.empty() && out.back() != '\n') out += '\n';
      out += added;
      if (at < text.size()) out += '\n';
      added.clear();
    }
    out += text.substr(at, to - at);
    at = to;
  };
  for (size_t i = 0; i < present.size(); ++i) {
    if (present[i] == nullptr) continue;
    const Row& row = *present[i];
    const ScannedValue& v = scanned.values[i];
    Options written;
    if (row.parse(row, v.value, written).ok() && row.print(row, written) == row.print(row, options)) continue;
    copy_to(v.begin);
    out += toml_value(row, options);
    at = v.end;
  }
  copy_to(text.size());
  return out;
}

std::string default_file() {
  std::string out =
      "# Holdfast server: every option, with its default.\n"
      "#\n"
      "# Remove the '#' in front of an option to change it. The same names work as flags, where they win "
      "over\n"
      "# this file (holdfast-server conf/server.toml --port 7000), and most with CONFIG SET while the server "
      "runs.\n"
      "# Sizes may be written as \"64mb\", times as \"15s\". holdfast-server --check-config FILE looks for\n"
      "# mistakes.\n";
  const Options defaults;
  const Row* before = nullptr;
  for (const Row& row : table()) {
    if (row.hidden) continue;
    if (before == nullptr || before->section != row.section)
      out += "\n# ---- " + std::string(title(row.section)) + " " + std::string(60, '-') + "\n";
    before = &row;
    std::string help_text(row.help);
    help_text[0] = upper(help_text[0]);
    help_text += '.';
    const bool anything = row.shape == Shape::Text || row.shape == Shape::Secret || row.shape == Shape::Words;
    if (!anything) help_text += " Allowed: " + allowed(row) + ".";
    if (row.when != When::Anytime) help_text += " Takes a restart.";
    out += "\n" + wrapped(help_text, "# ", text_columns);
    out += "#" + std::string(row.name) + " = " + toml_value(row, defaults) + "\n";
  }
  return out;
}

std::string help() {
  std::string out =
      "holdfast-server [FILE.toml] [--option value ...]\n\n"
      "Serves the data in --dir. Options come from FILE, then from the flags.\n\n"
      "  --check-config    look for mistakes in FILE and flags, start nothing\n"
      "  --print-config    print a commented file of every option\n"
      "  --help, -h        this text\n"
      "  --version, -v     the version\n\n"
      "  --restore-to POINT --into DIR\n"
      "        make a fresh data folder DIR with the state that --dir had at POINT: a time\n"
      "        (2026-11-22T05:00:00Z), an offset, or tag:NAME; --dir is only read. Cut short, it is run "
      "again\n"
      "  --backup-to DIR\n"
      "        copy the data in --dir to DIR, also while its server runs; again: only what is new.\n"
      "        DIR is a data folder: start a server on it, or --restore-to a point in it. Cut short,\n"
      "        it is run again; until then an earlier backup there stays what it was\n"
      "  --verify-backup DIR\n"
      "        bring back the state in DIR, which BACKUP START, holdfast-cli backup or backup-dir made, and "
      "compare\n"
      "        its digest with the server's at that point; 0: equal, 1: not, 2: no finished backup\n";
  const Options defaults;
  const Row* before = nullptr;
  for (const Row& row : table()) {
    if (row.hidden) continue;
    if (before == nullptr || before->section != row.section)
      out += "\n" + std::string(title(row.section)) + "\n";
    before = &row;
    const std::string value = row.print(row, defaults);
    out += "  --" + std::string(row.name) + "\n" + wrapped(row.help, "        ", text_columns);
    out += wrapped("(" + allowed(row) + "; default: " + (value.empty() ? "none" : value) + ")", "        ",
                   text_columns);
  }
  return out;
}

}  // namespace hf::config
