// The transport: everything between the clients' sockets and the store.
//
// Owns the sessions, who waits, the event stream and the watch over client processes, and runs what
// falls due: the ends of a turn, the store's own time. Bound to one incarnation of arena and
// ledger: when that is lost, the transport goes with it and its sockets close. The listener stays
// and is the server's. Loop thread only.
#pragma once

#include <string>

#include "daemon/transport/handlers.h"
#include "daemon/transport/long_runs.h"

namespace lmcd::transport {

class Transport final : private Sessions::Owner {
 public:
  // Used, not owned; all outlive the transport.
  struct Parts {
    Loop& loop;
    Log& log;
    core::Store& store;
    EventStream& events;
    memory::Liveness& liveness;
    mover::Copies& copies;
    mover::Mover& mover;
    admin::QuotaFile& quotas;
    std::function<void()> after_turn;  // what else is looked at when a turn ends
    Reload reload;
  };
  // Values that are told to clients.
  struct Facts {
    Terms terms;
    admin::DaemonFacts daemon;
    std::string config;
  };

  // What may change while the daemon runs.
  struct Tuning {
    uint64_t session_bytes;
    uint64_t reap_timeout_ms;
    double watermark;
    double ratio;
    std::string config;
  };

  Transport(const Parts& parts, Facts facts, const Sessions::Limits& limits);

  // Takes over a connection from the listener.
  void accept(FileDescriptor socket) { sessions_.accept(std::move(socket)); }
  void retune(Tuning tuning);
  // A prefetch has ended: who waits is looked at when the turn ends.
  void landed() { sessions_.wake(); }
  // Ends all sessions at once.
  void stop() { sessions_.end_all(); }

 private:
  void on_frame(Session& session, Frame& frame) override;
  void on_end(Session& session, std::function<void()> at_rest) override;
  void on_turn_end() override;
  bool has_more() override;
  void on_death(core::LivenessSlot slot);
  void run_time();

  // What the store's own time is rounded up to, so that many leases that end at nearly the same
  // time wake an idle daemon once.
  static constexpr uint64_t kTickMs = 25;

  Loop& loop_;
  core::Store& store_;
  EventStream& events_;
  mover::Copies& copies_;
  const std::function<void()> after_turn_;
  const Reload reload_;
  Facts facts_;
  Sessions sessions_;
  ProcessWatch processes_;
  Waiting waiting_;
  LongRuns long_runs_;
  ServiceTimes service_times_;
  Desk desk_;
  Timer time_;
};

}  // namespace lmcd::transport
