// Finds the values in the text of a TOML file, so that CONFIG REWRITE can replace one and leave the rest
// alone. The file has passed the real parser when the server started; whatever is odd about it by now is
// skipped, not judged.
#pragma once
#include <string>
#include <vector>

#include "base/bytes.h"

namespace hf::config {

struct ScannedValue {
  std::string name;           ///< tables and keys joined with '-'
  std::string value;          ///< decoded; an array's words joined with blanks
  size_t begin = 0, end = 0;  ///< the value's bytes in the text
};

struct Scanned {
  std::vector<ScannedValue> values;  ///< in the text's order
  size_t tables_begin =
      0;  ///< first line that opens a table, or the text's end: keys of the top go before it
};
Scanned scan(Bytes text);

}  // namespace hf::config
