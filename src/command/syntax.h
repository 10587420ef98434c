// A row's syntax text, read into the arguments that COMMAND DOCS lists: "key value [NX | XX] [EX seconds]" as
// a tree.
#pragma once
#include <string>
#include <vector>

#include "command/spec.h"

namespace hf::command {

struct Argument {
  enum class Kind : uint8_t { Key, Integer, Double, Pattern, UnixTime, String, PureToken, OneOf, Block };
  Kind kind = Kind::String;
  std::string name;
  std::string token;  ///< the word before it ("EX" of "EX seconds"), or the word it is
  bool optional = false;
  bool multiple = false;
  std::vector<Argument> parts;  ///< of OneOf and Block
};

/// As COMMAND DOCS prints it: "key", "integer", "pure-token", ...
const char* kind_name(Argument::Kind kind);

/// Grammar: WORD is a token, word an argument, [x] optional, a | b one of, <a | b> one of (required), and "[x
/// ...]" right behind x, or "x ...", repeats x. CHECK: brackets are balanced (the rows are ours; a test reads
/// them all).
std::vector<Argument> parse_syntax(const Spec& spec);

}  // namespace hf::command
