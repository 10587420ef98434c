// Just enough JSON for META: is it an object, and what stands under a key of its top level.
#pragma once
#include <optional>
#include <string>

#include "base/bytes.h"

namespace hf::task {

/// One JSON object (RFC 8259), nested 64 deep at most, and nothing else but blanks around it.
bool is_json_object(Bytes text);
/// The value under `key` at the top level, the last one when it is there twice: a string's own text, anything
/// else as it is written. Nothing when absent or when `text` is no object.
std::optional<std::string> json_field(Bytes text, Bytes key);

}  // namespace hf::task
