// Requests cut anywhere: however the bytes arrive, the parser gives the same requests, and no input breaks it.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/check.h"
#include "resp/parser.h"

namespace {

std::vector<std::string> parse(hf::Bytes input, size_t chunk) {
  hf::resp::RequestParser parser;
  hf::resp::RequestLimits limits;
  limits.args_max = 1000;
  limits.bulk_bytes_max = 1 << 20;
  std::vector<std::string> seen;
  std::vector<hf::Bytes> args;
  std::string buffer;
  size_t fed = 0;
  for (;;) {
    const auto outcome = parser.next(buffer, args, limits);
    using Outcome = hf::resp::RequestParser::Outcome;
    if (outcome == Outcome::Invalid) {
      seen.push_back("error " + parser.error());
      return seen;
    }
    if (outcome == Outcome::Incomplete) {
      if (fed == input.size()) return seen;
      const size_t n = std::min(chunk, input.size() - fed);
      buffer.append(input.substr(fed, n));
      fed += n;
      continue;
    }
    HF_CHECK(parser.used() <= buffer.size());
    if (outcome == Outcome::Request) {
      std::string request;
      for (const hf::Bytes arg : args) request += hf::quoted(arg) + " ";
      seen.push_back(request);
    }
    buffer.erase(0, parser.used());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const hf::Bytes input(reinterpret_cast<const char*>(data), size);
  const auto whole = parse(input, SIZE_MAX);
  const auto cut = parse(input, 3);
  // Limits on unfinished lines are found at different moments; requests before them must be the same.
  for (size_t i = 0; i < std::min(whole.size(), cut.size()); ++i)
    if (!whole[i].starts_with("error") && !cut[i].starts_with("error")) HF_CHECK(whole[i] == cut[i]);
  return 0;
}
