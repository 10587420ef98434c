// Where a server is: host and port or a socket's path, with the credentials that go with it.
#pragma once
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace hf::cli {

struct Address {
  std::string host = "127.0.0.1";
  int port = 6379;
  std::string socket_path;  ///< not empty: a unix socket, host and port do not count
  /// "127.0.0.1:6379", "[::1]:6379" or the socket's path: for prompts and messages.
  std::string text() const;
};

struct Credentials {
  std::string user;  ///< empty: the default user
  std::string password;
};

/// redis://[user[:password]@]host[:port][/db], with %XX in user and password; unix:///path too. A user
/// without a colon is a password, as with redis-cli. What the URL does not say stays as it is.
Status parse_url(Bytes url, Address& address, Credentials& credentials, int& db);
/// "host:port", "[v6]:port" or "host", separated by commas.
Result<std::vector<Address>> parse_addresses(Bytes list);

}  // namespace hf::cli
