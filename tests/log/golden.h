// Golden files: bytes kept beside the tests, so that a format never changes by accident. When one must
// change, the format's version does too, and the hidden test [make-golden] writes the new files.
#pragma once
#include <fstream>
#include <iterator>
#include <string>

namespace hf::test {

/// `test_file` is the caller's __FILE__; the tests run from the root of the project.
inline std::string golden_path(const std::string& test_file, const std::string& name) {
  return test_file.substr(0, test_file.rfind('/')) + "/golden/" + name;
}
inline std::string read_golden(const std::string& test_file, const std::string& name) {
  std::ifstream in(golden_path(test_file, name), std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
inline void write_golden(const std::string& test_file, const std::string& name, const std::string& bytes) {
  std::ofstream(golden_path(test_file, name), std::ios::binary) << bytes;
}

}  // namespace hf::test
