// A folder as one string of bytes, and back: a checkpoint that is a folder travels as a tar archive (POSIX
// ustar, long names as GNU tar writes them), so that `tar tf` shows what it holds.
//
// What goes in: regular files, folders and symbolic links, in the order of their names, with their modes,
// owner 0 and time 0, so that equal folders give equal bytes (and equal sums). A link must stay inside the
// folder: a relative path that goes up first, if at all, and down from there. Anything else (sockets, pipes,
// devices) is refused.
#pragma once
#include <functional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

namespace hf::cli {

using Sink = std::function<Status(Bytes)>;

/// Hands the archive of the folder `path` to `sink` piece by piece. Stops at the first error, the sink's
/// included.
Status pack_folder(const std::string& path, const Sink& sink);

/// Writes what `archive` holds below `path`, which must not exist yet. Names that are absolute, contain "..",
/// come twice or go through a link, links that lead out, wrong sums and anything but files, folders and links
/// are refused; then `path` may be half-written.
Status unpack_folder(Bytes archive, const std::string& path);

}  // namespace hf::cli
