// A section of INFO's text.
#pragma once
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <string>

#include "base/number.h"

namespace hf::node {

class Section {
 public:
  Section(std::string& out, const char* title) : out_(out) {
    if (!out_.empty()) out_ += "\r\n";
    out_ += "# ";
    out_ += title;
    out_ += "\r\n";
  }
  Section& text(const std::string& name, const std::string& value) {
    out_ += name + ":" + value + "\r\n";
    return *this;
  }
  Section& number(const std::string& name, int64_t value) { return text(name, to_text(value)); }
  Section& number(const std::string& name, uint64_t value) { return text(name, std::to_string(value)); }
  __attribute__((format(printf, 3, 4))) Section& format(const char* name, const char* shape, ...) {
    char buf[160];
    va_list list;
    va_start(list, shape);
    std::vsnprintf(buf, sizeof buf, shape, list);
    va_end(list);
    return text(name, buf);
  }

 private:
  std::string& out_;
};

}  // namespace hf::node
