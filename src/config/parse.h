// Values from text and back, one pair of functions a shape. Used by the rows only.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "config/options.h"

namespace hf::config {

Result<bool> parse_yes_no(Bytes text);
Result<int64_t> parse_number(Bytes text, int64_t min, int64_t max);
Result<int64_t> parse_bytes(Bytes text, int64_t min, int64_t max);
Result<int64_t> parse_millis(Bytes text, int64_t min, int64_t max);
Result<int64_t> parse_octal(Bytes text, int64_t min, int64_t max);
/// From 0 to 1.
Result<double> parse_fraction(Bytes text);
Result<std::vector<std::string>> parse_addresses(Bytes text);
/// "03:00" as the second of the day; "" as -1.
Result<int64_t> parse_day_time(Bytes text);
std::string print_day_time(int64_t second);
Result<std::vector<SavePoint>> parse_save(Bytes text);
using BufferLimits = std::array<BufferLimit, client_classes>;
/// `limits` with the classes that `text` names replaced.
Result<BufferLimits> parse_limits(Bytes text, BufferLimits limits);

std::string print_yes_no(bool value);
std::string print_fraction(double value);
std::string print_octal(int64_t value);
std::string print_words(const std::vector<std::string>& words);
std::string print_save(const std::vector<SavePoint>& points);
std::string print_limits(const BufferLimits& limits);

}  // namespace hf::config
