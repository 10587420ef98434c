// Facts from the allocator, /proc and uname.
#include "edge/process_host.h"

#include <fcntl.h>
#include <malloc.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

#include "base/checksum.h"
#include "base/number.h"
#include "base/version.h"
#include "edge/toml.h"

// Present when jemalloc is linked; the unit tests are not.
extern "C" int mallctl(const char* name, void* old, size_t* old_size, void* fresh, size_t fresh_size)
    __attribute__((weak));
#if defined(__SANITIZE_ADDRESS__)
// Declared here: the header that has it comes with clang, not with g++.
extern "C" size_t __sanitizer_get_current_allocated_bytes();
#endif

namespace hf::edge {
namespace {

size_t allocator_number(const char* name) {
  size_t value = 0, size = sizeof value;
  return mallctl(name, &value, &size, nullptr, 0) == 0 ? value : 0;
}

uint64_t allocated_bytes() {
  if (mallctl == nullptr) {
#if defined(__SANITIZE_ADDRESS__)
    return __sanitizer_get_current_allocated_bytes();  // its allocator leaves mallinfo2() at zero
#else
    const struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
#endif
  }
  uint64_t epoch = 1;  // jemalloc's numbers stand still until told to move
  size_t size = sizeof epoch;
  mallctl("epoch", &epoch, &size, &epoch, size);
  return allocator_number("stats.allocated");
}

void fill_memory(node::HostFacts& facts) {
  if (FILE* statm = std::fopen("/proc/self/statm", "re")) {
    unsigned long total = 0, resident = 0;
    if (std::fscanf(statm, "%lu %lu", &total, &resident) == 2)
      facts.resident_memory = resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    std::fclose(statm);
  }
  facts.used_memory = allocated_bytes();
  if (mallctl != nullptr) {
    facts.allocator_active = allocator_number("stats.active");
    facts.allocator_resident = allocator_number("stats.resident");
  } else {
    const struct mallinfo2 info = mallinfo2();
    facts.allocator_active = facts.allocator_resident = info.arena + info.hblkhd;
  }
}

/// The least memory.max (cgroup v2) from this process's cgroup up to the root; UINT64_MAX: there is none.
uint64_t cgroup_memory_max() {
  const Result<std::string> own = read_text_file("/proc/self/cgroup");
  const size_t at = own ? own->find("0::/") : std::string::npos;
  if (at == std::string::npos) return UINT64_MAX;
  std::string path = own->substr(at + 3, own->find('\n', at) - at - 3);
  uint64_t least = UINT64_MAX;
  for (;; path.resize(path.rfind('/'))) {
    const Result<std::string> text = read_text_file("/sys/fs/cgroup" + path + "/memory.max");
    const auto bytes = text ? parse_uint(Bytes(*text).substr(0, text->find('\n'))) : std::nullopt;
    if (bytes) least = std::min(least, *bytes);
    if (path.empty()) return least;
  }
}

double seconds(const timeval& t) {
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
}

std::string absolute(const std::string& path) {
  char* real = realpath(path.c_str(), nullptr);
  if (real == nullptr) return path;
  std::string out(real);
  std::free(real);
  return out;
}

}  // namespace

ProcessHost::ProcessHost(const std::string& config_file, int tcp_port) {
  fixed_.version = holdfast_version;
  fixed_.compiler = __VERSION__;
  if (!config_file.empty()) fixed_.config_file = absolute(config_file);
  fixed_.process_id = getpid();
  fixed_.tcp_port = tcp_port;
  char path[PATH_MAX];
  const ssize_t n = readlink("/proc/self/exe", path, sizeof path);
  if (n > 0) fixed_.executable.assign(path, static_cast<size_t>(n));
  struct stat program {};
  if (n > 0 && stat(fixed_.executable.c_str(), &program) == 0) {
    const uint64_t marks[] = {static_cast<uint64_t>(program.st_size),
                              static_cast<uint64_t>(program.st_mtime)};
    char hex[20];
    std::snprintf(hex, sizeof hex, "%016lx", sum64({reinterpret_cast<const char*>(marks), sizeof marks}));
    fixed_.build_id = hex;
  }
  utsname system{};
  if (uname(&system) == 0) {
    fixed_.os = std::string(system.sysname) + " " + system.release + " " + system.machine;
    fixed_.arch = std::to_string(sizeof(void*) * 8);
  }
  fixed_.system_memory =
      static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  memory_max_ = std::min(fixed_.system_memory, cgroup_memory_max());
  fixed_.allocator = "libc";
  if (mallctl != nullptr) {
    const char* version = "";
    size_t size = sizeof(const char*);
    if (mallctl("version", &version, &size, nullptr, 0) == 0)
      fixed_.allocator = "jemalloc-" + std::string(version).substr(0, std::string(version).find('-'));
  }
}

uint64_t ProcessHost::used_memory() {
  const uint64_t used = allocated_bytes();
  peak_ = std::max(peak_, used);
  return used;
}

node::HostFacts ProcessHost::facts() {
  node::HostFacts facts = fixed_;
  fill_memory(facts);
  peak_ = std::max(peak_, facts.used_memory);
  facts.used_memory_peak = peak_;
  rusage self{}, children{};
  getrusage(RUSAGE_SELF, &self);
  getrusage(RUSAGE_CHILDREN, &children);
  facts.cpu_user_s = seconds(self.ru_utime);
  facts.cpu_system_s = seconds(self.ru_stime);
  facts.cpu_user_children_s = seconds(children.ru_utime);
  facts.cpu_system_children_s = seconds(children.ru_stime);
  return facts;
}

Result<std::string> ProcessHost::read_config() {
  if (fixed_.config_file.empty()) return Error{"The server is running without a config file"};
  return read_text_file(fixed_.config_file);
}

Status ProcessHost::write_config(const std::string& text) {
  const std::string& path = fixed_.config_file;
  if (path.empty()) return Error{"The server is running without a config file"};
  const std::string aside = path + ".new";
  const auto fail = [&](const char* what) {
    const int code = errno;
    unlink(aside.c_str());
    return Error{std::string("Rewriting config file: ") + what + " " + aside + ": " + std::strerror(code),
                 code};
  };
  struct stat before {};
  const mode_t mode = stat(path.c_str(), &before) == 0 ? before.st_mode & 0777 : 0600;
  const int fd = ::open(aside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
  if (fd < 0) return fail("opening");
  size_t at = 0;
  while (at < text.size()) {
    const ssize_t n = ::write(fd, text.data() + at, text.size() - at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      ::close(fd);
      return fail("writing");
    }
    at += static_cast<size_t>(n);
  }
  const bool synced = fchmod(fd, mode) == 0 && fsync(fd) == 0;
  if (::close(fd) != 0 || !synced) return fail("syncing");
  if (rename(aside.c_str(), path.c_str()) != 0) return fail("renaming");
  return ok();
}

uint64_t random_seed() {
  uint64_t seed = 0;
  HF_CHECK(getrandom(&seed, sizeof seed, 0) == sizeof seed);
  return seed;
}

}  // namespace hf::edge
