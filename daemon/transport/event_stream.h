// The events of the store, on their way to the sessions that subscribed.
//
// One ring for all: a subscriber is a position in it, so a slow one costs nothing, and one that
// fell behind by more than the ring is told how many it missed and goes on from the oldest kept.
// Events leave at the end of a turn, as far as the subscriber reads its socket. The ring's memory
// exists while anybody is subscribed. Loop thread only.
#pragma once

#include <cstdint>
#include <vector>

#include "daemon/core/event.h"
#include "daemon/core/metrics.h"
#include "daemon/transport/session.h"
#include "lib/base/clock.h"

namespace lmcd::transport {

class Sessions;

class EventStream final : public core::EventSink {
 public:
  // Events of one frame.
  static constexpr uint32_t kFrameEvents = 256;
  // A subscriber with more than this unread gets no more for now.
  static constexpr std::size_t kUnreadBytes = std::size_t{256} << 10;

  // `capacity`: events kept for those who are slow.
  explicit EventStream(uint32_t capacity) : capacity_(capacity) {}

  bool wanted() const override { return subscribers_ != 0; }
  void take(const lmcd_event_t& event) override;

  void subscribe(Session& session);
  void unsubscribe(Session& session);
  // Hands each subscriber what it has room for.
  void deliver(Sessions& sessions, core::Metrics& metrics);

  // Whether a subscriber that has room now lacks events.
  bool has_more(Sessions& sessions) const;

  // Tells the session that a message it posted had no effect.
  static void refuse(Session& session, uint64_t lease, const Status& why);

 private:
  void deliver_to(Session& session, core::Metrics& metrics);
  uint64_t oldest() const { return next_ > capacity_ ? next_ - capacity_ : 0; }

  const uint32_t capacity_;
  std::vector<lmcd_event_t> ring_;  // event n at n % capacity_
  uint64_t next_ = 0;               // number of the next event since the daemon's start
  uint64_t delivered_ = 0;          // next_ when all subscribers had everything
  uint32_t subscribers_ = 0;
};

}  // namespace lmcd::transport
