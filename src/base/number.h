// Numbers as text, exactly as Redis reads and prints them.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"

namespace hf {

/// Strict: optional '-', no blanks, no plus sign, no leading zeros (but "0"), within 64 bits.
std::optional<int64_t> parse_int(Bytes text);
std::optional<uint64_t> parse_uint(Bytes text);
/// A whole string as a double (decimal, exponent, inf/+inf/-inf); no blanks, no nan.
std::optional<double> parse_double(Bytes text);
/// Redis's INCRBYFLOAT reads and computes in long double.
std::optional<long double> parse_long_double(Bytes text);

/// Digits of `value` in `out` (at least 21 bytes); returns their count.
size_t write_int(char* out, int64_t value);
std::string to_text(int64_t value);
/// The shortest text that reads back the same; integers without a point; inf, -inf, nan.
std::string to_text(double value);
/// 17 decimals at most, trailing zeros cut: INCRBYFLOAT's form.
std::string to_text_fixed(long double value);

/// "64mb", "1gb", "512", "10k": Redis's memory units (k = 1000, kb = 1024).
std::optional<uint64_t> parse_memory(Bytes text);
/// "1.50G", "12.00K": INFO's human form.
std::string to_human(uint64_t bytes);

}  // namespace hf
