// The log as text: frames and their commands, for people and for scripts (holdfast-check --list).
#pragma once
#include <functional>
#include <string>

#include "base/files.h"
#include "base/result.h"
#include "base/types.h"

namespace hf::log {

/// Frames from `from_ms` and behind `from`, up to `to_ms` and `to`; all ends belong to it.
struct ListRange {
  WallMs from_ms = 0, to_ms = INT64_MAX;
  LogOffset from, to{UINT64_MAX};
  bool json = false;  ///< one object a frame
};

/// Hands each line (without its end) to `line`. Ends quietly where the last segment does; an error names the
/// byte of what can't be read.
Status list_log(Files& files, const ListRange& range, const std::function<void(const std::string&)>& line);
/// The same of one segment by itself, whatever it is called: what lies under rescue/.
Status list_file(Files& files, const std::string& name, const ListRange& range,
                 const std::function<void(const std::string&)>& line);

/// An argument as text: what is not printable as \xNN, cut after `bytes_max` bytes with the rest counted.
std::string printable(Bytes text, size_t bytes_max);

}  // namespace hf::log
