// Carries out a backup from one folder of this machine to another, and shows how far it is.
#pragma once
#include <string>

namespace hf::edge {

/// Copies the data folder `from`, whose server may be running, to `into`: everything the first time, what is
/// new from then on. Never follows links in `into`. Returns the exit code, having said on standard error what
/// went wrong.
int backup_to(const std::string& from, const std::string& into);

}  // namespace hf::edge
