// Threads that wait to be asked for help.
//
// A call never starts a thread and never waits for a busy one: the caller does the work itself,
// those of the crew that are free join while it lasts, and the call returns when the caller has
// finished and those who joined have left. Several threads may call at once and then share the
// crew.
//
// The threads block all signals but those of a fault at an address: an engine's handlers never
// run on them. After fork the child has no crew and must neither use nor destroy it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "lib/base/status.h"

namespace lmcd::copy {

inline constexpr uint32_t kMaxThreads = 64;

class Crew {
 public:
  // Starts `size` threads, beside those that will call. 0 is a crew that never helps.
  // Faults: LMCD_E_INVALID above kMaxThreads - 1; LMCD_E_LIMIT when the system has no more threads.
  static Result<std::unique_ptr<Crew>> start(uint32_t size);
  // Requires: no call is in progress.
  ~Crew();
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  // Runs `work` on the calling thread and on at most `threads - 1` of the crew at once. Each who
  // runs it returns when there is nothing left to do. What they wrote is visible to the caller
  // afterwards. Requires: threads > 0.
  void run(uint32_t threads, const std::function<void()>& work);

 private:
  struct Call {
    const std::function<void()>& work;
    uint32_t wanted;      // threads that may still join
    uint32_t inside = 0;  // threads that have joined and not left
    std::condition_variable all_left{};
  };

  Crew() = default;
  Status add_thread();
  void wait_for_calls();

  std::mutex mutex_;
  std::condition_variable called_;
  std::vector<Call*> calls_;  // guarded by mutex_; those with wanted > 0, one per calling thread
  bool stopping_ = false;     // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace lmcd::copy
