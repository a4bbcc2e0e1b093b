#include "daemon/transport/event_stream.h"

#include <time.h>

#include <algorithm>

#include "daemon/transport/sessions.h"

namespace lmcd::transport {
namespace {

uint64_t unix_time_ms() {
  timespec now;
  ::clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1'000'000;
}

}  // namespace

void EventStream::take(const lmcd_event_t& event) {
  if (!wanted()) return;
  lmcd_event_t& kept = ring_[next_ % capacity_];
  kept = event;
  kept.sequence = next_++;
  kept.time_ms = unix_time_ms();
}

void EventStream::subscribe(Session& session) {
  if (session.subscribed) return;
  if (ring_.empty()) ring_.resize(capacity_);
  ++subscribers_;
  session.subscribed = true;
  session.next_event = next_;
}

void EventStream::unsubscribe(Session& session) {
  if (!session.subscribed) return;
  session.subscribed = false;
  if (--subscribers_ == 0) std::vector<lmcd_event_t>().swap(ring_);
}

void EventStream::deliver(Sessions& sessions, core::Metrics& metrics) {
  if (delivered_ == next_) return;
  uint64_t reached = next_;
  sessions.for_each([&](Session& session) {
    if (!session.subscribed || session.ending()) return;
    deliver_to(session, metrics);
    reached = std::min(reached, session.next_event);
  });
  delivered_ = reached;
}

void EventStream::deliver_to(Session& session, core::Metrics& metrics) {
  if (session.next_event < oldest() && session.connection.queued_bytes() < kUnreadBytes) {
    lmcd_event_t missed{};
    missed.sequence = oldest();
    missed.time_ms = unix_time_ms();
    missed.kind = LMCD_EVENT_MISSED;
    missed.count = oldest() - session.next_event;
    metrics.events_dropped_total += missed.count;
    session.next_event = oldest();
    session.send(wire::Events{std::span(&missed, 1)}, 0);
  }
  while (session.next_event < next_ && session.connection.queued_bytes() < kUnreadBytes) {
    const uint64_t at = session.next_event % capacity_;
    const uint64_t count =
        std::min({next_ - session.next_event, capacity_ - at, uint64_t{kFrameEvents}});
    session.send(wire::Events{std::span(&ring_[at], count)}, 0);
    session.next_event += count;
  }
}

bool EventStream::has_more(Sessions& sessions) const {
  if (delivered_ == next_) return false;
  bool more = false;
  sessions.for_each([&](const Session& session) {
    more |= session.subscribed && session.next_event < next_ &&
            session.connection.queued_bytes() < kUnreadBytes;
  });
  return more;
}

void EventStream::refuse(Session& session, uint64_t lease, const Status& why) {
  if (session.connection.queued_bytes() > kUnreadBytes) return;  // counted by the caller
  lmcd_event_t event{};
  event.time_ms = unix_time_ms();
  event.kind = LMCD_EVENT_REFUSED;
  event.code = why.code();
  event.lease = lease;
  session.send(wire::Events{std::span(&event, 1)}, 0);
}

}  // namespace lmcd::transport
