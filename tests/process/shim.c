// A disk that fails on command, for tests: LD_PRELOAD this beside a server. It stands in where a small tmpfs can't be
// mounted, and for failing syncs, which no mount can play. HOLDFAST_SHIM names a file of words, read at each call:
//   "room N"  writes get through until N more bytes are written, then ENOSPC (a short write first, as a disk does)
//   "sync"    fsync and fdatasync fail with EIO          "slow N"  they take N ms longer
// An empty or missing file: everything works. Only files and folders below HOLDFAST_SHIM_DIR are touched.
//
// HOLDFAST_SHIM_NTH is "KIND N CODE", for the whole life of a process: its N-th call of that kind fails with that errno,
// once. Kinds: write, short (the N-th write does half of its work, the next one fails), sync, rename, truncate, open,
// mkdir, unlink. HOLDFAST_SHIM_HIT names a file that is then made. (fallocate is not here: the server does not call it.)
//
// HOLDFAST_SHIM_SYNC_US, for the whole life of a process: every fsync and fdatasync takes so many microseconds longer,
// wherever the file lies. For measurements (utils/bench): no file is read and none is looked up.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

// Looked up once: where syncs are slowed down to be measured, the shim itself must cost next to nothing.
#define REAL(name)                                                         \
  __extension__({                                                          \
    static __typeof__(&name) real;                                         \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name);          \
    real;                                                                  \
  })

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long long written;
static char last_order[128];

// Reads the file anew, with calls that this file does not stand before. Returns the number behind `word`, or -1.
static long long order(const char* word) {
  const char* path = getenv("HOLDFAST_SHIM");
  char text[128] = "";
  const int fd = path ? REAL(open)(path, O_RDONLY | O_CLOEXEC) : -1;
  if (fd < 0) return -1;
  const ssize_t n = read(fd, text, sizeof text - 1);
  close(fd);
  if (n <= 0) return -1;
  text[n] = 0;
  if (strcmp(text, last_order) != 0) {
    memcpy(last_order, text, sizeof text);
    written = 0;
  }
  const size_t length = strlen(word);
  if (strncmp(text, word, length) != 0) return -1;
  return strlen(text) > length ? atoll(text + length) : 0;
}

static int ours(int fd) {
  const char* folder = getenv("HOLDFAST_SHIM_DIR");
  char link[64], path[4096];
  struct stat info;
  if (!folder || fstat(fd, &info) != 0 || !(S_ISREG(info.st_mode) || S_ISDIR(info.st_mode))) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t n = readlink(link, path, sizeof path - 1);
  if (n <= 0) return 0;
  path[n] = 0;
  return strncmp(path, folder, strlen(folder)) == 0;
}

// Is `name`, as seen from the folder `at`, one of ours?
static int ours_by_name(int at, const char* name) {
  const char* folder = getenv("HOLDFAST_SHIM_DIR");
  if (!folder || !name) return 0;
  if (name[0] == '/' || at == AT_FDCWD) return strncmp(name, folder, strlen(folder)) == 0;
  return ours(at);
}

// Counts a call of `kind`; true when it is the one that fails, with errno set. `behind` calls after the N-th instead.
static int nth(const char* kind, int behind) {
  static long long calls;
  const char* plan = getenv("HOLDFAST_SHIM_NTH");
  char wanted[16] = "";
  long long n = 0;
  int code = EIO;
  if (!plan || sscanf(plan, "%15s %lld %d", wanted, &n, &code) < 2 || strcmp(wanted, kind) != 0) return 0;
  pthread_mutex_lock(&mutex);
  const int fails = ++calls == n + behind;
  pthread_mutex_unlock(&mutex);
  if (!fails) return 0;
  const char* hit = getenv("HOLDFAST_SHIM_HIT");
  const int fd = hit ? REAL(open)(hit, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;
  if (fd >= 0) close(fd);
  errno = code;
  return 1;
}

// Is the write under way the one to be cut in half?
static int halved(void) {
  static long long calls;
  const char* plan = getenv("HOLDFAST_SHIM_NTH");
  long long n = 0;
  if (!plan || sscanf(plan, "short %lld", &n) != 1) return 0;
  pthread_mutex_lock(&mutex);
  const int it_is = ++calls == n;
  pthread_mutex_unlock(&mutex);
  return it_is;
}

// How many of `wanted` bytes may be written; 0: none, errno is set.
static size_t allowed(int fd, size_t wanted) {
  if (!ours(fd)) return wanted;
  if (nth("write", 0) || nth("short", 1)) return 0;
  if (halved() && wanted > 1) return wanted / 2;
  pthread_mutex_lock(&mutex);
  const long long room = order("room");
  size_t out = wanted;
  if (room >= 0) {
    const long long left = room - written;
    if (left <= 0) out = 0;
    else if ((long long)wanted > left) out = (size_t)left;
    written += (long long)out;
  }
  pthread_mutex_unlock(&mutex);
  if (out == 0 && wanted > 0) errno = ENOSPC;
  return out;
}

ssize_t pwrite(int fd, const void* bytes, size_t n, off_t at) {
  const size_t may = allowed(fd, n);
  return may == 0 && n > 0 ? -1 : REAL(pwrite)(fd, bytes, may, at);
}
ssize_t pwrite64(int fd, const void* bytes, size_t n, off64_t at) {
  const size_t may = allowed(fd, n);
  return may == 0 && n > 0 ? -1 : REAL(pwrite64)(fd, bytes, may, at);
}
ssize_t write(int fd, const void* bytes, size_t n) {
  const size_t may = allowed(fd, n);
  return may == 0 && n > 0 ? -1 : REAL(write)(fd, bytes, may);
}
ssize_t pwritev(int fd, const struct iovec* parts, int count, off_t at) {
  size_t wanted = 0;
  for (int i = 0; i < count; ++i) wanted += parts[i].iov_len;
  const size_t may = allowed(fd, wanted);
  if (may == wanted) return REAL(pwritev)(fd, parts, count, at);
  if (may == 0) return -1;
  return REAL(pwrite)(fd, parts[0].iov_base, may < parts[0].iov_len ? may : parts[0].iov_len, at);
}

// The kernel may end a sleep 50 us late, to save wake-ups, and 15 us late on top of that in a virtual machine: much of
// what is to be measured here. So sleeps are asked to be precise, and are shorter by what they have been late.
static void take_longer(void) {
  static _Thread_local int precise;
  static _Thread_local long long late_ns;
  const char* us = getenv("HOLDFAST_SHIM_SYNC_US");
  if (!us) return;
  if (!precise) precise = 1, prctl(PR_SET_TIMERSLACK, 1UL);
  const long long ns = atoll(us) * 1000;
  const long long asked = ns > late_ns ? ns - late_ns : 0;
  const struct timespec wait = {asked / 1000000000, asked % 1000000000};
  struct timespec from, to;
  clock_gettime(CLOCK_MONOTONIC, &from);
  nanosleep(&wait, NULL);
  clock_gettime(CLOCK_MONOTONIC, &to);
  const long long took = (to.tv_sec - from.tv_sec) * 1000000000LL + to.tv_nsec - from.tv_nsec;
  // A sleep that met a busy processor says nothing about the clock.
  if (took - asked < 50000) late_ns += (took - asked - late_ns) / 8;
}

static int sync_fails(int fd) {
  take_longer();
  if (!ours(fd)) return 0;
  if (nth("sync", 0)) return 1;
  pthread_mutex_lock(&mutex);
  const int fails = order("sync") >= 0;
  const long long slow_ms = order("slow");
  pthread_mutex_unlock(&mutex);
  if (slow_ms > 0) usleep((useconds_t)slow_ms * 1000);
  if (fails) errno = EIO;
  return fails;
}
int fsync(int fd) { return sync_fails(fd) ? -1 : REAL(fsync)(fd); }
int fdatasync(int fd) { return sync_fails(fd) ? -1 : REAL(fdatasync)(fd); }

int ftruncate(int fd, off_t bytes) { return ours(fd) && nth("truncate", 0) ? -1 : REAL(ftruncate)(fd, bytes); }
int renameat(int from_at, const char* from, int to_at, const char* to) {
  return ours_by_name(from_at, from) && nth("rename", 0) ? -1 : REAL(renameat)(from_at, from, to_at, to);
}
int mkdirat(int at, const char* name, mode_t mode) {
  return ours_by_name(at, name) && nth("mkdir", 0) ? -1 : REAL(mkdirat)(at, name, mode);
}
int mkdir(const char* name, mode_t mode) {
  return ours_by_name(AT_FDCWD, name) && nth("mkdir", 0) ? -1 : REAL(mkdir)(name, mode);
}
int unlinkat(int at, const char* name, int flags) {
  return ours_by_name(at, name) && nth("unlink", 0) ? -1 : REAL(unlinkat)(at, name, flags);
}
int openat(int at, const char* name, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
  va_end(more);
  return ours_by_name(at, name) && nth("open", 0) ? -1 : REAL(openat)(at, name, flags, mode);
}
int open(const char* name, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
  va_end(more);
  return ours_by_name(AT_FDCWD, name) && nth("open", 0) ? -1 : REAL(open)(name, flags, mode);
}
