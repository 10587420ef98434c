// What a connection has said about itself: the part of a session that commands read and change.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/types.h"

namespace hf::command {

struct Transaction {
  bool open = false;    ///< between MULTI and EXEC
  bool failed = false;  ///< a queued command was refused: EXEC answers EXECABORT
  bool dirty = false;   ///< a watched key changed: EXEC answers null
  std::vector<std::vector<std::string>> queued;
  size_t queued_bytes = 0;
  struct Watched {
    DbIndex db;
    std::string key;
    bool existed = false;          ///< was there when watched: emptying or swapping its database changes it
    bool existed_expired = false;  ///< was past its time when watched: its later removal is no change
  };
  std::vector<Watched> watched;
};

struct ClientState {
  uint64_t id = 0;
  DbIndex db = 0;
  int protocol = 2;
  bool authenticated = false;
  bool internal = false;  ///< the log's or the timers' own client, not a connection
  bool local = true;      ///< connected over loopback or a unix socket
  bool close_after_reply = false;
  std::string user = "default";
  std::string name, lib_name, lib_version;
  std::string peer_address, local_address;  ///< "127.0.0.1:50312", "/run/x.sock:0"
  bool unix_socket = false;
  bool replica = false;    ///< has sent PSYNC
  bool primary = false;    ///< the link to the node's own primary
  /// CLIENT WRITE-CONCERN: members that must have a change before its reply leaves; 0: as the server says.
  int copies = 0;
  bool redirect = false;   ///< CLIENT CAPA redirect: understands -REDIRECT
  LogOffset last_write;    ///< a replica that has the log up to here has all its writes
  MonoUs connected_at = 0, last_active_at = 0;
  uint64_t commands = 0;
  std::string last_command;  ///< "get", "client|list"
  bool blocked = false;
  Transaction transaction;
};

}  // namespace hf::command
