// What of the log a stock Redis replica is sent: everything but tasks and reigns, which it does not know.
// Both ends of the count of the Redis-visible offset, the journal's and the replica's, follow this one rule.
#pragma once
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace hf::command {

/// False for what only a Holdfast can apply: TASK.* and HOLDFAST.*, in whatever case a client wrote them.
bool visible_to_redis(Bytes command_name);

/// Appends to `out` the commands of a frame's (or a whole group's) content that a stock replica is sent, byte
/// for byte as they stand there: SELECT, MULTI and EXEC among them. Error: `content` is not canonical text.
Status append_visible(Bytes content, std::string& out);

}  // namespace hf::command
