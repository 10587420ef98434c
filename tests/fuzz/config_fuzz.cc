// A config file and a command line of the fuzzer's bytes: options or an error that names the place.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "config/command_line.h"
#include "config/settings.h"
#include "edge/toml.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  hf::config::Options options;
  if (const auto settings = hf::edge::parse_toml(text, "fuzz.toml"); settings.ok()) {
    const auto applied = hf::config::apply(options, *settings);
    if (!applied.ok()) HF_CHECK(!applied.error().message.empty());
    (void)hf::config::rewrite(text, options);
  }
  std::vector<std::string> words;
  if (hf::split_arguments(text, words)) {
    if (const auto line = hf::config::parse_command_line(words); line.ok()) {
      hf::config::Options fresh;
      (void)hf::config::apply(fresh, line->settings);
    }
  }
  return 0;
}
