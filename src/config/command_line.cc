// Reads the server's command line; what the options mean is not decided here.
#include "config/command_line.h"

#include "base/bytes.h"

namespace hf::config {
namespace {

/// True when `word` is one of the modes; they take no value.
bool mode_of(const std::string& word, CommandLine::Mode& mode) {
  using Mode = CommandLine::Mode;
  if (word == "--check-config") return mode = Mode::CheckConfig, true;
  if (word == "--print-config") return mode = Mode::PrintConfig, true;
  if (word == "--help" || word == "-h") return mode = Mode::Help, true;
  if (word == "--version" || word == "-v") return mode = Mode::Version, true;
  return false;
}

/// True when the setting is no option but belongs to a mode.
bool mode_value(Setting& setting, CommandLine& out) {
  using Mode = CommandLine::Mode;
  if (setting.name == "restore-to") return out.mode = Mode::Restore, out.restore_to = setting.value, true;
  if (setting.name == "into") return out.into = setting.value, true;
  if (setting.name == "backup-to") return out.mode = Mode::Backup, out.backup_to = setting.value, true;
  if (setting.name == "verify-backup") return out.mode = Mode::Verify, out.verify = setting.value, true;
  return false;
}

}  // namespace

Result<CommandLine> parse_command_line(const std::vector<std::string>& arguments) {
  CommandLine out;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    if (mode_of(word, out.mode)) continue;
    if (!word.starts_with("--")) {
      if (!out.file.empty())
        return Error{"command line: '" + word + "' is neither an option nor the file, which is '" + out.file +
                     "'"};
      if (word.empty() || word[0] == '-')
        return Error{"command line: " + quoted(word) + " is not understood; options begin with '--'"};
      out.file = word;
      continue;
    }
    Setting setting;
    if (const size_t equals = word.find('='); equals != std::string::npos) {
      setting.name = word.substr(2, equals - 2);
      setting.value = word.substr(equals + 1);
    } else {
      setting.name = word.substr(2);
      size_t values = 0;
      while (i + 1 < arguments.size() && !arguments[i + 1].starts_with("--")) {
        setting.value += (values++ > 0 ? " " : "") + arguments[++i];
      }
      if (values == 0) return Error{"command line: " + word + " needs a value"};
    }
    if (!mode_value(setting, out)) out.settings.push_back(std::move(setting));
  }
  if (out.restore_to.empty() != out.into.empty() || (!out.restore_to.empty() && !out.backup_to.empty()))
    return Error{"command line: --restore-to POINT and --into DIR go together, and with nothing else"};
  return out;
}

}  // namespace hf::config
