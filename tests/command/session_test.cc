// Commands that act on the connection or the server, where a scenario file can't look: passwords, saving,
// killing.
#include <catch2/catch.hpp>

#include "harness.h"

namespace hf::test {
namespace {

TEST_CASE("AUTH and HELLO let in who knows the password, and nobody else") {
  Harness node;
  node.requires_password = true;
  CHECK(node.run("AUTH wrong") == "(error) WRONGPASS invalid username-password pair or user is disabled.");
  CHECK(node.run("AUTH other secret") ==
        "(error) WRONGPASS invalid username-password pair or user is disabled.");
  CHECK(node.run("HELLO 3").starts_with(
      "(error) NOAUTH HELLO must be called with the client already authenticated"));
  CHECK(node.client(0).protocol == 2);
  CHECK(node.run("HELLO 3 AUTH default wrong SETNAME me").starts_with("(error) WRONGPASS"));
  CHECK(node.client(0).name.empty());
  CHECK(node.run("HELLO 3 AUTH default secret SETNAME me").starts_with("1# \"server\" => \"redis\""));
  CHECK(node.client(0).name == "me");
  CHECK(node.client(0).protocol == 3);
  CHECK(node.run("RESET") == "RESET");
  CHECK_FALSE(node.client(0).authenticated);
  CHECK(node.run("AUTH secret") == "OK");
  CHECK(node.client(0).authenticated);
}

TEST_CASE("QUIT answers and then closes") {
  Harness node;
  CHECK(node.run("QUIT") == "OK");
  CHECK(node.client(0).close_after_reply);
}

TEST_CASE("SAVE waits for the snapshot and BGSAVE does not") {
  Harness node;
  CHECK(node.run("SAVE") == "(no reply)");
  CHECK(node.blocked.wanted);
  CHECK(node.blocked.keys == std::vector<std::string>{command::Server::save_key});
  CHECK(node.run("BGSAVE") == "(error) ERR Background save already in progress");
  CHECK(node.run("SAVE") == "(error) ERR Background save already in progress");
  node.saving = false;
  CHECK(node.run("BGSAVE SCHEDULE") == "Background saving started");
  CHECK(node.saving);
  CHECK(node.run("LASTSAVE") == "(integer) 1600000000");
}

TEST_CASE("SHUTDOWN passes on how, and answers only when it fails") {
  Harness node;
  CHECK(node.run("SHUTDOWN NOSAVE NOW FORCE") == "(no reply)");
  CHECK(node.shut_down == "2 now force");
  CHECK(node.run("SHUTDOWN ABORT") == "(error) ERR No shutdown in progress.");
}

TEST_CASE("CLIENT KILL kills whom the filter names, itself only when asked") {
  Harness node;
  for (size_t i = 0; i < 3; ++i) node.client(i);
  CHECK(node.run("CLIENT KILL TYPE normal") == "(integer) 2");
  CHECK(node.killed == std::vector<uint64_t>{2, 3});
  CHECK_FALSE(node.client(0).close_after_reply);
  CHECK(node.run("CLIENT KILL ID 2 ADDR 127.0.0.1:50003") == "(integer) 0");
  CHECK(node.run("CLIENT KILL 127.0.0.1:50003") == "OK");
  CHECK(node.killed.back() == 3);
  CHECK(node.run("CLIENT KILL ID 1 SKIPME no") == "(integer) 1");
  CHECK(node.client(0).close_after_reply);
}

TEST_CASE("CLIENT LIST and INFO are lines, by number or type where asked") {
  Harness node;
  for (size_t i = 0; i < 3; ++i) node.client(i);
  CHECK(node.run("CLIENT SETINFO LIB-NAME lib") == "OK");
  CHECK(node.run("CLIENT SETNAME me") == "OK");
  CHECK(node.run("CLIENT INFO") == "\"id=1 addr=127.0.0.1:50001 name=me lib-name=lib lib-ver=\\n\"");
  CHECK(node.run("CLIENT LIST ID 3 2")
            .starts_with("\"id=3 addr=127.0.0.1:50003 name= lib-name= lib-ver=\\nid=2 "));
  CHECK(node.run("CLIENT LIST TYPE replica") == "\"\"");
  CHECK(node.run("CLIENT ID") == "(integer) 1");
}

TEST_CASE("DEBUG is closed unless the option opens it") {
  Harness node;
  node.options["enable-debug-command"] = "no";
  CHECK(node.run("DEBUG DIGEST").starts_with("(error) ERR DEBUG command not allowed."));
  node.options["enable-debug-command"] = "local";
  CHECK(node.run("DEBUG DIGEST") == "00000000000000000000000000000000");
  node.client(0).local = false;
  CHECK(node.run("DEBUG DIGEST").starts_with("(error) ERR DEBUG command not allowed."));
  node.options["enable-debug-command"] = "yes";
  node.run("SET a v");
  CHECK(node.run("DEBUG DIGEST") != "00000000000000000000000000000000");
  CHECK(node.run("DEBUG OBJECT a").starts_with("Value at:"));
  CHECK(node.run("DEBUG OBJECT nokey") == "(error) ERR no such key");
}

TEST_CASE("a task under way keeps its name") {
  Harness node;
  if (command::find_command("task.submit") == nullptr) return;
  node.run("TASK.SUBMIT nlp");
  for (const char* line : {"RENAME nlp x", "RENAMENX nlp x", "COPY nlp x", "MOVE nlp 1"})
    CHECK(node.run(line).starts_with("(error) ACTIVE nlp is PENDING as nlp#1"));
  CHECK(node.run("RENAME nlp nlp") == "OK");
  node.run("TASK.CANCEL nlp");
  CHECK(node.run("RENAME nlp x") == "OK");
  CHECK(node.run("TYPE x") == "task");
}

}  // namespace
}  // namespace hf::test
