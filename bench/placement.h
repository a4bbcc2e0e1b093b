// Which CPU a process runs on, and when it asks.
//
// A round trip between two CPUs costs twenty times one within a CPU, so a figure of one says where
// both ends were. Paced: the caller sleeps between two questions, as an engine computes.
#pragma once

#include <dirent.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace lmcd::bench {

constexpr int kClientCpu = 0;
constexpr int kServerCpu = 1;
constexpr int kAnyCpu = -1;

// Places all threads of a process (0: this one), or lets them run anywhere.
inline void place(pid_t pid, int cpu) {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  if (cpu == kAnyCpu)
    for (int each = 0; each < CPU_SETSIZE; ++each) CPU_SET(each, &cpus);
  else
    CPU_SET(cpu, &cpus);
  const std::string tasks = "/proc/" + (pid == 0 ? "self" : std::to_string(pid)) + "/task";
  DIR* folder = opendir(tasks.c_str());
  if (folder == nullptr) return;
  while (const dirent* entry = readdir(folder))
    if (int thread = static_cast<int>(std::strtol(entry->d_name, nullptr, 10)); thread > 0)
      sched_setaffinity(thread, sizeof cpus, &cpus);
  closedir(folder);
}

// Microseconds that each of `count` calls took, begun `period` apart (0: back to back).
template <typename Call>
std::vector<double> time_calls(int count, std::chrono::microseconds period, Call&& call) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> took_us;
  for (int i = 0; i < count; ++i) {
    if (period.count() > 0) {
      const timespec pause{0, std::chrono::nanoseconds(period).count()};
      nanosleep(&pause, nullptr);
    }
    auto begin = Clock::now();
    call();
    took_us.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
  }
  return took_us;
}

inline double median(std::vector<double> values) {
  auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace lmcd::bench
