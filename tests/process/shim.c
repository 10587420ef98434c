// A disk that fails on command, for tests: LD_PRELOAD this beside a server. It stands in where a small tmpfs can't be
// mounted, and for failing syncs, which no mount can play. HOLDFAST_SHIM names a file of words, read at each call:
//   "room N"  writes get through until N more bytes are written, then ENOSPC (a short write first, as a disk does)
//   "sync"    fsync and fdatasync fail with EIO          "slow N"  they take N ms longer
// An empty or missing file: everything works. Only regular files below HOLDFAST_SHIM_DIR are touched.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long long written;
static char last_order[128];

// Reads the file anew, with calls that this file does not stand before. Returns the number behind `word`, or -1.
static long long order(const char* word) {
  const char* path = getenv("HOLDFAST_SHIM");
  char text[128] = "";
  const int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
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

// How many of `wanted` bytes may be written; 0: none, errno is set.
static size_t allowed(int fd, size_t wanted) {
  if (!ours(fd)) return wanted;
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

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

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

static int sync_fails(int fd) {
  if (!ours(fd)) return 0;
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
