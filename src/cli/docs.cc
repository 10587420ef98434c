// Builds syntax lines from COMMAND DOCS' argument trees, or takes the line as it is where the server sends
// one.
#include "cli/docs.h"

#include <set>

#include "base/bytes.h"

namespace hf::cli {

using resp::Value;

namespace {

std::string text_field(const Value& v, Bytes name) {
  const Value* f = v.field(name);
  return f == nullptr ? "" : f->as_text();
}

bool has_flag(const Value& argument, Bytes flag) {
  const Value* flags = argument.field("flags");
  if (flags == nullptr) return false;
  for (const Value& f : flags->items)
    if (f.text == flag) return true;
  return false;
}

std::string syntax_of(const Value& arguments, Bytes joint) {
  std::string out;
  for (const Value& a : arguments.items) {
    const std::string type = text_field(a, "type"), token = text_field(a, "token");
    std::string name = text_field(a, "display_text");
    if (name.empty()) name = text_field(a, "name");
    std::string one;
    const Value* inner = a.field("arguments");
    if (type == "pure-token") one = token;
    else if (type == "oneof" && inner != nullptr) one = syntax_of(*inner, " | ");
    else if (type == "block" && inner != nullptr) one = syntax_of(*inner, " ");
    else one = name;
    const bool optional = has_flag(a, "optional");
    if (type == "oneof" && !optional) one = "<" + one + ">";
    if (!token.empty() && type != "pure-token") one = token + " " + one;
    if (has_flag(a, "multiple")) one += " [" + one + " ...]";
    if (optional) one = "[" + one + "]";
    if (!out.empty()) out += joint;
    out += one;
  }
  return out;
}

/// "key [NX | XX] <a | b>" -> its top-level pieces: brackets hold together.
std::vector<std::string> pieces(const std::string& syntax) {
  std::vector<std::string> out;
  std::string piece;
  int depth = 0;
  for (const char c : syntax) {
    if (c == '[' || c == '<' || c == '(') ++depth;
    if (c == ']' || c == '>' || c == ')') --depth;
    if (c == ' ' && depth == 0) {
      if (!piece.empty()) out.push_back(std::move(piece));
      piece.clear();
    } else {
      piece += c;
    }
  }
  if (!piece.empty()) out.push_back(std::move(piece));
  return out;
}

}  // namespace

void CommandDocs::add(const std::string& name, const Value& doc) {
  CommandDoc row;
  row.name = to_upper(name);
  row.summary = text_field(doc, "summary");
  row.since = text_field(doc, "since");
  row.group = text_field(doc, "group");
  row.complexity = text_field(doc, "complexity");
  row.syntax = text_field(doc, "syntax");
  if (const Value* arguments = doc.field("arguments"); arguments != nullptr && row.syntax.empty())
    row.syntax = syntax_of(*arguments, " ");
  const Value* subs = doc.field("subcommands");
  if (subs != nullptr && subs->is_aggregate()) {
    for (size_t i = 0; i + 1 < subs->items.size(); i += 2) {
      std::string sub = subs->items[i].text;  // "client|list", or "list"
      if (const size_t bar = sub.find('|'); bar != std::string::npos) sub = sub.substr(bar + 1);
      add(name + " " + sub, subs->items[i + 1]);
    }
  }
  by_name_[row.name] = std::move(row);
}

CommandDocs CommandDocs::from_reply(const Value& reply) {
  CommandDocs docs;
  if (!reply.is_aggregate()) return docs;
  for (size_t i = 0; i + 1 < reply.items.size(); i += 2)
    if (reply.items[i + 1].is_aggregate()) docs.add(reply.items[i].text, reply.items[i + 1]);
  return docs;
}

std::vector<std::string> CommandDocs::complete(Bytes prefix) const {
  const std::string wanted = to_upper(prefix);
  const bool inside = wanted.find(' ') != std::string::npos;
  std::vector<std::string> out;
  for (auto it = by_name_.lower_bound(wanted); it != by_name_.end() && it->first.starts_with(wanted); ++it)
    if (inside || it->first.find(' ') == std::string::npos) out.push_back(it->first);
  return out;
}

const CommandDoc* CommandDocs::find(const std::vector<std::string>& words) const {
  if (words.empty()) return nullptr;
  if (words.size() > 1) {
    const auto sub = by_name_.find(to_upper(words[0]) + " " + to_upper(words[1]));
    if (sub != by_name_.end()) return &sub->second;
  }
  const auto it = by_name_.find(to_upper(words[0]));
  return it == by_name_.end() ? nullptr : &it->second;
}

std::string CommandDocs::hint(const std::vector<std::string>& words) const {
  const CommandDoc* doc = find(words);
  if (doc == nullptr) return "";
  const std::vector<std::string> all = pieces(doc->syntax);
  size_t typed = words.size() - (doc->name.find(' ') != std::string::npos ? 2 : 1);
  std::string out;
  for (size_t i = 0; i < all.size(); ++i) {
    const bool optional = all[i][0] == '[';
    if (!optional && typed > 0) {
      --typed;
      continue;
    }
    if (!out.empty()) out += ' ';
    out += all[i];
  }
  return out;
}

std::string CommandDocs::help(const std::vector<std::string>& words) const {
  const std::string how =
      "  help COMMAND      what a command does and takes (Tab completes names)\n"
      "  help @GROUP       the commands of a group\n"
      "  quit              leave (Ctrl-D too)\n";
  if (words.empty()) {
    std::set<std::string> groups;
    for (const auto& [name, doc] : by_name_) groups.insert(doc.group);
    std::string out = how + (groups.empty() ? "" : "\ngroups:");
    for (const std::string& g : groups) out += " @" + g;
    return out + "\n";
  }
  std::string out;
  if (words[0].starts_with('@')) {
    const std::string group = to_lower(Bytes(words[0]).substr(1));
    for (const auto& [name, doc] : by_name_)
      if (to_lower(doc.group) == group)
        out += "  " + name + " " + doc.syntax + "\n      " + doc.summary + "\n";
    return out.empty() ? "no group " + words[0] + "; `help` lists them\n" : out;
  }
  const CommandDoc* doc = find(words);
  if (doc == nullptr) {
    for (const std::string& name : complete(words[0])) out += " " + name;
    return out.empty() ? "no command " + to_upper(words[0]) + " on this server\n"
                       : "did you mean:" + out + "\n";
  }
  out = "\n  " + doc->name + " " + doc->syntax + "\n\n  " + doc->summary + "\n";
  if (!doc->complexity.empty()) out += "  complexity: " + doc->complexity + "\n";
  out += "  since: " + doc->since + "   group: @" + doc->group + "\n";
  std::string subs;
  for (const std::string& name : complete(doc->name + " ")) subs += "  " + name + "\n";
  return out + (subs.empty() ? "" : "\n" + subs) + "\n";
}

}  // namespace hf::cli
