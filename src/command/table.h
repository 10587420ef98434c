// All commands there are, found by name. The table is the families' rows, one file a family.
#pragma once
#include <span>

#include "command/spec.h"

namespace hf::command {

/// A family's rows; each family file defines one of these, and table.cc lists them.
std::span<const Spec> string_commands();
std::span<const Spec> hash_commands();
std::span<const Spec> key_commands();
std::span<const Spec> expire_commands();
std::span<const Spec> dump_commands();
std::span<const Spec> connection_commands();
std::span<const Spec> server_commands();
std::span<const Spec> client_commands();
std::span<const Spec> introspection_commands();  ///< COMMAND and its subcommands
std::span<const Spec> transaction_commands();
std::span<const Spec> snapshot_commands();
std::span<const Spec> replication_commands();
std::span<const Spec> backup_commands();
std::span<const Spec> task_commands();

/// Case-insensitive; null when unknown.
const Spec* find_command(Bytes name);
/// The subcommand's row, or null.
const Spec* find_subcommand(const Spec& container, Bytes name);
/// Every row, in the order of families; containers with their subcommands inside.
std::span<const Spec* const> all_commands();

}  // namespace hf::command
