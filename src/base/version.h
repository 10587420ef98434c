// The program's version, once: INFO server, --version and the banner show it.
#pragma once

namespace hf {
constexpr const char* holdfast_version = "0.1.0";
}  // namespace hf
