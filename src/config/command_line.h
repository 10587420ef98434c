// What the server's command line asks for.
#pragma once
#include <string>
#include <vector>

#include "base/result.h"
#include "config/settings.h"

namespace hf::config {

struct CommandLine {
  enum class Mode : uint8_t { Serve, CheckConfig, PrintConfig, Help, Version, Restore, Backup, Verify };
  Mode mode = Mode::Serve;
  std::string file;  ///< empty: none was named
  std::vector<Setting> settings;
  std::string restore_to, into;  ///< Restore: the point in time, and the folder to make
  std::string backup_to;         ///< Backup: the folder that gets the copy
  std::string verify;            ///< Verify: the folder of the backup
};

/// `holdfast-server [FILE] [--name value ...]`, Redis's way: a flag's values reach to the next word that
/// begins with
/// "--" (`--save 60 1 300 10`, `--save ''`); `--name=value` takes anything. `arguments` lacks the program's
/// name.
Result<CommandLine> parse_command_line(const std::vector<std::string>& arguments);

}  // namespace hf::config
