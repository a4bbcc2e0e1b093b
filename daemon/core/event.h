// What the store tells the rest of the daemon: facts that have happened, in order.
#pragma once

#include <cstdint>

#include "include/lmcd.h"

namespace lmcd::core {

using SessionId = uint64_t;     // random, unique across restarts; never 0
using LivenessSlot = uint32_t;  // the byte a client process keeps locked
// No process's: of what a tier writes. Its death is not proved by a lock (store_adopt.cc).
inline constexpr LivenessSlot kTierSlot = UINT32_MAX - 1;

// The client process whose limits count, whatever sessions it opens and closes: by its pid, or by
// its slot where the pid cannot be seen from here. 0: nobody's.
using ProcessId = uint64_t;
constexpr ProcessId process_of(int32_t pid, LivenessSlot slot) {
  return pid > 0 ? static_cast<ProcessId>(pid) : ProcessId{1} << 32 | slot;
}
using EventKind = lmcd_event_kind_t;

class EventSink {
 public:
  virtual ~EventSink() = default;
  // Whether anybody listens: the store builds no event for nobody.
  virtual bool wanted() const = 0;
  // Takes one event; `sequence` and `time_ms` are the sink's to fill. Does not block.
  virtual void take(const lmcd_event_t& event) = 0;
};

}  // namespace lmcd::core
