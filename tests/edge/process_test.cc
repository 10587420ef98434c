// The data folder's lock, the messages, ports and the config file's replacement.
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "edge/data_folder.h"
#include "edge/log_sink.h"
#include "edge/ports.h"
#include "edge/process_host.h"
#include "temp_folder.h"

using namespace hf;

TEST_CASE("a data folder is made for its owner only, and held by one") {
  const TempFolder temp;
  const std::string path = temp.path() + "/data";
  {
    auto first = edge::DataFolder::open(path);
    REQUIRE(first.ok());
    struct stat info {};
    REQUIRE(stat(path.c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0700);
    CHECK(first->warning().empty());
    const auto second = edge::DataFolder::open(path);
    REQUIRE(!second.ok());
    CHECK(second.error().message.find("in use by process " + std::to_string(getpid())) != std::string::npos);
  }
  CHECK(edge::DataFolder::open(path).ok());
}

TEST_CASE("a data folder that others can read is worth a warning, one that can't be made an error") {
  const TempFolder temp;
  chmod(temp.path().c_str(), 0755);
  const auto folder = edge::DataFolder::open(temp.path());
  REQUIRE(folder.ok());
  CHECK(!folder->warning().empty());
  CHECK(!edge::DataFolder::open(temp.path() + "/no/such").ok());
  CHECK(!edge::DataFolder::open("/dev/null").ok());
}

TEST_CASE("a message is one line, whatever it holds") {
  const std::string text = edge::log_line_text(node::LogLevel::Warning, "a\nb", 0, false);
  CHECK(std::count(text.begin(), text.end(), '\n') == 1);
  CHECK(text.find("warning a b") != std::string::npos);
  CHECK(edge::log_line_json(node::LogLevel::Notice, "say \"hi\"\n\xff", 1500, 7) ==
        "{\"time\":\"1970-01-01T00:00:01.500Z\",\"level\":\"notice\",\"pid\":7,"
        "\"message\":\"say \\\"hi\\\"\\u000a\\u00ff\"}\n");
}

TEST_CASE("a logfile that was moved away is made anew on reopening") {
  const TempFolder temp;
  edge::LogSink log;
  REQUIRE(log.open(temp.path() + "/log", config::LogFormat::Text).ok());
  log.write(node::LogLevel::Notice, "first");
  log.write(node::LogLevel::Debug, "too quiet");
  std::filesystem::rename(temp.path() + "/log", temp.path() + "/log.1");
  REQUIRE(log.reopen().ok());
  log.write(node::LogLevel::Notice, "second");
  CHECK(temp.read("log.1").find("first\n") != std::string::npos);
  CHECK(temp.read("log.1").find("quiet") == std::string::npos);
  CHECK(temp.read("log").find("second\n") != std::string::npos);
  CHECK(!log.open(temp.path() + "/no/log", config::LogFormat::Text).ok());
}

TEST_CASE("a busy port's holder is named, and the next free one is not the busy one") {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(listen(fd, 1) == 0);
  socklen_t size = sizeof address;
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  const int port = ntohs(address.sin_port);
  CHECK(edge::port_holder(port).find("(process " + std::to_string(getpid()) + ")") != std::string::npos);
  CHECK(edge::free_port_after(port - 1) != port);
  close(fd);
  CHECK(edge::port_holder(port).empty());
}

TEST_CASE("the config file is replaced whole and keeps its permissions") {
  const TempFolder temp;
  const std::string path = temp.path() + "/s.toml";
  std::ofstream(path) << "port = 1\n";
  chmod(path.c_str(), 0640);
  edge::ProcessHost host(path, 6379);
  CHECK(*host.read_config() == "port = 1\n");
  REQUIRE(host.write_config("port = 2\n").ok());
  CHECK(temp.read("s.toml") == "port = 2\n");
  CHECK(!temp.has("s.toml.new"));
  struct stat info {};
  stat(path.c_str(), &info);
  CHECK((info.st_mode & 0777) == 0640);
  CHECK(!edge::ProcessHost("", 6379).write_config("x").ok());
}

TEST_CASE("the process knows itself") {
  const node::HostFacts facts = edge::ProcessHost("", 7000).facts();
  CHECK(facts.process_id == getpid());
  CHECK(facts.tcp_port == 7000);
  CHECK(facts.resident_memory > 1 << 20);
  CHECK(facts.used_memory > 0);
  CHECK(facts.system_memory > facts.resident_memory);
  CHECK(!facts.executable.empty());
  CHECK(!facts.os.empty());
}
