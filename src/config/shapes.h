// How rows of each shape are made: the pair of functions that bring a member of Options from text and back.
// For table.cc alone.
#pragma once
#include <string>
#include <utility>

#include "base/number.h"
#include "config/parse.h"
#include "config/table.h"

namespace hf::config {

/// The part of a row that every shape has.
struct About {
  Bytes name;
  Section section;
  When when;
  Bytes help;
  Bytes alias = {};
  bool hidden = false;
};

inline Row base_row(const About& about, Shape shape) {
  Row row;
  row.name = about.name, row.alias = about.alias, row.section = about.section, row.when = about.when;
  row.help = about.help, row.hidden = about.hidden, row.shape = shape;
  return row;
}

/// A shape without bounds: one function each way does all of it.
template <auto Member, auto Parse, auto Print>
Row value(const About& about, Shape shape) {
  Row row = base_row(about, shape);
  row.parse = [](const Row&, Bytes text, Options& options) -> Status {
    auto value = Parse(text);
    if (!value) return value.error();
    options.*Member = std::move(*value);
    return ok();
  };
  row.print = [](const Row&, const Options& options) { return Print(options.*Member); };
  return row;
}
template <bool Options::*Member>
Row yes_no(const About& about) {
  return value<Member, parse_yes_no, print_yes_no>(about, Shape::YesNo);
}
template <double Options::*Member>
Row fraction(const About& about) {
  return value<Member, parse_fraction, print_fraction>(about, Shape::Fraction);
}
template <int64_t Options::*Member>
Row day_time(const About& about) {
  return value<Member, parse_day_time, print_day_time>(about, Shape::DayTime);
}

inline Result<int64_t> parse_integral(const Row& row, Bytes text) {
  switch (row.shape) {
    case Shape::Memory: return parse_bytes(text, row.min, row.max);
    case Shape::Millis: return parse_millis(text, row.min, row.max);
    case Shape::Octal: return parse_octal(text, row.min, row.max);
    default: return parse_number(text, row.min, row.max);
  }
}

template <int64_t Options::*Member>
Row integral(const About& about, Shape shape, int64_t min, int64_t max) {
  Row row = base_row(about, shape);
  row.min = min, row.max = max;
  row.parse = [](const Row& self, Bytes text, Options& options) -> Status {
    const auto value = parse_integral(self, text);
    if (!value) return value.error();
    options.*Member = *value;
    return ok();
  };
  row.print = [](const Row& self, const Options& options) {
    return self.shape == Shape::Octal ? print_octal(options.*Member) : to_text(options.*Member);
  };
  return row;
}
template <int64_t Options::*Member>
Row number(const About& about, int64_t min, int64_t max) {
  return integral<Member>(about, Shape::Number, min, max);
}
template <int64_t Options::*Member>
Row memory(const About& about, int64_t min, int64_t max = no_max) {
  return integral<Member>(about, Shape::Memory, min, max);
}
template <int64_t Options::*Member>
Row millis(const About& about, int64_t min, int64_t max) {
  return integral<Member>(about, Shape::Millis, min, max);
}

template <std::string Options::*Member>
Row text(const About& about, Shape shape = Shape::Text) {
  Row row = base_row(about, shape);
  row.parse = [](const Row& self, Bytes value, Options& options) -> Status {
    // A path with a NUL in it would be cut short without a word by the system.
    if (self.shape == Shape::Text && value.find('\0') != Bytes::npos)
      return Error{"argument must not contain a NUL byte"};
    options.*Member = std::string(value);
    return ok();
  };
  row.print = [](const Row&, const Options& options) { return options.*Member; };
  return row;
}

/// `names` in the order of the member's enum.
template <auto Member>
Row choice(const About& about, std::span<const Bytes> names) {
  Row row = base_row(about, Shape::Choice);
  row.choices = names;
  row.parse = [](const Row& self, Bytes value, Options& options) -> Status {
    std::string list;
    for (size_t i = 0; i < self.choices.size(); ++i) {
      if (equal_nocase(value, self.choices[i])) {
        using Enum = std::remove_reference_t<decltype(options.*Member)>;
        options.*Member = static_cast<Enum>(i);
        return ok();
      }
      list += (i > 0 ? ", " : "") + std::string(self.choices[i]);
    }
    return Error{"argument(s) must be one of the following: " + list};
  };
  row.print = [](const Row& self, const Options& options) {
    return std::string(self.choices[static_cast<size_t>(options.*Member)]);
  };
  return row;
}

/// Classes that the text does not name keep their limits.
template <auto Member>
Row buffer_limits(const About& about) {
  Row row = base_row(about, Shape::Limits);
  row.parse = [](const Row&, Bytes text, Options& options) -> Status {
    const auto limits = parse_limits(text, options.*Member);
    if (!limits) return limits.error();
    options.*Member = *limits;
    return ok();
  };
  row.print = [](const Row&, const Options& options) { return print_limits(options.*Member); };
  return row;
}

}  // namespace hf::config
