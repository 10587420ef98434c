// DEBUG; its row stands in server.cc.
#pragma once
#include "command/context.h"

namespace hf::command {

void debug(Context& ctx);

}  // namespace hf::command
