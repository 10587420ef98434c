// One command's documentation, as COMMAND DOCS answers with it.
#pragma once
#include <string>

#include "command/context.h"

namespace hf::command {

/// Writes the name and the map that belongs to it.
void reply_docs(Context& ctx, const Spec& spec, const std::string& name);

}  // namespace hf::command
