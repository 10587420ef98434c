// An allocator that fails once, for tests: LD_PRELOAD this beside a server. HOLDFAST_ALLOC_NTH is the number of the call
// to malloc, realloc or operator new (all threads, from the start of the process) that gets nothing; 0 only counts.
// HOLDFAST_ALLOC_COUNT names a file that gets the number of calls at the end of the process, and HOLDFAST_SHIM_HIT one
// that is made when the call fails.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static atomic_llong calls;
static long long nth;
static void* (*real_malloc)(size_t);
static void* (*real_realloc)(void*, size_t);
static void* (*real_new)(size_t);

__attribute__((constructor)) static void find_real(void) {
  const char* number = getenv("HOLDFAST_ALLOC_NTH");
  nth = number ? atoll(number) : 0;
  real_malloc = (void* (*)(size_t))dlsym(RTLD_NEXT, "malloc");
  real_realloc = (void* (*)(void*, size_t))dlsym(RTLD_NEXT, "realloc");
  real_new = (void* (*)(size_t))dlsym(RTLD_NEXT, "_Znwm");
}

__attribute__((destructor)) static void say_count(void) {
  const char* name = getenv("HOLDFAST_ALLOC_COUNT");
  const int fd = name ? open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
  if (fd < 0) return;
  dprintf(fd, "%lld\n", atomic_load(&calls));
  close(fd);
}

static int fails(void) {
  if (atomic_fetch_add(&calls, 1) + 1 != nth) return 0;
  const char* hit = getenv("HOLDFAST_SHIM_HIT");
  const int fd = hit ? open(hit, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;
  if (fd >= 0) close(fd);
  errno = ENOMEM;
  return 1;
}

void* malloc(size_t n) {
  if (!real_malloc) find_real();
  return fails() ? NULL : real_malloc(n);
}
void* realloc(void* old, size_t n) {
  if (!real_realloc) find_real();
  return fails() ? NULL : real_realloc(old, n);
}
// operator new: the failure is an exception, which libstdc++ throws for us from its nothing-left path.
void _ZSt17__throw_bad_allocv(void);
void* _Znwm(size_t n) {
  if (!real_new) find_real();
  if (fails()) _ZSt17__throw_bad_allocv();
  return real_new(n);
}
