// The rows themselves: found by name, complete, and their syntax texts readable.
#include <catch2/catch.hpp>

#include "command/syntax.h"
#include "harness.h"

namespace hf::test {
namespace {

using command::Argument;
using command::Spec;

TEST_CASE("commands are found by name in any case, and nothing else is") {
  for (const Spec* spec : command::all_commands()) {
    CHECK(command::find_command(spec->name) == spec);
    CHECK(command::find_command(to_upper(spec->name)) == spec);
    CHECK(command::find_command(std::string(spec->name) + "x") != spec);
    CHECK(to_lower(spec->name) == spec->name);
  }
  CHECK(command::find_command("") == nullptr);
  CHECK(command::find_command("nosuch") == nullptr);
  CHECK(command::find_command(std::string(1000, 'a')) == nullptr);
  const Spec* config = command::find_command("config");
  REQUIRE(config != nullptr);
  CHECK(command::find_subcommand(*config, "GET") != nullptr);
  CHECK(command::find_subcommand(*config, "nosuch") == nullptr);
}

void check_row(const Spec& spec, bool is_sub) {
  INFO(spec.name);
  CHECK(spec.arity != 0);
  CHECK((spec.handler != nullptr || !spec.subcommands.empty()));
  CHECK(Bytes(spec.summary).ends_with("."));
  CHECK(*spec.group != '\0');
  CHECK(*spec.since != '\0');
  CHECK(*spec.complexity != '\0');
  CHECK_FALSE((spec.flags & command::Write && spec.flags & command::Readonly));
  CHECK((spec.keys.step != 0) == (spec.keys.first != 0));
  if (is_sub) CHECK(spec.subcommands.empty());
  for (const Spec& sub : spec.subcommands) check_row(sub, true);
  for (const Argument& argument : command::parse_syntax(spec)) CHECK_FALSE(argument.name.empty());
}

TEST_CASE("every row is complete and its syntax can be read") {
  for (const Spec* spec : command::all_commands()) check_row(*spec, false);
}

/// Arguments as text again, in a normal form: TOKEN:name, (a|b), {block}, ? optional, * multiple.
std::string normal(const std::vector<Argument>& arguments) {
  std::string out;
  for (const Argument& argument : arguments) {
    if (!out.empty()) out += ' ';
    if (!argument.token.empty()) out += argument.token;
    if (argument.kind == Argument::Kind::OneOf || argument.kind == Argument::Kind::Block)
      out += (argument.kind == Argument::Kind::OneOf ? "(" : "{") + normal(argument.parts) +
             (argument.kind == Argument::Kind::OneOf ? ")" : "}");
    else if (argument.kind != Argument::Kind::PureToken)
      out += (argument.token.empty() ? "" : ":") + argument.name;
    out += std::string(argument.optional ? "?" : "") + (argument.multiple ? "*" : "");
  }
  return out;
}

std::string normal(const char* name) { return normal(command::parse_syntax(*command::find_command(name))); }

TEST_CASE("syntax texts become trees of arguments") {
  CHECK(normal("get") == "key");
  CHECK(normal("ping") == "message?");
  CHECK(normal("mget") == "key*");
  CHECK(normal("mset") == "{key value}*");
  CHECK(normal("hset") == "key {field value}*");
  CHECK(normal("set") ==
        "key value (NX XX)? GET? (EX:seconds PX:milliseconds EXAT:unix-time-seconds "
        "PXAT:unix-time-milliseconds KEEPTTL)?");
  CHECK(normal("hrandfield") == "key {count WITHVALUES?}?");
  CHECK(normal("hello") == "{protover AUTH{username password}? SETNAME:clientname?}?");
  CHECK(normal("scan") == "cursor MATCH:pattern? COUNT:count? TYPE:type?");
  CHECK(normal("info") == "section?*");
}

TEST_CASE("COMMAND DOCS answers for every command in both protocols") {
  Harness node;
  for (const char* hello : {"HELLO 2", "HELLO 3"}) {
    node.run(hello);
    for (const char* line :
         {"COMMAND", "COMMAND DOCS", "COMMAND INFO", "COMMAND LIST", "COMMAND HELP", "CLIENT HELP"}) {
      const std::string reply = node.run(line);
      CHECK(reply.find("(more than one reply)") == std::string::npos);
      CHECK(reply.size() > 100);
    }
  }
}

}  // namespace
}  // namespace hf::test
