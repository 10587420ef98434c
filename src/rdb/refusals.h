// What a dump holds that has no counterpart here, counted by kind and with the first few names of each, so
// that one message tells a person everything that stands in the way.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace hf::rdb {

class Refusals {
 public:
  static constexpr size_t kinds_max = 64;  ///< more are counted as "other things"
  static constexpr size_t names_max = 3;
  static constexpr size_t name_bytes_max = 64;

  struct Kind {
    std::string one, all;  ///< "a list", "lists"
    uint64_t count = 0;
    std::vector<std::string> names;  ///< `key "mylist" in db 0`: of the first ones
  };

  void add(Bytes one, Bytes all, std::string name);
  bool empty() const { return kinds_.empty(); }
  uint64_t total() const;
  /// In the order of their first coming.
  const std::vector<Kind>& kinds() const { return kinds_; }
  /// A sentence: `key "mylist" in db 0 is a list, which Holdfast does not hold yet`.
  std::string text() const;

  /// `key "mylist" in db 0`, long keys cut.
  static std::string key_name(Bytes key, uint64_t db);
  static std::string cut(Bytes name);

 private:
  std::vector<Kind> kinds_;
};

}  // namespace hf::rdb
