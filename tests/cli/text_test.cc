// What people and programs read: rendering, JSON, tables, spans, options, addresses, docs.
#include <catch2/catch.hpp>

#include "cli/address.h"
#include "cli/docs.h"
#include "cli/json.h"
#include "cli/options.h"
#include "cli/progress_bar.h"
#include "cli/render.h"
#include "cli/repl.h"
#include "cli/run_options.h"
#include "cli/tables.h"
#include "cli/task_views.h"
#include "resp/reader.h"

using namespace hf;
using namespace hf::cli;

namespace {

resp::Value reply(Bytes text) {
  resp::ReplyReader reader;
  REQUIRE(reader.next(text) == resp::ReplyReader::Outcome::Reply);
  return reader.take();
}

Options options(std::vector<std::string> args, const std::string& env = "") {
  auto o = parse_options(args, env);
  INFO((o ? "" : o.error().message));
  REQUIRE(o.ok());
  return std::move(*o);
}

std::string run_error(std::vector<std::string> words) {
  Options o;
  o.words = std::move(words);
  auto r = parse_run_options(o);
  REQUIRE_FALSE(r.ok());
  return r.error().message;
}

}  // namespace

TEST_CASE("nested replies are numbered and indented as redis-cli does it") {
  CHECK(render_human(reply("*3\r\n:1\r\n*2\r\n$1\r\na\r\n_\r\n*0\r\n")) ==
        "1) (integer) 1\n2) 1) \"a\"\n   2) (nil)\n3) (empty array)\n");
  CHECK(render_human(reply("%1\r\n+k\r\n~1\r\n+v\r\n")) == "1# k => 1~ v\n");
  CHECK(render_human(reply("-ERR no\r\n")) == "(error) ERR no\n");
  CHECK(render_human(reply("#t\r\n")) == "(true)\n");
  CHECK(render_human(reply(",1.5\r\n")) == "(double) 1.5\n");
  std::string ten = "*10\r\n";
  for (int i = 0; i < 10; ++i) ten += ":7\r\n";
  CHECK(render_human(reply(ten)).starts_with(" 1) (integer) 7\n"));
}

TEST_CASE("raw replies are bytes, one element a line") {
  CHECK(render_raw(reply("*2\r\n$3\r\na b\r\n:5\r\n")) == "a b\n5\n");
  CHECK(render_raw(reply("%1\r\n+k\r\n+v\r\n")) == "k\nv\n");
  CHECK(render_raw(reply("_\r\n")) == "\n");
}

TEST_CASE("JSON is valid whatever the bytes are") {
  CHECK(render_json(reply("%2\r\n$1\r\na\r\n*2\r\n:1\r\n_\r\n:2\r\n#f\r\n")) ==
        "{\"a\":[1,null],\"2\":false}");
  CHECK(render_json(reply("$3\r\n\xff\x01\"\r\n")) == "\"\\u00ff\\u0001\\\"\"");
  CHECK(render_json(reply(",inf\r\n")) == "\"inf\"");
  CHECK(render_json(reply("-ERR x\r\n")) == "{\"error\":\"ERR x\"}");
  CHECK(json_string("grün") == "\"grün\"");
  CHECK(json_string("\xc0\xaf") == "\"\\u00c0\\u00af\"");
}

TEST_CASE("a flat JSON object is read, anything else is not") {
  const auto o = json_object(R"( {"a" : "x\n\u00e4\"", "n": 12, "deep": {"b": [1, "}"]}, "t": true} )");
  REQUIRE(o);
  CHECK(o->at("a") == "x\nä\"");
  CHECK(o->at("n") == "12");
  CHECK(o->at("deep") == R"({"b": [1, "}"]})");
  CHECK(o->at("t") == "true");
  for (const char* bad :
       {"", "[]", "{", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{\"a\":1} x", "{\"a\":\"\\q\"}"})
    CHECK_FALSE(json_object(bad));
}

TEST_CASE("a table fits the terminal by cutting its widest columns") {
  Table t;
  t.heads = {"A", "NOTE", "N"};
  t.right = {false, false, true};
  t.rows = {{{"x"}, {std::string(60, 'y')}, {"12"}}};
  const std::string text = render_table(t, 40, false);
  for (size_t at = 0, end; (end = text.find('\n', at)) != std::string::npos; at = end + 1)
    CHECK(text_width(Bytes(text).substr(at, end - at)) <= 40);
  CHECK(text.find("…") != std::string::npos);
  CHECK(render_table(t, 0, false).find(std::string(60, 'y')) != std::string::npos);
}

TEST_CASE("no line of a table ends with blanks") {
  Table t;
  t.heads = {"A", "EMPTY", "NOTE"};
  t.rows = {{{"x"}, {""}, {""}}, {{"y"}, {""}, {"note"}}};
  CHECK(render_table(t, 0, false) == "A  EMPTY  NOTE\nx\ny         note\n");
}

TEST_CASE("a long name of a run keeps its number, and is whole where asked for") {
  CHECK(short_run("short#1", 60) == "short#1");
  CHECK(short_run(std::string(500, 'n') + "#12", 20) == std::string(16, 'n') + "…#12");
  CHECK(text_width(short_run("日本語日本語日本語日本語#3", 8)) == 8);
  const resp::Value r = reply("%2\r\n+run\r\n+" + std::string(500, 'n') + "#12\r\n+retry_count\r\n:5\r\n");
  CHECK(text_width(runs_table({&r}, 0).rows[0][0].text) == 60);
  CHECK(runs_table({&r}, 0, 0).rows[0][0].text.size() == 503);
  CHECK(runs_table({&r}, 0).rows[0][4].text == " (5 retries)");
}

TEST_CASE("a run's page leaves out what says nothing") {
  const auto page = [](Bytes state) {
    return record_page(
        reply("%3\r\n+state\r\n+" + std::string(state) + "\r\n+held\r\n#t\r\n+timeout_ms\r\n:0\r\n"), 0,
        false);
  };
  CHECK(page("SUCCESS") == "state       SUCCESS\ntimeout_ms  none\n");
  CHECK(page("PENDING").find("held") != std::string::npos);
}

TEST_CASE("nothing in a cell can move the cursor") {
  CHECK(clean_text("a\x1b[31m\nb\xff\xc2\x9bz") == "a [31m b? z");
}

TEST_CASE("ages and spans read at a glance") {
  CHECK(age(1000, 1200) == "now");
  CHECK(age(0, 180000) == "3m ago");
  CHECK(age(7200000, 0) == "in 2h");
  CHECK(span_text(350) == "350ms");
  CHECK(span_text(185000) == "3m 5s");
  CHECK(parse_span_ms("500ms") == 500);
  CHECK(parse_span_ms("1.5s") == 1500);
  CHECK(parse_span_ms("2h") == 7200000);
  CHECK(parse_span_ms("30") == 30000);
  CHECK_FALSE(parse_span_ms("fast"));
  CHECK_FALSE(parse_span_ms(""));
  CHECK(size_text(1536) == "1.5 KiB");
}

TEST_CASE("options stand before the command, and the command's own words are left alone") {
  const Options o = options({"-h", "db1", "-p", "7000", "-n", "2", "--json", "SET", "-x", "--raw"});
  CHECK(o.connect.addresses[0].text() == "db1:7000");
  CHECK(o.connect.db == 2);
  CHECK(o.format == Format::Json);
  CHECK(o.words == std::vector<std::string>{"SET", "-x", "--raw"});
  CHECK(options({"PING"}, "secret").connect.credentials.password == "secret");
  CHECK(options({"-a", "mine", "PING"}, "secret").connect.credentials.password == "mine");
  CHECK(options({"-h"}).help);
  for (const auto& bad : std::vector<std::vector<std::string>>{
           {"-p", "0"}, {"-p"}, {"--nope"}, {"-x"}, {"-i", "soon", "PING"}, {"--scan", "PING"}})
    CHECK_FALSE(parse_options(bad, "").ok());
}

TEST_CASE("URLs carry user, password, host, port and database") {
  Address a;
  Credentials c;
  int db = 0;
  REQUIRE(parse_url("redis://me:p%40ss@[::1]:7001/3", a, c, db).ok());
  CHECK((a.text() == "[::1]:7001" && c.user == "me" && c.password == "p@ss" && db == 3));
  Address b;
  Credentials d;
  REQUIRE(parse_url("redis://secret@db", b, d, db).ok());
  CHECK((b.text() == "db:6379" && d.user.empty() && d.password == "secret"));
  CHECK_FALSE(parse_url("rediss://db", b, d, db).ok());
  CHECK_FALSE(parse_url("redis://db:99999", b, d, db).ok());
  CHECK_FALSE(parse_url("redis://db/x", b, d, db).ok());
  const auto list = parse_addresses("a:1,[::2]:3,c");
  REQUIRE(list.ok());
  CHECK((list->size() == 3 && (*list)[1].text() == "[::2]:3" && (*list)[2].port == 6379));
}

TEST_CASE("run's options are read up to the program") {
  Options o;
  o.words = {"run",
             "--task",
             "nlp",
             "--checkpoint-every=30s",
             "--backoff",
             "fixed,2s",
             "--permanent-exit-codes",
             "2,64",
             "-p",
             "7000",
             "--tag",
             "a=b=c",
             "--",
             "python",
             "--task",
             "x"};
  const auto r = parse_run_options(o);
  REQUIRE(r.ok());
  CHECK((r->task == "nlp" && r->checkpoint_every_ms == 30000 && r->connect.addresses[0].port == 7000));
  CHECK((r->backoff_kind == "FIXED" && r->backoff_base_ms == 2000));
  CHECK(r->permanent_exit_codes == std::set<int>{2, 64});
  CHECK(r->tags[0].second == "b=c");
  CHECK(r->argv == std::vector<std::string>{"python", "--task", "x"});
  CHECK(run_error({"run", "--", "x"}).find("--task") != std::string::npos);
  CHECK(run_error({"run", "--task", "a"}).find("program") != std::string::npos);
  CHECK(run_error({"run", "--task", "a", "--grace", "soon", "--", "x"}).find("--grace") != std::string::npos);
  CHECK(run_error({"run", "--task", "--", "echo", "hi"}).find("--task needs a value") != std::string::npos);
  CHECK(run_error({"run", "--task", "--fresh", "--", "x"}).find("--task needs") != std::string::npos);
  CHECK(run_error({"run", "--wat", "a", "--", "x"}).find("--wat") != std::string::npos);
}

TEST_CASE("lines that carry a password stay out of the history") {
  for (const char* line : {"AUTH x", "auth u p", "HELLO 3 AUTH u p", "CONFIG SET requirepass x",
                           "ACL SETUSER u >p", "MIGRATE h 1 k 0 10 AUTH x", ""})
    CHECK_FALSE(keep_in_history(line));
  for (const char* line : {"GET auth", "HELLO 3", "CONFIG GET *", "SET requirepass 1"})
    CHECK(keep_in_history(line));
}

TEST_CASE("the server's docs give completion, hints and help") {
  const auto docs = CommandDocs::from_reply(reply(
      "%2\r\n+set\r\n%3\r\n+summary\r\n+Sets a key\r\n+group\r\n+string\r\n+arguments\r\n*3\r\n"
      "%2\r\n+name\r\n+key\r\n+type\r\n+key\r\n%2\r\n+name\r\n+value\r\n+type\r\n+string\r\n"
      "%4\r\n+name\r\n+condition\r\n+type\r\n+oneof\r\n+flags\r\n*1\r\n+optional\r\n+arguments\r\n*2\r\n"
      "%3\r\n+name\r\n+nx\r\n+type\r\n+pure-token\r\n+token\r\n+NX\r\n%3\r\n+name\r\n+xx\r\n+type\r\n+pure-"
      "token\r\n+token\r\n+XX\r\n"
      "+client\r\n%2\r\n+summary\r\n+Clients\r\n+subcommands\r\n%1\r\n+client|list\r\n%1\r\n+summary\r\n+"
      "Lists them\r\n"));
  CHECK(docs.complete("s") == std::vector<std::string>{"SET"});
  CHECK(docs.complete("client ") == std::vector<std::string>{"CLIENT LIST"});
  CHECK(docs.hint({"set"}) == "key value [NX | XX]");
  CHECK(docs.hint({"set", "k"}) == "value [NX | XX]");
  CHECK(docs.help({"set"}).find("Sets a key") != std::string::npos);
  CHECK(docs.help({"client", "list"}).find("Lists them") != std::string::npos);
  CHECK(docs.help({"nope"}).find("no command") != std::string::npos);
  CHECK(CommandDocs::from_reply(reply("-ERR unknown command\r\n")).empty());
}

TEST_CASE("a bar never passes its width") {
  CHECK(bar_text({5, 10, "half"}, 80) == "[############------------] 50 % 5/10 half");
  CHECK(bar_text({50, 10, ""}, 80).find("100 % 50/10") != std::string::npos);
  CHECK(text_width(bar_text({5, 10, std::string(200, 'x')}, 60)) == 60);
}
