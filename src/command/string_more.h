// The string handlers that look inside a value; their rows stand in string.cc.
#pragma once
#include "command/context.h"

namespace hf::command {

void append(Context& ctx);
void strlen(Context& ctx);
void setrange(Context& ctx);
void getrange(Context& ctx);
void lcs(Context& ctx);

}  // namespace hf::command
