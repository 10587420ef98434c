// Scheduling classes and the kernel's account of who waited: see the header.
#include "edge/leftover.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>

namespace hf::edge {
namespace {

constexpr uint64_t long_wait_ns = 100'000'000;
constexpr uint64_t starving_waits_a_run = 20, easy_waits_a_run = 1;

}  // namespace

void take_a_small_share() {
  const auto thread = static_cast<id_t>(syscall(SYS_gettid));
  setpriority(PRIO_PROCESS, thread, 10);
  constexpr int best_effort = 2, lowest = 7, who_process = 1;
  syscall(SYS_ioprio_set, who_process, 0, (best_effort << 13) | lowest);
}

void take_only_leftovers() {
  take_a_small_share();  // what remains where the next call is refused
  sched_param none{};
  sched_setscheduler(0, SCHED_IDLE, &none);
}

ProcessorTime processor_time() {
  ProcessorTime out;
  std::FILE* file = std::fopen("/proc/thread-self/schedstat", "re");
  if (file == nullptr) return out;
  unsigned long long ran = 0, waited = 0;
  if (std::fscanf(file, "%llu %llu", &ran, &waited) == 2) out = {ran, waited};
  std::fclose(file);
  return out;
}

bool needs_a_share(bool has_one, const ProcessorTime& last) {
  if (has_one) return last.waited > easy_waits_a_run * last.ran;
  return last.waited > long_wait_ns && last.waited > starving_waits_a_run * last.ran;
}

}  // namespace hf::edge
