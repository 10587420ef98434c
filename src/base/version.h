// The program's version, once. What `INFO server`, `--version` and the banner show.
#pragma once

namespace hf {
constexpr const char* holdfast_version = "0.1.0";
/// The Redis whose commands, replies and INFO fields we follow; clients decide by it what they may send.
constexpr const char* redis_version = "7.2.0";
}  // namespace hf
