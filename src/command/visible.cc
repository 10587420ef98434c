// The names decide, not rows of the table: a record that a newer version wrote stays invisible here too.
#include "command/visible.h"

#include <vector>

#include "resp/parser.h"

namespace hf::command {

bool visible_to_redis(Bytes command_name) {
  constexpr Bytes own[] = {"TASK.", "HOLDFAST."};
  for (const Bytes prefix : own)
    if (equal_nocase(command_name.substr(0, prefix.size()), prefix)) return false;
  return true;
}

Status append_visible(Bytes content, std::string& out) {
  size_t at = 0;
  const bool whole = resp::for_each_command(content, at, [&](const std::vector<Bytes>& args, Bytes raw) {
    if (visible_to_redis(args[0])) out.append(raw);
  });
  if (!whole) return Error{"not a command at byte " + std::to_string(at) + " of a frame's content"};
  return ok();
}

}  // namespace hf::command
