// Reads addresses as people write them.
#include "cli/address.h"

#include "base/number.h"

namespace hf::cli {

std::string Address::text() const {
  if (!socket_path.empty()) return socket_path;
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + to_text(static_cast<int64_t>(port));
}

namespace {

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char l = lower(c);
  return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

std::string percent_decoded(Bytes in) {
  std::string out;
  for (size_t i = 0; i < in.size(); ++i) {
    if (in[i] == '%' && i + 2 < in.size() && hex(in[i + 1]) >= 0 && hex(in[i + 2]) >= 0) {
      out += static_cast<char>(hex(in[i + 1]) * 16 + hex(in[i + 2]));
      i += 2;
    } else {
      out += in[i];
    }
  }
  return out;
}

Status parse_host_port(Bytes text, Address& out) {
  Bytes host = text, port;
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == Bytes::npos) return Error{"address " + quoted(text) + ": '[' without ']'"};
    host = text.substr(1, close - 1);
    const Bytes rest = text.substr(close + 1);
    if (!rest.empty() && rest[0] != ':') return Error{"address " + quoted(text) + ": a port begins with ':'"};
    port = rest.empty() ? rest : rest.substr(1);
  } else if (const size_t colon = text.rfind(':'); colon != Bytes::npos && text.find(':') == colon) {
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
  }
  if (!host.empty()) out.host = host;
  if (!port.empty()) {
    const auto n = parse_int(port);
    if (!n || *n < 1 || *n > 65535)
      return Error{"address " + quoted(text) + ": the port is a number from 1 to 65535"};
    out.port = static_cast<int>(*n);
  }
  return ok();
}

}  // namespace

Status parse_url(Bytes url, Address& address, Credentials& credentials, int& db) {
  Bytes rest = url;
  if (url.starts_with("unix://")) {
    address.socket_path = percent_decoded(url.substr(7));
    return ok();
  }
  if (url.starts_with("rediss://"))
    return Error{"rediss:// needs TLS, which this client does not speak; use redis://"};
  if (!url.starts_with("redis://"))
    return Error{"URL " + quoted(url) + ": expected redis://[user:password@]host[:port][/db]"};
  rest.remove_prefix(8);
  if (const size_t query = rest.find('?'); query != Bytes::npos) rest = rest.substr(0, query);
  if (const size_t at = rest.rfind('@'); at != Bytes::npos) {
    const Bytes login = rest.substr(0, at);
    rest.remove_prefix(at + 1);
    const size_t colon = login.find(':');
    credentials.user = colon == Bytes::npos ? "" : percent_decoded(login.substr(0, colon));
    credentials.password = percent_decoded(colon == Bytes::npos ? login : login.substr(colon + 1));
  }
  if (const size_t slash = rest.find('/'); slash != Bytes::npos) {
    const Bytes number = rest.substr(slash + 1);
    rest = rest.substr(0, slash);
    if (!number.empty()) {
      const auto n = parse_int(number);
      if (!n || *n < 0 || *n > 1000000)
        return Error{"URL: the database behind the last '/' is a number, not " + quoted(number)};
      db = static_cast<int>(*n);
    }
  }
  return parse_host_port(rest, address);
}

Result<std::vector<Address>> parse_addresses(Bytes list) {
  std::vector<Address> out;
  while (!list.empty()) {
    const size_t comma = list.find(',');
    Address address;
    if (const Status s = parse_host_port(list.substr(0, comma), address); !s) return s.error();
    out.push_back(std::move(address));
    list = comma == Bytes::npos ? Bytes() : list.substr(comma + 1);
  }
  if (out.empty()) return Error{"no address given: expected host:port[,host:port ...]"};
  return out;
}

}  // namespace hf::cli
