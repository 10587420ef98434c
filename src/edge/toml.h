// A TOML file as a list of settings with their lines. What they mean is the config room's business.
#pragma once
#include <string>
#include <vector>

#include "base/result.h"
#include "config/settings.h"

namespace hf::edge {

/// `text` is the content of `file`, whose name goes into errors. [recovery] max_retries = 5 becomes
/// "recovery-max_retries" = "5"; arrays become words joined with blanks.
Result<std::vector<config::Setting>> parse_toml(const std::string& text, const std::string& file);

/// Whole content of a file of at most 1 MiB.
Result<std::string> read_text_file(const std::string& path);

}  // namespace hf::edge
