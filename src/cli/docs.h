// What the server says about its commands (COMMAND DOCS), as the prompt needs it: names to complete,
// arguments to hint, sentences for `help`.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "resp/reader.h"

namespace hf::cli {

struct CommandDoc {
  std::string name;    ///< upper case; subcommands as "CLIENT LIST"
  std::string syntax;  ///< "key value [NX | XX]"
  std::string summary, since, group, complexity;
};

class CommandDocs {
 public:
  /// `reply` is the answer to COMMAND DOCS, in either protocol. Unknown shapes are left out, never an error.
  static CommandDocs from_reply(const resp::Value& reply);
  bool empty() const { return by_name_.empty(); }
  size_t size() const { return by_name_.size(); }
  /// Names that begin with `prefix` (any case), in order; subcommands only when the prefix reaches into them.
  std::vector<std::string> complete(Bytes prefix) const;
  /// The row of the command that `words` begin with, its subcommand where there is one. Null: unknown.
  const CommandDoc* find(const std::vector<std::string>& words) const;
  /// What is still to be typed behind `words`: the arguments of the syntax that have no word yet.
  std::string hint(const std::vector<std::string>& words) const;
  /// The page that `help words...` shows: a command, a group ("@string"), or how to ask.
  std::string help(const std::vector<std::string>& words) const;

 private:
  void add(const std::string& name, const resp::Value& doc);
  std::map<std::string, CommandDoc> by_name_;
};

}  // namespace hf::cli
