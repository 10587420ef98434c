// Proves a backup: brings its state back up to the recorded offset and compares the digest.
#pragma once
#include <string>

#include "config/options.h"

namespace hf::edge {

/// `folder` is only read. 0: the digest is that of the server at the cut; 1: it is not, or the data can't be
/// read; 2: there is no finished backup. Says which on standard output or error.
int verify_backup(const config::Options& options, const std::string& folder);

}  // namespace hf::edge
