// Files and folders as wholes: copied, synced, removed. Modes are kept and links are kept as links, so that
// a checkpoint comes back as it was saved; the standard library's copy loosens the one and follows the other.
#pragma once
#include <string>

#include "base/result.h"

namespace hf::cli {

/// Makes `path` and what is missing above it, readable by its owner alone. What is there already stays as it
/// is.
Status make_private_folders(const std::string& path);

/// Copies a file or a folder to `target`, which must not exist yet, modes included. A `source` that is itself
/// a link is copied as a link. Anything but files, folders and links is refused by name.
/// `hard_links`: files are linked instead where the disk is the same; only for a source nobody changes any
/// more.
Status copy_tree(const std::string& source, const std::string& target, bool hard_links);

/// Waits until the file or folder, with all in it, and its name are on disk.
Status sync_tree(const std::string& path);
/// Waits until what a folder lists is on disk.
Status sync_folder(const std::string& path);

/// Removes whatever is there, folders that nobody may write to included. What can't be removed stays.
void remove_tree(const std::string& path);

}  // namespace hf::cli
