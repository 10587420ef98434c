// Result: a value or an error that says what, where and what to do. (g++ 12 in C++20 has no std::expected.)
#pragma once
#include <string>
#include <utility>
#include <variant>

#include "base/check.h"

namespace hf {

/// What went wrong, as a sentence for a person. `code` is an errno where the outside world said no, else 0.
struct Error {
  std::string message;
  int code = 0;
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : v_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : v_(std::in_place_index<1>, std::move(error)) {}
  bool ok() const { return v_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() { HF_CHECK(ok()); return std::get<0>(v_); }
  const T& value() const { HF_CHECK(ok()); return std::get<0>(v_); }
  T& operator*() { return value(); }
  const T& operator*() const { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const { HF_CHECK(!ok()); return std::get<1>(v_); }

 private:
  std::variant<T, Error> v_;
};

struct Nothing {};
using Status = Result<Nothing>;
inline Status ok() { return Status(Nothing{}); }

}  // namespace hf
