// Events that have come and were not yet asked for. Bounded: past the bound the newest are
// dropped, and a MISSED event tells how many, in their place. Used under the session's lock.
#pragma once

#include <cstdint>
#include <deque>
#include <span>

#include "include/lmcd.h"

namespace lmcd::client {

class EventQueue {
 public:
  static constexpr std::size_t kEvents = 16384;  // 2 MiB

  void push(std::span<const lmcd_event_t> events);
  // The stream has a gap of unknown length here: it was interrupted.
  void push_gap();
  // Takes the oldest. Returns how many.
  uint32_t take(lmcd_event_t* out, uint32_t capacity);
  bool empty() const { return events_.empty(); }

 private:
  void drop(uint64_t count, uint64_t sequence, uint64_t time_ms);

  std::deque<lmcd_event_t> events_;
};

}  // namespace lmcd::client
