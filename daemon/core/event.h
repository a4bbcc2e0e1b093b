// What the store tells the rest of the daemon: facts that have happened, in order.
#pragma once

#include "include/lmcd.h"

namespace lmcd::core {

using SessionId = uint64_t;     // random, unique across restarts; never 0
using LivenessSlot = uint32_t;  // the byte a client process keeps locked
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
