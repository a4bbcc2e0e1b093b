#include "daemon/transport/transport.h"

#include <algorithm>

#include "daemon/transport/dispatch.h"
#include "lib/base/sync_point.h"

namespace lmcd::transport {

Transport::Transport(const Parts& parts, Facts facts, const Sessions::Limits& limits)
    : loop_(parts.loop),
      store_(parts.store),
      events_(parts.events),
      copies_(parts.copies),
      after_turn_(parts.after_turn),
      reload_(parts.reload),
      facts_(std::move(facts)),
      sessions_(parts.loop, limits, *this, parts.store.metrics(), parts.log),
      processes_(parts.loop, parts.liveness, parts.store,
                 [this](core::LivenessSlot slot) { on_death(slot); }),
      waiting_(parts.loop, parts.store, [this](Waiter& waiter) { answer_waiter(desk_, waiter); }),
      long_runs_(parts.loop),
      desk_{parts.loop,   parts.log,    parts.store,    parts.copies,   parts.mover, sessions_,
            processes_,   events_,      waiting_,       long_runs_,     parts.quotas, facts_.terms,
            facts_.daemon, facts_.config, service_times_, reload_},
      time_(parts.loop, [this] { run_time(); }) {
  run_time();
}

void Transport::retune(Tuning tuning) {
  store_.set_limits(tuning.session_bytes, tuning.watermark, tuning.ratio);
  sessions_.set_reap_timeout(tuning.reap_timeout_ms);
  facts_.config = std::move(tuning.config);
  run_time();
}

void Transport::on_frame(Session& session, Frame& frame) { dispatch(desk_, session, frame); }

void Transport::on_end(Session& session, std::function<void()> at_rest) {
  events_.unsubscribe(session);
  waiting_.forget(session.id);
  long_runs_.forget(session.id);
  if (session.phase != Phase::kStranger) {
    LMCD_SYNC_POINT("close.before");
    store_.close_session(session.id);
    processes_.leave(session.slot);
    LMCD_SYNC_POINT("close.after");
  }
  copies_.close_session(session.id, std::move(at_rest));
}

void Transport::on_turn_end() {
  waiting_.look_again();
  events_.deliver(sessions_, store_.metrics());
  run_time();
}

bool Transport::has_more() {
  processes_.note_quarantine();
  after_turn_();
  return events_.has_more(sessions_);
}

void Transport::on_death(core::LivenessSlot slot) {
  sessions_.for_each([&](Session& session) {
    if (session.phase != Phase::kStranger && session.slot == slot) sessions_.end(session);
  });
}

// The store's own time: leases that end, eviction in the background.
void Transport::run_time() {
  const uint64_t now_ms = loop_.clock().now_ms();
  const uint64_t due_ms = store_.tick();
  if (due_ms == UINT64_MAX) return;
  time_.arm_at(due_ms <= now_ms ? now_ms : std::max(due_ms, now_ms + kTickMs));
}

}  // namespace lmcd::transport
