// Replies as text: for people, for pipes, for programs.
#pragma once
#include <string>

#include "resp/reader.h"

namespace hf::cli {

/// As redis-cli shows a reply on a terminal: numbered, nested, types named. Ends in a line break.
std::string render_human(const resp::Value& value);
/// Bytes as they are; the elements of an aggregate one a line (of a map: name, then value). Ends in a line
/// break.
std::string render_raw(const resp::Value& value);
/// One line of valid JSON, without a line break: maps are objects, an error is {"error": "..."}.
std::string render_json(const resp::Value& value);

}  // namespace hf::cli
