// The one table of options: name, shape, bounds, when it may change, and a sentence of help. The file, the
// flags, CONFIG GET/SET/REWRITE, --help and conf/server.toml all come out of it, so none can drift from the
// others.
#pragma once
#include <limits>
#include <span>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "config/options.h"

namespace hf::config {

enum class Section : uint8_t { Network, Security, Keyspace, Durability, Replication, Tasks, Logging };
Bytes title(Section section);

/// When a value may be given.
enum class When : uint8_t {
  Anytime,    ///< at start and by CONFIG SET
  Start,      ///< at start only
  Protected,  ///< at start only, because a client that may set it could write files of its choosing
};

/// How a value is written.
enum class Shape : uint8_t {
  YesNo,
  Number,
  Memory,    ///< bytes, also as 64mb or 1gb
  Millis,    ///< milliseconds, also as 15s, 10m, 2h or 7d
  Fraction,  ///< 0 to 1
  Octal,     ///< file permissions, such as 700
  DayTime,   ///< 03:00, or empty
  Text,
  Secret,  ///< text that no message repeats
  Words,   ///< several words (an array in TOML)
  Choice,
  SavePoints,  ///< save points: seconds changes ...
  Limits,      ///< client class, hard limit, soft limit, soft seconds ...
};

/// `Row::max` where there is no other limit.
constexpr int64_t no_max = std::numeric_limits<int64_t>::max();

struct Row {
  Bytes name;   ///< as Redis spells it where the meaning is Redis's
  Bytes alias;  ///< an older name that CONFIG GET and SET also know; may be empty
  Section section = Section::Network;
  When when = When::Anytime;
  bool hidden = false;  ///< for tests: neither in --help nor in CONFIG GET *
  Bytes help;
  Shape shape = Shape::Text;
  int64_t min = 0, max = 0;  ///< of Number, Memory, Millis, Octal
  std::span<const Bytes> choices;
  /// Sets the member from text, or says what is allowed (Redis's sentences) and changes nothing.
  Status (*parse)(const Row&, Bytes text, Options&) = nullptr;
  /// The member as CONFIG GET shows it.
  std::string (*print)(const Row&, const Options&) = nullptr;
};

std::span<const Row> table();
/// The row of this name or alias, in any case; '_' counts as '-'. Null when there is none.
const Row* find(Bytes name);
/// The known name nearest to `name`; empty when none is near.
Bytes nearest(Bytes name);
/// What may be given, for a person: "yes or no", "0 to 65535", "always, everysec or no".
std::string allowed(const Row& row);

}  // namespace hf::config
