// Where a broken invariant ends: one line that says where, then abort, so that a core shows the stack.
#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace hf {

void check_failed(const char* file, int line, const char* what) {
  std::fprintf(stderr, "%s:%d: broken invariant: %s\n", file, line, what);
  std::fflush(stderr);
  std::abort();
}

}  // namespace hf
