// Counts the instructions that this thread executes in user mode (perf_event_open(2)). Where the
// kernel grants no counter, as in many virtual machines, there is nothing to report.
#pragma once

#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <optional>

namespace lmcd::bench {

class InstructionCounter {
 public:
  InstructionCounter() {
    perf_event_attr what{};
    what.size = sizeof what;
    what.type = PERF_TYPE_HARDWARE;
    what.config = PERF_COUNT_HW_INSTRUCTIONS;
    what.exclude_kernel = 1;
    what.exclude_hv = 1;
    descriptor_ = static_cast<int>(syscall(SYS_perf_event_open, &what, 0, -1, -1, 0));
  }
  InstructionCounter(const InstructionCounter&) = delete;
  InstructionCounter& operator=(const InstructionCounter&) = delete;
  ~InstructionCounter() {
    if (descriptor_ >= 0) close(descriptor_);
  }

  // So far. Nothing where it cannot be counted.
  std::optional<uint64_t> read() const {
    uint64_t count = 0;
    if (descriptor_ < 0 || ::read(descriptor_, &count, sizeof count) != sizeof count || count == 0)
      return std::nullopt;
    return count;
  }

 private:
  int descriptor_;
};

}  // namespace lmcd::bench
