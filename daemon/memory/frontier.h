// Populates the arena ahead of its use.
//
// First touch of memory costs more than the copy into it, so one background thread has the
// kernel allocate and zero the arena's pages, from 0 up to a target that stays a window ahead of
// what the allocator has handed out. The frontier is the end of what is populated. One thread
// and no more: it leaves a foreground copy its rate, two halve it (measured); batch priority,
// because SCHED_IDLE would starve.
//
// Eager arenas are populated to their end before readiness: all is initial, then wait().
//
// The loop's thread calls want() and wait(); any thread may read the frontier. Destroying it ends
// the thread within one step (a few milliseconds).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>

#include "lib/base/guarded.h"
#include "lib/base/status.h"

namespace lmcd::memory {

class Frontier {
 public:
  struct Options {
    uint64_t populated_bytes = 0;  // known to be populated already: after a warm restart
    uint64_t initial_bytes = 0;    // populated at once, whatever is wanted
    uint64_t window_bytes = 0;  // ahead of what is wanted; 0: 1/16 of the region, 64 MiB to 1 GiB
    uint64_t step_bytes = 4 << 20;  // populated by one system call; a power of two
  };
  struct Measures {
    uint64_t populated_bytes;  // by this thread
    uint64_t busy_ns;
  };

  // Starts the thread, which rests while nothing is wanted. `region` outlives the frontier.
  Frontier(const GuardedRegion& region, Options options);
  Frontier(const Frontier&) = delete;
  Frontier& operator=(const Frontier&) = delete;
  ~Frontier();

  // Wants the first `bytes` populated (the allocator's high-water mark), and a window beyond.
  // Never takes back. One system call at most, and that only when the target moves by a step.
  void want(uint64_t bytes);

  // The end of the populated part. Never goes back.
  uint64_t bytes() const { return frontier_.load(std::memory_order_acquire); }

  // Waits until `bytes` are populated or cannot be. Only before readiness: it takes seconds.
  // Faults: that of status().
  Status wait(uint64_t bytes) const;

  // Why the thread gave up, if it did: LMCD_E_NO_MEMORY (the file system or control group is full)
  // or LMCD_E_IO. Extents beyond the frontier are no worse than before, only slower.
  Status status() const;

  Measures measures() const;

 private:
  uint64_t target_for(uint64_t bytes) const;
  void run();
  void stop_with(int error);

  const GuardedRegion& region_;
  const uint64_t window_bytes_;
  const uint64_t step_bytes_;
  std::atomic<uint64_t> target_;
  std::atomic<uint64_t> frontier_;
  std::atomic<uint32_t> errand_{0};  // counts what the thread is to look at: waited for by it
  std::atomic<uint32_t> report_{0};  // counts its steps: waited for by wait()
  std::atomic<bool> stopping_{false};
  std::atomic<int> error_{0};
  std::atomic<uint64_t> populated_{0};
  std::atomic<uint64_t> busy_ns_{0};
  std::thread thread_;
};

// Populates `length` bytes at `address` for writing without changing any, also while others write
// there. By huge pages where they can be had (lib/base/huge_pages.h), by madvise where the kernel
// can (Linux 5.14), else by touching.
// Requires: `address` is page-aligned. Returns 0 or an errno value.
int populate(std::byte* address, uint64_t length);
int populate_by_touch(std::byte* address, uint64_t length);

}  // namespace lmcd::memory
