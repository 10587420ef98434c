// What the process ends with, so that scripts can tell what happened. Numbers from sysexits.h where one fits.
#pragma once

namespace hf::cli {

constexpr int kExitOk = 0;
constexpr int kExitServerError = 1;  // the server answered an error
constexpr int kExitUsage = 2;        // the command line was not understood
constexpr int kExitBadData = 65;     // a checkpoint or an answer that does not hold together
constexpr int kExitNoServer = 69;    // nobody answers at the address
constexpr int kExitTryLater = 75;    // busy, loading, or held by somebody else

}  // namespace hf::cli
