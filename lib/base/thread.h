// A thread as lmcd starts them: named, of a chosen priority, and deaf to signals that are not
// its own fault, so that the loop alone is told of those of the process.
#pragma once

#include <functional>
#include <thread>

namespace lmcd {

enum class Priority {
  kNormal,
  kBatch,  // SCHED_BATCH: yields to threads that answer somebody. Not SCHED_IDLE, which starves
};

// Starts a thread that runs `body`. The caller joins it. `name`: at most 15 bytes, as ps shows it.
std::thread start_thread(const char* name, Priority priority, std::function<void()> body);

}  // namespace lmcd
