#include "lib/client/event_queue.h"

#include <algorithm>

namespace lmcd::client {

void EventQueue::push(std::span<const lmcd_event_t> events) {
  for (const lmcd_event_t& event : events) {
    // One place is kept for the event that tells of those that found none.
    if (events_.size() + 1 < kEvents) {
      events_.push_back(event);
    } else {
      drop(event.kind == LMCD_EVENT_MISSED ? event.count : 1, event.sequence, event.time_ms);
    }
  }
}

void EventQueue::push_gap() {
  if (events_.size() + 1 < kEvents) {
    lmcd_event_t gap{};
    gap.kind = LMCD_EVENT_MISSED;
    events_.push_back(gap);
  }
}

void EventQueue::drop(uint64_t count, uint64_t sequence, uint64_t time_ms) {
  if (events_.size() < kEvents) {
    lmcd_event_t missed{};
    missed.kind = LMCD_EVENT_MISSED;
    missed.sequence = sequence;
    missed.time_ms = time_ms;
    events_.push_back(missed);
  }
  events_.back().count += count;
}

uint32_t EventQueue::take(lmcd_event_t* out, uint32_t capacity) {
  const std::size_t count = std::min<std::size_t>(capacity, events_.size());
  std::copy_n(events_.begin(), count, out);
  events_.erase(events_.begin(), events_.begin() + static_cast<std::ptrdiff_t>(count));
  return static_cast<uint32_t>(count);
}

}  // namespace lmcd::client
