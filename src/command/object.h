// OBJECT's and MEMORY's subcommands: what can be told about how a value is kept.
#pragma once
#include <span>

#include "command/spec.h"

namespace hf::command {

std::span<const Spec> object_subcommands();
std::span<const Spec> memory_subcommands();

}  // namespace hf::command
