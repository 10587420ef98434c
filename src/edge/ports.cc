// Reads /proc to name the process behind a listening socket.
#include "edge/ports.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>

namespace hf::edge {
namespace {

constexpr int tcp_listen_state = 0x0A;

/// Inodes of the sockets that listen on `port`, from one of the kernel's tables.
void collect_inodes(const char* table, int port, std::set<std::string>& inodes) {
  std::ifstream in(table);
  std::string line;
  std::getline(in, line);  // headings
  while (std::getline(in, line)) {
    std::istringstream fields(line);
    std::string slot, local, remote, state, queues, timer, retransmits, uid, timeout, inode;
    fields >> slot >> local >> remote >> state >> queues >> timer >> retransmits >> uid >> timeout >> inode;
    const size_t colon = local.rfind(':');
    if (colon == std::string::npos) continue;
    if (std::strtol(local.c_str() + colon + 1, nullptr, 16) != port) continue;
    if (std::strtol(state.c_str(), nullptr, 16) != tcp_listen_state) continue;
    inodes.insert("socket:[" + inode + "]");
  }
}

using Folder = std::unique_ptr<DIR, int (*)(DIR*)>;

bool holds_any(const std::string& process, const std::set<std::string>& sockets) {
  const std::string fds = "/proc/" + process + "/fd";
  const Folder folder(opendir(fds.c_str()), closedir);
  if (!folder) return false;
  while (const dirent* entry = readdir(folder.get())) {
    char target[64];
    const ssize_t n = readlink((fds + "/" + entry->d_name).c_str(), target, sizeof target);
    if (n > 0 && sockets.count(std::string(target, static_cast<size_t>(n))) > 0) return true;
  }
  return false;
}

}  // namespace

std::string port_holder(int port) {
  std::set<std::string> sockets;
  collect_inodes("/proc/net/tcp", port, sockets);
  collect_inodes("/proc/net/tcp6", port, sockets);
  if (sockets.empty()) return "";
  const Folder proc(opendir("/proc"), closedir);
  if (!proc) return "";
  while (const dirent* entry = readdir(proc.get())) {
    const std::string process = entry->d_name;
    if (process.find_first_not_of("0123456789") != std::string::npos || !holds_any(process, sockets))
      continue;
    std::ifstream comm("/proc/" + process + "/comm");
    std::string name;
    std::getline(comm, name);
    return name + " (process " + process + ")";
  }
  return "";
}

int free_port_after(int port) {
  for (int candidate = port + 1; candidate <= port + 100 && candidate < 65536; ++candidate) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return 0;
    const int yes = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_ANY);
    address.sin_port = htons(static_cast<uint16_t>(candidate));
    const bool free =
        bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 && listen(fd, 1) == 0;
    ::close(fd);
    if (free) return candidate;
  }
  return 0;
}

}  // namespace hf::edge
