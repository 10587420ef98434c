// Snapshots of a folder read through: what log::check_folder and log::plan_repair want to know about them,
// and can't find out in their own room.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "log/check.h"

namespace hf::node {

log::VerifiedSnapshot verify_snapshot(Files& files, const std::string& name);
/// Of the whole folder, in the order of their offsets.
std::vector<log::VerifiedSnapshot> verify_snapshots(Files& files);
/// The newest that is whole, if there is one. Error: one can't be read, so it may be that one.
Result<std::optional<log::SnapshotPoint>> newest_whole(Files& files);

}  // namespace hf::node
