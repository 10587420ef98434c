// The little JSON we need: strings that are always valid, and reading one flat object (a checkpoint's META).
#pragma once
#include <map>
#include <optional>
#include <string>

#include "base/bytes.h"

namespace hf::cli {

/// `bytes` as a JSON string with its quotes. Bytes that are no UTF-8 become \u00XX, so that any value can be
/// shown.
std::string json_string(Bytes bytes);

/// The members of a JSON object whose values are strings, numbers, true, false or null (as their text);
/// nested arrays and objects are kept as their JSON text. Nothing: not one JSON object.
std::optional<std::map<std::string, std::string>> json_object(Bytes text);

/// Bytes of the UTF-8 character at the front of `in`, 0 when there is no valid one.
size_t utf8_length(Bytes in);

}  // namespace hf::cli
